"""What applications send that cannot be run here, said again to Redis and to us: the replies are equal to the byte.

The words were taken from the sources of each program; how they are written down is explained in
``tests/compat/conversations.py``.
"""

from __future__ import annotations

from pathlib import Path

from tests.compat import conversations
from tests.compat.conversations import Conversation
from tests.support.servers import Server

ALL = conversations.load(Path(__file__).parent)
in_each_protocol = conversations.in_each_protocol(ALL)


@in_each_protocol
def test_an_application_is_answered_as_by_redis(
    respbroker_server: Server, redis_server: Server, conversation: Conversation, protocol: int
) -> None:
    conversations.compare(conversation, respbroker_server, redis_server, protocol)


@in_each_protocol
def test_two_redis_answer_it_alike(
    second_redis: Server, redis_server: Server, conversation: Conversation, protocol: int
) -> None:
    conversations.compare(conversation, second_redis, redis_server, protocol)
