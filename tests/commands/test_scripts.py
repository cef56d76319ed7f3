"""Scripts of locks: known by their text, carried out within their request, checked as commands are."""

from __future__ import annotations

from hashlib import sha1

import pytest
import redis.asyncio.lock
import redis.lock

from respbroker.commands.lock_scripts import recognise
from respbroker.sessions.scripts import SCRIPTS_MAX, Scripts
from tests.support.cluster import Cluster, follower_of
from tests.support.keyspace_events import listen
from tests.support.memory_filesystem import MemoryFileSystem
from tests.support.nodes import open_node
from tests.support.wire import Frame, parse

RELEASE = redis.lock.Lock.LUA_RELEASE_SCRIPT
EXTEND = redis.lock.Lock.LUA_EXTEND_SCRIPT
REACQUIRE = redis.lock.Lock.LUA_REACQUIRE_SCRIPT
DELETE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"
NO_LUA = b"-ERR there is no Lua here"


@pytest.fixture
def client(node):
    return node.client()


@pytest.fixture
def ask(node, client):
    return lambda *words: node.run(client, *words)


def digest(text: str) -> str:
    return sha1(text.encode()).hexdigest()


@pytest.mark.parametrize("lock", [redis.lock.Lock, redis.asyncio.lock.Lock])
@pytest.mark.parametrize("name", ["RELEASE", "EXTEND", "REACQUIRE"])
def test_the_scripts_of_the_installed_redis_py_are_known(lock, name):
    assert recognise(getattr(lock, f"LUA_{name}_SCRIPT").encode()) is not None


@pytest.mark.parametrize(
    "text",
    [
        DELETE,
        DELETE.replace("'", '"').replace(", ", ","),
        DELETE.replace("get", "GET").replace("del", "DEL"),
        DELETE.replace("then", "\n  then -- it is ours\n").replace("KEYS[1])", " KEYS[1] );"),
        DELETE.replace("else return 0 end", "end\nreturn 0\n"),
        DELETE.replace("'del'", "'unlink'"),
        DELETE.replace("'del', KEYS[1]", "'pexpire', KEYS[1], ARGV[2]"),
        "return redis.call('set', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])",
    ],
)
def test_blanks_comments_and_quotes_make_no_difference(text):
    assert recognise(text.encode()) is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "return 1",
        DELETE + " return 1",
        DELETE.replace("ARGV[1]", "ARGV[2]"),
        DELETE.replace("==", "~="),
        DELETE.replace("'get'", "'get"),
        DELETE.replace("KEYS", "keys"),
        DELETE.replace("then", "--[[ then"),
        "--[[ x ]] redis.call('flushall')\n" + DELETE,
        "--[[\n" + DELETE + "\n]]",
        DELETE + " " * 5000,
    ],
)
def test_nothing_else_is_known(ask, text):
    assert ask("EVAL", text, 1, "k", "token").startswith(NO_LUA)
    assert ask("SCRIPT", "LOAD", text).startswith(NO_LUA)
    assert ask("SCRIPT", "EXISTS", digest(text)) == b"*1\r\n:0\r\n"


def test_a_script_is_asked_for_by_its_digest_once_it_was_sent(ask):
    missing = b"-NOSCRIPT No matching script. Please use EVAL.\r\n"
    assert ask("EVALSHA", digest(RELEASE), 1, "k", "token") == missing
    assert ask("EVALSHA", "no digest", "no number") == missing
    assert ask("SCRIPT", "LOAD", RELEASE) == b"$40\r\n" + digest(RELEASE).encode() + b"\r\n"
    ask("SET", "k", "token")
    assert ask("EVALSHA", digest(RELEASE).upper(), 1, "k", "token") == b":1\r\n"
    assert ask("EVAL", EXTEND, 1, "k", "token", 5, 0) == b":0\r\n"
    assert ask("SCRIPT", "EXISTS", digest(EXTEND), digest(REACQUIRE)) == b"*2\r\n:1\r\n:0\r\n"
    assert ask("SCRIPT", "FLUSH") == b"+OK\r\n"
    assert ask("EVALSHA", digest(RELEASE), 1, "k", "token") == missing


