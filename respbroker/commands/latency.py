"""LATENCY: what was slow and when, and how the times of each command are distributed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from respbroker.commands.help import help_reply
from respbroker.commands.latency_report import doctor_text, graph_text
from respbroker.commands.table import Command, CommandSpec, Flag
from respbroker.commands.tips import NOT_MERGED, SUM, TO_ALL_NODES, VARIES
from respbroker.errors import ReplyError
from respbroker.resp.replies import array, bulk, integer, map_, text, verbatim

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.sessions.client import Reply
    from respbroker.sessions.histogram import Histogram

HELP: Final = """\
DOCTOR
    Return a human readable latency analysis report.
GRAPH <event>
    Return an ASCII latency graph for the <event> class.
HISTORY <event>
    Return time-latency samples for the <event> class.
LATEST
    Return the latest latency samples for all events.
RESET [<event> ...]
    Reset latency data of one or more <event> classes.
    (default: reset all data for all event classes)
HISTOGRAM [COMMAND ...]
    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.
    If no commands are specified then all histograms are replied."""


def latest(ctx: Context, words: list[bytes]) -> Reply:
    return array(
        [
            array([text(name), *[integer(number) for number in (*event.samples[-1], event.worst)]])
            for name, event in ctx.latency.events.items()
        ]
    )


def history(ctx: Context, words: list[bytes]) -> Reply:
    event = ctx.latency.events.get(words[2].decode("latin-1"))
    samples = event.samples if event is not None else ()
    return array([array([integer(seconds), integer(latency)]) for seconds, latency in samples])


def reset(ctx: Context, words: list[bytes]) -> Reply:
    return integer(ctx.latency.reset([word.decode("latin-1") for word in words[2:]]))


def graph(ctx: Context, words: list[bytes]) -> Reply:
    name = words[2].decode("latin-1")
    event = ctx.latency.events.get(name)
    if event is None:
        raise ReplyError(f"No samples available for event '{name}'")
    return verbatim(graph_text(name, event, ctx.now_ms // 1000).encode("latin-1"), ctx.client.protocol)


def doctor(ctx: Context, words: list[bytes]) -> Reply:
    said = doctor_text(ctx.latency, ctx.settings.latency_monitor_threshold, ctx.settings.slowlog_log_slower_than)
    return verbatim(said.encode(), ctx.client.protocol)


def histogram(ctx: Context, words: list[bytes]) -> Reply:
    protocol = ctx.client.protocol
    found = ctx.statistics.histograms
    commands = _named(ctx, words[2:]) if len(words) > 2 else ctx.commands.each()
    names = dict.fromkeys(command.name for command in commands if command.name in found)
    return map_([(text(name), _wire(found[name], protocol)) for name in names], protocol)


def _named(ctx: Context, names: list[bytes]) -> Iterator[Command]:
    """The commands of these names, and all subcommands of containers among them."""
    for name in names:
        container, _, subcommand = name.partition(b"|")
        command = ctx.commands.find(container)
        if command is None:
            continue
        if subcommand:
            command = command.subcommands.get(subcommand.lower())
            if command is not None:
                yield command
            continue
        yield command
        yield from command.subcommands.values()


def _wire(times: Histogram, protocol: int) -> bytes:
    counts = [(integer(micros), integer(calls)) for micros, calls in times.doublings()]
    pairs = [(bulk(b"calls"), integer(times.count)), (bulk(b"histogram_usec"), map_(counts, protocol))]
    return map_(pairs, protocol)


_ADMIN: Final = Flag.ADMIN | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE

COMMANDS = (
    CommandSpec(
        "LATENCY", -2, Flag.NONE, latest,
        summary="A container for commands about latency.",
        since="2.8.13", group="server", complexity="Depends on subcommand.",
        subcommands=(
            CommandSpec(
                "LATEST", 2, _ADMIN, latest,
                summary="Tells the last slow moment of each kind of event.", since="2.8.13", group="server",
                tips=(VARIES, TO_ALL_NODES, NOT_MERGED),
            ),
            CommandSpec(
                "HISTORY", 3, _ADMIN, history,
                summary="Tells when an event was slow, and how slow.", syntax="event", since="2.8.13", group="server",
                tips=(VARIES, TO_ALL_NODES, NOT_MERGED),
            ),
            CommandSpec(
                "RESET", -2, _ADMIN, reset,
                summary="Forgets slow moments.", syntax="[event [event ...]]", since="2.8.13", group="server",
                tips=(TO_ALL_NODES, SUM),
            ),
            CommandSpec(
                "GRAPH", 3, _ADMIN, graph,
                summary="Draws when an event was slow.", syntax="event", since="2.8.13", group="server",
                tips=(VARIES, TO_ALL_NODES, NOT_MERGED),
            ),
            CommandSpec(
                "DOCTOR", 2, _ADMIN, doctor,
                summary="Tells in words what was slow, and what to do.", since="2.8.13", group="server",
                tips=(VARIES, TO_ALL_NODES, NOT_MERGED),
            ),
            CommandSpec(
                "HISTOGRAM", -2, _ADMIN, histogram,
                summary="Tells how the times of commands are distributed.", syntax="[command [command ...]]",
                since="7.0.0", group="server",
                complexity="O(N) where N is the number of commands with latency information being retrieved.",
                tips=(VARIES, TO_ALL_NODES, NOT_MERGED),
            ),
            CommandSpec(
                "HELP", 2, Flag.LOADING | Flag.STALE, help_reply("LATENCY", HELP),
                summary="Tells what the subcommands do.", since="2.8.13", group="server",
            ),
        ),
    ),
)  # fmt: skip
