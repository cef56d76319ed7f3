"""The versions this server tells: its own, and that of the Redis whose stream commands are all here."""

from __future__ import annotations

from typing import Final

#: What INFO and HELLO say. Client libraries choose their commands by it.
REDIS_VERSION: Final = "8.10.0"
