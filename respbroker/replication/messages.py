"""What a leader and a follower say to each other, as values and as the words that stand on the wire.

`docs/replication.md` has the same with an example. A follower is a client: it sends requests, ``REPLICATE HELLO`` and
``REPLICATE LOGS``, and gets an answer to each; after that the leader sends frames and the follower acknowledges them
by ``REPLICATE ACK``, which has no answer. Every word is a bulk string, numbers in decimal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from respbroker.replication.history import History
from respbroker.replication.membership import Membership
from respbroker.replication.words import (
    BadMessage,
    Reading,
    read_count,
    read_dataset,
    read_epoch,
    read_host,
    read_node,
    read_port,
)

VERSION: Final = 4

# Kinds of frames: the first word of each.
TICK: Final = b"tick"  # position, high watermark, flags, then for each append: log, flags, batches
CHUNK: Final = b"chunk"  # log, flags, batches: of a log that is behind
COPY: Final = b"copy"  # log, first offset, first ordinal, ms, seq and epoch before them: the log comes anew
COPIED: Final = b"copied"  # log, offset of the snapshot or -1, snapshot: it has come
SNAPSHOT: Final = b"snapshot"  # log, offset, state: of a log that was sent from its beginning
DAMAGED: Final = b"damaged"  # log, why: it cannot be sent, and so the follower will not be level
LEAD: Final = b"lead"  # epoch: the leader hands over
MESSAGE: Final = b"message"  # 1 if of a shard channel, channel, message: it was published at the leader
MEMBERS: Final = b"members"  # epoch, number, then for each server, the leader first: node, host, port, lists

# Flags of a tick.
IN_SYNC: Final = 1  # the follower is in the in-sync set
ATOMIC: Final = 2  # an EXEC wrote to several logs: all of it or nothing
LEVEL: Final = 4  # nothing is behind: the follower has all up to the position
ASKS: Final = 8  # somebody waits for the acknowledgement

# What a follower is to list when it has said hello.
FRESH: Final = b"fresh"  # nothing: it has another history, and begins empty
ALL: Final = b"all"  # every log it has
SOME: Final = b"some"  # these logs; it has all of the others


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
        with Reading("a hello"):
            version, dataset, node, history, position, exact, promised, promised_to, host, port = words
            if read_count(version) != VERSION:
                raise BadMessage(f"version {int(version)} of the protocol is not spoken here, only {VERSION}")
            return cls(
                read_dataset(dataset), read_node(node), History.parse(history), read_count(position), exact == b"1",
                read_epoch(promised), read_node(promised_to) if promised_to else "", read_host(host), read_port(port),
            )  # fmt: skip


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
        with Reading("a welcome"):
            version, dataset, node, history, position, wanted, *numbers = words
            if read_count(version) != VERSION:
                raise BadMessage(f"the leader speaks version {int(version)} of the protocol, this is {VERSION}")
            return cls(
                read_dataset(dataset), read_node(node), History.parse(history), read_count(position), wanted,
                tuple(map(read_count, numbers)),
            )  # fmt: skip


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
    with Reading("a list of logs"):
        return [
            Listed(read_count(number), read_count(end, least=-1), read_epoch(epoch))
            for number, end, epoch in zip(words[::3], words[1::3], words[2::3], strict=True)
        ]


CUT: Final = b"cut"  # log, offset: the follower forgets what it has from there on
AGAIN: Final = b"again"  # log, offset: the same, though the leader has it, in batches with other borders by now
ANEW: Final = b"anew"  # log, 0: it is copied from its beginning on, so what the follower has means nothing
DROP: Final = b"drop"  # log, 0: the leader does not have it


def parse_verdicts(words: Sequence[bytes]) -> list[tuple[bytes, int, int]]:
    """The leader's answer to a listing: what is to be done with logs before frames come. Raises BadMessage."""
    with Reading("an answer to the list of logs"):
        return [
            (kind, read_count(number), read_count(offset))
            for kind, number, offset in zip(words[::3], words[1::3], words[2::3], strict=True)
        ]


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
        with Reading("a tick"):
            _, position, high_watermark, flags, *rest = words
            appends = [
                Append(read_count(number), roll == b"1", raw)
                for number, roll, raw in zip(rest[::3], rest[1::3], rest[2::3], strict=True)
            ]
            return cls(read_count(position), read_count(high_watermark), read_count(flags), appends)


def parse_numbers(words: Sequence[bytes], *most: int, least: int = 0) -> list[int]:
    """Words of a frame that are all numbers, each with the most that it may be. Raises BadMessage."""
    with Reading("a frame"):
        return [read_count(word, limit, least) for word, limit in zip(words, most, strict=True)]


def membership_words(membership: Membership, first: str = "") -> list[bytes]:
    """Who takes part, the server named ``first`` before all others."""
    words = [b"%d" % membership.epoch, b"%d" % membership.number]
    for node, host, port, part in sorted(membership.rows(), key=lambda row: row[0] != first):
        words += node.encode(), host.encode(), b"%d" % port, b"%d" % part
    return words


def parse_membership(words: Sequence[bytes], host_there: str) -> Membership:
    """From what `membership_words` gave; who names no address is the sender, found at that host. Raises BadMessage."""
    with Reading("members"):
        epoch, number, *rest = words
        rows = [
            (read_node(node), read_host(host) or host_there, read_port(port), read_count(part))
            for node, host, port, part in zip(rest[::4], rest[1::4], rest[2::4], rest[3::4], strict=True)
        ]
        return Membership.of_rows(read_epoch(epoch), read_count(number), rows)


@attrs.frozen
class Knows:
    """``REPLICATE KNOWS``: the follower has written down this list of members."""

    epoch: int
    number: int

    def words(self) -> list[bytes]:
        return [b"REPLICATE", b"KNOWS", b"%d" % self.epoch, b"%d" % self.number]

    @classmethod
    def parse(cls, words: Sequence[bytes]) -> Knows:
        """From the words behind ``REPLICATE KNOWS``. Raises BadMessage."""
        with Reading("the version of a list"):
            epoch, number = words
            return cls(read_epoch(epoch), read_count(number))


#: What an acknowledgement begins with.
ACK_WORDS: Final = [b"REPLICATE", b"ACK"]


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
        return [*ACK_WORDS, *(b"%d" % number for number in numbers)]

    @classmethod
    def parse(cls, words: Sequence[bytes]) -> Progress:
        """From the words behind ``REPLICATE ACK``. Raises BadMessage."""
        with Reading("an acknowledgement"):
            received, position, synced, waits = map(int, words)
        return cls(received, position, synced, waits == 1)


#: A follower that was told to lead asks its leader to hand over; not answered, but by the frame `LEAD`.
HANDOVER_WORDS: Final = (b"REPLICATE", b"HANDOVER")

#: A follower that is about to stop leaves the in-sync set, so that nothing waits for it; not answered.
LEAVE_WORDS: Final = (b"REPLICATE", b"LEAVE")
