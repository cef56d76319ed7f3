"""What a server tells about groups, as values: where each stands in each partition, and who its members are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from respbroker.model.stream_id import StreamId, parse_id
from respbroker.tools.connection import Failed, Refusal, Server
from respbroker.tools.options import in_words
from respbroker.tools.output import shown
from respbroker.tools.topics import no_such_topic

#: IDs with less than this as their milliseconds (September 2001) were chosen by somebody, and are no times.
TIMES_FROM_MS: Final = 10**12


@attrs.frozen
class Place:
    """What a group reads: a stream, a topic, or one partition of a topic, which is ``topic`` then.

    ``keys`` are the names of its partitions, the first of which is number ``first``.
    """

    name: bytes
    keys: tuple[bytes, ...]
    topic: bytes | None = None
    first: int = 0
    is_ordered: bool = False
    session_timeout_ms: int = 0
    work: Mapping[bytes, Work] = attrs.field(factory=dict)


@attrs.frozen
class Work:
    """An ordered group at work: its members and their open connections, who owns a partition, and whom it goes to."""

    connections: Mapping[bytes, int]
    owners: Mapping[int, bytes]
    heirs: Mapping[int, bytes]

    @classmethod
    def of(cls, told: dict[bytes, Any]) -> Work:
        """From what XTOPIC INFO tells of a group."""
        parts = {part[b"partition"]: part for part in told[b"partitions"]}
        return cls(
            {member[b"name"]: member[b"connections"] for member in told[b"members"]},
            {index: part[b"owner"] for index, part in parts.items() if part[b"owner"] is not None},
            {index: part[b"moves-to"] for index, part in parts.items() if part[b"moves-to"] is not None},
        )


@attrs.frozen
class Part:
    """A group in one partition. An ``oldest`` ID is None where there is no such entry."""

    index: int
    key: bytes
    cursor: StreamId
    lag: int
    pending: int
    oldest_unread: StreamId | None = None
    oldest_pending: StreamId | None = None
    oldest_holder: bytes | None = None
    deliveries: int | None = None


@attrs.frozen
class Member:
    """A consumer. ``idle_ms`` is the time since it last asked, None if it is not known here.

    ``partitions`` is what it owns in an ordered group; ``connections`` how many of its are open, None if not a member.
    """

    name: bytes
    pending: int
    idle_ms: int | None
    partitions: tuple[int, ...] = ()
    connections: int | None = None


@attrs.frozen
class Summary:
    """A group in one line."""

    place: Place
    group: bytes
    consumers: int
    pending: int
    lag: int


# -- places --------------------------------------------------------------------------------------------------


def find_place(server: Server, name: bytes) -> Place:
    """A stream, a topic, or one partition of it. Raises Failed where there is none."""
    try:
        return _place(name, server.ask("XTOPIC", "INFO", name))
    except Refusal as refusal:
        if refusal.is_missing_key:
            raise no_such_topic(name) from None
        if "is a partition of" not in refusal.text:
            raise Failed(in_words(refusal)) from None
    topic, _, number = name.rpartition(b"/")
    return attrs.evolve(
        _place(topic, server.ask("XTOPIC", "INFO", topic)), name=name, keys=(name,), topic=topic, first=int(number)
    )


def _place(name: bytes, told: dict[bytes, Any]) -> Place:
    """From what XTOPIC INFO tells."""
    config, count = told[b"config"], told[b"partitions"]
    return Place(
        name,
        _partitions(name, count),
        is_ordered=count > 1 and config[b"group.mode"] != b"shared",
        session_timeout_ms=int(config[b"group.session.timeout.ms"]),
        work={group[b"name"]: Work.of(group) for group in told[b"groups"] if group[b"mode"] == b"ordered"},
    )


def all_places(server: Server) -> list[Place]:
    """Every stream and topic of the database, by name."""
    counts = {topic[b"name"]: topic[b"partitions"] for topic in server.ask("XTOPIC", "LIST")}
    names: set[bytes] = set()
    cursor: bytes = b"0"
    while True:
        cursor, page = server.ask("SCAN", cursor, "COUNT", 1000, "TYPE", "stream")
        names.update(page)
        if int(cursor) == 0:
            break
    return [Place(name, _partitions(name, counts.get(name, 1))) for name in sorted(names)]


def _partitions(name: bytes, count: int) -> tuple[bytes, ...]:
    return (name,) if count == 1 else tuple(b"%b/%d" % (name, index) for index in range(count))


# -- groups --------------------------------------------------------------------------------------------------


def summaries(server: Server, places: Sequence[Place]) -> list[Summary]:
    """Every group of these places. A key that has gone meanwhile has none."""
    found = []
    replies = server.ask_each([("XINFO", "GROUPS", place.name) for place in places])
    for place, groups in zip(places, replies, strict=True):
        if isinstance(groups, Refusal):
            if groups.is_missing_key:
                continue
            raise groups
        found += [Summary(place, told[b"name"], told[b"consumers"], told[b"pending"], told[b"lag"]) for told in groups]
    return found


def parts_of(server: Server, place: Place, group: bytes) -> list[Part]:
    """The group in each partition. Raises Failed where it is in none of them."""
    replies = server.ask_all([("XINFO", "GROUPS", key) for key in place.keys])
    parts = []
    for index, (key, groups) in enumerate(zip(place.keys, replies, strict=True), place.first):
        for told in groups:
            if told[b"name"] == group:
                cursor = parse_id(told[b"last-delivered-id"])
                parts.append(Part(index, key, cursor, told[b"lag"], told[b"pending"]))
    if len(parts) < len(place.keys):
        raise _no_such_group(place, group, replies, parts)
    return parts


def _no_such_group(
    place: Place, group: bytes, replies: Sequence[Sequence[dict[bytes, Any]]], parts: Sequence[Part]
) -> Failed:
    """What to say of a group that is in none of the partitions, or not in all."""
    if parts:
        where = shown(parts[0].key)
        return Failed(
            f"the group {shown(group)} is not in all partitions of {shown(place.name)}: name one, as in {where}"
        )
    known = sorted(set.intersection(*({told[b"name"] for told in groups} for groups in replies)))
    there = ", ".join(map(shown, known[:10])) + (", …" if len(known) > 10 else "")
    return Failed(
        f"{shown(place.name)} has no group {shown(group)}" + (f": it has {there}" if known else ", and no other")
    )


def with_oldest(server: Server, parts: Sequence[Part], group: bytes) -> list[Part]:
    """The same with the oldest entries of each, as far as it has any."""
    unread = [part for part in parts if part.lag]
    held = [part for part in parts if part.pending]
    ranges = [("XRANGE", part.key, b"(%d-%d" % part.cursor, b"+", "COUNT", 1) for part in unread]
    lists = [("XPENDING", part.key, group, "-", "+", 1) for part in held]
    replies: list[Any] = server.ask_all([*ranges, *lists])
    changes: dict[bytes, dict[str, Any]] = {part.key: {} for part in parts}
    for part, reply in zip([*unread, *held], replies, strict=True):
        if not reply:
            continue  # it has gone meanwhile
        if len(reply[0]) == 2:
            changes[part.key]["oldest_unread"] = parse_id(reply[0][0])
        else:
            entry_id, holder, _, deliveries = reply[0]
            oldest = {"oldest_pending": parse_id(entry_id), "oldest_holder": holder or None, "deliveries": deliveries}
            changes[part.key].update(oldest)
    return [attrs.evolve(part, **changes[part.key]) for part in parts]


def members_of(server: Server, place: Place, group: bytes) -> list[Member]:
    """The group's consumers by name: those who have read here, and in an ordered group who may."""
    consumers = server.ask("XINFO", "CONSUMERS", place.name, group)
    members = {told[b"name"]: Member(told[b"name"], told[b"pending"], told[b"idle"]) for told in consumers}
    work = place.work.get(group)
    if work is None:
        return [members[name] for name in sorted(members)]
    here = range(place.first, place.first + len(place.keys))
    owned: dict[bytes, list[int]] = {}
    for index in here:
        if index in work.owners:
            owned.setdefault(work.owners[index], []).append(index)
    for name in owned if place.topic is not None else work.connections:
        members.setdefault(name, Member(name, 0, None))
    return [
        attrs.evolve(members[name], partitions=tuple(owned.get(name, ())), connections=work.connections.get(name))
        for name in sorted(members)
    ]


def waiting_clients(server: Server) -> int:
    """How many connections wait in XREADGROUP; for which groups, the server does not tell."""
    lines = server.ask("CLIENT", "LIST").splitlines()
    fields = [dict(word.partition(b"=")[::2] for word in line.split()) for line in lines]
    return sum(b"b" in each.get(b"flags", b"") and each.get(b"cmd") == b"xreadgroup" for each in fields)


def now_ms(server: Server) -> int:
    """The server's time."""
    seconds, microseconds = server.ask("TIME")
    return int(seconds) * 1000 + int(microseconds) // 1000


def age(entry_id: StreamId | None, now_ms: int) -> float | None:
    """Seconds since an entry was added, as far as its ID tells."""
    if entry_id is None or entry_id.ms < TIMES_FROM_MS:
        return None
    return max(now_ms - entry_id.ms, 0) / 1000