def test_the_first_script_goes_when_there_are_too_many():
    scripts = Scripts()
    names = [scripts.load(b"%d" % n) for n in range(SCRIPTS_MAX + 1)]
    assert len(scripts) == SCRIPTS_MAX
    assert scripts.find(names[0]) is None
    assert scripts.find(names[-1]) == b"%d" % SCRIPTS_MAX


def test_a_lock_is_released_by_its_token_only(ask):
    ask("SET", "k", "token")
    assert ask("EVAL", RELEASE, 1, "k", "other") == b":0\r\n"
    assert ask("EXISTS", "k") == b":1\r\n"
    assert ask("EVAL", RELEASE, 1, "k", "token") == b":1\r\n"
    assert ask("EXISTS", "k") == b":0\r\n"


def test_a_lock_that_is_not_there_is_held_by_nobody_not_even_without_a_token(ask):
    assert ask("EVAL", RELEASE, 1, "k") == b":0\r\n"
    assert ask("EVAL", EXTEND, 1, "k") == b":0\r\n"


def test_a_lock_is_extended_by_what_it_has_left_or_anew(ask):
    ask("SET", "k", "token", "PX", 5000)
    assert ask("EVAL", EXTEND, 1, "k", "other", 100, "0") == b":0\r\n"
    assert ask("EVAL", EXTEND, 1, "k", "token", 100, "0") == b":1\r\n"
    assert ask("PTTL", "k") == b":5100\r\n"
    assert ask("EVAL", EXTEND, 1, "k", "token", 300, "1") == b":1\r\n"
    assert ask("PTTL", "k") == b":300\r\n"
    assert ask("EVAL", REACQUIRE, 1, "k", "token", 900) == b":1\r\n"
    assert ask("PTTL", "k") == b":900\r\n"
    ask("PERSIST", "k")
    assert ask("EVAL", EXTEND, 1, "k", "token", 100, "0") == b":0\r\n"


def test_a_lock_is_gone_for_its_script_when_its_time_is_over(node, ask):
    ask("SET", "k", "token", "PX", 100)
    node.clock.advance(100)
    assert ask("EVAL", EXTEND, 1, "k", "token", 100, "0") == b":0\r\n"
    assert ask("EVAL", RELEASE, 1, "k", "token") == b":0\r\n"


def test_what_a_script_is_refused_is_told_with_its_name_and_line(ask):
    ask("XADD", "s", "1-1", "f", "v")
    at = f" script: {digest(RELEASE)}, on @user_script:2.\r\n".encode()
    assert ask("EVAL", RELEASE, 1, "s", "x") == (
        b"-WRONGTYPE Operation against a key holding the wrong kind of value" + at
    )
    assert ask("EVAL", RELEASE, 0) == b"-ERR Lua redis lib command arguments must be strings or integers" + at
    assert ask("EVAL", RELEASE, 2, "k") == b"-ERR Number of keys can't be greater than number of args\r\n"
    assert ask("EVAL", RELEASE, -1) == b"-ERR Number of keys can't be negative\r\n"
    assert ask("EVAL", RELEASE, "x") == b"-ERR value is not an integer or out of range\r\n"


def test_a_script_that_sets_is_refused_above_maxmemory(node, ask):
    ask("SET", "k", "token")
    ask("CONFIG", "SET", "maxmemory", "1")
    node.node.housekeeping.out_of_memory = True
    acquire = "return redis.call('set', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])"
    assert ask("EVAL", acquire, 1, "l", "token", 5).startswith(b"-OOM command not allowed when used memory")
    assert ask("EVAL", RELEASE, 1, "k", "token") == b":1\r\n"


