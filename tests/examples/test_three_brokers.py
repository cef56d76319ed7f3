"""The example with three brokers, as its reader would run it."""

from __future__ import annotations

import re

import pytest

from tests.support.examples import output_of


@pytest.mark.timeout(240)
def test_nothing_acknowledged_is_lost_though_the_leader_is_killed_and_replaced(tmp_path):
    output = output_of("examples.replicas", "--dir", tmp_path)
    assert re.search(r"killed the leader \d+ with -9: it had [0-9,]+ bytes that nobody else has", output), output
    assert re.search(r"of them lost +│ 0 ", output), output
    assert re.search(r"handled, and then taken back by the failover +│ 0 ", output), output
    assert re.search(r"records that the old leader cut off +│ [1-9]", output), output
    assert re.search(r"logs equal to the byte on all three +│ 2 of 2", output), output
    assert "nothing that was acknowledged is lost" in output
