"""A cursor over the words of a request, and the numbers in them, as strict as Redis.

Options come in any order and any case. A command reads them like this:

    options = Arguments(words, 2)
    while options.more:
        match options.option():
            case b"COUNT":
                count = parse_int(options.value())
            case b"JUSTID":
                just_id = True
            case _:
                raise SyntaxRefused
"""

from __future__ import annotations

from typing import Final

import attrs

from respbroker.errors import NegativeTimeout, NotAnInteger, ReplyError, SyntaxRefused, TimeoutNotAnInteger

I64_MAX: Final = 2**63 - 1
I64_MIN: Final = -(2**63)

DIGITS_MAX: Final = 20  # of -9223372036854775808
DIGITS_SURE: Final = 19  # a number of fewer digits is none too large
ZERO: Final = ord("0")


def parse_int(word: bytes, refusal: str | None = None) -> int:
    """A signed 64-bit number in its one canonical form: no plus sign, blanks, leading zeros or ``-0``.

    Raises:
        NotAnInteger: the word is something else; ``refusal`` replaces its text.
    """
    if word.isdigit() and len(word) < DIGITS_SURE and word[0] != ZERO:  # nearly always
        return int(word)
    if len(word) <= DIGITS_MAX:
        try:
            number = int(word)
        except ValueError:
            pass
        else:
            if I64_MIN <= number <= I64_MAX and b"%d" % number == word:
                return number
    raise NotAnInteger(refusal)


def parse_bounded(word: bytes, lowest: int, highest: int, refusal: str) -> int:
    """A number in ``lowest <= n <= highest``.

    Raises:
        NotAnInteger: not a number.
        ReplyError: with the text ``refusal``, where the number is outside.
    """
    number = parse_int(word)
    if not lowest <= number <= highest:
        raise ReplyError(refusal)
    return number


def parse_positive(word: bytes) -> int:
    """A number from 0 on ("positive" is Redis' word for it)."""
    return parse_bounded(word, 0, I64_MAX, "value is out of range, must be positive")


def parse_timeout_ms(word: bytes, now_ms: int = 0) -> int:
    """A whole number of milliseconds to wait, 0 for ever; the deadline it gives must be a 64-bit number too.

    Raises:
        TimeoutNotAnInteger, NegativeTimeout: in that order.
    """
    try:
        timeout = parse_int(word)
    except NotAnInteger:
        raise TimeoutNotAnInteger from None
    if timeout < 0:
        raise NegativeTimeout
    ensure_timeout(timeout, now_ms)
    return timeout


def ensure_timeout(timeout_ms: int, now_ms: int) -> None:
    """Refuse a timeout whose end is no 64-bit number."""
    if timeout_ms > I64_MAX - now_ms:
        raise ReplyError("timeout is out of range")


@attrs.define(slots=True, eq=False)
class Arguments:
    """The words of a request from ``position`` on, taken one after the other."""

    words: list[bytes]
    position: int
    end: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.end = len(self.words)

    @property
    def more(self) -> bool:
        return self.position < self.end

    @property
    def left(self) -> int:
        """How many words are still to be taken."""
        return self.end - self.position

    def option(self) -> bytes:
        """The next word, in upper case."""
        return self.value().upper()

    def value(self) -> bytes:
        """The next word as it is.

        Raises:
            SyntaxRefused: there is none.
        """
        if self.position >= self.end:
            raise SyntaxRefused
        word = self.words[self.position]
        self.position += 1
        return word

    def take(self, count: int) -> list[bytes]:
        """The next ``count`` words.

        Raises:
            SyntaxRefused: there are fewer.
        """
        if count > self.end - self.position:
            raise SyntaxRefused
        taken = self.words[self.position : self.position + count]
        self.position += count
        return taken

    def rest(self) -> list[bytes]:
        """All words that are left."""
        return self.take(self.left)
