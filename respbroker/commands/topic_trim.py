"""XTRIM of a topic of several partitions, and what XADD trims of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from respbroker.commands.trim_options import parse_trim
from respbroker.resp import replies
from respbroker.streams.topic_trimming import trim_topic

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.sessions.client import Reply
    from respbroker.streams.topic import Topic
    from respbroker.streams.trimming import Trim


def xtrim_of_topic(ctx: Context, topic: Topic, words: list[bytes]) -> Reply:
    trim = parse_trim(words, ctx.settings.stream_node_max_entries)
    return replies.integer(carry_out_trim(ctx, topic, trim))


def carry_out_trim(ctx: Context, topic: Topic, trim: Trim) -> int:
    """Trim the topic as XADD or XTRIM ask for it; how many entries went."""
    lost = trim_topic(topic, trim, ctx.settings.stream_node_max_entries)
    for stream, _ in lost:
        ctx.changed(stream.key, "xtrim")
    if len(lost) > 1:
        ctx.dirty -= len(lost) - 1  # one change
    return sum(count for _, count in lost)
