"""What is put in order when a node opens its directory, before anything is served.

A crash may leave a tick in the journal, and streams whose creation had not reached the disk whole. Of a follower it may
leave more: streams ahead of the catalog or behind it, and a directory half emptied. A follower puts only the latter in
order; the leader sends it the rest again.
"""

from __future__ import annotations

from collections.abc import Callable

from respbroker.streams.catalog import Catalog
from respbroker.streams.directories import never_synced, remove_leftovers, remove_tree, wipe
from respbroker.streams.journal import CATALOG, JOURNAL_CONFIG, Journal, LogPart
from storage import CorruptLog, FileSystem, Log

OpenLog = Callable[[int, bool], Log | None]  # number of a stream, whether to make it if it is missing


def open_first_logs(filesystem: FileSystem, directory: str, open_log: Callable[..., Log]) -> tuple[Log, Log]:
    """The catalog and the journal. Only a directory without streams may lack them: else they are lost, not new."""
    first = "streams" not in filesystem.directories(directory)
    logs = open_log(f"{directory}/catalog", first), open_log(f"{directory}/journal", first, JOURNAL_CONFIG)
    if first:
        for log in logs:
            log.unsynced().sync()
        filesystem.mkdir(f"{directory}/streams")
    return logs


def finish_removals(filesystem: FileSystem, directory: str, *, following: bool) -> None:
    """Go on where a crash cut removals short. Streams without a catalog are what it left of a follower's `wipe`."""
    names = filesystem.directories(directory)
    if following and "streams" in names and "catalog" not in names:
        wipe(filesystem, directory)
    elif "streams" in names:
        remove_leftovers(filesystem, f"{directory}/streams")
    remove_leftovers(filesystem, directory)


def recover_journal(journal: Journal, catalog_log: Log, open_log: OpenLog) -> None:
    """Complete or undo the ticks in the journal, before anything is read from the logs."""
    if journal.is_empty:
        return
    opened: dict[int, Log | None] = {CATALOG: catalog_log}

    def log_of(part: LogPart) -> Log | None:
        if opened.get(part.number) is None:
            opened[part.number] = open_log(part.number, part.end_offset == 0)
        return opened[part.number]

    journal.recover(log_of)
    for log in opened.values():
        if log is not None:
            log.unsynced().sync()
    journal.clear()
    for number, log in opened.items():
        if log is not None and number != CATALOG:
            log.close()


class Directories:
    """The streams' directories, matched with what the catalog says; findings and leftovers are told to the catalog."""

    def __init__(self, filesystem: FileSystem, directory: str, catalog: Catalog) -> None:
        self._filesystem = filesystem
        self._directory = f"{directory}/streams"
        self._catalog = catalog
        self._present = {int(name) for name in filesystem.directories(self._directory) if name.isdigit()}

    def _path_of(self, number: int) -> str:
        return f"{self._directory}/{number:010d}"

    def match(self) -> None:
        """A key whose directory is missing is dropped, if no sync of it was reported, else it is lost: an error. A
        directory that belongs to no key was dropped, or is set aside."""
        catalog = self._catalog
        for db, key, entry in catalog.leaves():
            if entry.number in self._present:
                continue
            if entry.number < catalog.on_disk_below:
                problem = f"the directory of {catalog.title(db, key)} is missing"
                raise CorruptLog(problem, file=self._path_of(entry.number))
            if catalog.databases[db].get(key) is entry:
                catalog.lose(db, key)
        self.find_leftovers()
        self.set_strangers_aside()

    def holds_log(self, number: int) -> bool:
        """Whether there is a log in a stream's directory."""
        return number in self._present and not never_synced(self._filesystem, self._path_of(number))

    def _unknown(self) -> list[int]:
        known = {entry.number for _, _, entry in self._catalog.leaves()}
        return sorted(self._present - known)

    def find_leftovers(self) -> None:
        """What was dropped and is still there. Numbers only rise, so what is not known below the next one was."""
        next_number = self._catalog.next_number
        self._catalog.leftovers = [number for number in self._unknown() if number < next_number]

    def set_strangers_aside(self) -> None:
        """Directories of streams of which the catalog never heard."""
        for number in self._unknown():
            if number < self._catalog.next_number:
                continue
            path = self._path_of(number)
            if not any(size for _, size in self._filesystem.files(path)):
                remove_tree(self._filesystem, path)  # made for a tick that was not written
                continue
            kept = self._unused_name(f"{path}.orphan")
            self._filesystem.rename(path, kept)
            self._catalog.findings.append(f"a stream's directory belonged to no key and was kept as {kept}")

    def _unused_name(self, path: str) -> str:
        names = set(self._filesystem.directories(self._directory))
        candidates = [path, *(f"{path}-{number}" for number in range(2, len(names) + 3))]
        return next(each for each in candidates if each.rpartition("/")[2] not in names)


def drop_lost_streams(catalog: Catalog, open_log: OpenLog) -> None:
    """Drop streams of which a power failure left nothing. A partition stays with its topic, empty."""
    for db, key, number in catalog.not_known_on_disk():
        is_part = key not in catalog.databases[db]
        log = open_log(number, is_part)
        if log is None or (log.end_offset == 0 and not is_part):
            catalog.lose(db, key)
            catalog.leftovers.append(number)
            continue
        log.close()
