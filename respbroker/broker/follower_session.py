"""One follower as its leader sees it: what it still lacks, what is on the way to it, and what goes out next."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import attrs

from respbroker.replication.membership import address
from respbroker.replication.messages import (
    AGAIN,
    ANEW,
    APPEND_WORDS,
    CHUNK,
    COPIED,
    COPY,
    CUT,
    DAMAGED,
    DROP,
    MESSAGE,
    SNAPSHOT,
    Listed,
    Tick,
    append_words,
)
from respbroker.resp.replies import bulk_array, bulk_array_start, bulk_pieces, bulks
from respbroker.sessions.client import Client
from respbroker.streams.journal import CATALOG
from storage import CorruptLog, Log, MissingLog, NotABatchBorder, Outdated, OutOfRange, RawChunk, RawReader
from storage.batch import parse_header

if TYPE_CHECKING:
    from respbroker.streams.keyspace import Keyspace

WINDOW: Final = 32 << 20  #: bytes of batches on the way to a follower; more is read from disk when it has taken these
CHUNK_BYTES: Final = 512 << 10  # read from a log that is behind at a time
TICK_BYTES: Final = 1 << 20  # sent of them in a tick, so that a follower that catches up holds up nobody else
TICK_LOGS: Final = 32  # of many small ones looked at in a tick
#: Where nobody waits for them, ticks that follow each other within this time are sent as one, unless they are large: a
#: frame costs either side as much as a hundred entries in it do.
GATHER_SECONDS: Final = 0.002
GATHER_BYTES: Final = 256 << 10
#: Logs of a listing looked at in a tick, on either side: to open one takes a sixth of a millisecond, and other clients
#: wait for no more of them than this.
TICK_LISTED: Final = 32


@attrs.frozen
class Written:
    """What a tick appended to one log; ``pieces`` are that as it stands in a frame, the batches not copied."""

    number: int
    size: int
    buffers: Sequence[bytes]
    pieces: list[bytes]

    @classmethod
    def of(cls, number: int, buffers: Sequence[bytes], roll: bool) -> Written:
        return cls(
            number, sum(map(len, buffers)), buffers, [bulks(append_words(number, roll)), *bulk_pieces(buffers)]
        )  # fmt: skip

    @property
    def start(self) -> int:
        """The offset of the first record."""
        header = parse_header(b"".join(self.buffers))
        assert header is not None
        return header.base_offset


@attrs.define(eq=False)
class FollowerSession:
    """From a follower's hello to its end. Owned by `respbroker.broker.leading.Leading`.

    A log is *behind* from the offset that ``behind`` has for it; of all others the follower was sent everything.
    The catalog is read last, so that it never names a stream that the follower lacks, but for those that are damaged
    here: these stay behind. ``received`` is what the follower has taken of the ``sent`` bytes. ``listed`` says that
    frames may go out.
    """

    client: Client
    node: str
    host: str
    port: int
    lists_all: bool = False
    listed: bool = False
    behind: dict[int, int] = attrs.Factory(dict)
    copying: set[int] = attrs.Factory(set)
    damaged: dict[int, str] = attrs.Factory(dict)  #: logs behind that cannot be read, and why
    introduced: bool = False  #: it was told who takes part
    knows: tuple[int, int] = (-1, -1)  #: the version of that which it has written down
    level: bool = False
    sent: int = 0
    received: int = 0
    acknowledged: int = 0  #: position
    heard_at: float = 0.0
    frame_at: float = 0.0  #: when the last frame was sent
    told: tuple[int, bool] = (-1, False)  #: high watermark, and whether it is in sync, as it knows them
    awaits_news: bool = False  #: it holds replies until the high watermark rises, as far as it was told of that
    shown: int = 0  #: the position that it was told last
    asked: int = 0  #: the same of the last tick that asked for an acknowledgement
    asked_at: float = 0.0
    _gathered: list[Written] = attrs.Factory(list)  # of ticks that are still to go out
    _gathered_bytes: int = 0
    _listing: deque[Listed] | None = None  # what of it has not been looked at
    _not_listed: set[int] = attrs.Factory(set)
    _verdicts: list[bytes] = attrs.Factory(list)
    _readers: dict[int, RawReader] = attrs.Factory(dict)
    _from_start: set[int] = attrs.Factory(set)  # those behind that the follower has nothing of

    @property
    def address(self) -> str:
        """Where the follower is, for people."""
        return address(self.host, self.port)

    @property
    def room(self) -> int:
        """Bytes of batches and messages that may be sent now."""
        return WINDOW - (self.sent - self.received)

    @property
    def is_filling(self) -> bool:
        """Whether so much is on the way that what was taken of it is to be told soon."""
        return self.sent - self.received > WINDOW // 4

    @property
    def has_listed(self) -> bool:
        """Whether it has said what it has: there is something to `judge` until it is ``listed``."""
        return self._listing is not None

    def take_listing(self, logs: Sequence[Listed], numbers: Sequence[int]) -> None:
        """The follower lists its logs. ``numbers`` are those of the leader's, if it lists all that it has."""
        self._listing = deque(logs)
        self._not_listed = set(numbers).difference(log.number for log in logs)

    def judge(self, keyspace: Keyspace) -> None:
        """Look at some of the logs that were listed; behind the last the follower is told what is to be done to them.

        Raises:
            StorageError: the disk cannot be read.
        """
        assert self._listing is not None
        for _ in range(min(TICK_LISTED, len(self._listing))):
            log = self._listing.popleft()
            try:
                self._judge_one(log, keyspace)
            except (CorruptLog, MissingLog):  # nobody knows what this node lacks of it; `read_on` tells
                self._verdicts += ANEW, b"%d" % log.number, b"0"
                self.behind[log.number] = -1
        if not self._listing:
            self.behind |= dict.fromkeys(sorted(self._not_listed), 0)
            self.say(self._verdicts)
            self.listed = True

    def _judge_one(self, log: Listed, keyspace: Keyspace) -> None:
        ours = keyspace.log_of(log.number)
        if ours is None:
            self._verdicts += DROP, b"%d" % log.number, b"0"
            return
        start = -1 if log.end_offset < 0 else starting_point(ours, log.end_offset, log.last_epoch)
        if 0 <= start < log.end_offset:
            shared = min(log.end_offset, ours.epoch_end(log.last_epoch))
            self._verdicts += AGAIN if start < shared else CUT, b"%d" % log.number, b"%d" % start
        elif start < 0 < log.end_offset and _may_have_parted(ours, log):
            self._verdicts += ANEW, b"%d" % log.number, b"0"
        self.behind.pop(log.number, None)
        if start != ours.end_offset:
            self.behind[log.number] = start

    def say(self, words: Sequence[bytes]) -> None:
        """Send a frame."""
        self.client.out.append(bulk_array(words))

    def pass_on(self, messages: Sequence[tuple[bytes, bytes, bytes]]) -> None:
        """Send what was published. What there is no room for is lost, as messages may be."""
        for sharded, channel, message in messages:
            size = len(channel) + len(message)
            if size <= self.room:
                self.sent += size
                self.say((MESSAGE, sharded, channel, message))

    def miss(self, tick: Sequence[Written]) -> None:
        """These are not sent, nor is what was gathered: their logs are behind from there on, if not already."""
        self.sent -= self._gathered_bytes
        for written in (*self._gathered, *tick):
            if written.number not in self.behind:
                self.behind[written.number] = written.start
        self._gathered, self._gathered_bytes = [], 0

    def take(self, tick: Sequence[Written]) -> None:
        """Gather what of a tick is to go out; the rest is behind from now on."""
        size = sum(written.size for written in tick)
        if size > self.room and size:
            self.miss(tick)
            self.level = False
            return
        if self.behind:
            tick = [written for written in tick if written.number not in self.behind]
            size = sum(written.size for written in tick)
        self.sent += size
        self._gathered += tick
        self._gathered_bytes += size

    def is_owed(self, news: tuple[int, bool]) -> bool:
        """Whether it is to be told these at once; see ``told``."""
        return news[1] != self.told[1] or (self.awaits_news and news != self.told)

    def is_to_send(self, now: float, *, hurries: bool) -> bool:
        """Whether what was gathered goes out now: it does where it ``hurries``, is much, or has been some time."""
        return bool(self._gathered) and (
            hurries or self._gathered_bytes > GATHER_BYTES or now >= self.frame_at + GATHER_SECONDS
        )

    @property
    def gathers(self) -> bool:
        """Whether something is still to go out."""
        return bool(self._gathered)

    def say_tick(self, tick: Tick) -> None:
        """Send a tick with everything that was gathered."""
        gathered, self._gathered, self._gathered_bytes = self._gathered, [], 0
        words = tick.words()
        out = self.client.out
        out.append(bulk_array_start(len(words) + APPEND_WORDS * len(gathered), words))
        for written in gathered:
            out += written.pieces

    def read_on(self, keyspace: Keyspace) -> None:
        """Send on from the logs that are behind, as much as there is room for.

        Raises:
            StorageError: the catalog cannot be read.
        """
        for number in [each for each in self.damaged if keyspace.key_of(each) is None]:
            self._is_read(number)
        enough = self.sent + TICK_BYTES
        for _ in range(TICK_LOGS):
            number = next((each for each in self.behind if each != CATALOG and each not in self.damaged), CATALOG)
            if number not in self.behind or self.room < CHUNK_BYTES or self.sent >= enough:
                return
            try:
                self._read_some(number, keyspace)
            except (CorruptLog, MissingLog) as error:
                if number == CATALOG:
                    raise
                self.damaged[number] = keyspace.told(error)
                self.say((DAMAGED, b"%d" % number, self.damaged[number].encode()))

    def _read_some(self, number: int, keyspace: Keyspace) -> None:
        """Send what comes next of a log that is behind."""
        log = keyspace.log_of(number)
        if log is None:  # dropped meanwhile: the catalog tells
            self._is_read(number)
            return
        try:
            chunk = self._reader(number, log).read(CHUNK_BYTES)
        except Outdated:  # its segment was rewritten or dropped meanwhile
            self._readers.pop(number, None)
            return
        except (NotABatchBorder, OutOfRange):  # and there is no way to go on from there
            self.behind[number] = -1
            return
        if chunk is None:
            self._finish(number, log)
            return
        self._say_chunk(number, chunk)
        self.sent += len(chunk.raw)
        self.behind[number] = chunk.end_offset

    def _say_chunk(self, number: int, chunk: RawChunk) -> None:
        words = CHUNK, *append_words(number, chunk.begins_segment)
        self.client.out += [bulk_array_start(1 + APPEND_WORDS, words), *bulk_pieces((chunk.raw,))]

    def _reader(self, number: int, log: Log) -> RawReader:
        reader = self._readers.get(number)
        if reader is not None:
            return reader
        offset = self.behind[number]
        if offset < log.replay_floor and number not in self.copying:
            offset = -1  # a part of it would lack entries that the rest says are gone
        if offset == 0 and number != CATALOG:
            self._from_start.add(number)
        if offset < 0:
            offset = log.start_offset
            self._begin_copy(number, log)
        reader = self._readers[number] = log.raw_reader(offset)
        return reader

    def _begin_copy(self, number: int, log: Log) -> None:
        """The log comes anew, from where it begins."""
        self.copying.add(number)
        start = log.origin
        numbers = (number, start.base_offset, start.first_ordinal, *start.last_id, start.last_epoch)
        self.say((COPY, *(b"%d" % each for each in numbers)))

    def _finish(self, number: int, log: Log) -> None:
        """Everything of a log was sent."""
        if number in self.copying:
            newest = log.newest_snapshot() if log.replay_floor else None
            offset, state = newest or (-1, b"")
            self.say((COPIED, b"%d" % number, b"%d" % offset, state))
        elif number in self._from_start:
            newest = log.newest_snapshot()
            if newest is not None:
                self.say((SNAPSHOT, b"%d" % number, b"%d" % newest[0], newest[1]))
        self._is_read(number)

    def _is_read(self, number: int) -> None:
        del self.behind[number]
        self.damaged.pop(number, None)
        self._readers.pop(number, None)
        self.copying.discard(number)
        self._from_start.discard(number)


def _may_have_parted(ours: Log, log: Listed) -> bool:
    """Whether what a follower has of a log that it must have anew may be what this node lacks.

    Where what was before the log is gone, nobody knows to the record where epochs ended.
    """
    return ours.origin.last_epoch > log.last_epoch or log.end_offset > ours.epoch_end(log.last_epoch)


def starting_point(log: Log, end_offset: int, last_epoch: int) -> int:
    """From which offset on a follower lacks the log; below ``end_offset`` it is to forget what it has behind it.

    -1: it must have the log anew. ``end_offset`` and ``last_epoch`` are where the follower's log ends; the leaders of
    that epoch and of all before it are the same for both.
    """
    if log.origin.last_epoch > last_epoch:
        return -1  # what the two have in common ends before this log begins
    start = min(end_offset, log.epoch_end(last_epoch))
    if start < log.start_offset or start < log.replay_floor:
        return -1
    try:
        log.raw_reader(start)
    except NotABatchBorder as inside:
        restart = inside.restart_offset
        return restart if restart >= max(log.start_offset, log.replay_floor) else -1
    except (OutOfRange, CorruptLog):
        return -1
    return start
