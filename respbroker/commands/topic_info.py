"""XINFO of a topic of several partitions: sums and extremes over them, and behind all fields what a stream has not."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Final

from respbroker.commands.inspection import Field, nodes_count, parse_full
from respbroker.commands.topic_groups import Part, parts_of
from respbroker.commands.topic_pending import PendingEntry, merged_pending
from respbroker.errors import NoGroup
from respbroker.model.stream_id import MAX, ZERO
from respbroker.resp import replies
from respbroker.resp.replies import Wire
from respbroker.sessions.client import Reply
from respbroker.streams.merged import Merged
from respbroker.streams.references import lag, unread_from

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.commands.table import TopicHandler
    from respbroker.streams.consumer import Consumer
    from respbroker.streams.topic import Topic


def _id(entry_id: tuple[int, int]) -> bytes:
    return b"%d-%d" % entry_id


# -- XINFO STREAM ------------------------------------------------------------------------------------------


def stream_info(ctx: Context, topic: Topic, words: list[bytes]) -> Reply:
    ctx.count_lookup(True)
    full = parse_full(words)
    fields = _common_fields(ctx, topic)
    groups = _groups_of(topic)
    if full is None:
        fields += [
            ("groups", len(groups)),
            ("first-entry", _end_entry(topic, backwards=False)),
            ("last-entry", _end_entry(topic, backwards=True)),
        ]
    else:
        count = full or None
        fields += [
            ("entries", _entries(topic, count)),
            ("groups", [dict(_full_group(parts, count)) for parts in groups]),
        ]
    fields.append(("partitions", len(topic.partitions)))
    return replies.encode(dict(fields), ctx.client.protocol)


def _common_fields(ctx: Context, topic: Topic) -> list[Field]:
    streams = topic.partitions
    first_ids = (stream.id_at(first) for stream in streams if (first := stream.first_live()) is not None)
    nodes = sum(nodes_count(stream, ctx.settings.stream_node_max_entries) for stream in streams)
    maps = [stream.idmp for stream in streams]
    for each in maps:
        each.expire(ctx.now_ms)
    return [
        ("length", topic.length),
        ("radix-tree-keys", nodes),
        ("radix-tree-nodes", nodes + 1),
        ("last-generated-id", _id(topic.last_id)),
        ("max-deleted-entry-id", _id(max(stream.max_deleted_id for stream in streams))),
        ("entries-added", sum(stream.entries_added for stream in streams)),
        ("recorded-first-entry-id", _id(min(first_ids, default=ZERO))),
        ("idmp-duration", max(each.duration for each in maps)),
        ("idmp-maxsize", max(each.maxsize for each in maps)),
        ("pids-tracked", sum(each.pids_tracked for each in maps)),
        ("iids-tracked", sum(each.iids_tracked for each in maps)),
        ("iids-added", sum(each.iids_added for each in maps)),
        ("iids-duplicates", sum(each.iids_duplicates for each in maps)),
    ]


def _end_entry(topic: Topic, *, backwards: bool) -> Wire | None:
    merged = Merged(topic.partitions, ZERO, MAX, 1, backwards=backwards)
    return Wire(b"".join(buffer for piece in merged.pieces() for buffer in piece)) if merged.count else None


def _entries(topic: Topic, count: int | None) -> Wire:
    merged = Merged(topic.partitions, ZERO, MAX, count)
    return Wire(b"*%d\r\n" % merged.count + b"".join(buffer for piece in merged.pieces() for buffer in piece))


def _full_group(parts: list[Part], count: int | None) -> list[Field]:
    pending = [
        b"*4\r\n%b%b:%d\r\n:%d\r\n"
        % (replies.bulk(_id(each.entry_id)), replies.bulk(each.owner or b""), each.time_ms, each.deliveries)
        for each in _pending(parts, count)
    ]
    return [
        *_group_fields(parts),
        ("pel-count", sum(len(group.pending) for _, group in parts)),
        ("nacked-count", sum(group.pending.unowned_count for _, group in parts)),
        ("pending", Wire(replies.array(pending))),
        ("consumers", [dict(_full_consumer(parts, name, count)) for name in _consumers(parts)]),
    ]


def _full_consumer(parts: list[Part], name: bytes, count: int | None) -> list[Field]:
    known = _known(parts, name)
    pending = [
        b"*3\r\n%b:%d\r\n:%d\r\n" % (replies.bulk(_id(each.entry_id)), each.time_ms, each.deliveries)
        for each in _pending(parts, count, name)
    ]
    return [
        ("name", name),
        ("seen-time", max(each.seen_ms for each in known)),
        ("active-time", max(each.active_ms for each in known)),
        ("pel-count", sum(group.pending.count_of(name) for _, group in parts)),
        ("pending", Wire(replies.array(pending))),
    ]


def _pending(parts: list[Part], count: int | None, consumer: bytes | None = None) -> Iterable[PendingEntry]:
    return islice(merged_pending(parts, ZERO, MAX, consumer), count)


# -- XINFO GROUPS and CONSUMERS ----------------------------------------------------------------------------


def _groups_of(topic: Topic) -> list[list[Part]]:
    """The groups of the topic, which are those that all of its partitions have, in the order of names."""
    return [parts for name in sorted(topic.partitions[0].groups) if (parts := parts_of(topic, name)) is not None]


def _group_fields(parts: list[Part]) -> list[Field]:
    return [
        ("name", parts[0][1].name),
        ("last-delivered-id", _id(max(group.last_delivered_id for _, group in parts))),
        ("entries-read", _entries_read(parts)),
        ("lag", sum(lag(stream, group) for stream, group in parts)),
    ]


def _entries_read(parts: list[Part]) -> int | None:
    """Not known before a first read, as of a stream; then partitions that were not read yet count by the cursor."""
    if all(group.entries_read is None for _, group in parts):
        return None
    return sum(
        unread_from(stream, group) + stream.added_bias if group.entries_read is None else group.entries_read
        for stream, group in parts
    )


def _consumers(parts: list[Part]) -> list[bytes]:
    """Their names, in order."""
    return sorted({name for _, group in parts for name in group.consumers})


def _known(parts: list[Part], name: bytes) -> list[Consumer]:
    """What the partitions know of a consumer."""
    return [group.consumers[name] for _, group in parts if name in group.consumers]


def groups_info(ctx: Context, topic: Topic, words: list[bytes]) -> Reply:
    ctx.count_lookup(True)
    groups = []
    for parts in _groups_of(topic):
        name, *rest = _group_fields(parts)
        consumers, pending = len(_consumers(parts)), sum(len(group.pending) for _, group in parts)
        groups.append(dict([name, ("consumers", consumers), ("pending", pending), *rest]))
    return replies.encode(groups, ctx.client.protocol)


def consumers_info(ctx: Context, topic: Topic, words: list[bytes]) -> Reply:
    """Sums over the partitions, and in an ordered group the partitions that the consumer owns."""
    ctx.count_lookup(True)
    parts = parts_of(topic, words[3])
    if parts is None:
        raise NoGroup.named(words[2], words[3])
    work = topic.groups.get(words[3]) if topic.is_ordered else None
    consumers = []
    for name in _consumers(parts):
        known = _known(parts, name)
        active_ms = max(each.active_ms for each in known)
        fields: dict[str, object] = {
            "name": name,
            "pending": sum(group.pending.count_of(name) for _, group in parts),
            "idle": max(ctx.now_ms - max(each.seen_ms for each in known), 0),
            "inactive": max(ctx.now_ms - active_ms, 0) if active_ms >= 0 else -1,
        }
        if topic.is_ordered:
            fields["partitions"] = [] if work is None else work.ownership.owned_by(name)
        consumers.append(fields)
    return replies.encode(consumers, ctx.client.protocol)


ON_TOPIC: Final[dict[str, TopicHandler]] = {
    "XINFO STREAM": stream_info,
    "XINFO GROUPS": groups_info,
    "XINFO CONSUMERS": consumers_info,
}
