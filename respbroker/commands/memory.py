"""MEMORY: what keys and the process take of it.

Streams live on disk; what a key takes of memory is its place in the catalog and, while its stream is open, the state
around its entries: groups, pending entries, deletions. Sizes of keys are estimates from counts, the process' own
size is measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from respbroker.commands.arguments import Arguments, parse_int
from respbroker.commands.help import help_reply
from respbroker.commands.table import CommandSpec, Flag, Keys
from respbroker.commands.tips import ALL_SUCCEED, NOT_MERGED, TO_ALL_SHARDS, VARIES
from respbroker.errors import SyntaxRefused
from respbroker.resp.replies import OK, encode, integer, null, verbatim

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.sessions.client import Reply
    from respbroker.streams.stream import Stream

HELP: Final = """\
DOCTOR
    Return memory problems reports.
MALLOC-STATS
    Return internal statistics report from the memory allocator.
PURGE
    Attempt to purge dirty pages for reclamation by the allocator.
STATS
    Return information about the memory usage of the server.
USAGE <key> [SAMPLES <count>]
    Return memory in bytes used by <key> and its value. Nested values are
    sampled up to <count> times (default: 5, 0 means sample all)."""

# Bytes, measured on CPython 3.11 with sys.getsizeof over the objects of a node.
_KEY: Final = 230  # catalog entry, dictionary slot, name object
_OPEN_STREAM: Final = 4000
_GROUP: Final = 1200
_CONSUMER: Final = 300
_PENDING: Final = 16  # an entry in a block of runs
_DELETION: Final = 2


def usage(ctx: Context, words: list[bytes]) -> Reply:
    options = Arguments(words, 3)
    while options.more:
        if options.option() != b"SAMPLES" or parse_int(options.value()) < 0:
            raise SyntaxRefused
    db, key = ctx.client.db, words[2]
    if not ctx.keyspace.exists(db, key, ctx.now_ms):
        return null(ctx.client.protocol)
    value = ctx.keyspace.values[db].keys.get(key)
    if value is not None:
        return integer(value.size + len(key))
    entry = ctx.keyspace.databases[db].keys.get(key)
    leaves = (ctx.keyspace.catalog.leaf(db, key),) if entry is None else entry.leaves
    streams = [leaf.stream for leaf in leaves if leaf.stream is not None]
    return integer(_KEY + len(key) + sum(map(stream_size, streams)))


def stream_size(stream: Stream) -> int:
    """An estimate of what an open stream takes."""
    groups = stream.groups.values()
    return (
        _OPEN_STREAM
        + len(stream.deletions) * _DELETION
        + sum(_GROUP + len(group.consumers) * _CONSUMER + len(group.pending) * _PENDING for group in groups)
    )


def stats(ctx: Context, words: list[bytes]) -> Reply:
    facts = ctx.facts()
    used, peak, startup = [facts.get(f"used_memory{name}", 0) for name in ("", "_peak", "_startup")]
    resident = facts.get("used_memory_rss", 0)
    dataset = max(0, used - startup)
    counts = [ctx.keyspace.keys_count(database.index) for database in ctx.keyspace.visible]
    databases = {
        f"db.{index}": {"overhead.hashtable.main": count * _KEY, "overhead.hashtable.expires": 0}
        for index, count in enumerate(counts)
        if count
    }
    keys = sum(counts)
    found = {
        "peak.allocated": peak,
        "total.allocated": used,
        "startup.allocated": startup,
        "replication.backlog": 0,
        "clients.slaves": 0,
        "clients.normal": facts.get("mem_clients_normal", 0),
        "cluster.links": 0,
        "aof.buffer": 0,
        "lua.caches": 0,
        "functions.caches": 0,
        **databases,
        "overhead.total": startup,
        "keys.count": keys,
        "keys.bytes-per-key": dataset // keys if keys else 0,
        "dataset.bytes": dataset,
        "dataset.percentage": 100.0 * dataset / used if used else 0.0,
        "peak.percentage": 100.0 * used / peak if peak else 0.0,
        "allocator.allocated": used,
        "allocator.active": resident,
        "allocator.resident": resident,
        "fragmentation": resident / used if used else 0.0,
        "fragmentation.bytes": resident - used,
    }
    return encode(found, ctx.client.protocol)


def doctor(ctx: Context, words: list[bytes]) -> Reply:
    facts = ctx.facts()
    used, peak = facts.get("used_memory", 0), facts.get("used_memory_peak", 0)
    limit = ctx.settings.maxmemory
    findings = []
    if limit and used > 0.9 * limit:
        findings.append(f"- Used memory is at {100 * used // limit}% of maxmemory: writes are refused above it.")
    if peak > 1.5 * used:
        findings.append("- The peak was much higher than what is used now: a large reply or request passed through.")
    said = "\n".join(["Worth a look:", "", *findings]) if findings else "Nothing unusual about memory."
    return verbatim(said.encode() + b"\n", ctx.client.protocol)


def purge(ctx: Context, words: list[bytes]) -> Reply:
    return OK


def malloc_stats(ctx: Context, words: list[bytes]) -> Reply:
    return verbatim(b"Stats not supported for the current allocator", ctx.client.protocol)


COMMANDS = (
    CommandSpec(
        "MEMORY", -2, Flag.NONE, stats,
        summary="A container for commands about memory.",
        since="4.0.0", group="server", complexity="Depends on subcommand.",
        subcommands=(
            CommandSpec(
                "USAGE", -3, Flag.READONLY, usage,
                summary="Estimates what a key takes of memory; its entries are on disk.",
                syntax="key [SAMPLES count]", since="4.0.0", group="server", keys=Keys(2, 2),
            ),
            CommandSpec(
                "STATS", 2, Flag.NONE, stats,
                summary="Tells what the process takes of memory.", since="4.0.0", group="server",
                tips=(VARIES, TO_ALL_SHARDS, NOT_MERGED),
            ),
            CommandSpec(
                "DOCTOR", 2, Flag.NONE, doctor,
                summary="Tells in words what is unusual about memory.", since="4.0.0", group="server",
                tips=(VARIES, TO_ALL_SHARDS, NOT_MERGED),
            ),
            CommandSpec(
                "PURGE", 2, Flag.NONE, purge,
                summary="Does nothing: the allocator gives memory back by itself.", since="4.0.0", group="server",
                tips=(TO_ALL_SHARDS, ALL_SUCCEED),
            ),
            CommandSpec(
                "MALLOC-STATS", 2, Flag.NONE, malloc_stats,
                summary="Says that the allocator keeps no statistics.", since="4.0.0", group="server",
                tips=(VARIES, TO_ALL_SHARDS, NOT_MERGED),
            ),
            CommandSpec(
                "HELP", 2, Flag.LOADING | Flag.STALE, help_reply("MEMORY", HELP),
                summary="Tells what the subcommands do.", since="4.0.0", group="server",
            ),
        ),
    ),
)  # fmt: skip
