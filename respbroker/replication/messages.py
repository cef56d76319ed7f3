"""What a leader and a follower say to each other, as values and as the words that stand on the wire.

`docs/replication.md` has the same with an example. A follower is a client: it sends requests, ``REPLICATE HELLO`` and
``REPLICATE LOGS``, and gets an answer to each; after that the leader sends frames and the follower acknowledges them
by ``REPLICATE ACK``, which has no answer. Every word is a bulk string, numbers in decimal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from respbroker.replication.history import NODE, History
from respbroker.replication.state import Member

VERSION: Final = 2
EPOCH_MAX: Final = (1 << 32) - 1  # a batch has 32 bits for it
_DATASET: Final = re.compile(rb"[0-9a-f]{40}")
_HOST_MAX: Final = 255

# Kinds of frames: the first word of each.
TICK: Final = b"tick"  # position, high watermark, flags, then for each append: log, flags, batches
CHUNK: Final = b"chunk"  # log, flags, batches: of a log that is behind
COPY: Final = b"copy"  # log, first offset, first ordinal, ms, seq and epoch before them: the log comes anew
COPIED: Final = b"copied"  # log, offset of the snapshot or -1, snapshot: it has come
SNAPSHOT: Final = b"snapshot"  # log, offset, state: of a log that was sent from its beginning
LEAD: Final = b"lead"  # epoch: the leader hands over
MEMBERS: Final = b"members"  # for each member, the leader too: node, host, port

# Flags of a tick.
IN_SYNC: Final = 1  # the follower is in the in-sync set
ATOMIC: Final = 2  # an EXEC wrote to several logs: all of it or nothing
LEVEL: Final = 4  # nothing is behind: the follower has all up to the position
ASKS: Final = 8  # somebody waits for the acknowledgement

# What a follower is to list when it has said hello.
FRESH: Final = b"fresh"  # nothing: it has another history, and begins empty
ALL: Final = b"all"  # every log it has
SOME: Final = b"some"  # these logs; it has all of the others


class BadMessage(Exception):
    """What a peer said cannot be understood; the connection to it ends."""


# -- words: each raises ValueError for what cannot be ---------------------------------------------------------------


def _count(word: bytes, most: int = (1 << 63) - 1) -> int:
    number = int(word)
    if not 0 <= number <= most:
        raise ValueError(f"{number} is not between 0 and {most}")
    return number


def _epoch(word: bytes) -> int:
    return _count(word, EPOCH_MAX)


def _port(word: bytes) -> int:
    return _count(word, 65535)


def _dataset(word: bytes) -> str:
    if not _DATASET.fullmatch(word):
        raise ValueError(f"no name of a dataset: {word[:64]!r}")
    return word.decode()


def _node(word: bytes) -> str:
    if not NODE.fullmatch(word.decode("ascii")):
        raise ValueError(f"no id of a node: {word[:64]!r}")
    return word.decode()


def _host(word: bytes) -> str:
    if len(word) > _HOST_MAX:
        raise ValueError(f"no address: {word[:64]!r}")
    return word.decode("ascii")


# -- what a follower says, and what it is answered -------------------------------------------------------------------


@attrs.frozen
class Hello:
    """A follower presents itself. ``position`` holds in the order of its last epoch; ``exact`` unless it may have more.

    ``promised`` is the highest epoch that it has agreed to, for the node ``promised_to``: it acknowledges to no older
    one, and in that to nobody else. ``host`` may be empty: it is found where it calls from.
    """

    dataset: str
    node: str
    history: History
    position: int
    exact: bool
    promised: int
    promised_to: str
    host: str
    port: int

    def words(self) -> list[bytes]:
        names = (self.dataset, self.node, self.promised_to, self.host)
        dataset, node, promised_to, host = (name.encode() for name in names)
        return [
            b"REPLICATE", b"HELLO", b"%d" % VERSION, dataset, node, self.history.format(), b"%d" % self.position,
            b"%d" % self.exact, b"%d" % self.promised, promised_to, host, b"%d" % self.port,
        ]  # fmt: skip

    @classmethod
    def parse(cls, words: Sequence[bytes]) -> Hello:
        """From the words behind ``REPLICATE HELLO``. Raises BadMessage."""
        try:
            version, dataset, node, history, position, exact, promised, promised_to, host, port = words
            if int(version) != VERSION:
                raise BadMessage(f"version {int(version)} of the protocol is not spoken here, only {VERSION}")
            return cls(
                _dataset(dataset), _node(node), History.parse(history), _count(position), exact == b"1",
                _epoch(promised), _node(promised_to) if promised_to else "", _host(host), _port(port),
            )  # fmt: skip
        except ValueError as error:
            raise BadMessage(f"a hello that cannot be read: {error}") from None


@attrs.frozen
class Welcome:
    """A leader's answer: who it is, and what the follower is to list (`FRESH`, `ALL`, or `SOME` with ``numbers``)."""

    dataset: str
    node: str
    history: History
    position: int
    wanted: bytes
    numbers: tuple[int, ...] = ()

    def words(self) -> list[bytes]:
        return [
            b"%d" % VERSION, self.dataset.encode(), self.node.encode(), self.history.format(), b"%d" % self.position,
            self.wanted, *(b"%d" % number for number in self.numbers),
        ]  # fmt: skip

    @classmethod
    def parse(cls, words: Sequence[bytes]) -> Welcome:
        """Raises BadMessage."""
        try:
            version, dataset, node, history, position, wanted, *numbers = words
            if int(version) != VERSION:
                raise BadMessage(f"the leader speaks version {int(version)} of the protocol, this is {VERSION}")
            return cls(
                _dataset(dataset), _node(node), History.parse(history), _count(position), wanted,
                tuple(map(_count, numbers)),
            )  # fmt: skip
        except (ValueError, TypeError, AttributeError) as error:
            raise BadMessage(f"a welcome that cannot be read: {error}") from None


