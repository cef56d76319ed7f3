"""CLIENT, with the replies of a redis-server 8.2."""

from __future__ import annotations

import pytest

from respbroker.sessions.client import Client
from tests.support.nodes import NodeUnderTest

SYNTAX = b"-ERR syntax error\r\n"
FIELDS = (
    "id addr laddr fd name age idle flags db sub psub ssub multi watch qbuf qbuf-free argv-mem multi-mem rbs rbp obl "
    "oll omem tot-mem events cmd user redir resp lib-name lib-ver io-thread tot-net-in tot-net-out tot-cmds"
)


REPLIES = [
    ("FOO", b"-ERR unknown subcommand 'FOO'. Try CLIENT HELP.\r\n"),
    ("TRACKING ON", b"-ERR unknown subcommand 'TRACKING'. Try CLIENT HELP.\r\n"),
    (
        "MAINT_NOTIFICATIONS ON moving-endpoint-type none",
        b"-ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.\r\n",
    ),
    ("ID x", b"-ERR wrong number of arguments for 'client|id' command\r\n"),
    ("LIST TYPE foo", b"-ERR Unknown client type 'foo'\r\n"),
    ("LIST TYPE", SYNTAX),
    ("LIST TYPE normal x", SYNTAX),
    ("LIST ID", SYNTAX),
    ("LIST ID x", b"-ERR Invalid client ID\r\n"),
    ("LIST ID 900 901", b"$0\r\n\r\n"),
    ("LIST TYPE replica", b"$0\r\n\r\n"),
    ("LIST TYPE pubsub", b"$0\r\n\r\n"),
    ("LIST FOO", SYNTAX),
    ("GETNAME", b"$-1\r\n"),
    ("SETNAME a\x01", b"-ERR Client names cannot contain spaces, newlines or special characters.\r\n"),
    ("SETINFO FOO a", b"-ERR Unrecognized option 'FOO'\r\n"),
    ("SETINFO lib-NAME \xe9", b"-ERR lib-NAME cannot contain spaces, newlines or special characters.\r\n"),
    ("KILL x", b"-ERR No such client\r\n"),
    ("KILL ID x", b"-ERR client-id should be greater than 0\r\n"),
    ("KILL ID 0", b"-ERR client-id should be greater than 0\r\n"),
    ("KILL ID 999", b":0\r\n"),
    ("KILL TYPE foo", b"-ERR Unknown client type 'foo'\r\n"),
    ("KILL USER nobody", b"-ERR No such user 'nobody'\r\n"),
    ("KILL MAXAGE x", b"-ERR maxage is not an integer or out of range\r\n"),
    ("KILL MAXAGE 0", b"-ERR maxage should be greater than 0\r\n"),
    ("KILL ID 1 ADDR", SYNTAX),
    ("KILL FOO bar", SYNTAX),
    ("KILL TYPE normal SKIPME maybe", SYNTAX),
    ("PAUSE x", b"-ERR timeout is not an integer or out of range\r\n"),
    ("PAUSE -1", b"-ERR timeout is negative\r\n"),
    ("PAUSE x FOO", b"-ERR CLIENT PAUSE mode must be WRITE or ALL\r\n"),
    ("PAUSE 1 ALL x", b"-ERR unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP.\r\n"),
    ("REPLY foo", SYNTAX),
    ("REPLY ON", b"+OK\r\n"),
    ("UNBLOCK x", b"-ERR value is not an integer or out of range\r\n"),
    ("UNBLOCK x foo", b"-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n"),
    ("UNBLOCK 999 ERROR", b":0\r\n"),
    ("NO-EVICT foo", SYNTAX),
    ("NO-EVICT on", b"+OK\r\n"),
    ("NO-TOUCH foo", SYNTAX),
    ("NO-TOUCH off", b"+OK\r\n"),
]


@pytest.mark.parametrize(("words", "reply"), REPLIES)
def test_client_answers_as_redis_does(node: NodeUnderTest, words: str, reply: bytes) -> None:
    sent = [word.encode("latin-1") for word in words.split(" ")]
    assert node.run(node.client(), "CLIENT", *sent) == reply


def listed(node: NodeUnderTest, asking: Client, *filters: object) -> list[dict[str, str]]:
    """CLIENT LIST, a dictionary for each line."""
    reply = node.run(asking, "CLIENT", "LIST", *map(str, filters))
    head, _, text = reply.partition(b"\r\n")
    assert head == b"$%d" % (len(text) - 2)
    return [dict(pair.split("=", 1) for pair in line.split(" ")) for line in text.decode().splitlines() if line]


