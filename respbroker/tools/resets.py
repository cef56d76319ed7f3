"""`respbroker groups reset`: from where to where a group would be moved, how many entries that is, and doing it."""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence
from typing import Any, Final

import attrs
import click

from respbroker.errors import InvalidStreamId
from respbroker.model.phrases import few
from respbroker.model.stream_id import U64_MAX, ZERO, StreamId, parse_id
from respbroker.tools import group_facts, output
from respbroker.tools.connection import Failed, Server
from respbroker.tools.group_facts import Member, Part, Place
from respbroker.tools.groups import id_text
from respbroker.tools.options import as_json_option, asks_server, raw_name
from respbroker.tools.output import count, duration, named, shown

TARGETS: Final = ("to_earliest", "to_latest", "to_id", "to_datetime", "shift_by")


def entry_id(value: str) -> StreamId:
    """``ms-seq``, or ``ms``."""
    try:
        return parse_id(os.fsencode(value))
    except InvalidStreamId:
        raise click.BadParameter(f"{value!r} is no ID such as 1764093600000-0") from None


def moment(value: str) -> datetime.datetime:
    """A date and time as ISO 8601 writes it, in UTC unless it names another zone."""
    try:
        found = datetime.datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no time such as 2026-11-25T18:00:00Z") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=datetime.UTC)


@attrs.frozen
class Target:
    """Where a group is to be moved: one of ``TARGETS``, with what was given for it."""

    kind: str
    value: Any = None


@attrs.frozen
class Move:
    """A group in one partition, moved. ``entries`` are given out again if above 0, and skipped if below."""

    part: Part
    to: StreamId
    lag: int

    @property
    def entries(self) -> int:
        return self.lag - self.part.lag


@click.command()
@click.argument("topic", type=raw_name)
@click.argument("group", type=raw_name)
@click.option("--to-earliest", is_flag=True, help="Before the first entry.")
@click.option("--to-latest", is_flag=True, help="Behind the last entry.")
@click.option("--to-id", type=entry_id, metavar="ID", help="Behind that ID, as XGROUP SETID does.")
@click.option(
    "--to-datetime", type=moment, metavar="ISO", help="Before the first entry of that time or later (UTC if not said)."
)
@click.option("--shift-by", type=int, metavar="N", help="N entries on in each partition, or back if N is negative.")
@click.option("--execute", is_flag=True, help="Do it. Without this, it is only shown.")
@click.option("--force", is_flag=True, help="Do it though consumers are active.")
@as_json_option
@asks_server
def reset(
    server: Server, topic: bytes, group: bytes, execute: bool, force: bool, as_json: bool, **targets: Any
) -> None:
    """Move a group to another place in TOPIC, a stream, a topic or one partition of it (orders/3).

    Without --execute nothing is changed: the command shows where each partition would be moved, and how many entries
    would be given out again or skipped.

    Entries that are pending stay so, with the consumers that have them. A group with active consumers is not moved:
    stop them first. A consumer counts as active while it is a member of an ordered group, and for the session timeout
    of the topic (45 s by default) after it last asked for entries.
    """
    target = _target(targets)
    place = group_facts.find_place(server, topic)
    parts = group_facts.parts_of(server, place, group)
    moves = plan(server, parts, target)
    active = active_members(place, group_facts.members_of(server, place, group))
    if execute and active and not force:
        raise Failed(
            f"group {shown(group)} can only be reset while it is inactive, but {_are_active(active)}."
            " Stop them, or give --force"
        )
    if execute:
        perform(server, group, moves)
    if as_json:
        output.print_json(_as_json(topic, group, moves, active, execute))
        return
    _print(moves)
    _print_pending(sum(part.pending for part in parts))
    if not active:
        _print_waiting(group_facts.waiting_clients(server))
    if execute:
        click.echo(f"Moved {shown(group)} of {shown(topic)}.")
    else:
        if active:
            click.echo(f"--execute would be refused: {_are_active(active)}.")
        click.echo("Nothing has been changed: --execute does it.")


def _target(targets: dict[str, Any]) -> Target:
    given = [
        Target(kind, targets[kind]) for kind in TARGETS if targets[kind] is not None and targets[kind] is not False
    ]
    if len(given) != 1:
        options = ", ".join("--" + kind.replace("_", "-") for kind in TARGETS)
        raise click.UsageError(f"give one of {options}")
    return given[0]


# -- planning and doing --------------------------------------------------------------------------------------


