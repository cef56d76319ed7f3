"""`python -m tests.simulation.replicas --seeds 1-100`: servers under chaos; a failure prints how to replay it."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
import traceback
from collections import Counter

from tests.simulation.replicas.broken import Broken
from tests.simulation.replicas.world import World


def main() -> int:
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets belongs to a seed as well
        os.execve(sys.executable, [sys.executable, "-m", "tests.simulation.replicas", *sys.argv[1:]],
                  os.environ | {"PYTHONHASHSEED": "0"})  # fmt: skip
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.replicas", description=__doc__)
    parser.add_argument("--seeds", default="1-100", help="one, or the first and the last: 1-100")
    parser.add_argument("--verbose", action="store_true", help="print what happens")
    parser.add_argument("--failures", type=int, default=20, help="stop after so many")
    parser.add_argument(
        "--unsynced", action="store_true", help="let power go under everysec too, at one server at a time"
    )
    parser.add_argument(
        "--values", action=argparse.BooleanOptionalAction, default=True,
        help="with clients that keep values; without them seeds are the runs that they were before there were any",
    )  # fmt: skip
    parser.add_argument(
        "--topics", action=argparse.BooleanOptionalAction, default=True,
        help="with topics that linger, are compacted or give up what is old; without them as above",
    )  # fmt: skip
    parser.add_argument(
        "--disks", action=argparse.BooleanOptionalAction, default=True,
        help="with bits that flip, old copies that are put back, and disks that are full for a while",
    )  # fmt: skip
    parser.add_argument("--servers", type=int, default=3, help="how many there are; the minimum is 1 or 2 all the same")
    options = parser.parse_args()
    logging.getLogger("respbroker.server").setLevel(logging.ERROR)  # that a sync is slow, in a world that slows it
    first, _, last = options.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    began, failed, replies, done = time.monotonic(), 0, 0, 0
    happened: Counter[str] = Counter()
    for seed in seeds:
        world = World(
            seed, verbose=options.verbose, loses_unsynced=options.unsynced, values=options.values,
            topics=options.topics, disks=options.disks, servers=options.servers,
        )  # fmt: skip
        done += 1
        try:
            world.run()
        except KeyboardInterrupt:
            break
        except Exception as failure:
            failed += 1
            if options.verbose or not isinstance(failure, Broken):
                traceback.print_exc(file=sys.stdout)
            print(f"seed {seed}: {failure!s:.1500}")
            how = " --unsynced" * options.unsynced + " --no-values" * (not options.values)
            how += " --no-topics" * (not options.topics) + " --no-disks" * (not options.disks)
            how += f" --servers {options.servers}" * (options.servers != 3)
            print(f"replay it by: python -m tests.simulation.replicas{how} --seeds {seed} --verbose", flush=True)
        happened.update(world.happened)
        replies += world.history.replies
        if failed >= options.failures:
            break
    print(f"{done} seeds, {replies} replies, {failed} failed, in {time.monotonic() - began:.0f} s")
    print("what happened: " + ", ".join(f"{count} x {name}" for name, count in happened.most_common()))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
