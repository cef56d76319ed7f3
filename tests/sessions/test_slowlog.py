"""The slow log keeps little of each request, and no secret."""

from __future__ import annotations

import pytest

from respbroker.sessions.client import Client
from respbroker.sessions.secrets import REDACTED, redact
from respbroker.sessions.slowlog import SlowLog, shortened

CLIENT = Client(1, "127.0.0.1:5", name=b"me")


def test_the_newest_entries_come_first_and_the_oldest_go() -> None:
    log = SlowLog(2)
    for number in range(3):
        log.add(1_700_000_000_999, 0.012345678, [b"PING", b"%d" % number], CLIENT)
    assert [(entry.id, entry.words[1]) for entry in log.newest(None)] == [(2, b"2"), (1, b"1")]
    entry = log.newest(1)[0]
    assert (entry.unix_seconds, entry.micros, entry.address, entry.name) == (1_700_000_000, 12345, "127.0.0.1:5", b"me")


def test_ids_go_on_rising_behind_a_reset() -> None:
    log = SlowLog()
    log.add(0, 1.0, [b"PING"], CLIENT)
    log.reset()
    log.add(0, 1.0, [b"PING"], CLIENT)
    assert [entry.id for entry in log.newest(None)] == [1]


def test_a_shorter_limit_drops_the_oldest_and_zero_keeps_nothing() -> None:
    log = SlowLog()
    for _ in range(5):
        log.add(0, 1.0, [b"PING"], CLIENT)
    log.resize(2)
    assert [entry.id for entry in log.newest(None)] == [4, 3]
    log.resize(0)
    log.add(0, 1.0, [b"PING"], CLIENT)
    assert len(log) == 0


def test_many_words_and_long_ones_are_cut_as_redis_cuts_them() -> None:
    assert shortened([b"x"] * 32) == (b"x",) * 32
    assert shortened([b"x"] * 34) == (*[b"x"] * 31, b"... (3 more arguments)")
    assert shortened([b"PING", b"a" * 168]) == (b"PING", b"a" * 128 + b"... (40 more bytes)")
    assert shortened([b"PING", b"a" * 128]) == (b"PING", b"a" * 128)


@pytest.mark.parametrize(
    ("request_line", "shown"),
    [
        (b"AUTH s", b"AUTH *"),
        (b"auth u s", b"auth * *"),
        (b"HELLO 3 auth u s SETNAME n", b"HELLO 3 auth * * SETNAME n"),
        (b"HELLO 3 SETNAME auth AUTH u s", b"HELLO 3 SETNAME auth AUTH * *"),
        (b"CONFIG SET RequirePass s port 1", b"CONFIG SET RequirePass * port 1"),
        (b"config set timeout 1 masterauth s", b"config set timeout 1 masterauth *"),
        (b"ACL SETUSER u >s", b"ACL SETUSER * *"),
        (b"CONFIG GET requirepass", b"CONFIG GET requirepass"),
        (b"XADD auth * a b", b"XADD auth * a b"),
        (b"AUTH", b"AUTH"),
        (b"HELLO 3 AUTH", b"HELLO 3 AUTH"),
    ],
)
def test_passwords_are_shown_to_nobody(request_line: bytes, shown: bytes) -> None:
    words = request_line.split()
    found = redact(words)
    if b"XADD" not in request_line:
        assert found == [REDACTED if word == b"*" else word for word in shown.split()]
    else:
        assert found == words
