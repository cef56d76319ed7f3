"""Counters, rates and histograms."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from respbroker.sessions.histogram import Histogram
from respbroker.sessions.statistics import Rate, Statistics


@given(st.lists(st.integers(min_value=1, max_value=10**9), min_size=1), st.sampled_from([0.0, 50.0, 99.0, 99.9, 100.0]))
def test_a_percentile_is_at_most_one_part_in_128_above_the_exact_one(nanoseconds: list[int], percent: float) -> None:
    histogram = Histogram()
    for duration in nanoseconds:
        histogram.add(duration / 1e9, 1)
    rank = max(1, int(len(nanoseconds) * percent / 100 + 0.5))
    exact = sorted(nanoseconds)[rank - 1]
    found = histogram.percentile_micros(percent) * 1000
    assert exact - 1.5 <= found <= exact * (1 + 1 / 128) + 1.5


def test_percentiles_are_the_upper_bounds_that_redis_prints() -> None:
    histogram = Histogram()
    histogram.add(8e-6, 3)
    histogram.add(66e-6, 1)
    assert histogram.percentile_micros(50) == 8.031
    assert histogram.percentile_micros(99) == 66.047
    assert Histogram().percentile_micros(50) == 0.0


def test_doublings_are_cumulative_and_leave_out_bounds_without_new_calls() -> None:
    histogram = Histogram()
    for micros, count in ((0.5, 1), (7, 2), (8, 1), (30, 1), (300_000, 1), (5_000_000, 1)):
        histogram.add(micros / 1e6, count)
    assert histogram.doublings() == [(1, 1), (8, 4), (33, 5), (541065, 6), (1082130, 7)]
    assert histogram.count == 7


def test_a_rate_is_the_mean_of_the_last_sixteen_samples() -> None:
    rate = Rate()
    for step in range(40):
        rate.sample(100.0 + step * 0.5, step * 50)
    assert rate.per_second == 100.0
    for step in range(8):
        rate.sample(120.0 + step * 0.5, 1950)
    assert 0 < rate.per_second < 100.0


def test_a_rate_survives_a_counter_set_back_and_a_clock_that_stands_still() -> None:
    rate = Rate()
    rate.sample(1.0, 100)
    rate.sample(1.0, 200)
    rate.sample(2.0, 50)
    assert rate.per_second == 0.0


def test_errors_are_counted_by_code_up_to_a_bound() -> None:
    statistics = Statistics()
    for number in range(200):
        statistics.count_error(f"E{number}")
        statistics.count_error("E0")
    assert statistics.error_replies == 400
    assert statistics.errors["E0"] == 201
    assert len(statistics.errors) == 128
    statistics.reset()
    assert (statistics.error_replies, statistics.errors) == (0, {})
