"""What a follower does with the leader's batches.

A follower's logs are the leader's, byte for byte: nothing is decided or staged here. The batches of a tick are appended
to the logs they are of, and their effects applied to what is open, those of the catalog with all that follows from
them. A log that belongs to no key of the catalog (yet) is kept without a stream, in ``loose``: the catalog comes last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import attrs

from respbroker.streams.catalog import INTERNAL, Catalog, Database, KeyEntry
from respbroker.streams.directories import never_synced
from respbroker.streams.journal import CATALOG, BatchesPart, Journal, LogPart, Part
from respbroker.streams.places import Places, databases_of, names_concerned
from storage import CorruptLog, DiskFailed, FileSystem, Log, MissingLog, StorageError, end_of_batches

if TYPE_CHECKING:
    from respbroker.model.settings import Settings
    from respbroker.streams.stream import Stream


_STREAM: Final = re.compile(r"/streams/(\d+)(?:/|$)")  # in the path of a file or directory


@attrs.frozen
class RawPart:
    """What one log is given in a leader's tick: batches as they are, and whether they begin a segment there."""

    number: int
    raw: bytes
    roll: bool = False


class Replica:
    """The part of `respbroker.streams.keyspace.Keyspace` that only a follower needs."""

    filesystem: FileSystem
    directory: str
    settings: Settings
    catalog: Catalog
    databases: list[Database]
    places: Places
    journal: Journal
    journaled: bool
    live_logs: set[Log]
    loose: dict[int, Log]
    open_streams: dict[int, Stream]
    following: bool
    on_unsynced: Callable[[Log], None]
    to_open: list[int] | None  #: numbers of logs that `open_some` has not looked at; None: of all
    _grown: list[Stream]
    follow: Callable[[list[Any]], None]
    open_leaf: Callable[[int, bytes, KeyEntry, int], Stream]
    path_of: Callable[[int], str]
    reopen: Callable[[], None]
    values_grew: Callable[[Stream, int], None]
    match_values: Callable[[], None]
    _open_part: Callable[[int, bool], Log | None]

    #: Called with database and name of each key or partition that comes, goes or changes by the leader's catalog.
    on_key_changed: Callable[[int, bytes], None] | None

    # -- finding logs ------------------------------------------------------------------------------------------

    def key_of(self, number: int) -> tuple[int, bytes] | None:
        """Database and name of the stream with that number, a partition's name where it is one."""
        place = self.places.of(number)
        if place is None:
            return None
        db, key, entry, index = place
        return db, b"%b/%d" % (key, index) if entry.parts else key

    def told(self, error: StorageError) -> str:
        """An error as an operator is told it: with the key that it concerns, where that is known."""
        found = _STREAM.search(error.file or "")
        key = self.key_of(int(found[1])) if found else None
        if key is None:
            return str(error)
        advice = "; docs/operations.md says what to do" if isinstance(error, CorruptLog | MissingLog) else ""
        return f"{self.catalog.title(*key)}: {error}{advice}"

    def numbers(self) -> list[int]:
        """All logs that there are: the catalog, and every stream's that was not dropped."""
        return [CATALOG, *filter(self._is_there, self.directory_numbers()[1:])]

    def directory_numbers(self) -> list[int]:
        """Those, and some that may turn out not to be there when they are looked at (`log_of`)."""
        names = self.filesystem.directories(f"{self.directory}/streams")
        return [CATALOG, *sorted(int(name) for name in names if name.isdigit())]

    def _is_there(self, number: int) -> bool:
        if number in self.open_streams or number in self.loose:
            return True
        if self.places.of(number) is None and not (self.following and number >= self.catalog.next_number):
            return False  # it was dropped, and is about to be removed
        return not never_synced(self.filesystem, self.path_of(number))

    def log_of(self, number: int) -> Log | None:
        """The log with that number, opened if need be; None if there is none.

        Raises:
            CorruptLog: it is damaged.
        """
        if number == CATALOG:
            return self.catalog.log
        stream = self.open_streams.get(number)
        if stream is not None:
            return stream.log
        return self._loose_log(number) if self._is_there(number) else None

    def _loose_log(self, number: int) -> Log:
        """A log without its stream, made if there is none."""
        log = self.loose.get(number)
        if log is None:
            log = self._open_part(number, True)
            assert log is not None
            self.loose[number] = log
            self.live_logs.add(log)
            if log.unsynced():
                self.on_unsynced(log)
        return log

    def open_some(self, count: int) -> None:
        """Open so many of the logs that nobody has used yet: a vote looks at all of them, and is not to wait for that.

        Raises:
            StorageError: one cannot be opened. The next call passes over it.
        """
        if self.to_open is None:
            self.to_open = self.directory_numbers()[:CATALOG:-1]
        while self.to_open and count:
            number = self.to_open.pop()
            if number not in self.open_streams and number not in self.loose:
                self.log_of(number)
                count -= 1

    @property
    def all_open(self) -> bool:
        """Whether `open_some` has come to the end."""
        return self.to_open is not None and not self.to_open

    def stream_of(self, number: int) -> Stream | None:
        """The stream with that number, opened if need be; None if the catalog does not know it."""
        stream = self.open_streams.get(number)
        if stream is not None:
            return stream
        place = self.places.of(number)
        return None if place is None else self.open_leaf(*place)

    # -- a tick of the leader ----------------------------------------------------------------------------------

    def replicate(self, parts: Sequence[RawPart], now_ms: int, *, atomic: bool) -> list[tuple[int, Stream | None]]:
        """Append a leader's tick, in this order; the numbers of the logs that grew, with their streams if the catalog
        knows them.

        With ``atomic`` a crash leaves all of it or nothing. The logs are reported as unsynced.

        Raises:
            DiskFailed: nobody knows what is in the logs, or they are not as they were.
            StorageError: the logs, and what was read from them, are as they were.
        """
        assert self.following, "only a leader's logs are followed"
        ends: dict[int, int] = {}
        try:
            for part in parts:
                log = self._log_for(part.number)
                ends.setdefault(part.number, log.end_offset)
            if atomic and len(ends) > 1:
                self._journal_batches(parts, ends, now_ms)
            for part in parts:
                self._append(part)
        except StorageError:
            try:
                self._undo(ends)
            except StorageError as worse:
                raise DiskFailed(f"cannot take back what the leader sent: {worse}", file=self.directory) from worse
            raise
        self.journaled = False
        grown = [(number, None if number == CATALOG else self.stream_of(number)) for number in ends]
        self._grown = [stream for _, stream in grown if stream and stream.log.appended > stream.snapshot_due]
        return grown

    def _log_for(self, number: int) -> Log:
        if number == CATALOG:
            return self.catalog.log
        stream = self.stream_of(number)
        return self._loose_log(number) if stream is None else stream.log

    def _journal_batches(self, parts: Sequence[RawPart], ends: dict[int, int], now_ms: int) -> None:
        """As for a leader's own tick, the catalog is part of it always."""
        behind = dict(ends)
        record: list[LogPart] = []
        for part in parts:
            record.append(BatchesPart(part.number, behind[part.number], part.raw, part.roll))
            behind[part.number] = end_of_batches(part.raw)
        if CATALOG not in ends:
            record.append(Part(CATALOG, self.catalog.log.end_offset, (), (), (), ()))
        self.journal.record(record, now_ms, epoch=0, sync=self.settings.appendfsync != "no")
        self.journaled = True

    def _append(self, part: RawPart) -> None:
        stream = self.open_streams.get(part.number)
        if part.number == CATALOG:
            self._append_to_catalog(part)
        elif stream is not None:
            before = stream.end_ordinal
            stream.replicate(part.raw, roll=part.roll)
            self.on_unsynced(stream.log)
            if stream.db == INTERNAL:
                self.values_grew(stream, before)
        else:
            log = self.loose[part.number]
            log.append_batches(part.raw, roll=part.roll)
            self.on_unsynced(log)

    def _append_to_catalog(self, part: RawPart) -> None:
        effects = self.catalog.replicate(part.raw, roll=part.roll)
        self.on_unsynced(self.catalog.log)
        before = self.catalog.next_number
        for effect in effects:
            if any(db >= self.catalog.visible_count for db in databases_of(effect)):
                problem = f"the leader has databases beyond the {self.catalog.visible_count} of the setting databases"
                raise StorageError(problem, file=self.directory)
            concerned = names_concerned(self.databases, effect) if self.on_key_changed else []
            self.follow(effect)
            if self.on_key_changed:
                for db, name in dict.fromkeys([*concerned, *names_concerned(self.databases, effect)]):
                    self.on_key_changed(db, name)
        for number in range(before, self.catalog.next_number):
            if number not in self.open_streams and self.places.of(number) is not None:
                self._loose_log(number)  # the leader's is there though nothing is in it
        if any(INTERNAL in databases_of(effect) for effect in effects):
            self.match_values()

    def _undo(self, ends: dict[int, int]) -> None:
        """The tick is refused: what was appended of it goes, and the keyspace is read again."""
        for number, end_offset in ends.items():
            log = self.log_of(number)
            if log is not None and log.end_offset > end_offset:
                log.truncate(end_offset)
        if self.journaled:
            self.journal.take_back()
            self.journaled = False
        self.reopen()
