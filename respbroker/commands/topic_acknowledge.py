"""XACK, XACKDEL and XNACK on a topic of several partitions: each ID tells where its entry is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from respbroker.commands.acknowledge import parse_nack
from respbroker.commands.dead_letters import DeadLetters, watch_fatal
from respbroker.commands.deletes import Deletion, delete_unless_referenced, parse_deletion
from respbroker.commands.topic_acks import gathered, streams_of_ids
from respbroker.commands.topic_groups import part_of, settle
from respbroker.model.stream_id import parse_id
from respbroker.resp import replies
from respbroker.sessions.client import Reply
from respbroker.streams import effects
from respbroker.streams.recent_ids import window_of

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.commands.table import TopicHandler
    from respbroker.streams.stream import Stream
    from respbroker.streams.topic import Topic


def xack(ctx: Context, topic: Topic, words: list[bytes]) -> Reply:
    """How many were acknowledged; none is, if one of the words is no ID."""
    name, texts = words[2], words[3:]
    found: list[tuple[Stream, Sequence[int]]] = []
    streams = streams_of_ids(topic, texts)
    if None in streams:  # such an ID is looked for nowhere, but must be one
        _ = [parse_id(text) for text in texts]
    for stream, places in gathered(streams).items():
        window = stream.recent_ids or window_of(stream)
        its_texts = texts if len(places) == len(texts) else [texts[place] for place in places]
        found.append((stream, window.take(stream, its_texts)))
    removed = 0
    for stream, ordinals in found:
        group = stream.groups.get(name)
        if group is not None:
            removed += stream.acknowledge(group, ordinals)
    if removed:
        ctx.dirty += removed
        settle(ctx, topic, name)
    return replies.integer(removed)


def xackdel(ctx: Context, topic: Topic, words: list[bytes]) -> Reply:
    """As on a stream: 1 and 2 for what was acknowledged and deleted or spared, -1 for what was not pending."""
    deletion = parse_deletion(words, 3)
    if all(words[2] not in stream.groups for stream in topic.partitions):
        return replies.integer_array([-1] * len(deletion.ids))
    outcomes: list[int] = []
    doomed: dict[Stream, dict[int, None]] = {}
    for entry_id in [parse_id(word) for word in deletion.ids]:
        part = part_of(topic, words[2], entry_id)
        ordinal = part[0].find_stored(entry_id) if part is not None else None
        if part is None or ordinal is None or not part[0].acknowledge_one(part[1], ordinal):
            outcomes.append(-1)
            continue
        ctx.dirty += 1
        its_doomed = doomed.setdefault(part[0], {})
        deleted = delete_unless_referenced(part[0], entry_id, ordinal, deletion.policy, its_doomed)
        outcomes.append(1 if deleted else 2)
    for stream, ordinals in doomed.items():
        Deletion.carry_out(ctx, stream, ordinals)
    settle(ctx, topic, words[2])
    return replies.integer_array(outcomes)


def xnack(ctx: Context, topic: Topic, words: list[bytes]) -> Reply:
    """Entries become nobody's; in ordered mode the owner of their partition gets them before anything new."""
    request = parse_nack(words)
    released: dict[Stream, dict[int, int]] = {}  # ordinal to new delivery count, in the order of release
    dead: dict[Stream, DeadLetters | None] = {}
    for entry_id in map(parse_id, request.ids):
        part = part_of(topic, words[2], entry_id)
        ordinal = part[0].find_stored(entry_id) if part is not None else None
        if part is None or ordinal is None:
            continue
        stream, group = part
        deliveries = request.deliveries_of(stream, group, ordinal)
        if deliveries is None:
            continue
        if request.mode == b"FATAL" and stream not in dead:
            dead[stream] = watch_fatal(ctx, stream, group)
        letters = dead.get(stream)
        if letters is not None:
            letters.give_up(ordinal)
        else:
            released.setdefault(stream, {})[ordinal] = request.count(deliveries)
    buried = sum(letters.bury() for letters in dead.values() if letters is not None)
    for stream, counts in released.items():
        stream.commit([effects.RELEASED, words[2], [[ordinal, count] for ordinal, count in counts.items()]])
        ctx.dirty += len(counts)
    if released or buried:
        settle(ctx, topic, words[2])
    if released:
        ctx.wake(topic.name)
    return replies.integer(sum(map(len, released.values())) + buried)


ON_TOPIC: Final[dict[str, TopicHandler]] = {"XACK": xack, "XACKDEL": xackdel, "XNACK": xnack}
