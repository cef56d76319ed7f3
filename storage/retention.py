"""Which segments may go, and the reason for each. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from storage.config import LogConfig
from storage.index import Summary


@attrs.frozen
class Drop:
    """A sealed segment that may go."""

    base_offset: int
    end_ordinal: int
    size: int
    reason: str


def decide(sealed: Iterable[Summary], size: int, config: LogConfig, now_ms: int) -> list[Drop]:
    """The segments to drop, oldest first; a prefix of ``sealed``, of a log of ``size`` bytes with its active segment.

    By age: the last append is more than ``retention_ms`` ago. By size: what remains is still at least
    ``retention_bytes``, as in Kafka. No more of ``sealed`` are taken than are looked at.
    """
    drops: list[Drop] = []
    remaining = size
    for segment in sealed:
        reason = _reason(segment, remaining - segment.log_size, config, now_ms)
        if reason is None:
            break
        remaining -= segment.log_size
        drops.append(Drop(segment.base_offset, segment.end_ordinal, segment.log_size, reason))
    return drops


def _reason(segment: Summary, remaining: int, config: LogConfig, now_ms: int) -> str | None:
    age_ms = now_ms - segment.last_append_ms
    if config.retention_ms is not None and age_ms > config.retention_ms:
        return f"last append {age_ms} ms ago, retention.ms is {config.retention_ms}"
    if config.retention_bytes is not None and remaining >= config.retention_bytes:
        return f"{remaining} bytes remain without it, retention.bytes is {config.retention_bytes}"
    return None
