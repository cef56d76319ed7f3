"""XREADGROUP on a topic of several partitions: what its consumers are given, from which partitions, in which order.

In ordered mode a consumer is given entries of the partitions it owns. What is pending there with anybody else, a
consumer that is gone or nobody, comes before anything new: it was given out before, so it lies before. In shared mode
everybody reads everywhere. Either way partitions take turns in being the first, for COUNT may not reach beyond it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from respbroker.commands.arguments import ensure_timeout
from respbroker.commands.dead_letters import DeadLetters, watch
from respbroker.commands.delivery import GroupRead, parsed
from respbroker.commands.entries import array_of_ranges, reply_of_ranges
from respbroker.commands.framing import framed, head_of_one
from respbroker.commands.group_serving import claim_and_deliver, hand_over, history_start, oldest_claimable, serve
from respbroker.commands.groups import see_consumer
from respbroker.commands.topic_history import read_topic_history
from respbroker.errors import NoGroup
from respbroker.resp import replies
from respbroker.sessions.client import Client, Output, Reply
from respbroker.streams import effects
from respbroker.streams.assignments import Part, joined
from respbroker.streams.pending import COUNT_MAX
from respbroker.streams.references import unread_from
from respbroker.streams.topic import Topic
from storage import StorageError

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.commands.read_limits import Budget
    from respbroker.commands.table import TopicHandler
    from respbroker.model.stream_id import StreamId
    from respbroker.streams.group import Group
    from respbroker.streams.stream import Range, Stream
    from respbroker.streams.topic_group import TopicGroup


@attrs.frozen
class TopicRead:
    """XREADGROUP with a topic of several partitions among its keys."""

    request: GroupRead
    #: What is used up once a waiter finds nothing: a group's new entries, or what its consumer owns.
    exhausts: object

    def retry(self, ctx: Context) -> Reply:
        """Serve what there is; None where nothing is to be had."""
        request = self.request
        if request.is_plain:
            topic = ctx.find(request.keys[0])
            if isinstance(topic, Topic):
                is_all, reply = read_plain(ctx, topic, request)
                if is_all:
                    return reply
        sources = [self._source(ctx, key, word) for key, word in zip(request.keys, request.ids, strict=True)]
        budget = request.budget()
        served: list[tuple[bytes, list[Output]]] = []
        for key, found, after in sources:
            if isinstance(found, Topic):
                entries = serve_topic(ctx, found, request, after, budget)
            else:
                entries = serve(ctx, found, found.groups[request.group], request, after, budget)
            if entries is not None:
                served.append((key, entries))
        return framed(served, ctx.client.protocol) if served else None

    def _source(self, ctx: Context, key: bytes, word: bytes) -> tuple[bytes, Stream | Topic, StreamId | None]:
        """The key's stream or topic, and the ID behind which history begins (None: new entries)."""
        group = self.request.group
        found = ctx.find(key)
        streams = [] if found is None else ctx.keyspace.streams_of(found)
        if self.request.is_plain:  # then it is early enough when a partition is to give something
            streams = streams[:1]
        if found is None or not all(group in stream.groups for stream in streams):
            raise NoGroup.of_reader(key, group)
        return key, found, history_start(word)

    @property
    def outlasts_values(self) -> bool:
        return False

    def timed_out(self, client: Client) -> bytes:
        return replies.null_array(client.protocol)

    def retry_ms(self, ctx: Context) -> int | None:
        """With CLAIM, when the oldest pending entry comes of age; a change of owners wakes by the topic's key."""
        request = self.request
        if request.claim_ms is None:
            return None
        oldest = ctx.now_ms
        for key in request.keys:
            found = ctx.find(key)
            for stream in self._claimable(ctx, found):
                group = stream.groups.get(request.group)
                if group is not None:
                    oldest = min(oldest, oldest_claimable(ctx, stream, group))
        return max(oldest + request.claim_ms, ctx.now_ms + 1)

    def _claimable(self, ctx: Context, found: Stream | Topic | None) -> list[Stream]:
        """The streams in which the consumer can claim something."""
        if not isinstance(found, Topic):
            return [] if found is None else [found]
        work = ctx.group_sessions.group(found, self.request.group, ctx.now)
        return [found.partitions[partition] for partition in work.readable(self.request.consumer)]


