"""Who is a member of a topic's groups, and who owns what, as XTOPIC INFO tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from respbroker.streams.references import lag

if TYPE_CHECKING:
    from respbroker.streams.group import Group
    from respbroker.streams.stream import Stream
    from respbroker.streams.topic import Topic
    from respbroker.streams.topic_group import TopicGroup


def describe_groups(streams: list[Stream]) -> list[dict[str, object]]:
    """The groups that are in all of a topic's partitions: their mode, members and positions."""
    names = sorted(name for name in streams[0].groups if all(name in stream.groups for stream in streams))
    topic = streams[0].topic
    return [_describe(topic, [(stream, stream.groups[name]) for stream in streams], name) for name in names]


def _describe(topic: Topic | None, parts: list[tuple[Stream, Group]], name: bytes) -> dict[str, object]:
    ordered = topic is not None and topic.is_ordered
    work = topic.groups.get(name) if topic is not None and ordered else None
    return {
        "name": name,
        "mode": "ordered" if ordered else "shared",
        "members": [] if work is None else _members(work),
        "pending": sum(len(group.pending) for _, group in parts),
        "lag": sum(lag(stream, group) for stream, group in parts),
        "partitions": [_position(work, stream, group) for stream, group in parts],
    }


def _members(work: TopicGroup) -> list[dict[str, object]]:
    return [
        {
            "name": member,
            "connections": work.membership.connections_of(member),
            "partitions": work.ownership.owned_by(member),
        }
        for member in work.membership.members
    ]


def _position(work: TopicGroup | None, stream: Stream, group: Group) -> dict[str, object]:
    partition = stream.partition
    known = work is not None and partition < len(work.ownership.owners)
    return {
        "partition": partition,
        "owner": work.ownership.owners[partition] if work is not None and known else None,
        "moves-to": work.ownership.moving.get(partition) if work is not None else None,
        "last-delivered-id": b"%d-%d" % group.last_delivered_id,
        "pending": len(group.pending),
        "lag": lag(stream, group),
    }
