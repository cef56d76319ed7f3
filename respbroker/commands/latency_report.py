"""LATENCY GRAPH and DOCTOR in words and strokes, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from respbroker.sessions.latency import Event, LatencyMonitor

ROWS: Final = 4
STROKES: Final = " _o#"  # nothing, and a third of a row each


def graph_text(name: str, event: Event, now: int) -> str:
    """One column for each second it was slow in, oldest first; below each, how long ago that was."""
    samples = list(event.samples)
    high, low = max(ms for _, ms in samples), min(ms for _, ms in samples)
    lines = [f"{name} - high {high} ms, low {low} ms (all time high {event.worst} ms)", "-" * 80]
    levels = [1 + (ms - low) * (3 * ROWS - 1) // max(1, high - low) for _, ms in samples]
    lines += ["".join(STROKES[min(3, max(0, level - 3 * row))] for level in levels) for row in reversed(range(ROWS))]
    ages = [_age(now - seconds) for seconds, _ in samples]
    lines += ["".join(age[at : at + 1] or " " for age in ages) for at in range(max(map(len, ages)))]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _age(seconds: int) -> str:
    """``3s``, ``2m``, ``5h``, ``1d``."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{max(0, seconds)}s"


def doctor_text(monitor: LatencyMonitor, threshold_ms: int, slower_than_micros: int) -> str:
    """What was slow, and what can be done."""
    if threshold_ms == 0:
        return (
            'Latency monitoring is off. Turn it on with "CONFIG SET latency-monitor-threshold <milliseconds>", '
            "then ask again once something was slow.\n"
        )
    if not monitor.events:
        return f"Nothing took {threshold_ms} ms or longer since the monitoring began.\n"
    lines = ["These events were slow:", ""]
    for number, (name, event) in enumerate(monitor.events.items(), 1):
        times = [ms for _, ms in event.samples]
        average = sum(times) // len(times)
        deviation = sum(abs(ms - average) for ms in times) // len(times)
        period = (event.samples[-1][0] - event.samples[0][0]) / max(1, len(times) - 1)
        lines.append(
            f"{number}. {name}: {len(times)} latency spikes (average {average}ms, mean deviation {deviation}ms, "
            f"period {period:.2f} sec). Worst all time event {event.worst}ms."
        )
    lines += ["", "What to do:", ""]
    if slower_than_micros < 0 or slower_than_micros > threshold_ms * 1000:
        lines.append(f'- See which commands they are: "CONFIG SET slowlog-log-slower-than {threshold_ms * 1000}".')
    lines.append('- Look at "SLOWLOG GET": long reads are cheaper in pieces (COUNT), long pipelines in shorter ones.')
    return "\n".join(lines) + "\n"
