"""Floats as Redis reads and writes them."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Final

WHOLE_MAX: Final = 2.0**62  # whole numbers up to it are written as integers are
_PLAIN_ZEROS: Final = 7  # zeros behind the digits, at most, before an exponent is written
_PLAIN_PLACES: Final = 6  # places behind the point that are written whatever stands before it
_PLAIN_EXPONENT: Final = 4  # below it, all places are

_NUMBER: Final = re.compile(rb"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?)", re.IGNORECASE)
_HEXADECIMAL: Final = re.compile(rb"[+-]?0x(?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)(?:p[+-]?\d+)?", re.IGNORECASE)


def parse_float(word: bytes) -> float | None:
    """A number in decimal or hexadecimal; None for what is none, not even NaN, or beyond what a double holds."""
    if _HEXADECIMAL.fullmatch(word):
        try:
            number = float.fromhex(word.decode())
        except OverflowError:
            return None
        return None if _lost(number, word.lower().partition(b"p")[0]) else number
    if not _NUMBER.fullmatch(word):
        return None
    number = float(word)
    if math.isinf(number) and b"i" not in word.lower():
        return None
    return None if _lost(number, word.lower().partition(b"e")[0]) else number


def _lost(number: float, digits: bytes) -> bool:
    """Whether the number has become zero for being too small."""
    return number == 0 and bool(digits.strip(b"+-0.x"))


def parse_bound(word: bytes) -> float | None:
    """A number as Redis reads the end of a range: up to the first NUL, nothing is 0, and too large is infinite."""
    word = word.partition(b"\0")[0]
    if not word:
        return 0.0
    return float(word) if _NUMBER.fullmatch(word) else None


def digits_of(value: float) -> bytes:
    """The shortest digits that read back as the same number, with an exponent where Redis writes one."""
    if value.is_integer() and abs(value) <= WHOLE_MAX:
        return b"-0" if value == 0 and math.copysign(1, value) < 0 else b"%d" % value
    if math.isnan(value) or math.isinf(value):
        return repr(value).encode()
    negative, digits, shift = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(shift, int)
    text = "".join(map(str, digits))
    return (("-" if negative else "") + _written(text, shift)).encode()


def _written(digits: str, shift: int) -> str:
    """``digits`` times ten to the power of ``shift``. Where there is an exponent is not C's choice but Redis' own."""
    exponent = shift + len(digits) - 1
    if shift >= 0 and abs(exponent) < len(digits) + _PLAIN_ZEROS:
        return digits + "0" * shift
    if shift < 0 and (-shift <= _PLAIN_PLACES or abs(exponent) < _PLAIN_EXPONENT):
        point = len(digits) + shift
        return f"{digits[:point]}.{digits[point:]}" if point > 0 else f"0.{'0' * -point}{digits}"
    places = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{places}e{exponent:+d}"