def xreadgroup(ctx: Context, topic: Topic, words: list[bytes]) -> Reply:
    request = parsed(words)
    if request.timeout_ms is not None:
        ensure_timeout(request.timeout_ms, ctx.now_ms)
    alone = topic.is_ordered or request.claim_ms is not None
    blocked = TopicRead(request, (request.group, request.consumer) if alone else request.group)
    reply = blocked.retry(ctx)
    if reply is not None:
        return reply
    if request.timeout_ms is None or ctx.in_exec:
        return replies.null_array(ctx.client.protocol)
    ctx.block(blocked, request.keys, request.timeout_ms)
    return None


# -- serving one topic -------------------------------------------------------------------------------------


def read_plain(ctx: Context, topic: Topic, request: GroupRead) -> tuple[bool, Reply]:
    """What consumers nearly always ask for, by a short way: new entries, as many as COUNT says, of one partition.

    Where that way ends, nothing was done and the first of the pair is False: somebody left entries behind, COUNT goes
    beyond the partition, the consumer is new, the group is not in all partitions.
    """
    work = topic.groups.get(request.group)
    if work is None or not work.knows(request.consumer, ctx.client.id):
        return False, None
    home = topic.partitions[0].groups.get(request.group)
    consumer = home.consumers.get(request.consumer) if home is not None else None
    if consumer is None:
        return False, None
    for partition in work.readable(request.consumer):
        stream = topic.partitions[partition]
        group = stream.groups.get(request.group)
        if group is None:
            return False, None
        pending = group.pending
        if work.is_ordered and len(pending) != pending.count_of(request.consumer):
            return False, None
        first = unread_from(stream, group)
        if first < stream.end_ordinal:
            ranges = stream.live_ranges(first, stream.end_ordinal, request.count)
            if sum([end - low for low, end in ranges]) != request.count:
                return False, None
            consumer.seen_ms = ctx.now_ms
            reply = reply_of_ranges(stream, ranges, head_of_one(topic.name, ctx.client.protocol))
            hand_over(ctx, stream, group, request, ranges)
            work.served(request.consumer, partition)
            return True, reply
    consumer.seen_ms = ctx.now_ms
    return True, None


def serve_topic(
    ctx: Context, topic: Topic, request: GroupRead, after: StreamId | None, budget: Budget | None
) -> list[Output] | None:
    """What the topic has for the consumer: its history behind ``after``, or else entries that are new to it."""
    work = ctx.group_sessions.group(topic, request.group, ctx.now)
    if topic.is_ordered and ctx.group_sessions.read(work, request.consumer, ctx.client.id):
        ctx.wake(topic.name)
    first = topic.partitions[0]
    see_consumer(ctx, first, first.groups[request.group], request.consumer)
    if after is not None:
        return read_topic_history(ctx, work, request, after, budget)
    if request.claim_ms is not None and not topic.is_ordered:
        return _claim_everywhere(ctx, work, request, budget)
    portions = _portions(ctx, work, request, budget)
    if not portions:
        return None
    for portion in portions:
        portion.hand_over(ctx, request)
    work.served(request.consumer, portions[-1].stream.partition)
    count = sum(portion.count for portion in portions)
    return [b"*%d\r\n" % count, *(piece for portion in portions for piece in portion.entries)]


@attrs.define
class Portion:
    """What one partition gives to a read: entries that others left behind, then new ones; and what goes elsewhere."""

    stream: Stream
    group: Group
    left_behind: list[Part]
    gone: list[list[int]]  #: pending with others, but deleted or trimmed away: they leave the pending list
    new: list[Range]
    entries: list[Output] = attrs.field(factory=list)
    dead: DeadLetters | None = None

    @property
    def count(self) -> int:
        old = sum(end - first for first, end, *_ in self.left_behind)
        return old + sum(end - first for first, end in self.new)

    def hand_over(self, ctx: Context, request: GroupRead) -> None:
        """The entries are the consumer's now."""
        if self.dead is not None:
            self.dead.bury()
        if self.gone:
            self.stream.commit([effects.FORGOTTEN, self.group.name, self.gone])
        if self.left_behind:
            parts = joined(self.left_behind)
            self.stream.commit([effects.ASSIGNED, self.group.name, request.consumer, parts, ctx.now_ms])
            ctx.dirty += sum(end - first for first, end, *_ in self.left_behind)
        if self.new:
            hand_over(ctx, self.stream, self.group, request, self.new)


