"""Whether a keyspace leads or follows, and what its logs are handed for that.

A leader's logs stamp every batch with the epoch of the leadership, and tell what they wrote, so that it can be sent to
followers. A follower's keyspace changes nothing by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from respbroker.streams.catalog import DROPPED, Catalog, Database
from respbroker.streams.directories import never_synced
from respbroker.streams.journal import CATALOG
from respbroker.streams.opening import Directories
from storage import DiskFailed, FileSystem, Log

if TYPE_CHECKING:
    from respbroker.streams.stream import Stream
    from storage.filesystem import Whole

#: Called with a log's number, what was written to it, and whether that begins a segment.
OnAppend = Callable[[int, Sequence[bytes], bool], None]


class Roles:
    """The part of `respbroker.streams.keyspace.Keyspace` that knows of its role. Owns what is set here."""

    filesystem: FileSystem
    directory: str
    whole: Whole | None
    catalog: Catalog
    databases: list[Database]
    live_logs: set[Log]
    loose: dict[int, Log]
    open_streams: dict[int, Stream]
    opened: Callable[[], Iterator[Stream]]
    commit: Callable[[list[Any]], None]
    found_durable: Callable[[], None]
    path_of: Callable[[int], str]
    match_values: Callable[[], None]
    settle_values: Callable[..., None]
    tidy_values: Callable[[], None]
    _let_go: Callable[[Log], None]
    _loose_log: Callable[[int], Log]
    _leader_epoch: int
    _on_append: OnAppend | None
    _following: bool

    if TYPE_CHECKING:

        @property
        def is_dirty(self) -> bool: ...

    # -- what every log but the journal is handed ---------------------------------------------------------------

    @property
    def leader_epoch(self) -> int:
        """Stands in every batch that is appended from now on; 0 without replication."""
        return self._leader_epoch

    @leader_epoch.setter
    def leader_epoch(self, epoch: int) -> None:
        self._leader_epoch = epoch
        self._equip_all()

    @property
    def on_append(self) -> OnAppend | None:
        """Who is told of each append, also of one that is taken back later."""
        return self._on_append

    @on_append.setter
    def on_append(self, told: OnAppend | None) -> None:
        self._on_append = told
        self._equip_all()

    def _equip_all(self) -> None:
        self._equip(CATALOG, self.catalog.log)
        for number, log in self.loose.items():
            self._equip(number, log)
        for number, stream in self.open_streams.items():
            self._equip(number, stream.log)

    def _equip(self, number: int, log: Log) -> Log:
        log.leader_epoch = max(log.leader_epoch, self._leader_epoch)
        log.on_append = None if self._on_append is None else partial(self._appended, number)
        return log

    def _appended(self, number: int, log: Log, buffers: Sequence[bytes]) -> None:
        assert self._on_append is not None
        self._on_append(number, buffers, log.append_start == log.segments.active.base_offset)

    # -- the role ------------------------------------------------------------------------------------------------

    @property
    def following(self) -> bool:
        """Whether the keyspace is fed by `replicate`: nothing may be staged then, and what has expired is hidden.

        Setting it to false puts in order what a follower puts up with: keys and directories without each other. That
        may stage changes. Raises as `prepare_to_lead`, which comes first.
        """
        return self._following

    @following.setter
    def following(self, following: bool) -> None:
        if following == self._following:
            return
        assert not self.is_dirty, "what is staged must be flushed in the old role"
        if following:
            for stream in self.opened():
                if stream.topic is not None:
                    stream.topic.groups.clear()  # their sessions were with this node
            self._following = True
        else:
            self.prepare_to_lead()
            self._following = False
            self._match_directories()
            self.match_values()
            self.tidy_values()

    def prepare_to_lead(self) -> None:
        """Do what the disk may refuse of a change to a leader, before anything rests on it: partitions whose logs never
        came get empty ones, values are read that are out of date, and all that there is is synced.

        Raises:
            StorageError: it refuses; the keyspace follows on.
        """
        opened = self.open_streams.keys() | self.loose.keys()
        for db, key, leaf in self.catalog.leaves():
            is_partition = self.databases[db].keys.get(key) is not leaf
            if is_partition and leaf.number not in opened and never_synced(self.filesystem, self.path_of(leaf.number)):
                self._loose_log(leaf.number)
        self.settle_values(at_once=True)
        self.sync_everything()

    def sync_everything(self) -> None:
        """Sync all that there is. Raises DiskFailed."""
        try:
            if self.whole is not None:
                self.whole.sync()
            else:
                self.filesystem.sync_all()
        except OSError as error:
            raise DiskFailed(f"cannot sync: {error}", file=self.directory) from error
        self.found_durable()

    def _match_directories(self) -> None:
        """Drop keys whose logs never came, and set logs aside whose keys never came."""
        strangers = [number for number in self.loose if number >= self.catalog.next_number]
        for number in strangers:
            self._let_go(self.loose.pop(number))
        directories = Directories(self.filesystem, self.directory, self.catalog)
        directories.set_strangers_aside()
        opened = self.open_streams.keys() | self.loose.keys()
        for db, key, leaf in self.catalog.leaves():
            if self.databases[db].keys.get(key) is not leaf or leaf.number in opened:
                continue
            if not directories.holds_log(leaf.number):
                self.commit([DROPPED, db, key])
                self.catalog.findings.append(f"{self.catalog.title(db, key)} had not been copied yet")
