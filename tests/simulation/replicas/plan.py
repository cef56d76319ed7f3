"""What a seed decides before anything happens: settings of the servers, how slow all is, and which faults come."""

from __future__ import annotations

import random

import attrs

from tests.simulation.replicas.server import Pace


@attrs.define
class Plan:
    """Drawn once; all probabilities are for each time that somebody decides."""

    minimum: int  #: ``min.insync.replicas``
    policy: str  #: ``appendfsync``
    settings: dict[str, str]
    pace: Pace
    delay: float  # of the network, seconds
    think: float
    large: bool
    window: int
    chunk: int
    merges: bool
    seconds: float
    fault_every: float
    faults: dict[str, float]
    down_after: float
    foolish: float
    failovers: float
    jumps: bool
    forgets: float
    loses_unsynced: bool  # power may go where not everything was synced

    @classmethod
    def draw(cls, rng: random.Random, *, loses_unsynced: bool = False) -> Plan:
        minimum = 2 if rng.random() < 0.75 else 1
        policy = rng.choice(("always", "everysec"))
        lag = rng.choice((1000, 3000))
        settings = {
            "appendfsync": policy,
            "acks": "all",
            "min.insync.replicas": str(minimum),
            "segment.bytes": str(rng.choice((1500, 6000, 1 << 20))),
            "replica.lag.time.max.ms": str(lag),
            "stream-idmp-duration": "86400",
            "stream-idmp-maxsize": "10000",
            "hz": "4",
        }
        window = rng.choice((1500, 6000, 32 << 20))
        kinds = {
            "kill": 4.0,
            "die in the middle": 2.0,
            "stop": 1.0,
            "partition": 3.0,
            "isolate": 3.0,
            "one way": 2.0,
            "heal": 4.0,
            "reset": 3.0,
            "pause": 3.0,
            "kill all": 0.5,
            "power": 2.0,
            "clock": 1.0,
        }
        faults = {kind: weight for kind, weight in kinds.items() if kind == "heal" or rng.random() < 0.6}
        if loses_unsynced:
            minimum, policy = 2, "everysec"
            settings |= {"appendfsync": policy, "min.insync.replicas": "2"}
            faults |= {"power": 6.0, "isolate": 6.0, "replace disk": 2.0}
        return cls(
            minimum=minimum,
            policy=policy,
            settings=settings,
            pace=Pace(
                tick=rng.choice((0.0005, 0.003)),
                sync=rng.choice((0.002, 0.05)),
                job=rng.choice((0.01, 2.0)),
            ),
            delay=rng.choice((0.001, 0.01, 0.05)),
            think=rng.choice((0.15, 0.5)),
            large=rng.random() < 0.3,
            window=window,
            chunk=min(window, rng.choice((700, 3000, 512 << 10))),
            merges=rng.random() < 0.5,
            seconds=rng.choice((8.0, 16.0)),
            fault_every=rng.choice((0.5, 1.0, 2.0)),
            faults=faults,
            down_after=rng.choice((1.5, 3.0)),
            foolish=rng.choice((0.0, 0.02, 0.3)) if minimum > 1 or rng.random() < 0.3 else 0.0,
            failovers=rng.choice((0.0, 0.03)),
            jumps=rng.random() < 0.3,
            loses_unsynced=loses_unsynced,
            forgets=rng.choice((0.0, 0.1, 0.5)),
        )