def test_the_list_has_the_fields_of_redis_in_its_order(node: NodeUnderTest) -> None:
    (line,) = listed(node, node.client())
    assert " ".join(line) == FIELDS
    assert line["addr"] == "127.0.0.1:50000"
    assert line["laddr"] == "127.0.0.1:6379"
    assert line["cmd"] == "client|list"
    assert line["user"] == "default"
    assert line["flags"] == "N"


def test_the_list_tells_what_clients_are_up_to(node: NodeUnderTest) -> None:
    asking, busy, listening = node.client(), node.client(), node.client(3)
    for line in ("CLIENT SETNAME worker", "CLIENT SETINFO LIB-NAME lib", "CLIENT SETINFO LIB-VER 1.2", "SELECT 4"):
        node.run(busy, *line.split())
    for line in ("CLIENT NO-TOUCH on", "WATCH a b", "MULTI", "PING", "PING"):
        node.run(busy, *line.split())
    node.run(listening, "SUBSCRIBE", "a", "b")
    node.run(listening, "PSUBSCRIBE", "c*")
    node.clock.advance(2500)
    _, second, third = listed(node, asking)
    told = {
        name: second[name] for name in ("name", "lib-name", "lib-ver", "db", "multi", "watch", "flags", "age", "idle")
    }
    assert told == {
        "name": "worker", "lib-name": "lib", "lib-ver": "1.2", "db": "4", "multi": "2", "watch": "2", "flags": "xT",
        "age": "2", "idle": "2",
    }  # fmt: skip
    assert (third["flags"], third["sub"], third["psub"], third["resp"]) == ("P", "2", "1", "3")
    assert [line["id"] for line in listed(node, asking, "TYPE", "PubSub")] == [third["id"]]
    assert [line["id"] for line in listed(node, asking, "ID", third["id"], 999, busy.id)] == [second["id"], third["id"]]


def test_resp3_sends_the_list_as_text(node: NodeUnderTest) -> None:
    client = node.client(3)
    assert node.run(client, "CLIENT", "INFO").partition(b"\r\n")[2].startswith(b"txt:id=%d " % client.id)
    assert node.run(client, "CLIENT", "GETNAME") == b"_\r\n"


def test_an_empty_name_is_no_name(node: NodeUnderTest) -> None:
    client = node.client()
    node.run(client, "CLIENT", "SETNAME", "x")
    assert node.run(client, "CLIENT", "SETNAME", "") == b"+OK\r\n"
    assert node.run(client, "CLIENT", "GETNAME") == b"$-1\r\n"


# -- KILL -----------------------------------------------------------------------------------------------------


def test_kill_spares_the_one_who_asks_unless_told_not_to(node: NodeUnderTest) -> None:
    asking, other = node.client(), node.client()
    assert node.run(asking, "CLIENT", "KILL", "TYPE", "normal") == b":1\r\n"
    assert other.kill
    assert not asking.closing
    assert node.run(asking, "CLIENT", "KILL", "ID", asking.id, "SKIPME", "no") == b":1\r\n"
    assert asking.closing
    assert not asking.kill, "it still has to hear the answer"


def test_kill_needs_all_its_conditions(node: NodeUnderTest) -> None:
    asking, listening = node.client(), node.client()
    node.run(listening, "SUBSCRIBE", "a")
    assert node.run(asking, "CLIENT", "KILL", "ID", listening.id, "TYPE", "normal") == b":0\r\n"
    assert node.run(asking, "CLIENT", "KILL", "ADDR", "127.0.0.1:1", "TYPE", "pubsub") == b":0\r\n"
    assert node.run(asking, "CLIENT", "KILL", "MAXAGE", "1", "TYPE", "pubsub") == b":0\r\n"
    node.clock.advance(1000)
    words = ["LADDR", "127.0.0.1:6379", "MAXAGE", "1", "TYPE", "pubsub", "USER", "default"]
    assert node.run(asking, "CLIENT", "KILL", *words) == b":1\r\n"


