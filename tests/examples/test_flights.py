"""The examples with the flights, each with the first thousands of them."""

from __future__ import annotations

import re

import pytest

from tests.support.examples import output_of


@pytest.mark.timeout(240)
def test_no_flight_is_lost_though_a_consumer_and_the_server_are_killed(tmp_path):
    output = output_of("examples.flights", "--quick", "--dir", tmp_path)
    assert "killed consumer-1 with -9" in output
    assert "killed the server with -9" in output
    assert "every flight was handled, none is missing" in output


@pytest.mark.timeout(240)
def test_flights_of_each_aircraft_are_handled_in_order_though_a_consumer_is_killed(tmp_path):
    output = output_of("examples.aircraft", "--quick", "--dir", tmp_path)
    assert "killed consumer-2 with -9" in output
    assert re.search(r"aircraft with flights out of order +│ 0 ", output), output
    assert re.search(r"compacted from 12,000 entries to [0-9,]+", output), output
    assert "each aircraft's flights were handled in order" in output
