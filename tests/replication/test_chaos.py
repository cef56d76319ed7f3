"""Short slices of what `tests.replication.chaos` and `tests.replication.rolling` do for as long as one likes."""

from __future__ import annotations

from pathlib import Path

from tests.replication.chaos import run
from tests.replication.rolling import measure_rolling

SECONDS = 15
SEED = 3


def test_what_clients_were_told_holds_whatever_happens_to_servers_and_connections(tmp_path: Path) -> None:
    """Which event comes when is the seed's; what the processes make of it is not."""
    print(run(tmp_path, SEED, SECONDS))


def test_nothing_is_lost_while_each_server_is_restarted_under_load(tmp_path: Path) -> None:
    restarted = [what for what, _ in measure_rolling(tmp_path / "rolling", rounds=1)]
    assert restarted == ["a follower is restarted", "a follower is restarted", "a leader is restarted"]