@attrs.frozen
class Listed:
    """One log as a follower has it: where it ends and in which epoch it was last written. -1: to be copied anew."""

    number: int
    end_offset: int
    last_epoch: int


def listing_words(logs: Iterable[Listed]) -> list[bytes]:
    """``REPLICATE LOGS``: what the follower has of the logs that it was asked for."""
    words = [b"REPLICATE", b"LOGS"]
    for log in logs:
        words += b"%d" % log.number, b"%d" % log.end_offset, b"%d" % log.last_epoch
    return words


def parse_listing(words: Sequence[bytes]) -> list[Listed]:
    """From the words behind ``REPLICATE LOGS``. Raises BadMessage."""
    try:
        return [
            Listed(_count(number), int(end), _epoch(epoch))
            for number, end, epoch in zip(words[::3], words[1::3], words[2::3], strict=True)
        ]
    except ValueError as error:
        raise BadMessage(f"a list of logs that cannot be read: {error}") from None


CUT: Final = b"cut"  # log, offset: the follower forgets what it has from there on
DROP: Final = b"drop"  # log, 0: the leader does not have it


def parse_verdicts(words: Sequence[bytes]) -> list[tuple[bytes, int, int]]:
    """The leader's answer to a listing: what is to be done with logs before frames come. Raises BadMessage."""
    try:
        return [
            (kind, int(number), int(offset))
            for kind, number, offset in zip(words[::3], words[1::3], words[2::3], strict=True)
        ]
    except (ValueError, TypeError) as error:
        raise BadMessage(f"an answer to the list of logs that cannot be read: {error}") from None


@attrs.frozen
class Append:
    """Raw batches for one log; with ``roll`` they begin a segment."""

    number: int
    roll: bool
    raw: bytes

    def words(self) -> tuple[bytes, bytes, bytes]:
        return *append_words(self.number, self.roll), self.raw


APPEND_WORDS: Final = 3  # of an append in a frame: those of `append_words`, and the batches


def append_words(number: int, roll: bool) -> tuple[bytes, bytes]:
    """The words before the batches of one log in a frame."""
    return b"%d" % number, b"%d" % roll


@attrs.frozen
class Tick:
    """What one tick of the leader appended, or nothing (a heartbeat)."""

    position: int
    high_watermark: int
    flags: int
    appends: Sequence[Append]

    def words(self) -> list[bytes]:
        words = [TICK, b"%d" % self.position, b"%d" % self.high_watermark, b"%d" % self.flags]
        for append in self.appends:
            words += append.words()
        return words

    @classmethod
    def parse(cls, words: Sequence[bytes]) -> Tick:
        """From the words of the frame. Raises BadMessage."""
        try:
            _, position, high_watermark, flags, *rest = words
            appends = [
                Append(_count(number), roll == b"1", raw)
                for number, roll, raw in zip(rest[::3], rest[1::3], rest[2::3], strict=True)
            ]
            return cls(_count(position), _count(high_watermark), _count(flags), appends)
        except (ValueError, TypeError) as error:
            raise BadMessage(f"a tick that cannot be read: {error}") from None


