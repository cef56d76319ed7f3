"""How fast a topic is compacted, and what a client of the server notices of it.

    python -m tests.benchmarks.compaction [--entries N] [--keys N] [--directory DIR] [--json FILE]

A topic of one partition is filled with entries under random keys. Then one client sends PING and XADD in turn, a pair
each millisecond: first while nothing else happens, then while the topic is compacted. The duration is the server's
own, from its log; the compacting process is found among the server's children.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from tests.benchmarks.loader import connect, drive, request
from tests.benchmarks.measure import cpu_seconds, percentile
from tests.benchmarks.peers import OURS, Target, running
from tests.benchmarks.report import machine

SAID = re.compile(r"compacted t in ([\d.]+) s: (\d+) keys in (\d+) bytes, (-?\d+) bytes given back")
BATCH = 100  # entries in a pipeline
VALUE = b"y" * 100
SEGMENT_BYTES = 128 << 20  # the default; of fewer entries segments are smaller, so that most of them are sealed
PAUSE_SECONDS = 0.001
IDLE_SECONDS = 10.0
LOOK_SECONDS = 0.2
COMPACTION_SECONDS_MAX = 1800.0


@attrs.define
class Probe:
    """Latencies of one client, in milliseconds and with the time, and the most memory of the compacting process."""

    ping: list[tuple[float, float]] = attrs.field(factory=list)
    xadd: list[tuple[float, float]] = attrs.field(factory=list)
    child_mb: float = 0.0
    child_cpu: float = 0.0

    def last(self, seconds: float) -> tuple[list[float], list[float]]:
        """Latencies of the last seconds, sorted."""
        since = self.ping[-1][0] - seconds
        ping, xadd = ([ms for at, ms in each if at >= since] for each in (self.ping, self.xadd))
        return sorted(ping), sorted(xadd)


def fill(target: Target, entries: int, keys: int) -> None:
    """Entries of about 180 bytes on ten connections."""
    rng = random.Random(1)

    def script(count: int) -> Iterator[bytes]:
        for _ in range(count):
            yield b"".join(
                [request("XADD", "t", "*", "key", b"user%07d" % rng.randrange(keys), "f", VALUE) for _ in range(BATCH)]
            )

    drive(target.port, [script(entries // BATCH // 10) for _ in range(10)], lines=2 * BATCH)


def probe(target: Target, seconds: float, until: re.Pattern[str] | None = None) -> Probe:
    """Send pairs for some time, or until the server's log says something."""
    sock = connect(target.port)
    buffer = bytearray(4096)
    found = Probe()
    ping, xadd = request("PING"), request("XADD", "other", "MAXLEN", "~", 1000, "*", "f", "v")
    began = looked = time.perf_counter()
    while time.perf_counter() - began < seconds:
        for words, latencies in ((ping, found.ping), (xadd, found.xadd)):
            sent = time.perf_counter()
            sock.sendall(words)
            sock.recv_into(buffer)
            latencies.append((sent, (time.perf_counter() - sent) * 1e3))
        time.sleep(PAUSE_SECONDS)
        if time.perf_counter() - looked > LOOK_SECONDS:
            looked = time.perf_counter()
            look_at_children(target.server.process.pid, found)
            if until is not None and until.search(target.server.log_text()):
                break
    sock.close()
    return found


def look_at_children(pid: int, found: Probe) -> None:
    """Memory and CPU time of the server's children."""
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            try:
                status = Path(f"/proc/{child}/status").read_text()
                found.child_cpu = max(found.child_cpu, cpu_seconds(int(child)))
            except (OSError, IndexError):
                continue  # it has ended
            peak = re.search(r"VmHWM:\s+(\d+) kB", status)
            found.child_mb = max(found.child_mb, int(peak[1]) / 1024 if peak else 0.0)


def measure(entries: int, keys: int, directory: str | None) -> dict[str, Any]:
    """One run."""
    with running(directory, "everysec", (), (OURS,)) as (target,):
        segment = min(SEGMENT_BYTES, entries * 10)
        config = ("key.field", "key", "segment.bytes", segment)
        target.call("XTOPIC", "CREATE", "t", "PARTITIONS", 1, "CONFIG", *config)
        fill(target, entries, keys)
        before = target.disk_bytes
        idle = probe(target, IDLE_SECONDS)
        target.call("XTOPIC", "ALTER", "t", "CONFIG", "cleanup.policy", "compact")
        busy = probe(target, COMPACTION_SECONDS_MAX, SAID)
        said = SAID.search(target.server.log_text())
        assert said, "it was not compacted"
        seconds, size = float(said[1]), int(said[3])
        idle_ping, idle_xadd = idle.last(IDLE_SECONDS)
        ping, xadd = busy.last(seconds + LOOK_SECONDS)
        return {
            "entries": entries,
            "keys": int(said[2]),
            "MB": size / 1e6,
            "seconds": seconds,
            "MB/s": size / 1e6 / seconds,
            "MB on disk before": before / 1e6,
            "MB on disk after": target.disk_bytes / 1e6,
            "entries left": target.number("XLEN", "t"),
            "PING p99 ms idle": percentile(idle_ping, 0.99),
            "PING p99 ms": percentile(ping, 0.99),
            "XADD p99 ms idle": percentile(idle_xadd, 0.99),
            "XADD p99 ms": percentile(xadd, 0.99),
            "PING max ms idle": idle_ping[-1],
            "PING max ms": ping[-1],
            "compacting process MB": busy.child_mb,
            "server MB": target.rss_mb,
        }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.compaction", description=__doc__)
    parser.add_argument("--entries", type=int, default=10_000_000)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--directory", help="where the server keeps its files")
    parser.add_argument("--json", help="write the figures there")
    options = parser.parse_args()
    print(machine())
    figures = measure(options.entries, options.keys, options.directory)
    for name, figure in figures.items():
        print(f"{name:24} {figure:,.3f}" if isinstance(figure, float) else f"{name:24} {figure:,}")
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
