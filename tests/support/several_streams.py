"""Several streams without a node, and beside them the list of what lives in any."""

from __future__ import annotations

from respbroker.streams.stream import Id, Stream
from storage import Caches, Log, LogConfig
from tests.support.memory_filesystem import MemoryFileSystem

LEAST, MOST = (0, 0), ((1 << 64) - 1, (1 << 64) - 1)
SMALL = LogConfig(segment_bytes=2000, index_interval_bytes=100, tail_bytes_max=300)


class Streams:
    """``live`` has of each entry the ID, its stream's place, the ordinal and the payload, in order of IDs."""

    def __init__(self, count: int, config: LogConfig = SMALL) -> None:
        filesystem, caches = MemoryFileSystem(), Caches()
        filesystem.mkdir("d")
        self.streams = [
            Stream(0, b"t/%d" % i, i, Log.open(filesystem, f"d/{i}", config, caches=caches), (100, 100), lambda _: None)
            for i in range(count)
        ]
        self.live: list[tuple[Id, int, int, bytes]] = []
        self.last_id = (1, 0)

    def append(self, place: int, *, gap: int = 0, size: int = 6) -> None:
        stream = self.streams[place]
        ms, seq = self.last_id
        self.last_id = (ms + gap, 1) if gap else (ms, seq + 1)
        payload = b"<%d-%d>" % self.last_id + b"." * size
        self.live.append((self.last_id, place, stream.end_ordinal, payload))
        stream.append(self.last_id, payload)

    def delete(self, number: int) -> None:
        _, place, ordinal, _ = self.live.pop(number)
        self.streams[place].delete([ordinal])
