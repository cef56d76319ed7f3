"""`python -m tests.migration --seeds N`: a source that is written to, a migration that is killed again and again."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.migration.following import Following, at_work
from tests.migration.moving import assert_alike, build, client_of, portrait
from tests.support import servers

KILLS = 6


def run(seed: int) -> str:
    """One migration; what was moved. Raises AssertionError where both sides differ at the end."""
    chooser = random.Random(seed)
    name = chooser.choice(["redis", "valkey"])
    with (
        servers.running(name) as source,
        servers.respbroker_server() as target,
        tempfile.TemporaryDirectory() as place,
    ):
        client, memo = client_of(source.url), str(Path(place) / "memo.json")
        build(client)
        client.execute_command("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
        with at_work(source.url) as stop:
            for _ in range(KILLS):
                killed = Following(source, target, "--resume", memo)
                stop.wait(chooser.uniform(0.3, 2.5))  # into any moment of it
                killed.kill()
            following = Following(source, target, "--resume", memo)
            following.wait_for("Following.")
        following.end()
        here = portrait(client, idempotency=False)
        assert_alike(here, portrait(client_of(target.url), idempotency=False))
        pending = sum(len(group[b"pending"]) for stream in here.values() for group in stream[b"groups"])
        return f"from {name}, {here[b's'][b'entries-added']:,} entries added meanwhile, {pending:,} pending"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.migration", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    options = parser.parse_args()
    failed = 0
    for seed in range(options.first, options.first + options.seeds):
        began = time.monotonic()
        try:
            print(f"seed {seed}: {run(seed)}, {time.monotonic() - began:.0f} s", flush=True)
        except AssertionError as error:
            print(f"seed {seed} failed, --first {seed} --seeds 1 runs it again: {error}", flush=True)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
