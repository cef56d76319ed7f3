"""`respbroker groups`: which groups there are, how far each has come, and who is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from respbroker.model.stream_id import StreamId
from respbroker.tools import group_facts, output
from respbroker.tools.connection import Server
from respbroker.tools.group_facts import Member, Part, Place, Summary, Work, age
from respbroker.tools.options import as_json_option, asks_server, raw_name
from respbroker.tools.output import count, duration, named, shown

NO_WORK: Final = Work({}, {}, {})


@click.group()
def groups() -> None:
    """List, describe and move the consumer groups of a running server."""


# -- list ----------------------------------------------------------------------------------------------------


@groups.command("list")
@click.argument("topic", type=raw_name, required=False)
@as_json_option
@asks_server
def list_groups(server: Server, topic: bytes | None, as_json: bool) -> None:
    """List the groups of TOPIC, or of all streams and topics.

    PENDING entries were given out and are not acknowledged; LAG counts those that were not given out yet.
    """
    places = group_facts.all_places(server) if topic is None else [group_facts.find_place(server, topic)]
    found = group_facts.summaries(server, places)
    if as_json:
        output.print_json([_summary_as_json(each) for each in found])
    elif not found:
        click.echo("There are no groups." if topic is None else f"{shown(topic)} has no groups.")
    else:
        rows = [
            (shown(each.place.name), shown(each.group), len(each.place.keys), each.consumers, each.pending, each.lag)
            for each in found
        ]
        output.print_table(("TOPIC", "GROUP", ">PARTITIONS", ">CONSUMERS", ">PENDING", ">LAG"), rows)


def _summary_as_json(summary: Summary) -> dict[str, Any]:
    return {
        **named("topic", summary.place.name),
        **named("group", summary.group),
        "partitions": len(summary.place.keys),
        "consumers": summary.consumers,
        "pending": summary.pending,
        "lag": summary.lag,
    }


# -- describe ------------------------------------------------------------------------------------------------


@groups.command()
@click.argument("topic", type=raw_name)
@click.argument("group", type=raw_name)
@as_json_option
@asks_server
def describe(server: Server, topic: bytes, group: bytes, as_json: bool) -> None:
    """Tell who is in a group, and how far it has come in each partition.

    \b
    CURSOR     the last entry that was given out
    LAG        entries behind it
    BEHIND     the age of the first of these: so far the group is behind, in time
    PENDING    entries that were given out and are not acknowledged
    OLDEST     the first of these, its AGE, who has it (HOLDER), and how often it was given out (TIMES)

    Ages are told by the IDs. Where IDs are no times (1-1, 2-1, …) there is a dash.
    """
    place = group_facts.find_place(server, topic)
    parts = group_facts.with_oldest(server, group_facts.parts_of(server, place, group), group)
    members = group_facts.members_of(server, place, group)
    now_ms = group_facts.now_ms(server)
    if as_json:
        output.print_json(_group_as_json(place, group, parts, members, now_ms))
        return
    _print_head(place, group, parts, members, now_ms)
    click.echo()
    _print_members(members)
    click.echo()
    _print_parts(parts, place.work.get(group, NO_WORK), now_ms)


def _print_head(place: Place, group: bytes, parts: Sequence[Part], members: Sequence[Member], now_ms: int) -> None:
    partitions = ("ordered, " if place.is_ordered else "") + count(len(place.keys), "partition")
    click.echo(f"{shown(group)} of {shown(place.name)}: {partitions}, {count(len(members), 'consumer')}")
    lag = f"{count(sum(part.lag for part in parts), 'entry')} to be given out"
    behind = duration(_longest(parts, "oldest_unread", now_ms))
    pending = f"{count(sum(part.pending for part in parts), 'entry')} pending"
    held = duration(_longest(parts, "oldest_pending", now_ms))
    click.echo(
        "; ".join(
            what + (f", the first {seconds} old" if seconds else "")
            for what, seconds in ((lag, behind), (pending, held))
        )
    )


def _longest(parts: Sequence[Part], field: str, now_ms: int) -> float | None:
    ages = [seconds for part in parts if (seconds := age(getattr(part, field), now_ms)) is not None]
    return max(ages, default=None)


def _print_members(members: Sequence[Member]) -> None:
    if not members:
        click.echo("Nobody has read for it yet.")
        return
    rows = [
        (shown(each.name), output.ranges(each.partitions), each.connections, each.pending, duration(_idle(each)))
        for each in members
    ]
    output.print_table(("CONSUMER", "PARTITIONS", ">CONNECTIONS", ">PENDING", ">IDLE"), rows)


def _idle(member: Member) -> float | None:
    return None if member.idle_ms is None else member.idle_ms / 1000


def _name(names: Mapping[int, bytes], index: int) -> str | None:
    return shown(names[index]) if index in names else None


def _print_parts(parts: Sequence[Part], work: Work, now_ms: int) -> None:
    rows = [
        (
            shown(part.key),
            _name(work.owners, part.index),
            _name(work.heirs, part.index),
            id_text(part.cursor),
            part.lag,
            duration(age(part.oldest_unread, now_ms)),
            part.pending,
            id_text(part.oldest_pending),
            duration(age(part.oldest_pending, now_ms)),
            None if part.oldest_holder is None else shown(part.oldest_holder),
            part.deliveries,
        )
        for part in parts
    ]
    heads = (
        "PARTITION",
        "OWNER",
        "MOVES-TO",
        "CURSOR",
        ">LAG",
        ">BEHIND",
        ">PENDING",
        "OLDEST",
        ">AGE",
        "HOLDER",
        ">TIMES",
    )
    output.print_table(heads, rows)


def id_text(entry_id: StreamId | None) -> str | None:
    return None if entry_id is None else bytes(entry_id).decode()


def _group_as_json(
    place: Place, group: bytes, parts: Sequence[Part], members: Sequence[Member], now_ms: int
) -> dict[str, Any]:
    return {
        **named("topic", place.name),
        **named("group", group),
        "ordered": place.is_ordered,
        "lag": sum(part.lag for part in parts),
        "lag_seconds": _longest(parts, "oldest_unread", now_ms),
        "pending": sum(part.pending for part in parts),
        "oldest_pending_seconds": _longest(parts, "oldest_pending", now_ms),
        "consumers": [
            {
                **named("name", each.name),
                "partitions": list(each.partitions),
                "pending": each.pending,
                "connections": each.connections,
                "idle_seconds": _idle(each),
            }
            for each in members
        ],
        "partitions": [_part_as_json(part, place.work.get(group, NO_WORK), now_ms) for part in parts],
    }


def _part_as_json(part: Part, work: Work, now_ms: int) -> dict[str, Any]:
    return {
        "partition": part.index,
        **named("key", part.key),
        **_maybe_named("owner", work.owners.get(part.index)),
        **_maybe_named("moves_to", work.heirs.get(part.index)),
        "cursor": id_text(part.cursor),
        "lag": part.lag,
        "lag_seconds": age(part.oldest_unread, now_ms),
        "pending": part.pending,
        "oldest_pending": id_text(part.oldest_pending),
        "oldest_pending_seconds": age(part.oldest_pending, now_ms),
        **_maybe_named("oldest_holder", part.oldest_holder),
        "oldest_deliveries": part.deliveries,
    }


def _maybe_named(field: str, raw: bytes | None) -> dict[str, str | None]:
    return {field: None} if raw is None else {**named(field, raw)}
