"""`python -m tests.crash --seeds N`: cut N workloads at every event, under both settings that promise something."""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from itertools import product

from tests.crash.compacted_workload import CompactedWorkload
from tests.crash.cuts import Cutter, Tally
from tests.crash.follower_cuts import FollowerCutter
from tests.crash.letters_workload import LettersCutter
from tests.crash.retention_workload import RetentionWorkload
from tests.crash.topic_workload import TopicWorkload
from tests.crash.values_workload import ValuesWorkload

POLICIES = ("always", "everysec")
CUTTERS = (
    Cutter,
    partial(Cutter, workload=TopicWorkload),
    LettersCutter,
    partial(Cutter, workload=RetentionWorkload),
    partial(Cutter, workload=CompactedWorkload),
    partial(Cutter, workload=ValuesWorkload),
    FollowerCutter,
    partial(FollowerCutter, workload=TopicWorkload),
    partial(FollowerCutter, workload=ValuesWorkload),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how many workloads")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--ticks", type=int, default=60, help="ticks of each workload")
    parser.add_argument("--survivals", type=int, default=2, help="random survivals of unsynced writes at each event")
    options = parser.parse_args()
    total = Tally()
    began = time.monotonic()
    for seed in range(options.first, options.first + options.seeds):
        for policy, make in product(POLICIES, CUTTERS):
            cutter = make(seed, policy, options.ticks, options.survivals)
            total.add(cutter.run())
            so_far = f"so far {total.cuts} cut points, {total.opened} crashed disks opened"
            print(f"seed {seed}, {policy}, {type(cutter).__name__}, {cutter.workload.__name__}: {so_far}")
            sys.stdout.flush()
    events = ", ".join(f"{count} x {event}" for event, count in total.events.most_common())
    print(f"{total.cuts} cut points, {total.opened} disks opened, all sound, in {time.monotonic() - began:.0f} s")
    print(f"events: {events}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
