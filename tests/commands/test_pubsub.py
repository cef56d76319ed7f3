"""Publish and subscribe, with the frames of a redis-server 8.2."""

from __future__ import annotations

import pytest

from tests.support.nodes import NodeUnderTest


def frame(*words: str | int | None, kind: str = "*") -> bytes:
    """A push as it goes out: strings as bulk strings, numbers as integers, None as null."""
    wires = [f"{kind}{len(words)}\r\n"]
    for word in words:
        if isinstance(word, int):
            wires.append(f":{word}\r\n")
        elif word is None:
            wires.append("$-1\r\n" if kind == "*" else "_\r\n")
        else:
            wires.append(f"${len(word)}\r\n{word}\r\n")
    return "".join(wires).encode()


def test_each_channel_is_confirmed_by_a_frame_of_its_own(node: NodeUnderTest) -> None:
    for protocol, kind in ((2, "*"), (3, ">")):
        client = node.client(protocol)
        expected = [frame("subscribe", name, n, kind=kind) for name, n in (("b", 1), ("a", 2), ("b", 2))]
        assert node.run(client, "SUBSCRIBE", "b", "a", "b") == b"".join(expected)
        assert node.run(client, "PSUBSCRIBE", "x*") == frame("psubscribe", "x*", 3, kind=kind)
        assert node.run(client, "SSUBSCRIBE", "s") == frame("ssubscribe", "s", 1, kind=kind)
        assert node.run(client, "UNSUBSCRIBE", "b", "z") == (
            frame("unsubscribe", "b", 2, kind=kind) + frame("unsubscribe", "z", 2, kind=kind)
        )
        assert node.run(client, "UNSUBSCRIBE") == frame("unsubscribe", "a", 1, kind=kind)
        assert node.run(client, "UNSUBSCRIBE") == frame("unsubscribe", None, 1, kind=kind)
        assert node.run(client, "PUNSUBSCRIBE") == frame("punsubscribe", "x*", 0, kind=kind)
        assert node.run(client, "SUNSUBSCRIBE", "q") == frame("sunsubscribe", "q", 1, kind=kind)
        assert node.run(client, "SUNSUBSCRIBE") == frame("sunsubscribe", "s", 0, kind=kind)
        assert client.plain


def test_a_message_reaches_channels_then_patterns_each_in_its_protocol(node: NodeUnderTest) -> None:
    old, new, publisher = node.client(2), node.client(3), node.client()
    node.run(old, "PSUBSCRIBE", "ne*", "n?ws")
    node.run(old, "SUBSCRIBE", "news")
    node.run(new, "SUBSCRIBE", "news", "other")
    assert node.run(publisher, "PUBLISH", "news", "hi\r\n") == b":4\r\n"
    assert node.output(old) == (
        frame("message", "news", "hi\r\n")
        + frame("pmessage", "ne*", "news", "hi\r\n")
        + frame("pmessage", "n?ws", "news", "hi\r\n")
    )
    assert node.output(new) == frame("message", "news", "hi\r\n", kind=">")
    assert node.run(publisher, "PUBLISH", "nobody", "x") == b":0\r\n"


def test_shard_channels_are_a_world_of_their_own(node: NodeUnderTest) -> None:
    listening, publisher = node.client(), node.client()
    node.run(listening, "SSUBSCRIBE", "a")
    node.run(listening, "PSUBSCRIBE", "*")
    assert node.run(publisher, "SPUBLISH", "a", "x") == b":1\r\n"
    assert node.output(listening) == frame("smessage", "a", "x")
    assert node.run(publisher, "PUBLISH", "a", "y") == b":1\r\n"
    assert node.output(listening) == frame("pmessage", "*", "a", "y")


def test_a_publisher_hears_itself_behind_the_reply(node: NodeUnderTest) -> None:
    client = node.client(3)
    node.run(client, "SUBSCRIBE", "a")
    assert node.run(client, "PUBLISH", "a", "x") == b":1\r\n" + frame("message", "a", "x", kind=">")


def test_what_a_transaction_publishes_to_its_own_client_stands_behind_exec(node: NodeUnderTest) -> None:
    client = node.client(3)
    for words in (["SUBSCRIBE", "a"], ["MULTI"], ["PUBLISH", "a", "x"], ["SUBSCRIBE", "b", "c"], ["PING"]):
        node.run(client, *words)
    assert node.run(client, "EXEC") == (
        b"*3\r\n:1\r\n"
        + frame("subscribe", "b", 2, kind=">")
        + frame("subscribe", "c", 3, kind=">")
        + b"+PONG\r\n"
        + frame("message", "a", "x", kind=">")
    )


