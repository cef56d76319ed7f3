"""The two topics of the example, and how they are made."""

from __future__ import annotations

from typing import Final

import redis

FLIGHTS: Final = "flights"
LATEST: Final = "latest"
GROUP: Final = "dispatch"
KEY_FIELD: Final = "tailnum"
PARTITIONS: Final = 8


def make(client: redis.Redis) -> None:
    """Both topics and the group. A dead consumer loses its partitions after two seconds, so that nobody waits long."""
    client.delete(FLIGHTS, LATEST)
    client.execute_command(
        *("XTOPIC", "CREATE", FLIGHTS, "PARTITIONS", PARTITIONS),
        *("CONFIG", "key.field", KEY_FIELD, "group.session.timeout.ms", 2000),
    )
    client.execute_command(
        *("XTOPIC", "CREATE", LATEST),
        *("CONFIG", "key.field", KEY_FIELD, "cleanup.policy", "compact"),
        *("segment.bytes", "1mb", "min.cleanable.dirty.ratio", 0.1),
    )
    client.xgroup_create(FLIGHTS, GROUP, id="0")
