"""Making a stream's state in the target what it is in the source, once its entries are copied."""

from __future__ import annotations

from collections.abc import Sequence

from respbroker.migration import pages, pending
from respbroker.migration.facts import GroupFacts, Side, StreamFacts, is_same_expiry, milliseconds
from respbroker.migration.pages import Pace, following
from respbroker.migration.pending import Pending
from respbroker.migration.turns import Entry, Request, Steps, Turn, done
from respbroker.model.stream_id import MAX, ZERO, StreamId, parse_id


def settle(key: bytes, source: StreamFacts, target: StreamFacts | None, side: Side) -> Steps[int]:
    """All but the entries that are to be added. How many pending entries the target did not take.

    ``target`` is what was there before, ``side`` the target's server. Pending entries come first: the target takes
    those only of which it still has the entry.
    """
    yield from _agreed(key, group_requests(key, source, target))
    lost = 0
    for group in source.groups:
        before = target.group(group.name) if target else None
        if group.pending or (before and before.pending):
            lost += yield from settle_pending(key, group.name, source.last_id, side)
    yield from _agreed(key, consumers_to_delete(key, source, target))
    yield from settle_deletions(key, source)
    yield from _agreed(key, final_requests(key, source, target, side))
    return lost


def _agreed(key: bytes, requests: Sequence[Request]) -> Steps[None]:
    if requests:
        done((yield Turn(target=requests)).target, key)


# -- groups ----------------------------------------------------------------------------------------------------


def creation(key: bytes, source: StreamFacts, target: StreamFacts | None) -> list[Request]:
    """The groups that the target has not; an empty stream without groups by way of a group that goes again."""
    missing = [group.name for group in source.groups if target is None or target.group(group.name) is None]
    requests: list[Request] = [(b"XGROUP", b"CREATE", key, name, 0, b"MKSTREAM") for name in missing]
    if target is None and not source.length and not source.groups:
        requests = [(b"XGROUP", b"CREATE", key, b"-", 0, b"MKSTREAM"), (b"XGROUP", b"DESTROY", key, b"-")]
    return requests


def group_requests(key: bytes, source: StreamFacts, target: StreamFacts | None) -> list[Request]:
    """Groups that are no more, and consumers that are new."""
    before = target.groups if target else ()
    requests: list[Request] = [
        (b"XGROUP", b"DESTROY", key, group.name) for group in before if source.group(group.name) is None
    ]
    for group in source.groups:
        known = _consumers(target.group(group.name) if target else None)
        requests += [
            (b"XGROUP", b"CREATECONSUMER", key, group.name, name) for name in _consumers(group) if name not in known
        ]
    return requests


def consumers_to_delete(key: bytes, source: StreamFacts, target: StreamFacts | None) -> list[Request]:
    """Only once nothing of theirs is pending any more: it would go with them."""
    requests: list[Request] = []
    for group in source.groups:
        kept = _consumers(group)
        requests += [
            (b"XGROUP", b"DELCONSUMER", key, group.name, name)
            for name in _consumers(target.group(group.name) if target else None)
            if name not in kept
        ]
    return requests


def _consumers(group: GroupFacts | None) -> list[bytes]:
    return [name for name, _ in group.consumers] if group else []


# -- pending entries -------------------------------------------------------------------------------------------


def settle_pending(key: bytes, group: bytes, end: StreamId, side: Side) -> Steps[int]:
    """Compare what is pending piece by piece, and claim and acknowledge the differences; how many were not taken."""
    start: StreamId | None = ZERO
    lost = 0
    while start is not None:
        here, there, known = yield from read_pending(key, group, start, end)
        claims, acknowledged = pending.differences(here, there)
        claiming = pending.claims(key, group, claims, b"xnack" in side.commands)
        acknowledging: list[Request] = [(b"XACK", key, group, *map(bytes, acknowledged))] if acknowledged else []
        if claiming or acknowledging:
            replies = done((yield Turn(target=[*claiming, *acknowledging])).target, key)
            lost += len(claims) - pending.taken(replies[: len(claiming)])
        start = following(known)
    return lost


