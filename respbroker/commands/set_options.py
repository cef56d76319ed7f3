"""The options of SET and GETEX, and the time at which what they set expires."""

from __future__ import annotations

from typing import Final

import attrs

from respbroker.commands.arguments import I64_MAX, Arguments, parse_int
from respbroker.errors import ReplyError, SyntaxRefused

#: Options with a time behind them: milliseconds in their unit, and whether it is counted from now.
TIMES: Final = {b"EX": (1000, True), b"PX": (1, True), b"EXAT": (1000, False), b"PXAT": (1, False)}

OF_SET: Final = frozenset({*TIMES, b"NX", b"XX", b"GET", b"KEEPTTL"})
OF_GETEX: Final = frozenset({*TIMES, b"PERSIST"})


@attrs.define
class SetOptions:
    """What stands behind the key and the value."""

    condition: bytes = b""  #: NX, XX or nothing
    get: bool = False
    expiry: bytes = b""  #: one of `TIMES`, KEEPTTL, PERSIST or nothing
    time: bytes = b""  #: the word behind one of `TIMES`

    @classmethod
    def parse(cls, words: list[bytes], start: int, known: frozenset[bytes]) -> SetOptions:
        """The options from word ``start`` on. One may stand there twice; the last one counts."""
        found = cls()
        options = Arguments(words, start)
        while options.more:
            option = options.option()
            if option not in known:
                raise SyntaxRefused
            if option == b"GET":
                found.get = True
            elif option in (b"NX", b"XX"):
                found.condition = _same(found.condition, option)
            else:
                found.expiry = _same(found.expiry, option)
                if option in TIMES:
                    found.time = options.value()
        return found

    def expires_ms(self, command: str, now_ms: int) -> int:
        """When the key expires, in Unix milliseconds; 0 where no time was given."""
        if self.expiry not in TIMES:
            return 0
        unit_ms, relative = TIMES[self.expiry]
        return expiry_time(command, self.time, unit_ms, now_ms if relative else 0)


def _same(before: bytes, option: bytes) -> bytes:
    """``option``, which no other of its kind may stand beside."""
    if before not in (b"", option):
        raise SyntaxRefused
    return option


def expiry_time(command: str, word: bytes, unit_ms: int, start_ms: int) -> int:
    """Unix milliseconds from a time above 0 that is counted from ``start_ms``."""
    expires_ms = parse_int(word) * unit_ms
    if not 0 < expires_ms <= I64_MAX - start_ms:
        raise ReplyError(f"invalid expire time in '{command}' command")
    return expires_ms + start_ms
