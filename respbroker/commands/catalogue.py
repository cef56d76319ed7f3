"""Every command there is: the rows of all families."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Final

from respbroker.commands.table import CommandSpec

_FAMILIES: Final = (
    # streams
    "append",
    "reads",
    "groups",
    "delivery",
    "acknowledge",
    "pendings",
    "claims",
    "deletes",
    "inspection",
    "stream_settings",
    "topics",
    # keys
    "keys",
    "scanning",
    "expiry",
    "databases",
    "objects",
    "transactions",
    # connections
    "connection",
    "client",
    "introspection",
    "pubsub",
    "monitor",
    # the server
    "server",
    "persistence",
    "info",
    "config",
    "slowlog",
    "latency",
    "memory",
    "debug",
    "acl",
    "lolwut",
)


def _rows() -> tuple[CommandSpec, ...]:
    modules = (
        import_module(f"respbroker.commands.{family}")
        for family in _FAMILIES
        if find_spec(f"respbroker.commands.{family}")
    )  # until all have landed
    return tuple(spec for module in modules for spec in module.COMMANDS)


ALL_COMMANDS: Final = _rows()
