"""Copying a stretch of one stream: its entries under their own IDs, and with each page what of it is pending.

An entry that is pending may be gone from the stream (trimmed, deleted). A server takes a pending entry only while it
is in the stream, so a stand-in is added in its place, claimed, and removed again; this can only be done in the order of
IDs, on the way. What is missing is known from reading first the entries of a range, then what is pending in it: what
is read in between can be no gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import attrs

from respbroker.migration import pages, pending
from respbroker.migration.facts import milliseconds
from respbroker.migration.pages import Pace, following
from respbroker.migration.pending import Held, Pending
from respbroker.migration.turns import Entry, Request, Steps, Turn, done
from respbroker.model.stream_id import StreamId, parse_id

STAND_IN: Final[list[bytes]] = [b"", b""]


@attrs.frozen
class Stretch:
    """What is to be copied: the entries of ``key`` from ``start`` to ``end``, both included, and what of it is pending.

    ``is_front`` means that the source has no entry before it.
    """

    key: bytes
    start: StreamId
    end: StreamId
    groups: Sequence[bytes]
    pace: Pace
    is_front: bool
    knows_nack: bool


def copy(stretch: Stretch) -> Steps[None]:
    return _with_pending(stretch) if stretch.groups else _entries_alone(stretch)


def _entries_alone(stretch: Stretch) -> Steps[None]:
    """Each turn writes one page and reads the next."""
    key, start, pace = stretch.key, stretch.start, stretch.pace
    answer = yield Turn([pages.read(key, start, stretch.end, pace.count)])
    while True:
        [page] = done(answer.source, key)
        following_id = following(parse_id(page[-1][0])) if len(page) == pace.count else None
        if following_id is None or following_id > stretch.end:
            yield Turn(key=key, entries=page)
            return
        pace = pace.after(page)
        answer = yield Turn([pages.read(key, following_id, stretch.end, pace.count)], key=key, entries=page)


@attrs.frozen
class _Page:
    """Entries that were read, and the ID up to which there are no others."""

    entries: list[Entry]
    end: StreamId


def _with_pending(stretch: Stretch) -> Steps[None]:
    """Each turn writes one page with what is pending of it, asks what is pending of the next, reads the one behind.

    Where more is pending than one reply tells, a page is written in pieces.
    """
    key, start, pace, is_front = stretch.key, stretch.start, stretch.pace, stretch.is_front
    answer = yield Turn([pages.read(key, start, stretch.end, pace.count)])
    page: _Page | None = _page(done(answer.source, key)[0], pace, stretch)
    ahead: _Page | None = None
    writing = Turn()
    while page is not None:
        asked = [pending.read(key, group, start, page.end) for group in stretch.groups]
        reading: list[Request] = []
        if ahead is None and page.end < stretch.end:
            pace = pace.after(page.entries)
            reading = [pages.read(key, _after(page.end), stretch.end, pace.count)]
        answer = yield attrs.evolve(writing, source=[(b"TIME",), *asked, *reading])
        done(answer.target, key)
        if reading:
            ahead = _page(done(answer.source[-1:], key)[0], pace, stretch)
        held = [pending.parse(reply, milliseconds(answer.source[0])) for reply in answer.source[1 : 1 + len(asked)]]
        piece, rest = _cut(page, held)
        writing = _writing(stretch, piece.entries, [_up_to(each, piece.end) for each in held], is_front)
        is_front = is_front and not piece.entries
        page, ahead = (ahead, None) if rest is None else (rest, ahead)
        start = start if page is None else _after(piece.end)
    done((yield writing).target, key)


def _after(entry_id: StreamId) -> StreamId:
    found = following(entry_id)
    assert found is not None, "a page ends before its stretch does"
    return found


def _page(entries: list[Entry], pace: Pace, stretch: Stretch) -> _Page:
    return _Page(entries, parse_id(entries[-1][0]) if len(entries) == pace.count else stretch.end)


def _cut(page: _Page, held: Sequence[Pending]) -> tuple[_Page, _Page | None]:
    """The part of a page of which all that is pending is known, and the rest if there is one."""
    end = min([page.end, *(max(each) for each in held if len(each) >= pending.COUNT)])
    if end == page.end:
        return page, None
    size = sum(parse_id(entry_id) <= end for entry_id, _ in page.entries)
    return _Page(page.entries[:size], end), _Page(page.entries[size:], page.end)


def _up_to(held: Pending, end: StreamId) -> dict[StreamId, Held]:
    return {entry_id: each for entry_id, each in held.items() if entry_id <= end}


def _writing(stretch: Stretch, entries: list[Entry], held: Sequence[Pending], is_front: bool) -> Turn:
    """A piece for the target: entries and stand-ins, then claims, then the stand-ins out again."""
    key = stretch.key
    requests: list[Request] = []
    for group, each in zip(stretch.groups, held, strict=True):
        requests += pending.claims(key, group, each, stretch.knows_nack)
    there = {parse_id(entry_id) for entry_id, _ in entries}
    missing = sorted(set().union(*held) - there)
    if missing:
        first = min(there, default=None) if is_front else missing[0]
        before = [entry_id for entry_id in missing if first is None or entry_id < first]
        within = [bytes(entry_id) for entry_id in missing[len(before) :]]
        if before:  # trimmed, for the source did not delete them one by one: max-deleted-entry-id stays as it is
            requests.append((b"XTRIM", key, b"MINID", bytes(_after(before[-1]))))
        if within:
            requests.append((b"XDEL", key, *within))
        entries = sorted(entries + [[bytes(entry_id), STAND_IN] for entry_id in missing], key=_id)
    return Turn(target=requests, key=key, entries=entries, stand_ins=len(missing))


def _id(entry: list[Any]) -> StreamId:
    return parse_id(entry[0])