def test_a_script_that_writes_is_refused_by_a_follower_and_one_that_does_not_goes_on(tmp_path):
    cluster = Cluster(tmp_path)
    leader = cluster.add(7001)
    writer = leader.client()
    cluster.ask(leader, writer, "SET", "k", "token")
    follower = follower_of(cluster, leader)
    client = follower.client()
    refused = cluster.ask(follower, client, "EVAL", RELEASE, 1, "k", "token")
    assert refused.startswith(b"-READONLY You can't write against a read only replica. script: ")
    assert cluster.ask(follower, client, "EVAL", RELEASE, 1, "k", "other") == b":0\r\n"
    assert cluster.ask(leader, writer, "EVAL", RELEASE, 1, "k", "token") == b":1\r\n"
    assert cluster.ask(follower, client, "GET", "k") == b"$-1\r\n"


def test_a_script_that_writes_is_refused_where_the_disk_refuses():
    disk = MemoryFileSystem()
    disk.mkdir("d")
    node = open_node("d", disk)
    client = node.client()
    node.run(client, "SET", "k", "token")
    disk.room = 10
    assert node.run(client, "SET", "other", "x").startswith(b"-MISCONF")
    refused = node.run(client, "EVAL", RELEASE, 1, "k", "token")
    assert refused.startswith(b"-MISCONF")
    assert b"@user_script:6" in refused
    assert node.run(client, "EVAL", RELEASE, 1, "k", "other") == b":0\r\n"
    assert node.run(client, "GET", "k") == b"$5\r\ntoken\r\n"


def test_a_script_in_a_transaction_is_one_of_its_commands(ask):
    ask("SET", "k", "token")
    ask("MULTI")
    ask("EVAL", RELEASE, 1, "k", "token")
    ask("EVAL", RELEASE, 1, "k", "token")
    assert ask("EXEC") == b"*2\r\n:1\r\n:0\r\n"


def test_what_a_script_and_its_transaction_change_goes_through_the_journal(node, client, ask):
    journal = node.node.keyspace.journal
    release = [b"EVAL", RELEASE.encode(), b"1", b"k", b"token"]
    ask("SET", "k", "token")
    ask("XADD", "s", "1-1", "f", "v")
    node.node.save(background=False)
    node.tick()
    assert journal.is_empty
    node.node.tick([(client, [[b"MULTI"], [b"XADD", b"s", b"*", b"f", b"v"], release, [b"EXEC"]])], node.clock.now())
    assert not journal.is_empty


def test_what_a_script_changes_is_told_watched_and_counted(node, ask):
    other = node.client()
    ask("SET", "k", "token", "PX", 5000)
    node.run(other, "WATCH", "k")
    told = listen(node)
    ask("EVAL", REACQUIRE, 1, "k", "token", 900)
    ask("EVAL", RELEASE, 1, "k", "token")
    assert told() == ["expire@0 k", "del@0 k"]
    node.run(other, "MULTI")
    assert node.run(other, "EXEC") == b"*-1\r\n"
    assert node.node.commands.commands["del"].calls == 1
    assert node.node.commands.commands["eval"].calls == 2


def test_a_pause_of_writes_holds_a_script(node, ask):
    other = node.client()
    node.run(other, "CLIENT", "PAUSE", "1000", "WRITE")
    assert ask("EVAL", RELEASE, 1, "k", "token") == b""
    node.run(other, "CLIENT", "UNPAUSE")
    node.tick()
    assert ask("PING") == b":0\r\n+PONG\r\n"


def test_monitor_shows_a_script(node, ask):
    onlooker = node.client()
    node.run(onlooker, "MONITOR")
    ask("EVAL", RELEASE, 1, "k", "token")
    assert b'"EVAL"' in node.output(onlooker)


def test_keys_of_a_script_are_those_that_its_count_says(ask):
    keys: Frame = parse(ask("COMMAND", "GETKEYS", "EVAL", "x", 2, "a", "b", "c"))
    assert [item.text for item in keys.items or ()] == [b"a", b"b"]
    assert ask("COMMAND", "GETKEYS", "EVAL", "x", 3, "a") == b"*0\r\n"
    assert ask("COMMAND", "GETKEYS", "EVAL", "x", "x") == b"*0\r\n"