def plan(server: Server, parts: Sequence[Part], target: Target) -> list[Move]:
    """Where the group would stand in each partition. Changes nothing."""
    streams = server.ask_all([("XINFO", "STREAM", part.key) for part in parts])
    last_ids = [parse_id(told[b"last-generated-id"]) for told in streams]
    if target.kind == "to_id" and target.value > max(last_ids):
        raise Failed(
            f"the ID {id_text(target.value)} is behind the last one, {id_text(max(last_ids))}: what is added up to"
            " there would never be given out. --to-latest moves the group behind the last entry"
        )
    replies = server.ask_all([("XTOPIC", "POSITION", part.key, *_question(part, target)) for part in parts])
    return [
        Move(part, _destination(part, target, last_id, told), told[b"entries-behind"])
        for part, last_id, told in zip(parts, last_ids, replies, strict=True)
    ]


def _question(part: Part, target: Target) -> list[bytes]:
    """The words behind the key in XTOPIC POSITION."""
    match target.kind:
        case "to_earliest":
            return [b"0"]
        case "to_latest":
            return [b"$"]
        case "to_id":
            return [bytes(target.value)]
        case "to_datetime":
            ms = max(round(target.value.timestamp() * 1000), 0)
            return [bytes(StreamId(ms - 1, U64_MAX)) if ms else b"0"]
        case _:
            return [bytes(part.cursor), b"BY", b"%d" % target.value]


def _destination(part: Part, target: Target, last_id: StreamId, told: dict[bytes, Any]) -> StreamId:
    """The cursor that XTOPIC POSITION's answer stands for."""
    match target.kind:
        case "to_earliest":
            return ZERO
        case "to_latest":
            return last_id
        case "to_id":
            to: StreamId = target.value
            return to
        case "shift_by" if told[b"entries-behind"] == part.lag:
            return part.cursor  # it can go no further
        case _:
            return parse_id(told[b"id"])


def perform(server: Server, group: bytes, moves: Sequence[Move]) -> None:
    """Move the group, in all partitions or in none."""
    server.ask_all([("XGROUP", "SETID", move.part.key, group, bytes(move.to)) for move in moves], atomic=True)


def active_members(place: Place, members: Sequence[Member]) -> list[Member]:
    """Those that would go on reading from where the group is moved to."""
    return [
        each
        for each in members
        if each.connections is not None or (each.idle_ms is not None and each.idle_ms < place.session_timeout_ms)
    ]


# -- telling -------------------------------------------------------------------------------------------------


def _who(member: Member) -> str:
    if member.connections:
        return f"{shown(member.name)} (with {count(member.connections, 'open connection')})"
    idle = "some time" if member.idle_ms is None else duration(member.idle_ms / 1000)
    return f"{shown(member.name)} (idle for {idle})"


def _are_active(active: Sequence[Member]) -> str:
    who = few([_who(member) for member in active])
    return f"{count(len(active), 'consumer')} {'is' if len(active) == 1 else 'are'} active: {who}"


def _print(moves: Sequence[Move]) -> None:
    rows = [
        (shown(move.part.key), id_text(move.part.cursor), id_text(move.to), move.part.lag, move.lag, _effect(move))
        for move in moves
    ]
    output.print_table(("PARTITION", "FROM", "TO", ">LAG", ">NEW-LAG", "ENTRIES"), rows)
    click.echo()


def _effect(move: Move) -> str:
    if not move.entries:
        return "none"
    return f"{move.entries} again" if move.entries > 0 else f"{-move.entries} skipped"


def _print_pending(pending: int) -> None:
    if pending == 1:
        click.echo("1 entry is pending and stays so, with the consumer that has it.")
    elif pending:
        click.echo(f"{pending} entries are pending and stay so, with the consumers that have them.")


def _print_waiting(clients: int) -> None:
    """A consumer that waits without an end looks like one that has gone."""
    if clients:
        what = "1 client waits" if clients == 1 else f"{clients} clients wait"
        click.echo(f"{what} in XREADGROUP: who waits for this group goes on from the new place.")


def _as_json(topic: bytes, group: bytes, moves: Sequence[Move], active: Sequence[Member], done: bool) -> dict[str, Any]:
    return {
        **named("topic", topic),
        **named("group", group),
        "executed": done,
        "pending": sum(move.part.pending for move in moves),
        "active_consumers": [named("name", each.name) for each in active],
        "partitions": [
            {
                **named("key", move.part.key),
                "from": id_text(move.part.cursor),
                "to": id_text(move.to),
                "lag": move.part.lag,
                "new_lag": move.lag,
                "entries": move.entries,
            }
            for move in moves
        ],
    }
