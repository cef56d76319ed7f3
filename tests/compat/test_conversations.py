"""Hand-written conversations, told to our server and to Redis 8.2 and compared byte for byte."""

from __future__ import annotations

from tests.compat import conversations
from tests.compat.conversations import Conversation
from tests.support.servers import Server

ALL = conversations.load()
in_each_protocol = conversations.in_each_protocol(ALL)


@in_each_protocol
def test_a_conversation_goes_as_with_redis(
    respbroker_server: Server, redis_server: Server, conversation: Conversation, protocol: int
) -> None:
    conversations.compare(conversation, respbroker_server, redis_server, protocol)


@in_each_protocol
def test_a_conversation_goes_alike_with_two_redis(
    second_redis: Server, redis_server: Server, conversation: Conversation, protocol: int
) -> None:
    conversations.compare(conversation, second_redis, redis_server, protocol)


def test_captions_are_unique() -> None:
    names = [conversation.name for conversation in ALL]
    assert len(names) == len(set(names))
