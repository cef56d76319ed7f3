"""The scripts of locks that client libraries bring: replies and refusals as those of Redis, to the byte."""

from __future__ import annotations

from importlib.resources import files

import pytest
from redis.lock import Lock

from tests.support.servers import Server
from tests.support.wire import parse

FAR = 99_999_999_999_999  # a moment, in milliseconds
IN_COREDIS = files("coredis.patterns.lock") / "lua"
SCRIPTS = {
    "redis-py-release": Lock.LUA_RELEASE_SCRIPT,
    "redis-py-extend": Lock.LUA_EXTEND_SCRIPT,
    "redis-py-reacquire": Lock.LUA_REACQUIRE_SCRIPT,
    "coredis-release": (IN_COREDIS / "release.lua").read_text(),
    "coredis-extend": (IN_COREDIS / "extend.lua").read_text(),
}
ARGUMENTS = [
    ("mine", "5000"),
    ("mine", "5000", "0"),
    ("mine", "5000", "1"),
    ("other", "5000"),
    ("mine", " 7 ", "0"),
    ("mine", "1.5", "0"),
    ("mine", "x", "0"),
    ("mine",),
    (),
    ("mine", "-9999999", "0"),
]


def replies(server: Server, script: str, arguments: tuple[str, ...]) -> list[bytes]:
    """Of the script for a lock with a time, for one without, and for none; and when the first ends."""
    with server.connect() as wire:
        wire.call("FLUSHALL")
        wire.call("SET", "timed", "mine", "PXAT", FAR)
        wire.call("SET", "lasting", "mine")
        asked = [wire.call("EVAL", script, "1", key, *arguments) for key in ("timed", "lasting", "none")]
        ends = parse(wire.call("PEXPIRETIME", "timed"))
        return [*asked, b"%d" % ends.integer if ends.integer in (-2, *range(FAR, FAR + 10_000)) else b"from now on"]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=" ".join)
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_of_a_lock_is_answered_as_by_redis(
    redis_server: Server, respbroker_server: Server, name: str, arguments: tuple[str, ...]
) -> None:
    ours, theirs = (replies(each, SCRIPTS[name], arguments) for each in (respbroker_server, redis_server))
    assert ours == theirs
