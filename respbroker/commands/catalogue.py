"""Every command there is: the rows of all families."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Final

import attrs

from respbroker.commands.table import CommandSpec, TopicHandler

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
    # values
    "strings",
    "hashes",
    "sorted_sets",
    "scripts",
    # connections
    "connection",
    "client",
    "introspection",
    "pubsub",
    "monitor",
    # the server
    "server",
    "replicas",
    "replicate",
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


#: Modules that say what commands do with topics of several partitions.
_ON_TOPIC: Final = (
    "topic_groups",
    "topic_delivery",
    "topic_acknowledge",
    "topic_claims",
    "topic_pending",
    "topic_info",
)


def _rows() -> tuple[CommandSpec, ...]:
    modules = (
        import_module(f"respbroker.commands.{family}")
        for family in _FAMILIES
        if find_spec(f"respbroker.commands.{family}")
    )  # until all have landed
    handlers: dict[str, TopicHandler] = {}
    for name in _ON_TOPIC:
        handlers |= import_module(f"respbroker.commands.{name}").ON_TOPIC
    rows = tuple(_with_topics(spec, spec.name, handlers) for module in modules for spec in module.COMMANDS)
    assert not handlers, handlers
    return rows


def _with_topics(spec: CommandSpec, name: str, handlers: dict[str, TopicHandler]) -> CommandSpec:
    """The row with its handler for topics, and those of its subcommands; what is taken leaves ``handlers``."""
    subcommands = tuple(_with_topics(each, f"{name} {each.name}", handlers) for each in spec.subcommands)
    return attrs.evolve(spec, subcommands=subcommands, on_topic=handlers.pop(name, spec.on_topic))


ALL_COMMANDS: Final = _rows()
