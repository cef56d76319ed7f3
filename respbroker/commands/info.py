"""INFO: the node's state as text, for people and monitoring."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Final

from respbroker.commands.info_fields import (
    CLIENTS,
    CLUSTER,
    CPU,
    MEMORY,
    PERSISTENCE,
    SERVER,
    STATS,
    Field,
    View,
)
from respbroker.commands.info_replication import replication_lines
from respbroker.commands.table import CommandSpec, Flag
from respbroker.commands.tips import NOT_MERGED, TO_ALL_SHARDS, VARIES
from respbroker.resp.replies import verbatim

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.sessions.client import Reply

Lines = Iterable[str]


def _table(fields: Sequence[Field], view: View) -> Lines:
    values = ((field.name, field.value(view)) for field in fields)
    return [f"{name}:{value}" for name, value in values if value is not None]


def _nothing(view: View) -> Lines:
    return ()


def _command_statistics(view: View) -> Lines:
    for command in view.ctx.commands.each():
        if command.calls or command.rejected_calls or command.failed_calls:
            micros = int(command.seconds * 1e6)
            yield (
                f"cmdstat_{command.name}:calls={command.calls},usec={micros},"
                f"usec_per_call={command.seconds * 1e6 / command.calls if command.calls else 0:.2f},"
                f"rejected_calls={command.rejected_calls},failed_calls={command.failed_calls}"
            )


def _error_statistics(view: View) -> Lines:
    return [f"errorstat_{code}:count={count}" for code, count in sorted(view.ctx.statistics.errors.items())]


def _latency_statistics(view: View) -> Lines:
    percents = view.ctx.settings.latency_tracking_info_percentiles
    for name, histogram in view.ctx.statistics.histograms.items():
        values = ",".join(f"p{percent:.12g}={histogram.percentile_micros(percent):.3f}" for percent in percents)
        yield f"latency_percentiles_usec_{name}:{values}"


def _keyspace(view: View) -> Lines:
    now_ms = view.ctx.now_ms
    keyspace = view.ctx.keyspace
    for index, database in enumerate(keyspace.visible):
        count = keyspace.keys_count(index)
        if not count:
            continue
        entries = chain(database.keys.values(), keyspace.values[index].keys.values())
        left = [entry.expires_ms - now_ms for entry in entries if entry.expires_ms]
        average = max(0, sum(left) // len(left)) if left else 0
        yield f"db{index}:keys={count},expires={len(left)},avg_ttl={average},subexpiry=0"


#: Name as asked for, title, lines; in the order in which they are printed.
SECTIONS: Final[tuple[tuple[str, str, Callable[[View], Lines]], ...]] = (
    ("server", "Server", partial(_table, SERVER)),
    ("clients", "Clients", partial(_table, CLIENTS)),
    ("memory", "Memory", partial(_table, MEMORY)),
    ("persistence", "Persistence", partial(_table, PERSISTENCE)),
    ("stats", "Stats", partial(_table, STATS)),
    ("replication", "Replication", replication_lines),
    ("cpu", "CPU", partial(_table, CPU)),
    ("modules", "Modules", _nothing),
    ("commandstats", "Commandstats", _command_statistics),
    ("errorstats", "Errorstats", _error_statistics),
    ("latencystats", "Latencystats", _latency_statistics),
    ("cluster", "Cluster", partial(_table, CLUSTER)),
    ("keyspace", "Keyspace", _keyspace),
)

ALL: Final = frozenset(name for name, _, _ in SECTIONS)
DEFAULT: Final = ALL - {"commandstats", "latencystats"}


def info(ctx: Context, words: list[bytes]) -> Reply:
    wanted: set[str] = set() if len(words) > 1 else set(DEFAULT)
    for word in words[1:]:
        name = word.decode("latin-1").lower()
        if name in ("all", "everything"):
            wanted |= ALL
        elif name == "default":
            wanted |= DEFAULT
        else:
            wanted.add(name)
    return verbatim(render(ctx, wanted).encode("utf-8", "surrogateescape"), ctx.client.protocol)


def render(ctx: Context, wanted: Iterable[str]) -> str:
    """The text of these sections; unknown names are passed over."""
    view = View(ctx, ctx.facts())
    names = set(wanted)
    texts = []
    for name, title, lines in SECTIONS:
        if name in names:
            texts.append("".join(f"{line}\r\n" for line in (f"# {title}", *lines(view))))
    return "\r\n".join(texts)


COMMANDS = (
    CommandSpec(
        "INFO", -1, Flag.LOADING | Flag.STALE, info,
        summary="Tells about the server and its counters.",
        syntax="[section [section ...]]", group="server", categories=("dangerous",),
        tips=(VARIES, TO_ALL_SHARDS, NOT_MERGED),
    ),
)  # fmt: skip
