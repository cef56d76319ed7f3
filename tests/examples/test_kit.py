"""The example of a team's own tests, run as the team would."""

from __future__ import annotations

from tests.support.examples import output_of


def test_a_teams_tests_pass_on_both_servers():
    output = output_of("pytest", "-v", "-p", "no:cacheprovider", "examples/kit")
    for test in ("workers_share_the_orders", "what_a_worker_left_is_done_by_another"):
        for server in ("redis", "respbroker"):
            assert f"test_{test}[{server}] PASSED" in output, output
    assert "8 passed" in output, output