def parse_numbers(words: Sequence[bytes]) -> list[int]:
    """Words of a frame that are all numbers. Raises BadMessage."""
    try:
        return [int(word) for word in words]
    except ValueError as error:
        raise BadMessage(f"a frame that cannot be read: {error}") from None


def parse_members(words: Sequence[bytes], leader_host: str) -> list[Member]:
    """Who takes part; the leader, if it names no address, is where it was found. Raises BadMessage."""
    try:
        return [
            Member(_node(node), _host(host) or leader_host, _port(port))
            for node, host, port in zip(words[::3], words[1::3], words[2::3], strict=True)
        ]
    except ValueError as error:
        raise BadMessage(f"members that cannot be read: {error}") from None


@attrs.frozen
class Progress:
    """``REPLICATE ACK``: bytes of batches taken in this session, and the positions appended and synced.

    ``waits``: the follower holds replies back, until the high watermark that it is told rises.
    """

    received: int
    position: int
    synced: int
    waits: bool

    def words(self) -> list[bytes]:
        numbers = self.received, self.position, self.synced, self.waits
        return [b"REPLICATE", b"ACK", *(b"%d" % number for number in numbers)]

    @classmethod
    def parse(cls, words: Sequence[bytes]) -> Progress:
        """From the words behind ``REPLICATE ACK``. Raises BadMessage."""
        try:
            received, position, synced, waits = map(int, words)
        except ValueError as error:
            raise BadMessage(f"an acknowledgement that cannot be read: {error}") from None
        return cls(received, position, synced, waits == 1)


#: A follower that was told to lead asks its leader to hand over; not answered, but by the frame `LEAD`.
HANDOVER_WORDS: Final = (b"REPLICATE", b"HANDOVER")

#: A follower that is about to stop leaves the in-sync set, so that nothing waits for it; not answered.
LEAVE_WORDS: Final = (b"REPLICATE", b"LEAVE")


@attrs.frozen
class Candidacy:
    """A node asks to lead in ``epoch``. ``ends`` are the ends of all its logs, the catalog's under 0."""

    dataset: str
    epoch: int
    node: str
    host: str
    port: int
    last_epoch: int
    ends: dict[int, int]

    def words(self) -> list[bytes]:
        words = [
            b"REPLICATE", b"VOTE", self.dataset.encode(), b"%d" % self.epoch, self.node.encode(), self.host.encode(),
            b"%d" % self.port, b"%d" % self.last_epoch,
        ]  # fmt: skip
        for number, end in self.ends.items():
            words += b"%d" % number, b"%d" % end
        return words

    @classmethod
    def parse(cls, words: Sequence[bytes]) -> Candidacy:
        """From the words behind ``REPLICATE VOTE``. Raises BadMessage."""
        try:
            dataset, epoch, node, host, port, last_epoch, *ends = words
            pairs = zip(map(_count, ends[::2]), map(_count, ends[1::2]), strict=True)
            return cls(
                _dataset(dataset), _epoch(epoch), _node(node), _host(host), _port(port), _epoch(last_epoch),
                dict(pairs),
            )  # fmt: skip
        except ValueError as error:
            raise BadMessage(f"a candidacy that cannot be read: {error}") from None


@attrs.frozen
class Leads:
    """A node tells that it leads, so that older leaders step down and followers follow it."""

    dataset: str
    node: str
    host: str
    port: int
    history: History

    def words(self) -> list[bytes]:
        return [
            b"REPLICATE", b"LEADS", self.dataset.encode(), self.node.encode(), self.host.encode(), b"%d" % self.port,
            self.history.format(),
        ]  # fmt: skip

    @classmethod
    def parse(cls, words: Sequence[bytes]) -> Leads:
        """From the words behind ``REPLICATE LEADS``. Raises BadMessage."""
        try:
            dataset, node, host, port, history = words
            return cls(_dataset(dataset), _node(node), _host(host), _port(port), History.parse(history))
        except ValueError as error:
            raise BadMessage(f"news of a leader that cannot be read: {error}") from None
