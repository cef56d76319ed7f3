"""Comparing a stream on both sides: the first difference as a sentence, and a digest of what is alike."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import attrs

from respbroker.migration import pages
from respbroker.migration.facts import GroupFacts, Side, StreamFacts, facts_of_both, is_same_expiry
from respbroker.migration.pages import Pace, following
from respbroker.migration.pending import Held
from respbroker.migration.settling import read_pending
from respbroker.migration.turns import Entry, Steps, Turn, done
from respbroker.model.stream_id import MAX, ZERO, StreamId, parse_id
from respbroker.resp.requests import appends
from respbroker.tools.output import count, shown


class Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


@attrs.frozen
class Compared:
    """A stream of both sides. ``difference`` is None where they are alike; ``digest`` is over all IDs and fields."""

    key: bytes
    entries: int
    pending: int
    digest: str
    difference: str | None


def compare(key: bytes, source: Side, target: Side) -> Steps[Compared]:
    """Read all of a stream on both sides, and whatever is pending."""
    here, there = yield from facts_of_both(key, source, target)
    digest: Digest = hashlib.blake2b(digest_size=16)
    if here is None or there is None:
        difference = None if here is there else f"it is not in the {'source' if here is None else 'target'}"
        return Compared(key, 0, 0, digest.hexdigest(), difference)
    difference = next(fact_differences(here, there), None)
    if difference is None:
        difference = yield from _entries(key, digest, Pace.at(here.entry_bytes))
    for group in here.groups:
        if difference is None:
            difference = yield from _pending(key, group.name)
    pending = sum(group.pending for group in here.groups)
    return Compared(key, here.length, pending, digest.hexdigest(), difference)


# -- facts -----------------------------------------------------------------------------------------------------


def fact_differences(source: StreamFacts, target: StreamFacts) -> Iterator[str]:
    """Each in which two streams differ. What a side is too old to tell is passed over."""
    for what, here, there in (
        ("length", source.length, target.length),
        ("first ID", source.first_id, target.first_id),
        ("last-generated-id", source.last_id, target.last_id),
        ("entries-added", source.entries_added, target.entries_added),
        ("max-deleted-entry-id", source.max_deleted_id, target.max_deleted_id),
        ("duration and size of IDMP", source.idmp, target.idmp),
    ):
        if what in ("length", "first ID") or (here is not None and there is not None):
            yield from _unlike(what, here, there)
    if not is_same_expiry(source.expires_ms, target.expires_ms):
        yield from _unlike("time of expiry", source.expires_ms, target.expires_ms)
    yield from _unlike("groups", _names(source.groups), _names(target.groups))
    for group in source.groups:
        other = target.group(group.name)
        if other is not None:
            yield from _group_differences(group, other, source.entries_added is not None)


def _group_differences(source: GroupFacts, target: GroupFacts, counts: bool) -> Iterator[str]:
    group = shown(source.name)
    yield from _unlike(f"last-delivered-id of {group}", source.cursor, target.cursor)
    if counts:
        yield from _unlike(f"entries-read of {group}", source.entries_read, target.entries_read)
    yield from _unlike(f"consumers of {group}", source.consumers, target.consumers)


def _names(groups: Sequence[GroupFacts]) -> tuple[bytes, ...]:
    return tuple(group.name for group in groups)


def _unlike(what: str, here: object, there: object) -> Iterator[str]:
    if here != there:
        yield f"{what}: {_words(here)} in the source, {_words(there)} in the target"


def _words(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, StreamId):
        return bytes(value).decode()
    if isinstance(value, bytes):
        return shown(value)
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_words, value)) + ")"
    return str(value)


# -- entries ---------------------------------------------------------------------------------------------------


def _entries(key: bytes, digest: Digest, pace: Pace) -> Steps[str | None]:
    """Both sides page by page; the next page is asked for while this one is looked at."""
    start = ZERO
    while True:
        reading = pages.read(key, start, MAX, pace.count)
        answer = yield Turn([reading], [reading])
        [here], [there] = done(answer.source, key), done(answer.target, key)
        if here != there:
            return entry_difference(here, there)
        digest.update(appends(b"", here))
        next_start = following(parse_id(here[-1][0])) if len(here) == pace.count else None
        if next_start is None:
            return None
        start, pace = next_start, pace.after(here)


def entry_difference(here: Sequence[Entry], there: Sequence[Entry]) -> str:
    """The first entry in which two pages differ."""
    for (this_id, this), (other_id, other) in zip(here, there, strict=False):
        if this_id != other_id:
            first, side = min((parse_id(this_id), "source"), (parse_id(other_id), "target"))
            return f"the entry {bytes(first).decode()} is only in the {side}"
        if this != other:
            return f"the entry {this_id.decode()} has other fields in the target"
    longer, side = (here, "source") if len(here) > len(there) else (there, "target")
    return f"the entry {longer[min(len(here), len(there))][0].decode()} is only in the {side}"


# -- pending entries -------------------------------------------------------------------------------------------


def _pending(key: bytes, group: bytes) -> Steps[str | None]:
    start: StreamId | None = ZERO
    while start is not None:
        here, there, known = yield from read_pending(key, group, start, MAX)
        for entry_id in sorted(here.keys() | there.keys()):
            this, other = here.get(entry_id), there.get(entry_id)
            if this is None or other is None or not this.is_as(other):
                return f"{bytes(entry_id).decode()} of {shown(group)} is {_state(this)}; in the target {_state(other)}"
        start = following(known)
    return None


def _state(held: Held | None) -> str:
    if held is None:
        return "not pending"
    who = "with nobody" if held.consumer is None else f"with {shown(held.consumer)}"
    return f"pending {who}, {count(held.deliveries, 'delivery')}, the last at {held.time_ms}"
