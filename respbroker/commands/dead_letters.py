"""Dead letters: entries delivered too often, or given up for good, go to another topic and are acknowledged.

Every way of delivery that raises delivery counts asks here first. `watch` gives None nearly always, for nobody set
``max.deliveries``:

    dead = dead_letters.watch(ctx, stream, group)
    for first, end, owner, _, deliveries in group.pending.stretches():
        if dead is not None and dead.takes(first, end, owner, deliveries):
            continue  # they are not delivered, not told and not counted
        ...
    if dead is not None:
        dead.bury()  # once the iteration is over; before or after the others are assigned

A letter is the entry with all its fields, and behind them those of `respbroker.model.letters`. It is appended, and its
entry acknowledged, as one (the journal), so that after a crash an entry is either pending or a letter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from respbroker.commands.append import next_id
from respbroker.commands.topic_append import key_of
from respbroker.errors import ReplyError, quoted
from respbroker.model.config_file import encode
from respbroker.model.letters import FATAL, SUFFIX, TOO_OFTEN, Origin
from respbroker.model.stream_id import U64_MAX
from respbroker.model.topic_settings import DEFAULTS
from respbroker.resp.codec import encode_id
from respbroker.resp.entry import decode_entry, with_words
from respbroker.streams.pending import COUNT_MAX
from respbroker.streams.runs import consecutive
from respbroker.streams.topic import Topic

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.model.topic_settings import TopicSettings
    from respbroker.streams.group import Group
    from respbroker.streams.stream import Stream

#: So many letters are enough for one request where COUNT says how much it wants.
ENOUGH: Final = 1000


def watch(ctx: Context, stream: Stream, group: Group) -> DeadLetters | None:
    """For a request that raises delivery counts; None where entries are delivered as often as asked for."""
    return DeadLetters(ctx, stream, group) if stream.settings.max_deliveries else None


def watch_all(ctx: Context, topic: Topic, name: bytes) -> dict[int, DeadLetters]:
    """The same for group ``name`` in each partition of a topic, by their numbers; nothing where nobody set it."""
    if not topic.settings.max_deliveries:
        return {}
    found = ((stream, stream.groups.get(name)) for stream in topic.partitions)
    return {stream.partition: DeadLetters(ctx, stream, group) for stream, group in found if group is not None}


def watch_fatal(ctx: Context, stream: Stream, group: Group) -> DeadLetters | None:
    """For XNACK FATAL; None where that means what it does in Redis."""
    settings = stream.settings
    if not (settings.max_deliveries or settings.dead_letter_topic):
        return None
    dead = DeadLetters(ctx, stream, group)
    return dead if dead.can_send else None


class DeadLetters:
    """The dead letters of one request, from one stream and group."""

    __slots__ = ("_ctx", "_group", "_letters", "_limit", "_payloads", "_resolved", "_stream", "_target")

    def __init__(self, ctx: Context, stream: Stream, group: Group) -> None:
        self._ctx, self._stream, self._group = ctx, stream, group
        self._limit = stream.settings.max_deliveries
        self._letters: dict[int, tuple[bytes | None, int, bytes]] = {}
        self._payloads: dict[int, bytes] = {}
        self._resolved = False
        self._target: Stream | Topic | None = None

    def takes(self, first: int, end: int, owner: bytes | None, deliveries: int, becoming: int | None = None) -> bool:
        """Whether the pending entries ``[first, end)`` are not to be delivered, for that would be once too often.

        ``deliveries`` counts those that were, ``becoming`` those that it would make if not one more.
        """
        if (deliveries + 1 if becoming is None else becoming) <= self._limit or not self.can_send:
            return False
        reason = FATAL if deliveries == COUNT_MAX else TOO_OFTEN
        for ordinal in range(first, end):
            self._letters[ordinal] = owner, deliveries, reason
        return True

    def give_up(self, ordinal: int) -> None:
        """Nobody can handle the entry."""
        owner, _, deliveries = self._group.pending.get(ordinal) or (None, 0, 0)
        self._letters[ordinal] = owner, deliveries, FATAL

    @property
    def is_enough(self) -> bool:
        return len(self._letters) >= ENOUGH

    @property
    def can_send(self) -> bool:
        """Whether there is a topic that takes the letters; it is made if need be.

        If not, entries are delivered as if nothing were set, for they must not be lost; the operator is told.
        """
        if not self._resolved:
            self._target = _target(self._ctx, self._stream)
            self._resolved = True
        return self._target is not None

    def bury(self) -> int:
        """Send the letters and acknowledge their entries; how many entries. Those that are gone are acknowledged."""
        if not self._letters:
            return 0
        self.load()
        if self._payloads:
            self._send()
            self._ctx.keyspace.atomic = True
        ordinals = sorted(self._letters)
        self._stream.acknowledge(self._group, ordinals)
        self._ctx.dirty += len(ordinals)
        self._letters, self._payloads = {}, {}
        return len(ordinals)

    def load(self) -> None:
        """Read what is to be sent. Raises StorageError; nothing has changed then."""
        if self._letters and not self._payloads:
            live = sorted(filter(self._stream.is_live, self._letters))
            self._payloads = dict(zip(live, self._stream.payloads_each(consecutive(live)), strict=True))

    def _send(self) -> None:
        ctx, stream, letters = self._ctx, self._stream, self._payloads
        assert self._target is not None
        keys = [_append(ctx, self._target, payload, self._words(ordinal)) for ordinal, payload in letters.items()]
        for key in dict.fromkeys(keys) if ctx.quiet else keys:
            ctx.changed(key, "xadd", stream.db)
        stream.dead_letters += len(letters)
        ctx.statistics.dead_letters += len(letters)
        origin, target = quoted(_name(stream)), quoted(_name(self._target))
        group = quoted(self._group.name)
        ctx.note(len(letters), f"entries of '{origin}' went to '{target}' as dead letters of group '{group}'")

    def _words(self, ordinal: int) -> list[bytes]:
        stream, group = self._stream, self._group
        owner, deliveries, reason = self._letters[ordinal]
        return Origin(
            topic=_name(stream),
            partition=b"%d" % stream.partition,
            entry_id=b"%d-%d" % stream.id_at(ordinal),
            group=group.name,
            consumer=owner or group.pending.former_owner(ordinal) or b"",
            deliveries=b"%d" % deliveries,
            reason=reason,
        ).words


def topic_of_letters(name: bytes, settings: TopicSettings) -> bytes:
    """Where the dead letters of a topic go."""
    return encode(settings.dead_letter_topic) or name + SUFFIX


def _name(found: Stream | Topic) -> bytes:
    """The key, that of the whole topic for a partition."""
    if isinstance(found, Topic):
        return found.name
    return found.key if found.topic is None else found.topic.name


def _target(ctx: Context, stream: Stream) -> Stream | Topic | None:
    """The topic that takes the letters of ``stream``, made if it does not exist; None if there can be none."""
    db, origin = stream.db, _name(stream)
    name = topic_of_letters(origin, stream.settings)
    try:
        found = ctx.keyspace.find(db, name, ctx.now_ms)
        if found is None:
            ctx.keyspace.create_topic(db, name, 1, DEFAULTS)
            found = ctx.keyspace.find(db, name, ctx.now_ms)
            assert found is not None
        hindrance = _hindrance(ctx, found, db, origin)
    except ReplyError as refusal:
        hindrance = refusal.text
    if hindrance:
        words = f"requests for dead letters of '{quoted(origin)}' were given them, for '{quoted(name)}' cannot take any"
        ctx.note(1, f"{words}: {hindrance}")
        return None
    return found


def _hindrance(ctx: Context, target: Stream | Topic, db: int, origin: bytes) -> str:
    """Why ``target`` cannot take letters of ``origin``: it takes none, or its own letters would come back some day."""
    if target.last_id[0] == U64_MAX:
        return "its IDs are used up"
    seen: set[bytes] = set()
    found: Stream | Topic | None = target
    while found is not None and (name := _name(found)) not in seen:
        if name == origin:
            return "they would come back"
        if not found.settings.max_deliveries:
            break
        seen.add(name)
        found = ctx.keyspace.find(db, topic_of_letters(name, found.settings), ctx.now_ms)
    return ""


def _append(ctx: Context, target: Stream | Topic, payload: bytes, words: list[bytes]) -> bytes:
    """Append a letter; the key of the stream it went to."""
    if isinstance(target, Topic):
        field = target.settings.key_field_bytes
        key = key_of(decode_entry(payload)[1], field) if field else None
        index = target.sticky(ctx.ticks_count) if key is None else target.index_of_key(key)
        target = target.partitions[index]
    entry_id = next_id(target, ctx.now_ms)
    target.append(entry_id, with_words(payload, encode_id(*entry_id), words))
    return target.key
