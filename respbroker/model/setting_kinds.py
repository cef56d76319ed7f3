"""Kinds of settings: how the text of a value is read, checked and written, in Redis' words.

A kind reads one text (``parse``) and writes the canonical one (``format``). It refuses with ValueError, whose
text is what CONFIG SET puts behind "CONFIG SET failed …" and a start puts behind the line number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import attrs

from respbroker.model.config_file import quoted

I32_MAX: Final = 2**31 - 1
U32_MAX: Final = 2**32 - 1
I64_MAX: Final = 2**63 - 1
U64_MAX: Final = 2**64 - 1


class Kind:
    """What all kinds have. ``several`` kinds take all words of a line of the file, the others exactly one."""

    several: ClassVar[bool] = False

    def parse(self, text: str, old: Any) -> Any:
        """The value that ``text`` names; ``old`` is the present one, for kinds that change it in part."""
        raise NotImplementedError

    def format(self, value: Any) -> str:
        """The text that reads back as ``value``, as CONFIG GET prints it."""
        return str(value)

    def lines(self, value: Any, default: Any) -> list[tuple[str, bool]]:
        """What CONFIG REWRITE puts behind the name, a line each, and whether it must be in the file (no default)."""
        return [(self.format(value), value != default)]

    def describe(self) -> str:
        """The values allowed, for docs/configuration.md."""
        raise NotImplementedError


@attrs.frozen
class Text(Kind):
    """Any text."""

    def parse(self, text: str, old: str) -> str:
        return text

    def lines(self, value: str, default: str) -> list[tuple[str, bool]]:
        return [(quoted(value), value != default)]

    def describe(self) -> str:
        return "text"


_HOST: Final = re.compile(r"[0-9A-Za-z._:%-]{0,255}")


@attrs.frozen
class Host(Text):
    """What other servers are told to connect to: a name or an address, as it may stand in INFO and in log lines."""

    def parse(self, text: str, old: str) -> str:
        if not _HOST.fullmatch(text):
            raise ValueError("argument must be the name or the IP address of a host")
        return text

    def describe(self) -> str:
        return "a host's name or IP address"


@attrs.frozen
class Words(Kind):
    """Texts with blanks between them: addresses."""

    several: ClassVar[bool] = True

    def parse(self, text: str, old: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(text.split())

    def format(self, value: tuple[str, ...]) -> str:
        return " ".join(value)

    def describe(self) -> str:
        return "words"


@attrs.frozen
class Address(Kind):
    """A host and a port; ``no one`` as REPLICAOF has it, or nothing, for None."""

    several: ClassVar[bool] = True

    def parse(self, text: str, old: Any) -> tuple[str, int] | None:
        words = text.split()
        if not words or [word.lower() for word in words] == ["no", "one"]:
            return None
        if len(words) != 2:
            raise ValueError("wrong number of arguments")
        host, port = words
        if not _INTEGER.fullmatch(port) or not 0 < int(port) < 1 << 16:
            raise ValueError("Invalid master port")
        return host, int(port)

    def format(self, value: tuple[str, int] | None) -> str:
        return f"{value[0]} {value[1]}" if value else ""

    def lines(self, value: tuple[str, int] | None, default: None) -> list[tuple[str, bool]]:
        return [(self.format(value), True)] if value else []

    def describe(self) -> str:
        return "host and port"


@attrs.frozen
class YesNo(Kind):
    def parse(self, text: str, old: bool) -> bool:
        if text.lower() not in ("yes", "no"):
            raise ValueError("argument must be 'yes' or 'no'")
        return text.lower() == "yes"

    def format(self, value: bool) -> str:
        return "yes" if value else "no"

    def describe(self) -> str:
        return "`yes` or `no`"


@attrs.frozen
class Choice(Kind):
    """One word of a few; ``of`` stands in the order in which a refusal lists it."""

    of: tuple[str, ...]

    def parse(self, text: str, old: str) -> str:
        if text.lower() not in self.of:
            raise ValueError(f"argument(s) must be one of the following: {', '.join(self.of)}")
        return text.lower()

    def describe(self) -> str:
        return ", ".join(f"`{word}`" for word in self.of)


@attrs.frozen
class Integer(Kind):
    lowest: int = 0
    highest: int = I32_MAX

    def parse(self, text: str, old: int) -> int:
        if not _INTEGER.fullmatch(text) or not -I64_MAX - 1 <= int(text) <= I64_MAX:
            raise ValueError("argument couldn't be parsed into an integer")
        return self.checked(int(text))

    def checked(self, number: int) -> int:
        if not self.lowest <= number <= self.highest:
            raise ValueError(f"argument must be between {self.lowest} and {self.highest} inclusive")
        return number

    def describe(self) -> str:
        return f"{self.lowest} and more" if self.highest >= I32_MAX else f"{self.lowest} to {self.highest}"


@attrs.frozen
class Clamped(Integer):
    """A number which is moved to the next one allowed instead of being refused (``hz``)."""

    def checked(self, number: int) -> int:
        return min(max(Integer().checked(number), self.lowest), self.highest)


@attrs.frozen
class Memory(Integer):
    """Bytes, with a unit if wanted: k, m, g count in thousands, kb, mb, gb in 1024s."""

    highest: int = I64_MAX

    def parse(self, text: str, old: int) -> int:
        return self.checked(parse_memory(text))

    def lines(self, value: int, default: int) -> list[tuple[str, bool]]:
        for unit, size in (("gb", 1 << 30), ("mb", 1 << 20), ("kb", 1 << 10)):
            if value and value % size == 0:
                return [(f"{value // size}{unit}", value != default)]
        return [(str(value), value != default)]

    def describe(self) -> str:
        return f"bytes, `{self.lines(self.lowest, 0)[0][0]}` and more" if self.lowest else "bytes"


_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,19})")
_MEMORY: Final = re.compile(r"([0-9]{1,20})([a-z]*)")
_UNITS: Final = {
    "": 1,
    "b": 1,
    "k": 1000,
    "kb": 1024,
    "m": 1000**2,
    "mb": 1024**2,
    "g": 1000**3,
    "gb": 1024**3,
}


def parse_memory(text: str) -> int:
    """Bytes from ``512``, ``64kb``, ``1g`` …"""
    match = _MEMORY.fullmatch(text.lower())
    unit = _UNITS.get(match[2]) if match else None
    if match is None or unit is None or int(match[1]) * unit > U64_MAX:
        raise ValueError("argument must be a memory value")
    return int(match[1]) * unit


@attrs.frozen
class SaveRules(Kind):
    """Pairs of seconds and changes: a checkpoint after so many seconds if there were so many changes."""

    several: ClassVar[bool] = True

    def parse(self, text: str, old: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        words = text.split()
        if len(words) % 2 or not all(word.isascii() and word.isdigit() for word in words):
            raise ValueError("Invalid save parameters")
        numbers = [int(word) for word in words]
        rules = tuple(zip(numbers[::2], numbers[1::2], strict=True))
        if any(seconds < 1 for seconds, _ in rules):
            raise ValueError("Invalid save parameters")
        return rules

    def format(self, value: tuple[tuple[int, int], ...]) -> str:
        return " ".join(f"{seconds} {changes}" for seconds, changes in value)

    def lines(self, value: tuple[tuple[int, int], ...], default: object) -> list[tuple[str, bool]]:
        return [(f"{seconds} {changes}", value != default) for seconds, changes in value] or [('""', value != default)]

    def describe(self) -> str:
        return "seconds and changes, in pairs"


@attrs.frozen
class OutputLimit:
    """How much a client may leave unread: ``hard`` bytes at any time, ``soft`` for ``soft_seconds``; 0 is no limit."""

    hard: int
    soft: int
    soft_seconds: int


@attrs.frozen
class OutputLimits(Kind):
    """Limits per class of client: ``normal``, ``slave`` (also said ``replica``), ``pubsub``."""

    several: ClassVar[bool] = True
    classes: ClassVar[tuple[str, ...]] = ("normal", "slave", "pubsub")

    def parse(self, text: str, old: Mapping[str, OutputLimit]) -> dict[str, OutputLimit]:
        words = text.split()
        if not words or len(words) % 4:
            raise ValueError("Wrong number of arguments in buffer limit configuration.")
        limits = dict(old)
        for at in range(0, len(words), 4):
            name = words[at].lower().replace("replica", "slave")
            if name not in self.classes:
                raise ValueError("Invalid client class specified in buffer limit configuration.")
            limits[name] = self._limit(words[at + 1 : at + 4])
        return limits

    @staticmethod
    def _limit(words: list[str]) -> OutputLimit:
        try:
            return OutputLimit(parse_memory(words[0]), parse_memory(words[1]), Integer().parse(words[2], 0))
        except ValueError:
            raise ValueError("Error in hard, soft or soft_seconds setting in buffer limit configuration.") from None

    def format(self, value: Mapping[str, OutputLimit]) -> str:
        limits = [(name, value[name]) for name in self.classes]
        return " ".join(f"{name} {limit.hard} {limit.soft} {limit.soft_seconds}" for name, limit in limits)

    def lines(self, value: Mapping[str, OutputLimit], default: Mapping[str, OutputLimit]) -> list[tuple[str, bool]]:
        return [(self.format_class(name, value[name]), value[name] != default[name]) for name in self.classes]

    @staticmethod
    def format_class(name: str, limit: OutputLimit) -> str:
        hard, soft = [Memory().lines(number, 0)[0][0] for number in (limit.hard, limit.soft)]
        return f"{name} {hard} {soft} {limit.soft_seconds}"

    def describe(self) -> str:
        return "class, hard bytes, soft bytes, seconds; repeated"


@attrs.frozen
class EventClasses(Kind):
    """``notify-keyspace-events``: letters of classes of events, ``A`` for all but ``m`` and ``n``."""

    ALL: ClassVar[str] = "g$lshzxetd"
    order: ClassVar[str] = "g$lshzxetdnKEm"

    def parse(self, text: str, old: str) -> str:
        letters = set(text.replace("A", self.ALL))
        if not letters <= set(self.order):
            raise ValueError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
        return "".join(letter for letter in self.order if letter in letters)

    def format(self, value: str) -> str:
        return value.replace(self.ALL, "A")

    def lines(self, value: str, default: str) -> list[tuple[str, bool]]:
        return [(quoted(self.format(value)), value != default)]

    def describe(self) -> str:
        return "letters of `KEg$lshzxetdmnA`"


@attrs.frozen
class Percentiles(Kind):
    several: ClassVar[bool] = True

    def parse(self, text: str, old: tuple[float, ...]) -> tuple[float, ...]:
        try:
            numbers = tuple(float(word) for word in text.split())
        except ValueError:
            raise ValueError("Invalid latency-tracking-info-percentiles parameters") from None
        if not all(math.isfinite(number) and 0 <= number <= 100 for number in numbers):
            raise ValueError("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")
        return numbers

    def format(self, value: tuple[float, ...]) -> str:
        return " ".join(f"{number:.12g}" for number in value)

    def lines(self, value: tuple[float, ...], default: object) -> list[tuple[str, bool]]:
        return [(self.format(value) or '""', value != default)]

    def describe(self) -> str:
        return "numbers from 0 to 100"


@attrs.frozen
class Limited(Kind):
    """A kind of which only some values can be honoured here; the others are refused with ``reason``."""

    kind: Kind
    honoured: tuple[Any, ...]
    reason: str

    def parse(self, text: str, old: Any) -> Any:
        value = self.kind.parse(text, old)
        if value not in self.honoured:
            raise ValueError(self.reason)
        return value

    def format(self, value: Any) -> str:
        return self.kind.format(value)

    def lines(self, value: Any, default: Any) -> list[tuple[str, bool]]:
        return self.kind.lines(value, default)

    def describe(self) -> str:
        return f"only {' or '.join(f'`{self.format(value)}`' for value in self.honoured)}: {self.reason}"


def only(kind: Kind, *values: Any, reason: str) -> Limited:
    """``kind`` of which nothing but ``values`` can be honoured."""
    return Limited(kind, values, reason)
