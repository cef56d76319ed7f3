"""Acknowledging on a topic of several partitions with as little work for an ID as can be: which partition it tells."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

from respbroker.commands.topic_groups import settle
from respbroker.errors import InvalidStreamId
from respbroker.model.stream_id import parse_id
from respbroker.resp import replies
from respbroker.sessions.client import Reply
from respbroker.streams.recent_ids import window_of
from respbroker.streams.stream_entries import ZERO
from respbroker.streams.topic import STRIDE

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.streams.stream import Stream
    from respbroker.streams.topic import Topic

_REPLIES: Final = (replies.ZERO, replies.ONE)


def streams_of_ids(topic: Topic, texts: list[bytes]) -> list[Stream | None]:
    """The partition that each ID tells; None where the topic has no such partition. Raises InvalidStreamId."""
    words = b"-".join(texts).split(b"-")
    if topic.plain_until == ZERO and len(words) == 2 * len(texts):
        try:
            indexes = [int(word) % STRIDE for word in words[1::2]]  # whether it is an ID is seen when it is looked for
        except ValueError:
            pass
        else:
            partitions, count = topic.partitions, len(topic.partitions)
            return [partitions[index] if index < count else None for index in indexes]
    return [topic.partition_of(parse_id(text)) for text in texts]


def gathered(streams: Sequence[Stream | None]) -> dict[Stream, list[int]]:
    """The places of each stream in ``streams``."""
    places: dict[Stream, list[int]] = {}
    for place, stream in enumerate(streams):
        if stream is not None:
            found = places.get(stream)
            if found is None:
                places[stream] = [place]
            else:
                found.append(place)
    return places


def run_on_topic(ctx: Context, topic: Topic, requests: list[list[bytes]], start: int, out: list[Reply]) -> int:
    """Neighbouring ``XACK topic group id`` of one group; see `respbroker.commands.table.RunHandler`."""
    head = requests[start][:3]
    texts = []
    for words in islice(requests, start, None):
        if len(words) != 4 or words[:3] != head:
            break
        texts.append(words[3])
    if len(texts) < 2:
        return 0
    try:
        places = gathered(streams_of_ids(topic, texts))
    except InvalidStreamId:  # each is told by itself
        return 0
    found = []
    for stream, its_places in places.items():
        group = stream.groups.get(head[2])
        window = stream.recent_ids or window_of(stream)
        ordinals = window.each(stream, [texts[place] for place in its_places])
        if group is None or len(ordinals) != len(its_places):  # the same
            return 0
        found.append((stream, group, ordinals, its_places))
    answers = [0] * len(texts)
    for stream, group, ordinals, its_places in found:
        for place, removed in zip(its_places, stream.acknowledge_each(group, ordinals), strict=True):
            answers[place] = removed
    ctx.dirty += sum(answers)
    settle(ctx, topic, head[2])
    out.extend([_REPLIES[answer] for answer in answers])
    return len(answers)
