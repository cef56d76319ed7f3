"""The scripts of locks that client libraries send, recognised by their text and carried out without Lua.

A text is read as Lua reads it: blanks, comments, semicolons and the kind of quotes make no difference, nor does the
case of what stands between quotes, which are names of commands and options. What is left must be one of `_BODIES` word
by word, so nothing is carried out that would do anything else in Redis.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

from respbroker.errors import ReplyError
from respbroker.resp.floats import digits_of, parse_float
from respbroker.resp.replies import ONE, ZERO, integer
from respbroker.sessions.scripts import digest_of

if TYPE_CHECKING:
    from respbroker.sessions.client import Reply


class ScriptRun(Protocol):
    """A script that runs: what it was given, and what it may do."""

    keys: list[bytes]  #: ``KEYS``

    def key(self, number: int) -> bytes | None:
        """``KEYS[number]``, or nil."""

    def argument(self, number: int) -> bytes | None:
        """``ARGV[number]``, or nil."""

    def get(self, key: bytes | None) -> bytes | None:
        """``redis.call('get', key)``."""

    def pttl(self, key: bytes | None) -> int:
        """``redis.call('pttl', key)``."""

    def call(self, *words: bytes | None) -> Reply:
        """``redis.call(...)`` of a command that changes something, with all checks there are for it."""

    def mistake(self, at: bytes, trouble: str) -> ReplyError:
        """What Lua itself would refuse in the line with the words ``at``, in lower case."""


Body = Callable[[ScriptRun], "Reply"]


def _holds(run: ScriptRun) -> bool:
    """Whether the lock ``KEYS[1]`` is held with the token ``ARGV[1]``."""
    return _has(run, run.key(1))


def _has(run: ScriptRun, key: bytes | None) -> bool:
    """Whether the key is there, and holds the token ``ARGV[1]``."""
    token = run.get(key)
    return token is not None and token == run.argument(1)


# -- compare and act -------------------------------------------------------------------------------------------


def _if_held(name: bytes, *, timed: bool) -> Body:
    """The reply of a command where the lock is held, 0 where it is not; its time is ``ARGV[2]``."""

    def body(run: ScriptRun) -> Reply:
        if not _holds(run):
            return ZERO
        return run.call(name, run.key(1), run.argument(2)) if timed else run.call(name, run.key(1))

    return body


def _acquire(run: ScriptRun) -> Reply:
    return run.call(b"set", run.key(1), run.argument(1), b"NX", b"PX", run.argument(2))


# -- redis.lock.Lock of redis-py -------------------------------------------------------------------------------


def _release(run: ScriptRun) -> Reply:
    if not _holds(run):
        return ZERO
    run.call(b"del", run.key(1))
    return ONE


def _reacquire(run: ScriptRun) -> Reply:
    if not _holds(run):
        return ZERO
    run.call(b"pexpire", run.key(1), run.argument(2))
    return ONE


def _extend(run: ScriptRun) -> Reply:
    """Give the lock ``ARGV[2]`` ms more than it has, or, where ``ARGV[3]`` is not 0, from now on."""
    if not _holds(run):
        return ZERO
    left_ms = run.pttl(run.key(1))
    if left_ms < 0:
        return ZERO
    time = run.argument(2)
    if run.argument(3) == b"0":
        time = _sum(run, left_ms, b"argv[2] + exp")
    run.call(b"pexpire", run.key(1), time)
    return ONE


def _sum(run: ScriptRun, left_ms: int, at: bytes) -> bytes:
    """``ARGV[2]`` and what the lock has left, added as Lua does in the line with the words ``at``."""
    time = run.argument(2)
    more_ms = None if time is None else parse_float(time.strip())
    if more_ms is None:
        kind = "nil" if time is None else "string"
        raise run.mistake(at, f"attempt to perform arithmetic on field '?' (a {kind} value)")
    return digits_of(more_ms + left_ms)


# -- coredis.patterns.lock.Lock, which releases as redis-py does -----------------------------------------------


def _extend_what_is_left(run: ScriptRun) -> Reply:
    """Give the lock ``ARGV[2]`` ms more than it has."""
    if not _holds(run):
        return ZERO
    left_ms = run.pttl(run.key(1))
    if left_ms < 0:
        return ZERO
    run.call(b"pexpire", run.key(1), _sum(run, left_ms, b"expiration + argv[2]"))
    return ONE


# -- redlock of node: a lock is of one key or of several -------------------------------------------------------


def _acquire_all(run: ScriptRun) -> Reply:
    if any(run.call(b"exists", key) == ONE for key in run.keys):
        return ZERO
    return _set_all(run)


def _extend_all(run: ScriptRun) -> Reply:
    return _set_all(run) if all(_has(run, key) for key in run.keys) else ZERO


def _set_all(run: ScriptRun) -> Reply:
    for key in run.keys:
        run.call(b"set", key, run.argument(1), b"PX", run.argument(2))
    return integer(len(run.keys))


def _release_all(run: ScriptRun) -> Reply:
    """A deletion that is refused is told as such; Redis would count it."""
    count = 0
    for key in run.keys:
        if _has(run, key):
            run.call(b"del", key)
            count += 1
    return integer(count)


# -- recognising -----------------------------------------------------------------------------------------------

_COMMENT: Final = re.compile(rb"--[^\n]*")
_WORDS: Final = re.compile(rb"""'[^'"\\\n]*'|"[^'"\\\n]*"|\w+|[~=]=|[^\w\s]""")
_LONG_BRACKET: Final = re.compile(rb"\[=*\[")


def in_one_form(text: bytes) -> bytes:
    """The text with all that makes no difference made alike."""
    if _LONG_BRACKET.search(text):
        return text  # comments and strings of several lines, which no script here has
    words = _WORDS.findall(_COMMENT.sub(b"", text))
    return b" ".join(
        b"'%b'" % word[1:-1].lower() if word[:1] in (b"'", b'"') and len(word) > 1 else word
        for word in words
        if word != b";"
    )


_ACTIONS: Final[dict[bytes, Body]] = {
    b"'del', KEYS[1]": _if_held(b"del", timed=False),
    b"'unlink', KEYS[1]": _if_held(b"unlink", timed=False),
    b"'expire', KEYS[1], ARGV[2]": _if_held(b"expire", timed=True),
    b"'pexpire', KEYS[1], ARGV[2]": _if_held(b"pexpire", timed=True),
}

_IF_HELD: Final = b"if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call(%b) %b"
_ACQUIRE: Final = b"return redis.call('set', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])"

#: By the digest of the text in one form.
_BODIES: Final[dict[bytes, Body]] = {
    digest_of(in_one_form(_IF_HELD % (action, end))): body
    for action, body in _ACTIONS.items()
    for end in (b"else return 0 end", b"end return 0")
} | {
    digest_of(in_one_form(_ACQUIRE)): _acquire,
    b"2ad1bcd0e3378a7b60a486b3e01956935b98c185": _acquire_all,  # redlock 4.2 and 5, as the two below
    b"770982d52052b2312426fd5a972852333cbff1de": _extend_all,
    b"d7a8c16c9b897cd740bb0a9c0daa651a4d01e63d": _release_all,
    b"0701af675d2509cf2cc16974771888aa2f93b117": _release,  # LUA_RELEASE_SCRIPT
    b"03e7a9ee0175c8752ebeec3fc70787f340333b7b": _extend,  # LUA_EXTEND_SCRIPT
    b"682408d0a30acd5ea56c9c520b66fe36915a8eee": _reacquire,  # LUA_REACQUIRE_SCRIPT
    b"ada93168d5434b815019025884badabb95edb372": _extend_what_is_left,  # extend.lua of coredis
}


#: All that are known are shorter, with their blanks; what is longer is not looked at.
_TEXT_MAX: Final = 4096


def recognise(text: bytes) -> Body | None:
    """What carries out a script; None for one that is not known."""
    return _recognise(text) if len(text) <= _TEXT_MAX else None


@lru_cache(maxsize=64)
def _recognise(text: bytes) -> Body | None:
    return _BODIES.get(digest_of(in_one_form(text)))