def test_replicas_are_a_class_of_their_own(node: NodeUnderTest) -> None:
    asking, replica = node.client(), node.client()
    replica.replica = True
    (line,) = node.run(asking, "CLIENT", "LIST", "TYPE", "replica").splitlines()[1:-1]
    assert b"id=%d " % replica.id in line
    assert b" flags=S " in line
    assert node.run(asking, "CLIENT", "LIST", "TYPE", "slave") == node.run(asking, "CLIENT", "LIST", "TYPE", "replica")
    assert b"id=%d " % replica.id not in node.run(asking, "CLIENT", "LIST", "TYPE", "normal")
    assert node.run(asking, "CLIENT", "KILL", "TYPE", "normal") == b":0\r\n"
    assert node.run(asking, "CLIENT", "KILL", "TYPE", "slave") == b":1\r\n"
    assert replica.kill


def test_a_killed_client_is_not_listed_and_not_killed_again(node: NodeUnderTest) -> None:
    asking, other = node.client(), node.client()
    node.run(asking, "CLIENT", "KILL", "ID", other.id)
    assert len(listed(node, asking)) == 1
    assert node.run(asking, "CLIENT", "KILL", "ID", other.id) == b":0\r\n"


def test_the_old_form_of_kill_takes_an_address(node: NodeUnderTest) -> None:
    client = node.client()
    assert node.run(client, "CLIENT", "KILL", "127.0.0.1:50000") == b"+OK\r\n"
    assert client.closing


# -- REPLY ----------------------------------------------------------------------------------------------------


def test_reply_off_silences_until_on(node: NodeUnderTest) -> None:
    client = node.client()
    requests = [["CLIENT", "REPLY", "OFF"], ["PING"], ["NOPE"], ["CLIENT", "REPLY", "SKIP"], ["PING"]]
    assert node.pipeline(client, requests) == b""
    assert node.run(client, "CLIENT", "REPLY", "ON") == b"+OK\r\n"
    assert client.plain


def test_reply_skip_silences_the_next_command_alone(node: NodeUnderTest) -> None:
    client = node.client()
    requests = [["CLIENT", "REPLY", "SKIP"], ["PING", "1"], ["PING", "2"]]
    assert node.pipeline(client, requests) == b"$1\r\n2\r\n"
    requests = [["CLIENT", "REPLY", "SKIP"], ["CLIENT", "REPLY", "SKIP"], ["PING", "1"], ["PING", "2"]]
    assert node.pipeline(client, requests) == b"$1\r\n2\r\n"
    assert client.plain


def test_subscriptions_are_confirmed_while_replies_are_off(node: NodeUnderTest) -> None:
    client, other = node.client(3), node.client()
    node.run(client, "CLIENT", "REPLY", "OFF")
    assert node.run(client, "SUBSCRIBE", "a") == b">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
    node.run(other, "PUBLISH", "a", "x")
    assert node.output(client) == b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n"


# -- PAUSE and UNBLOCK ----------------------------------------------------------------------------------------


def test_pause_write_holds_writes_until_its_time_is_over(node: NodeUnderTest) -> None:
    client, other = node.client(), node.client()
    assert node.run(client, "CLIENT", "PAUSE", "100", "WRITE") == b"+OK\r\n"
    assert node.run(other, "XADD", "s", "1-1", "f", "v") == b""
    assert node.run(client, "XLEN", "s") == b":0\r\n"
    node.clock.advance(101)
    node.tick()
    assert node.output(other) == b"$3\r\n1-1\r\n"


def test_unpause_lets_all_go_on(node: NodeUnderTest) -> None:
    client, other = node.client(), node.client()
    node.run(client, "CLIENT", "PAUSE", "100000")
    assert node.run(other, "PING") == b""
    assert node.run(client, "CLIENT", "UNPAUSE") == b"+OK\r\n"
    node.tick()
    assert node.output(other) == b"+PONG\r\n"


def test_unblock_ends_a_wait_as_if_its_time_were_over_or_with_an_error(node: NodeUnderTest) -> None:
    client, waiting = node.client(), node.client()
    for reason, reply in (
        ([], b"*-1\r\n"),
        (["TIMEOUT"], b"*-1\r\n"),
        (["ERROR"], b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"),
    ):
        assert node.run(waiting, "XREAD", "BLOCK", "0", "STREAMS", "s", "$") == b""
        assert [line["flags"] for line in listed(node, client, "ID", waiting.id)] == ["b"]
        assert node.run(client, "CLIENT", "UNBLOCK", waiting.id, *reason) == b":1\r\n"
        assert node.output(waiting) == reply
    assert node.run(client, "CLIENT", "UNBLOCK", waiting.id) == b":0\r\n"
    assert waiting.plain
