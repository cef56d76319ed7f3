"""HELLO, AUTH, PING, ECHO, SELECT, QUIT and RESET, with the replies of a redis-server 8.2."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.nodes import NodeUnderTest, open_node

WRONGPASS = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
NOAUTH = b"-NOAUTH Authentication required.\r\n"


@pytest.fixture
def locked_node(tmp_path: Path) -> NodeUnderTest:
    return open_node(tmp_path, requirepass="sesame")


REPLIES = [
    ("HELLO 4", b"-NOPROTO unsupported protocol version\r\n"),
    ("HELLO 1", b"-NOPROTO unsupported protocol version\r\n"),
    ("HELLO x", b"-ERR Protocol version is not an integer or out of range\r\n"),
    ("HELLO +3", b"-ERR Protocol version is not an integer or out of range\r\n"),
    ("HELLO 3 FOO", b"-ERR Syntax error in HELLO option 'FOO'\r\n"),
    ("HELLO 3 AUTH a", b"-ERR Syntax error in HELLO option 'AUTH'\r\n"),
    ("HELLO 3 SETNAME", b"-ERR Syntax error in HELLO option 'SETNAME'\r\n"),
    ("HELLO 3 AUTH nobody x", WRONGPASS),
    ("HELLO 3 SETNAME a\x01b", b"-ERR Client names cannot contain spaces, newlines or special characters.\r\n"),
    ("PING", b"+PONG\r\n"),
    ("PING hi", b"$2\r\nhi\r\n"),
    ("PING a b", b"-ERR wrong number of arguments for 'ping' command\r\n"),
    ("ECHO hi", b"$2\r\nhi\r\n"),
    ("SELECT 15", b"+OK\r\n"),
    ("SELECT 16", b"-ERR DB index is out of range\r\n"),
    ("SELECT -1", b"-ERR DB index is out of range\r\n"),
    ("SELECT a", b"-ERR value is not an integer or out of range\r\n"),
    ("SELECT 9999999999", b"-ERR value is out of range, value must between -2147483648 and 2147483647\r\n"),
    ("AUTH a b c", b"-ERR syntax error\r\n"),
    ("AUTH default anything", b"+OK\r\n"),
    ("AUTH nobody x", WRONGPASS),
    (
        "AUTH x",
        b"-ERR AUTH <password> called without any password configured for the default user. "
        b"Are you sure your configuration is correct?\r\n",
    ),
]


@pytest.mark.parametrize(("request_line", "reply"), REPLIES)
def test_small_commands_answer_as_redis_does(node: NodeUnderTest, request_line: str, reply: bytes) -> None:
    assert node.run(node.client(), *request_line.split(" ")) == reply


def test_hello_tells_about_the_server_in_the_protocol_it_chooses(node: NodeUnderTest) -> None:
    client = node.client()
    old = node.run(client, "HELLO")
    assert old.startswith(
        b"*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n8.10.0\r\n$5\r\nproto\r\n:2\r\n"
    )
    assert old.endswith(b"$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n")
    new = node.run(client, "HELLO", "3", "SETNAME", "me", "AUTH", "default", "x")
    assert new == old.replace(b"*14", b"%7", 1).replace(b"proto\r\n:2", b"proto\r\n:3")
    assert node.run(client, "CLIENT", "GETNAME") == b"$2\r\nme\r\n"


def test_a_hello_that_fails_changes_nothing(node: NodeUnderTest) -> None:
    client = node.client()
    node.run(client, "HELLO", "3", "SETNAME", "me", "AUTH", "nobody", "x")
    assert node.run(client, "CLIENT", "GETNAME") == b"$-1\r\n"


def test_before_the_password_only_auth_hello_quit_and_reset_are_open(locked_node: NodeUnderTest) -> None:
    client = locked_node.client()
    assert locked_node.run(client, "PING") == NOAUTH
    assert locked_node.run(client, "SUBSCRIBE", "x") == NOAUTH
    assert locked_node.run(client, "HELLO", "3").startswith(b"-NOAUTH HELLO must be called with the client already ")
    assert locked_node.run(client, "RESET") == b"+RESET\r\n"
    assert locked_node.run(client, "AUTH", "open") == WRONGPASS
    assert locked_node.run(client, "AUTH", "nobody", "sesame") == WRONGPASS
    assert locked_node.run(client, "PING") == NOAUTH
    assert locked_node.run(client, "AUTH", "sesame") == b"+OK\r\n"
    assert locked_node.run(client, "PING") == b"+PONG\r\n"


def test_a_wrong_password_does_not_log_out(locked_node: NodeUnderTest) -> None:
    client = locked_node.client()
    assert locked_node.run(client, "HELLO", "2", "AUTH", "default", "sesame").startswith(b"*14\r\n")
    assert locked_node.run(client, "AUTH", "other") == WRONGPASS
    assert locked_node.run(client, "PING") == b"+PONG\r\n"


def test_reset_logs_out(locked_node: NodeUnderTest) -> None:
    client = locked_node.client()
    locked_node.run(client, "AUTH", "sesame")
    assert locked_node.run(client, "RESET") == b"+RESET\r\n"
    assert locked_node.run(client, "PING") == NOAUTH


def test_quit_answers_before_it_closes(node: NodeUnderTest) -> None:
    client = node.client()
    assert node.pipeline(client, [["QUIT", "now"], ["PING"]]) == b"+OK\r\n"
    assert client.closing
    assert not client.kill


def test_reset_makes_a_connection_as_it_was_when_it_came(node: NodeUnderTest) -> None:
    client, other = node.client(), node.client()
    for line in ("HELLO 3 SETNAME me", "SELECT 3", "CLIENT NO-TOUCH ON", "CLIENT SETINFO LIB-NAME lib", "WATCH k"):
        node.run(client, *line.split())
    for line in ("SUBSCRIBE a", "PSUBSCRIBE b*", "SSUBSCRIBE c", "MULTI", "PING"):
        node.run(client, *line.split())
    assert node.run(client, "RESET") == b"+RESET\r\n"
    assert client.plain
    assert node.run(client, "EXEC") == b"-ERR EXEC without MULTI\r\n"
    told = node.run(client, "CLIENT", "INFO")
    assert b" name= " in told
    assert b" flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 watch=0 " in told
    assert b" resp=2 lib-name=lib " in told
    assert node.run(other, "PUBSUB", "NUMPAT") == b":0\r\n"
    assert node.run(other, "PUBLISH", "a", "x") == b":0\r\n"


def test_reset_ends_monitoring(node: NodeUnderTest) -> None:
    client, other = node.client(), node.client()
    node.run(client, "MONITOR")
    node.run(client, "RESET")
    node.run(other, "PING")
    assert node.output(client) == b""
    assert node.run(client, "XLEN", "s") == b":0\r\n"
