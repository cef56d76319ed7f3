"""What one round measured, what several rounds say together, and what /proc knows of a server."""

from __future__ import annotations

import contextlib
import os
import resource
import statistics
import threading
from collections.abc import Sequence
from pathlib import Path

import attrs

_TICKS = os.sysconf("SC_CLK_TCK")


@attrs.frozen
class Sample:
    """One round on one server. ``figure`` is what is compared; the rest explains it.

    ``loader_share`` is the load generator's CPU time over the round's duration: near 1 it may have been the bottleneck.
    """

    figure: float
    operations: int = 0
    entries: int = 0
    seconds: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    server_cpu: float = 0.0
    loader_share: float = 0.0
    rss_mb: float = 0.0
    notes: dict[str, float] = attrs.field(factory=dict)


@attrs.frozen
class Summary:
    """Medians over the rounds of one workload on one server; ``low`` and ``high`` are the extremes of the figure."""

    figure: float
    low: float
    high: float
    operations_per_second: float
    entries_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_per_million: float
    loader_share: float
    rss_mb: float
    notes: dict[str, float]

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Summary:
        def median(values: list[float]) -> float:
            return statistics.median(values) if values else 0.0

        figures = [sample.figure for sample in samples]
        timed = [sample for sample in samples if sample.seconds]
        names = sorted({name for sample in samples for name in sample.notes})
        return cls(
            figure=median(figures),
            low=min(figures),
            high=max(figures),
            operations_per_second=median([s.operations / s.seconds for s in timed]),
            entries_per_second=median([s.entries / s.seconds for s in timed]),
            p50_ms=median([s.p50_ms for s in samples]),
            p99_ms=median([s.p99_ms for s in samples]),
            cpu_per_million=median([s.server_cpu / s.operations * 1e6 for s in samples if s.operations]),
            loader_share=median([s.loader_share for s in samples]),
            rss_mb=median([s.rss_mb for s in samples]),
            notes={name: median([s.notes[name] for s in samples if name in s.notes]) for name in names},
        )


def cpu_seconds(pid: int) -> float:
    """User and system time of a process with all its threads, in steps of a clock tick."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def rss_mb(pid: int) -> float:
    """Resident memory of a process, mapped files included."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def bytes_below(directory: Path) -> int:
    """The sizes of all files in a directory and below; one that is removed meanwhile has none."""
    total = 0
    for path in directory.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += 0 if path.is_dir() else path.stat().st_size
    return total


class Peak:
    """The largest resident memory of a process while a block runs, looked at every 20 ms."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.mb = rss_mb(pid)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            with contextlib.suppress(OSError):  # the process has ended
                self.mb = max(self.mb, rss_mb(self._pid))


def loader_cpu() -> float:
    """CPU time of this process and of the load generators that have ended."""
    own, ended = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime


def percentile(ordered: Sequence[float], share: float) -> float:
    """Of values in rising order; 0 where there is none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
