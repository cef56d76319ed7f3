"""The segmented log without a server: append, find by ID, read, and open again after a crash."""

import sys
import tempfile

from storage import Log, LogConfig, OsFileSystem


def main(directory: str) -> None:
    log = Log.open(OsFileSystem(), directory, LogConfig(segment_bytes=4096), clock_ms=0)

    # A record is an ID of two numbers, rising, and bytes. Many go into one batch: one checksum, one write.
    for day in range(1, 11):
        seconds = list(range(day * 86_400, day * 86_400 + 60))
        payloads = [b"tick %d" % second for second in seconds]
        log.append(seconds, [0] * 60, payloads, [], now_ms=day)
    print("records:", log.end_ordinal, "from", log.first_id, "to", log.last_id)

    # What was appended is in the system's hands; after a sync it is on the disk. Syncs may run in a thread.
    for file in log.unsynced():
        file.sync()

    # A search goes by the sparse index, then by the table inside one batch.
    noon = log.ordinal_of((3 * 86_400, 0))
    print("the first three of day 3:", *(bytes(payload).decode() for payload in log.read_each(noon, noon + 3)))

    # No close, as if the process had died here. Opening again reads only what follows the last checkpoint.
    del log
    again = Log.open(OsFileSystem(), directory, LogConfig(segment_bytes=4096), clock_ms=0)
    print("after the crash:", again.end_ordinal, "records")

    # The oldest may go, whole segments at a time.
    freed = again.drop_before(again.ordinal_of((5 * 86_400, 0)))
    print("freed something:", freed > 0, "- day 5 is still there:", again.find((5 * 86_400, 0)) is not None)
    again.close()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(temporary)