def _portions(ctx: Context, work: TopicGroup, request: GroupRead, budget: Budget | None) -> list[Portion]:
    """What there is, partition by partition, until COUNT is reached; nothing has changed hands yet.

    A damaged partition does not stand in the way of the others: it is reported when its turn comes to be the first.
    """
    portions: list[Portion] = []
    left = request.count
    for partition in work.readable(request.consumer):
        if left == 0 or (budget is not None and not budget.left):
            break
        stream = work.topic.partitions[partition]
        group = stream.groups.get(work.name)
        if group is None:
            raise NoGroup.of_reader(work.topic.name, work.name)
        try:
            portion = _portion(ctx, stream, group, request, left, budget)
        except StorageError:
            if portions:
                break
            work.served(request.consumer, partition)
            raise
        if portion is not None:
            portions.append(portion)
            if left is not None:
                left -= portion.count
    return portions


def _portion(
    ctx: Context, stream: Stream, group: Group, request: GroupRead, left: int | None, budget: Budget | None
) -> Portion | None:
    assert stream.topic is not None
    pending, consumer = group.pending, request.consumer
    first, end = unread_from(stream, group), stream.end_ordinal
    portion = Portion(stream, group, [], [], [])
    notes: list[bytes] = []  # what CLAIM tells of each entry
    if stream.topic.is_ordered and (len(pending) != pending.count_of(consumer) or request.claim_ms is not None):
        portion.dead = watch(ctx, stream, group)
        _take_left_behind(ctx, portion, request, left, budget, notes)
        if portion.dead is not None:
            portion.dead.load()
        if left is not None:
            left -= portion.count
    if first < end and left != 0:
        portion.new = stream.live_ranges(first, end, left)
        if budget is not None:
            portion.new = budget.cut(stream, portion.new)
    if not portion.count:
        portion.hand_over(ctx, request)
        return None
    ranges = [(low, high) for low, high, *_ in portion.left_behind] + portion.new
    if request.claim_ms is None:
        portion.entries = array_of_ranges(stream, ranges)[1:]
    else:
        notes += [b":0\r\n:0\r\n"] * (portion.count - len(notes))
        payloads = stream.payloads_each(ranges)
        portion.entries = [b"*4%b%b" % (each[2:], note) for each, note in zip(payloads, notes, strict=True)]
    return portion


def _take_left_behind(
    ctx: Context, portion: Portion, request: GroupRead, left: int | None, budget: Budget | None, notes: list[bytes]
) -> None:
    """Put in what is pending with others, and with CLAIM what has been so for long, in order, as far as it fits.

    Where it does not, COUNT or the budget is used up, and nothing new is given before the rest.
    """
    stream, now_ms = portion.stream, ctx.now_ms
    for first, end, owner, time_ms, deliveries in portion.group.pending.stretches():
        idle = max(now_ms - time_ms, 0)
        if owner == request.consumer and (request.claim_ms is None or idle < request.claim_ms):
            continue
        if portion.dead is not None and portion.dead.takes(first, end, owner, deliveries):
            continue
        place = first
        for low, high in stream.live_ranges(first, end):
            if owner != request.consumer and place < low:
                portion.gone.append([place, low])
            place = high
            stop = high if left is None else min(high, low + left)
            if budget is not None:
                stop = sum((b - a for a, b in budget.cut(stream, [(low, stop)])), low)
            if low < stop:
                portion.left_behind.append((low, stop, now_ms, min(deliveries + 1, COUNT_MAX)))
                note = b":%d\r\n:%d\r\n" % (-1 if owner is None else idle, deliveries)
                notes += [note] * (stop - low)
                left = None if left is None else left - (stop - low)
            if stop < high:
                return
        if owner != request.consumer and place < end:
            portion.gone.append([place, end])


def _claim_everywhere(ctx: Context, work: TopicGroup, request: GroupRead, budget: Budget | None) -> list[Output] | None:
    """CLAIM in shared mode: each partition gives what a stream would."""
    left = request.count
    entries: list[Output] = []
    for partition in work.readable(request.consumer):
        if left == 0 or (budget is not None and not budget.left):
            break
        stream = work.topic.partitions[partition]
        part = attrs.evolve(request, count=left)
        given = claim_and_deliver(ctx, stream, stream.groups[work.name], part, budget)
        if given is not None:
            entries += given[1:]
            left = None if left is None else left - len(given) + 1
            work.served(request.consumer, partition)
    return [b"*%d\r\n" % len(entries), *entries] if entries else None


ON_TOPIC: Final[dict[str, TopicHandler]] = {"XREADGROUP": xreadgroup}
