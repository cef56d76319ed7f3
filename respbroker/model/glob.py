"""Redis' glob patterns over bytes: ``*``, ``?``, ``[a-z]``, ``[^a]`` and ``\\`` before a literal byte.

Used wherever Redis takes a pattern: KEYS, SCAN, PSUBSCRIBE, PUBSUB CHANNELS, CONFIG GET, COMMAND LIST.

Rules that are easy to get wrong, all of them Redis':
* a class without its ``]`` ends with the pattern; ``[]`` matches nothing and ``[^]`` any byte;
* ``]`` closes a class even as its first byte, and is itself the end of a range in ``[a-]``;
* ranges may be written backwards; a ``\\`` at the very end is a literal one;
* nothing but the empty pattern matches the empty string. (KEYS and SCAN take the lone ``*`` as "all" before
  they look at names, see `is_everything`.)

Any pattern costs at most pattern size times string size: each part behind a ``*`` is an atomic group, so there is no
way back into it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

Matcher = Callable[[bytes], object]

#: Longer patterns are not compiled (about a second per megabyte) but walked for each string.
COMPILED_SIZE_MAX: Final = 4096

_STAR, _QUESTION, _OPEN, _CLOSE, _BACKSLASH, _CARET, _DASH = b"*?[]\\^-"


def compile_glob(pattern: bytes, *, ignore_case: bool = False) -> Matcher:
    """A predicate for ``pattern``: truthy when a whole string matches."""
    if len(pattern) > COMPILED_SIZE_MAX:
        if ignore_case:
            pattern = pattern.lower()
            return lambda string: walk(pattern, string.lower())
        return lambda string: walk(pattern, string)
    return _compiled(pattern, ignore_case)


def matches(pattern: bytes, string: bytes) -> bool:
    return bool(compile_glob(pattern)(string))


def is_everything(pattern: bytes) -> bool:
    """Whether KEYS and SCAN need not look at names at all."""
    return pattern == b"*"


def is_literal(pattern: bytes) -> bool:
    """Whether ``pattern`` can match nothing but itself, byte for byte."""
    return _SPECIAL.search(pattern) is None


_SPECIAL: Final = re.compile(rb"[*?\[\\]")


@lru_cache(maxsize=512)
def _compiled(pattern: bytes, ignore_case: bool) -> Matcher:
    if is_literal(pattern) and not ignore_case:
        return pattern.__eq__
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    return re.compile(to_regex(pattern), flags).fullmatch


def to_regex(pattern: bytes) -> bytes:
    """The same as a regular expression; ``fullmatch`` decides."""
    parts: list[list[bytes]] = [[]]  # what stands between stars
    position = 0
    while position < len(pattern):
        byte = pattern[position]
        if byte == _STAR:
            parts.append([])
            position += 1
            continue
        if byte == _OPEN:
            members, inverted, position = parse_class(pattern, position + 1)
            parts[-1].append(_class_regex(members, inverted))
            continue
        if byte == _QUESTION:
            parts[-1].append(b".")
        else:
            if byte == _BACKSLASH and position + 1 < len(pattern):
                position += 1
            parts[-1].append(re.escape(pattern[position : position + 1]))
        position += 1
    first, *rest = [b"".join(part) for part in parts]
    if not rest:
        return first
    middle = b"".join([b"(?>.*?%b)" % part for part in rest[:-1] if part])
    not_empty = b"(?=.)"  # a star needs a string to stand before
    return not_empty + first + middle + b".*" + rest[-1]


def parse_class(pattern: bytes, position: int) -> tuple[set[int], bool, int]:
    """The bytes of the class whose first byte is at ``position``, whether it is inverted, and what follows it."""
    end = len(pattern)
    inverted = position < end and pattern[position] == _CARET
    position += inverted
    members: set[int] = set()
    while position < end:
        byte = pattern[position]
        if byte == _BACKSLASH and end - position >= 2:
            members.add(pattern[position + 1])
            position += 2
        elif byte == _CLOSE:
            return members, inverted, position + 1
        elif end - position >= 3 and pattern[position + 1] == _DASH:
            low, high = sorted((byte, pattern[position + 2]))
            members.update(range(low, high + 1))
            position += 3
        else:
            members.add(byte)
            position += 1
    return members, inverted, position


def _class_regex(members: set[int], inverted: bool) -> bytes:
    if not members:
        return b"." if inverted else b"(?!)"
    body = b"".join([b"\\x%02x" % member for member in sorted(members)])
    return b"[%b%b]" % (b"^" if inverted else b"", body)


def walk(pattern: bytes, string: bytes) -> bool:
    """The same answer without compiling: on a mismatch, go on behind the last star with one byte more skipped."""
    if not string:
        return not pattern
    at, here = 0, 0
    retry_at, retry_here = -1, 0
    while here < len(string):
        if at < len(pattern) and pattern[at] == _STAR:
            retry_at, retry_here = at + 1, here
            at += 1
            continue
        following = _step(pattern, at, string[here]) if at < len(pattern) else -1
        if following >= 0:
            at, here = following, here + 1
        elif retry_at >= 0:
            retry_here += 1
            at, here = retry_at, retry_here
        else:
            return False
    return not pattern[at:].strip(b"*")


def _step(pattern: bytes, at: int, byte: int) -> int:
    """Where the pattern goes on when the element at ``at`` (no star) takes ``byte``; -1 when it does not."""
    element = pattern[at]
    if element == _QUESTION:
        return at + 1
    if element == _OPEN:
        members, inverted, following = parse_class(pattern, at + 1)
        return following if (byte in members) != inverted else -1
    if element == _BACKSLASH and at + 1 < len(pattern):
        at += 1
        element = pattern[at]
    return at + 1 if element == byte else -1
