"""The example that moves a Redis which is being written to."""

from __future__ import annotations

import pytest

from tests.support.examples import output_of
from tests.support.servers import redis_binary


@pytest.mark.timeout(240)
def test_an_application_is_moved_and_loses_nothing():
    output = output_of("examples.migration", "--orders", "500", "--redis-server", redis_binary())
    assert "level, and settled: 1 stream" in output
    assert "pending 0, handled twice 0" in output
    assert "every order was added and handled exactly once" in output