@pytest.mark.parametrize("verb", ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"])
def test_a_resp2_subscriber_may_do_little_else(node: NodeUnderTest, verb: str) -> None:
    client = node.client()
    node.run(client, verb, "a")
    allowed = b"only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n"
    assert node.run(client, "XLEN", "s") == b"-ERR Can't execute 'xlen': " + allowed
    assert node.run(client, "CLIENT", "ID") == b"-ERR Can't execute 'client|id': " + allowed
    assert node.run(client, "HELLO", "3") == b"-ERR Can't execute 'hello': " + allowed
    assert node.run(client, "NOPE", "x") == b"-ERR unknown command 'NOPE', with args beginning with: 'x' \r\n"
    assert node.run(client, "XLEN") == b"-ERR wrong number of arguments for 'xlen' command\r\n"
    assert node.run(client, "PING") == frame("pong", "")
    assert node.run(client, "PING", "x") == frame("pong", "x")
    node.run(client, verb.replace("SUBSCRIBE", "UNSUBSCRIBE"))
    assert node.run(client, "PING") == b"+PONG\r\n"


def test_a_resp3_subscriber_goes_on_with_other_commands(node: NodeUnderTest) -> None:
    client = node.client(3)
    node.run(client, "SUBSCRIBE", "a")
    assert node.run(client, "PING") == b"+PONG\r\n"
    assert node.run(client, "XADD", "s", "1-1", "f", "v") == b"$3\r\n1-1\r\n"
    node.run(client, "HELLO", "2")
    assert node.run(client, "XLEN", "s").startswith(b"-ERR Can't execute 'xlen'")


def test_pubsub_tells_who_is_listened_to(node: NodeUnderTest) -> None:
    one, two, asking = node.client(), node.client(), node.client()
    node.run(one, "SUBSCRIBE", "a", "b")
    node.run(two, "SUBSCRIBE", "a")
    node.run(two, "PSUBSCRIBE", "x*", "y*")
    node.run(two, "SSUBSCRIBE", "s")
    assert node.run(asking, "PUBSUB", "CHANNELS") == b"*2\r\n$1\r\na\r\n$1\r\nb\r\n"
    assert node.run(asking, "PUBSUB", "CHANNELS", "[^a]") == b"*1\r\n$1\r\nb\r\n"
    assert node.run(asking, "PUBSUB", "NUMSUB", "a", "z") == b"*4\r\n$1\r\na\r\n:2\r\n$1\r\nz\r\n:0\r\n"
    assert node.run(asking, "PUBSUB", "NUMSUB") == b"*0\r\n"
    assert node.run(asking, "PUBSUB", "NUMPAT") == b":2\r\n"
    assert node.run(asking, "PUBSUB", "SHARDCHANNELS") == b"*1\r\n$1\r\ns\r\n"
    assert node.run(asking, "PUBSUB", "SHARDNUMSUB", "s", "a") == b"*4\r\n$1\r\ns\r\n:1\r\n$1\r\na\r\n:0\r\n"
    assert node.run(asking, "PUBSUB", "FOO") == b"-ERR unknown subcommand 'FOO'. Try PUBSUB HELP.\r\n"
    assert node.run(asking, "PUBSUB", "CHANNELS", "a", "b") == (
        b"-ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB HELP.\r\n"
    )


def test_a_client_that_goes_is_not_told_any_more(node: NodeUnderTest) -> None:
    gone, asking = node.client(), node.client()
    node.run(gone, "SUBSCRIBE", "a")
    node.run(gone, "PSUBSCRIBE", "a*")
    node.run(gone, "SSUBSCRIBE", "a")
    node.node.disconnect(gone)
    assert node.run(asking, "PUBLISH", "a", "x") == b":0\r\n"
    assert node.run(asking, "PUBSUB", "CHANNELS") == b"*0\r\n"
    assert node.run(asking, "PUBSUB", "NUMPAT") == b":0\r\n"
    assert node.run(asking, "PUBSUB", "SHARDCHANNELS") == b"*0\r\n"
