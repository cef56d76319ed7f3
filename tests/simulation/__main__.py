"""`python -m tests.simulation --seeds N`: ordered groups under chaos, N seeds; a failure prints how to replay it."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.simulation.ordered_groups import OrderBroken, Simulation


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--steps", type=int, default=250, help="things that happen before the calm")
    options = parser.parse_args()
    began, failed, entries = time.monotonic(), 0, 0
    events: Counter[str] = Counter()
    for seed in range(options.first, options.first + options.seeds):
        simulation = Simulation(seed, options.steps)
        try:
            simulation.run()
        except OrderBroken as broken:
            print(broken)
            failed += 1
        events.update(simulation.events)
        entries += sum(simulation.added.values())
    print(f"{options.seeds} seeds, {entries} entries, {failed} failed, in {time.monotonic() - began:.0f} s")
    print("events: " + ", ".join(f"{count} x {name}" for name, count in events.most_common()))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
