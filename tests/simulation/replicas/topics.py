"""Topics beside the plain streams: some give up entries by themselves, one lingers, one is compacted."""

from __future__ import annotations

from typing import Final

#: The topics, with one partition but for the last; see `tests.simulation.replicas.tables` for that one.
AGED: Final = "aged"  # by age
SIZED: Final = "sized"  # by size
LINGERING: Final = "lingering"
TABLE: Final = "prices"
KEY_FIELD: Final = "sku"
TABLE_PARTITIONS: Final = 2

AGED_MS: Final = 2000
TOMBSTONE_MS: Final = 4000
#: Keys of which the oldest entries may go.
TRIMMED: Final = frozenset({"trimmed", AGED, SIZED})

#: What makes them. Segments are small, so that there is something to give up.
SETUP_REQUESTS: Final[dict[bytes, tuple[str | int, ...]]] = {
    AGED.encode(): ("XTOPIC", "CREATE", AGED, "CONFIG", "retention.ms", AGED_MS, "segment.bytes", 1024),
    SIZED.encode(): ("XTOPIC", "CREATE", SIZED, "CONFIG", "retention.bytes", 1500, "segment.bytes", 1024),
    LINGERING.encode(): ("XTOPIC", "CREATE", LINGERING, "CONFIG", "linger.ms", 100),
    TABLE.encode(): (
        *("XTOPIC", "CREATE", TABLE, "PARTITIONS", TABLE_PARTITIONS, "CONFIG", "key.field", KEY_FIELD),
        *("cleanup.policy", "compact", "segment.bytes", 1024, "min.cleanable.dirty.ratio", "0.2"),
        *("delete.retention.ms", TOMBSTONE_MS),
    ),
}

#: How often servers look what may go, in seconds; they have ten, and a run lasts little longer.
LOOK_SECONDS: Final = 1.0