def read_pending(key: bytes, group: bytes, start: StreamId, end: StreamId) -> Steps[tuple[Pending, Pending, StreamId]]:
    """What is pending on both sides from an ID on, as far as both replies tell, and up to which ID that is.

    Of the source nothing behind ``end`` is asked for: it is not copied yet.
    """
    answer = yield Turn(
        [(b"TIME",), pending.read(key, group, start, end)], [(b"TIME",), pending.read(key, group, start, MAX)]
    )
    both = [pending.parse(reply, milliseconds(time)) for time, reply in (answer.source, answer.target)]
    known = min([MAX, *(max(held) for held in both if len(held) >= pending.COUNT)])
    here, there = ({entry_id: each for entry_id, each in held.items() if entry_id <= known} for held in both)
    return here, there, known


# -- deletions ---------------------------------------------------------------------------------------------------


def settle_deletions(key: bytes, source: StreamFacts) -> Steps[None]:
    """Take out of the target what is not in the source any more.

    The front goes by one XTRIM. If the target then still has more entries, both are read from the front until as many
    were found as it has too many.
    """
    first = source.first_id or following(source.last_id)
    trim: Request = (b"XTRIM", key, b"MINID", bytes(first)) if first else (b"XTRIM", key, b"MAXLEN", 0)
    _, length = done((yield Turn(target=[trim, (b"XLEN", key)])).target, key)
    excess = length - source.length
    start, pace = source.first_id, Pace.at(source.entry_bytes)
    while excess > 0 and start is not None:
        reading = pages.read(key, start, source.last_id, pace.count)
        answer = yield Turn([reading], [reading])
        [here], [there] = done(answer.source, key), done(answer.target, key)
        known = min([MAX, *(parse_id(page[-1][0]) for page in (here, there) if len(page) == pace.count)])
        gone = missing_ids(here, there, known)
        if gone:
            done((yield Turn(target=[(b"XDEL", key, *gone)])).target, key)
        excess -= len(gone)
        start, pace = following(known), pace.after(here or there)


def missing_ids(here: Sequence[Entry], there: Sequence[Entry], end: StreamId) -> list[bytes]:
    """The IDs up to ``end`` that are there, in the target, and not here."""
    kept = {entry_id for entry_id, _ in here}
    return [entry_id for entry_id, _ in there if entry_id not in kept and parse_id(entry_id) <= end]


# -- counters ----------------------------------------------------------------------------------------------------


def final_requests(key: bytes, source: StreamFacts, target: StreamFacts | None, side: Side) -> list[Request]:
    """Counters before the groups' positions, which may not be beyond them; then settings and expiry."""
    counters: list[bytes | int] = []
    if source.entries_added is not None and source.max_deleted_id is not None:
        counters = [b"ENTRIESADDED", source.entries_added, b"MAXDELETEDID", bytes(source.max_deleted_id)]
    requests: list[Request] = [(b"XSETID", key, bytes(source.last_id), *counters)]
    requests += [_position(key, group) for group in source.groups]
    if source.idmp and b"xcfgset" in side.commands and not (target and target.idmp == source.idmp):
        requests.append((b"XCFGSET", key, b"IDMP-DURATION", source.idmp[0], b"IDMP-MAXSIZE", source.idmp[1]))
    requests += expiry(key, source.expires_ms, target.expires_ms if target else None)
    return requests


def _position(key: bytes, group: GroupFacts) -> Request:
    read = () if group.entries_read is None else (b"ENTRIESREAD", group.entries_read)
    return (b"XGROUP", b"SETID", key, group.name, bytes(group.cursor), *read)


def expiry(key: bytes, source_ms: int | None, target_ms: int | None) -> list[Request]:
    if is_same_expiry(source_ms, target_ms):
        return []
    return [(b"PERSIST", key)] if source_ms is None else [(b"PEXPIREAT", key, source_ms)]
