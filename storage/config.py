"""`LogConfig`: every limit, with its unit and its default's reason."""

from __future__ import annotations

import attrs
from attrs.validators import ge, optional

KIB = 1 << 10
MIB = 1 << 20
DAY_MS = 24 * 60 * 60 * 1000


@attrs.frozen
class LogConfig:
    """The limits of one log. Frozen: a log may be handed another one between two appends (`Log.config`)."""

    #: A segment of this size is sealed. Space goes back and small batches are merged a segment at a time; 10 GB are
    #: then 80 segments. (Kafka: 1 GiB; a stream is usually smaller than a topic.)
    segment_bytes: int = attrs.field(default=128 * MIB, validator=ge(1))
    #: A segment whose first batch is this old is sealed by the next append, so that retention by age can act.
    segment_ms: int = attrs.field(default=7 * DAY_MS, validator=ge(1))
    #: Sealed segments whose last append is older may go; None keeps them for ever.
    retention_ms: int | None = attrs.field(default=None, validator=optional(ge(0)))
    #: Oldest sealed segments go while the rest is still at least this large; None keeps everything.
    retention_bytes: int | None = attrs.field(default=None, validator=optional(ge(0)))
    #: One index entry per this many bytes of log: what a cold read of one entry loads. 8192 entries a segment.
    index_interval_bytes: int = attrs.field(default=16 * KIB, validator=ge(1))
    #: A larger append becomes several batches (still one write), so that no read has to load more than this for an
    #: entry that is itself smaller.
    batch_bytes_max: int = attrs.field(default=MIB, validator=ge(1))
    #: What a merge aims at: 64 KiB load and verify in about 10 us, and 150 KB are three pieces.
    merge_target_bytes: int = attrs.field(default=64 * KIB, validator=ge(1))
    #: The newest entries stay in memory up to this size, for readers who follow closely.
    tail_bytes_max: int = attrs.field(default=128 * KIB, validator=ge(0))
    #: A new checkpoint is written once this much more of the active segment is synced: 8 MiB scan in ~30 ms.
    checkpoint_interval_bytes: int = attrs.field(default=8 * MIB, validator=ge(1))
