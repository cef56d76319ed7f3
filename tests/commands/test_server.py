"""TIME, ROLE, WAIT, WAITAOF, SAVE and its like, SHUTDOWN, DEBUG, ACL, LOLWUT."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.support.nodes import NodeUnderTest, open_node
from tests.support.servers import Server
from tests.support.wire import parse


def test_time_is_the_clock_of_the_tick(node: NodeUnderTest) -> None:
    node.clock.advance(123)
    assert node.run(node.client(), "TIME") == b"*2\r\n$10\r\n1700000000\r\n$6\r\n123000\r\n"


# -- WAIT and WAITAOF ------------------------------------------------------------------------------------------


def test_wait_for_replicas_that_are_not_there_ends_with_its_time(node: NodeUnderTest) -> None:
    client = node.client()
    assert node.run(client, "WAIT", 1, 100) == b""
    node.clock.advance(99)
    node.tick()
    assert node.output(client) == b""
    node.clock.advance(1)
    node.tick()
    assert node.output(client) == b":0\r\n"


def test_wait_for_no_replica_and_wait_inside_exec_answer_at_once(node: NodeUnderTest) -> None:
    client = node.client()
    assert node.run(client, "WAIT", 0, 0) == b":0\r\n"
    node.run(client, "MULTI")
    node.run(client, "WAIT", 1, 0)
    node.run(client, "DEBUG", "SLEEP", 5)
    assert node.run(client, "EXEC") == b"*2\r\n:0\r\n+OK\r\n"


def test_waitaof_answers_once_the_write_is_synced(node: NodeUnderTest) -> None:
    client = node.client()
    node.pipeline(client, [["XADD", "s", "*", "a", "b"], ["WAITAOF", "1", "0", "0"]])
    node.tick()
    assert node.run(client, "WAITAOF", 1, 0, 0) == b"*2\r\n:1\r\n:0\r\n"


def test_waitaof_with_replicas_waits_for_its_time_and_tells_of_the_local_disk(node: NodeUnderTest) -> None:
    client = node.client()
    node.run(client, "XADD", "s", "*", "a", "b")
    node.tick()
    assert node.run(client, "WAITAOF", 1, 1, 50) == b""
    node.clock.advance(50)
    node.tick()
    assert node.output(client) == b"*2\r\n:1\r\n:0\r\n"


# -- saving and stopping ---------------------------------------------------------------------------------------


def test_lastsave_moves_with_every_kind_of_save(node: NodeUnderTest) -> None:
    client = node.client()
    for words in (["SAVE"], ["BGSAVE"], ["BGSAVE", "schedule"], ["BGREWRITEAOF"]):
        node.clock.advance(2000)
        assert node.run(client, *words).startswith(b"+")
        node.tick()
        assert node.run(client, "LASTSAVE") == b":%d\r\n" % (node.clock.ms // 1000)


def test_shutdown_asks_the_edge_and_answers_nothing(node: NodeUnderTest) -> None:
    client = node.client()
    assert node.run(client, "SHUTDOWN", "NOSAVE", "NOW", "FORCE") == b""
    assert node.node.shutdown_requested == {"save": False, "now": True, "force": True}
    assert node.run(client, "SHUTDOWN", "ABORT") == b"+OK\r\n"
    assert node.node.shutdown_requested is None
    assert node.run(client, "SHUTDOWN", "ABORT") == b"-ERR No shutdown in progress.\r\n"


# -- DEBUG -----------------------------------------------------------------------------------------------------


def test_debug_sleep_holds_up_nobody_but_who_asked(node: NodeUnderTest) -> None:
    client = node.client()
    assert node.run(client, "DEBUG", "SLEEP", "0.25") == b""
    assert node.run(node.client(), "PING") == b"+PONG\r\n"
    node.clock.advance(250)
    node.tick()
    assert node.output(client) == b"+OK\r\n"


@pytest.mark.parametrize("words", [["DEBUG", "RELOAD"], ["DEBUG", "reload", "NOSAVE"], ["DEBUG", "LOADAOF"]])
def test_reloading_recovers_everything_from_disk(words: list[str], node: NodeUnderTest) -> None:
    client = node.client()
    node.run(client, "XADD", "s", "1-1", "a", "b")
    node.run(client, "XGROUP", "CREATE", "s", "g", "0")
    node.run(client, "XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">")
    before = node.run(client, "XINFO", "STREAM", "s", "FULL")
    assert node.run(client, *words) == b"+OK\r\n"
    assert node.run(client, "XINFO", "STREAM", "s", "FULL") == before


def test_expired_keys_stay_unseen_while_active_expiry_is_off(node: NodeUnderTest) -> None:
    client = node.client()
    node.run(client, "DEBUG", "SET-ACTIVE-EXPIRE", 0)
    node.run(client, "XADD", "s", "*", "a", "b")
    node.run(client, "PEXPIRE", "s", 10)
    node.clock.advance(1000)
    node.tick()
    assert node.run(client, "DBSIZE") == b":1\r\n"
    node.run(client, "DEBUG", "SET-ACTIVE-EXPIRE", 1)
    node.clock.advance(1000)
    node.tick()
    assert node.run(client, "DBSIZE") == b":0\r\n"


def test_debug_is_for_those_the_setting_allows(tmp_path: Path) -> None:
    for name in ("local", "yes"):
        (tmp_path / name).mkdir()
    node = open_node(tmp_path / "local")
    far = node.node.connect(node.clock.now(), "10.0.0.1:5", "10.0.0.2:6379")
    assert node.run(far, "DEBUG", "JMAP").startswith(b"-ERR DEBUG command not allowed.")
    assert node.run(node.client(), "DEBUG", "JMAP") == b"+OK\r\n"
    everybody = open_node(tmp_path / "yes", enable_debug_command="yes")
    far = everybody.node.connect(everybody.clock.now(), "10.0.0.1:5", "10.0.0.2:6379")
    assert everybody.run(far, "DEBUG", "JMAP") == b"+OK\r\n"


def test_debug_turned_off_is_refused_in_the_words_of_redis(tmp_path: Path, redis_server: Server) -> None:
    node = open_node(tmp_path, enable_debug_command="no")
    with redis_server.connect() as wire:
        theirs = wire.call("DEBUG", "SLEEP", "0")
    if theirs.startswith(b"-"):
        assert node.run(node.client(), "DEBUG", "SLEEP", "0") == theirs
    assert node.run(node.client(), "DEBUG", "SLEEP", "0").startswith(b"-ERR DEBUG command not allowed.")


# -- ACL and LOLWUT --------------------------------------------------------------------------------------------


def test_the_one_user_is_shown_with_a_digest_of_the_password_only(tmp_path: Path) -> None:
    node = open_node(tmp_path, requirepass="secret")
    client = node.client()
    node.run(client, "AUTH", "secret")
    digest = hashlib.sha256(b"secret").hexdigest()
    shown = f"user default on sanitize-payload #{digest} ~* &* +@all"
    assert parse(node.run(client, "ACL", "LIST")).items[0].text == shown.encode()  # type: ignore[index]
    reply = node.run(client, "ACL", "GETUSER", "default")
    assert digest.encode() in reply
    assert b"secret" not in reply


def test_acl_cat_lists_the_commands_of_a_category(node: NodeUnderTest) -> None:
    def names(category: str) -> set[bytes | None]:
        return {item.text for item in parse(node.run(node.client(), "ACL", "CAT", category)).items or ()}

    assert {b"xadd", b"xinfo|stream", b"xgroup|create"} <= names("STREAM")
    assert b"xadd" not in names("read")
    assert names("bitmap") == set()


def test_lolwut_ends_with_the_version_and_is_another_picture_each_time(node: NodeUnderTest) -> None:
    client = node.client()
    one, other = node.run(client, "LOLWUT"), node.run(client, "LOLWUT", "VERSION", 5)
    assert one.endswith(b"\nRedis ver. 8.10.0\n\r\n")
    assert one != other


# -- compared with Redis ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "TIME x",
        "LASTSAVE x",
        "SAVE",
        "SAVE x",
        "BGSAVE nope",
        "BGSAVE schedule x",
        "SHUTDOWN nope",
        "SHUTDOWN ABORT",
        "SHUTDOWN ABORT ABORT",
        "SHUTDOWN NOSAVE SAVE",
        "SHUTDOWN ABORT NOW",
        "SHUTDOWN NOSAVE ABORT",
        "ROLE x",
        "WAIT 0 0",
        "WAIT 0 abc",
        "WAIT a 0",
        "WAIT 0 -1",
        "WAIT 0 9223372036854775807",
        "WAITAOF 2 0 10",
        "WAITAOF -1 0 10",
        "WAITAOF 0 -1 10",
        "WAITAOF 0 0 -1",
        "WAITAOF 0 0 x",
        "WAITAOF x 0 0",
        "ACL",
        "ACL NOPE",
        "ACL WHOAMI",
        "ACL WHOAMI x",
        "ACL CAT",
        "ACL CAT nope",
        "ACL CAT a b",
        "ACL LIST",
        "ACL USERS",
        "ACL GETUSER default",
        "ACL GETUSER nope",
        "ACL DRYRUN default PING",
        "ACL DRYRUN default NOPE",
        "ACL DRYRUN default XADD s",
        "ACL DRYRUN default CONFIG NOPE",
        "ACL DRYRUN nope PING",
        "LOLWUT VERSION a",
        "DEBUG",
    ],
)
@pytest.mark.parametrize("protocol", [2, 3])
def test_the_reply_is_that_of_redis(line: str, protocol: int, node: NodeUnderTest, redis_server: Server) -> None:
    words = line.split()
    with redis_server.connect(protocol) as wire:
        assert node.run(node.client(protocol), *words) == wire.call(*words)
