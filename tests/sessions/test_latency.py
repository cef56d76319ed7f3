"""The latency monitor keeps the worst of each second."""

from __future__ import annotations

from respbroker.commands.latency_report import doctor_text, graph_text
from respbroker.sessions.latency import SAMPLES_MAX, LatencyMonitor


def monitor(*samples: tuple[int, float]) -> LatencyMonitor:
    found = LatencyMonitor()
    for second, duration in samples:
        found.add("command", second * 1000, duration)
    return found


def test_within_a_second_only_the_worst_is_kept() -> None:
    event = monitor((5, 0.020), (5, 0.100), (5, 0.050), (6, 0.010)).events["command"]
    assert list(event.samples) == [(5, 100), (6, 10)]
    assert event.worst == 100


def test_old_samples_go_but_the_worst_is_remembered() -> None:
    event = monitor((0, 9.0), *((second, 0.001) for second in range(1, SAMPLES_MAX + 1))).events["command"]
    assert len(event.samples) == SAMPLES_MAX
    assert event.samples[0] == (1, 1)
    assert event.worst == 9000


def test_reset_says_how_many_events_it_forgot() -> None:
    found = monitor((1, 1.0))
    found.add("fast-command", 1000, 1.0)
    assert found.reset(["nope", "command", "command"]) == 1
    assert found.reset([]) == 1
    assert found.reset([]) == 0


def test_the_graph_has_a_column_for_each_slow_second() -> None:
    event = monitor((0, 0.010), (60, 0.050), (118, 0.100)).events["command"]
    lines = graph_text("command", event, 120).splitlines()
    assert lines[0] == "command - high 100 ms, low 10 ms (all time high 100 ms)"
    assert lines[1] == "-" * 80
    assert lines[2:6] == ["  #", "  #", " o#", "_##"]
    assert lines[6:] == ["212", "mms"]


def test_the_doctor_says_what_was_slow_and_how_often() -> None:
    assert "off" in doctor_text(LatencyMonitor(), 0, 10000)
    assert doctor_text(LatencyMonitor(), 5, 10000).startswith("Nothing took 5 ms")
    said = doctor_text(monitor((0, 0.010), (10, 0.030)), 5, 10000)
    assert "1. command: 2 latency spikes (average 20ms, mean deviation 10ms, period 10.00 sec)" in said
    assert "CONFIG SET slowlog-log-slower-than 5000" in said
