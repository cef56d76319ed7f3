"""What is put in order when a node opens its directory, before anything is served.

A crash may leave a tick in the journal, and streams whose creation had not reached the disk whole.
"""

from __future__ import annotations

from collections.abc import Callable

from respbroker.streams.catalog import Catalog
from respbroker.streams.journal import CATALOG, Journal, Part
from storage import FileSystem, Log

OpenLog = Callable[[int, bool], Log | None]  # number of a stream, whether to make it if it is missing


def open_first_logs(filesystem: FileSystem, directory: str, open_log: Callable[[str, bool], Log]) -> tuple[Log, Log]:
    """The catalog and the journal. Only a directory without streams may lack them: else they are lost, not new."""
    first = "streams" not in filesystem.directories(directory)
    logs = open_log(f"{directory}/catalog", first), open_log(f"{directory}/journal", first)
    if first:
        for log in logs:
            log.unsynced().sync()
        filesystem.mkdir(f"{directory}/streams")
    return logs


def recover_journal(journal: Journal, catalog_log: Log, open_log: OpenLog) -> None:
    """Complete or undo the ticks in the journal, before anything is read from the logs."""
    if journal.is_empty:
        return
    opened: dict[int, Log | None] = {CATALOG: catalog_log}

    def log_of(part: Part) -> Log | None:
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
