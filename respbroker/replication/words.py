"""The words that servers say to each other: each function reads one, and raises Unreadable for what cannot be."""

from __future__ import annotations

import re
from typing import Final

from respbroker.replication.history import EPOCH_MAX, NODE, Unreadable, shown

ID_PART_MAX: Final = (1 << 64) - 1  # of an entry's milliseconds, or its sequence number
COUNT_MAX: Final = (1 << 63) - 1  # of anything else
_DATASET: Final = re.compile(rb"[0-9a-f]{40}")
HOST: Final = re.compile(rb"[!-~]{1,255}")  # a name or an address; it stands in log lines and in INFO


class BadMessage(Exception):
    """What a peer said cannot be understood; the connection to it ends."""


class Reading:
    """Whatever cannot be in the words of a message makes it a `BadMessage`, which says what was being read.

    A class, for ticks and acknowledgements are many, and entering a generator takes three times as long.
    """

    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, ValueError | TypeError | AttributeError):
            why = error if isinstance(error, Unreadable) else "words are missing, too many, or no numbers"
            raise BadMessage(f"{self._what} that cannot be read: {why}") from None


def read_count(word: bytes, most: int = COUNT_MAX, least: int = 0) -> int:
    try:
        number = int(word)
    except ValueError:
        raise Unreadable(f"no number: {shown(word)}") from None
    if not least <= number <= most:
        raise Unreadable(f"{shown(word)} is not between {least} and {most}")
    return number


def read_epoch(word: bytes) -> int:
    return read_count(word, EPOCH_MAX)


def read_port(word: bytes) -> int:
    return read_count(word, 65535)


def read_dataset(word: bytes) -> str:
    if not _DATASET.fullmatch(word):
        raise Unreadable(f"no name of a dataset: {shown(word)}")
    return word.decode()


def read_node(word: bytes) -> str:
    if not NODE.fullmatch(word.decode("latin-1")):
        raise Unreadable(f"no id of a node: {shown(word)}")
    return word.decode()


def read_host(word: bytes) -> str:
    """One that is empty is found where its owner calls from."""
    if word and not HOST.fullmatch(word):
        raise Unreadable(f"no address: {shown(word)}")
    return word.decode("ascii")


def read_address(text: str) -> tuple[str, int] | None:
    """From ``host:port`` at the beginning of what a server says that is no leader; None where it names none."""
    host, _, port = text.rpartition(":")
    try:
        return (read_host(host.encode()), read_port(port.encode())) if host else None
    except ValueError:
        return None
