"""When two servers' replies count as the same: equal bytes, or one of the exceptions listed here with its reason.

Each exception names the exact field it covers; everything else in the reply is still compared byte for byte. The
exceptions are printed into docs/compatibility.md.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence

import attrs

from tests.support.wire import Frame, parse

CLOCK_TOLERANCE_MS = 10_000
NOTHING = b"("  # begins what stands for a reply that did not come

EXCEPTIONS = {
    "clock fields": "idle, inactive, seen-time, active-time and delivery times say when a command ran; "
    "the two servers ran it at different moments. They may differ by 10 seconds, and in nothing else.",
    "time to live": "TTL and PTTL count down, EXPIRETIME and PEXPIRETIME after a relative EXPIRE hold the moment of "
    "that command. They may differ by 10 seconds.",
    "`*` IDs": "XADD with `*` takes its ID from the clock. Two IDs are the same when both lie within 10 seconds of "
    "one another and within an hour of now.",
    "lag": "`lag` is always the exact number of entries after the group's cursor; Redis answers nil, or an estimate "
    "from a counter that the client chose, after deletions or an arbitrary start. Where the numbers differ, the "
    "entries are counted. In a reply inside EXEC, where it is too late for that, a nil is excused, and any number "
    "once the program has said ENTRIESADDED or ENTRIESREAD.",
    "radix tree": "radix-tree-keys and radix-tree-nodes describe Redis' memory; any positive numbers will do.",
    "newer fields": "the idmp fields (Redis 8.6) and nacked-count (8.8) are left out where the other server is older.",
    "order of keys": "KEYS and SCAN give keys in the order of a hash table; they are compared as sets. So are the "
    "fields and values of HGETALL, HKEYS and HVALS.",
    "encodings": "OBJECT ENCODING describes Redis' memory and its history; `int`, `embstr` and `raw` count as one, and "
    "`listpack` as `hashtable` or `skiplist`.",
}

CountAfter = Callable[[bytes, bytes], int | None]  # (key, ID) to the entries above that ID; None: can't say

CLOCK_FIELDS = {b"idle", b"inactive", b"seen-time", b"active-time", b"delivery-time"}
RADIX_FIELDS = {b"radix-tree-keys", b"radix-tree-nodes"}
NEWER_FIELDS = {
    b"idmp-duration",
    b"idmp-maxsize",
    b"pids-tracked",
    b"iids-tracked",
    b"iids-added",
    b"iids-duplicates",
    b"nacked-count",
}
UNORDERED = {b"keys", b"scan", b"hgetall", b"hkeys", b"hvals"}
ENCODINGS = ({b"int", b"embstr", b"raw"}, {b"listpack", b"hashtable"}, {b"listpack", b"skiplist"})
TTL_UNITS_MS = {b"ttl": 1000, b"pttl": 1, b"expiretime": 1000, b"pexpiretime": 1}
CLOCK_ID = re.compile(rb"(\d{13})-\d+")


def same(
    words: Sequence[bytes],
    ours: bytes,
    peers: bytes,
    count_after: CountAfter | None = None,
    *,
    counters_chosen: bool = False,
) -> bool:
    """Whether ``ours`` and ``peers`` answer the request ``words`` alike; ``count_after`` settles disputes on lag.

    ``counters_chosen`` says that Redis may have counted from a number which a client made up.
    """
    if ours == peers:
        return True
    if ours.startswith(NOTHING) or peers.startswith(NOTHING):
        return False
    return _Judge(words, count_after, counters_chosen).same(parse(ours), parse(peers))


@attrs.frozen
class _Judge:
    """Compares two unequal replies to ``words`` in step, knowing under which name each value stands."""

    words: Sequence[bytes]
    count_after: CountAfter | None
    counters_chosen: bool

    def same(self, ours: Frame, peers: Frame) -> bool:
        name = self.words[0].lower()
        if name in TTL_UNITS_MS and ours.kind == peers.kind == b":":
            return ours.integer > 0 < peers.integer and _near(ours, peers, TTL_UNITS_MS[name])
        if name in UNORDERED and ours.items and peers.items:
            ours, peers = _sorted_keys(name, ours), _sorted_keys(name, peers)
        if name == b"object" and ours.text and peers.text:
            return any({ours.text, peers.text} <= encodings for encodings in ENCODINGS)
        return self.alike(ours, peers, b"pending" if name == b"xpending" and len(self.words) > 3 else None)

    def alike(self, ours: Frame, peers: Frame, field: bytes | None) -> bool:
        if ours == peers:
            return True
        if ours.kind != peers.kind:
            return False
        if ours.kind == b":":
            if field in CLOCK_FIELDS:
                return _near(ours, peers, 1)
            return field in RADIX_FIELDS and ours.integer >= 0
        if ours.items is not None and peers.items is not None:
            return self.members_alike(ours, peers, field)
        return ours.kind == b"$" and _both_clock_ids(ours.text, peers.text)

    def members_alike(self, ours: Frame, peers: Frame, field: bytes | None) -> bool:
        mine, theirs = list(ours.items or ()), list(peers.items or ())
        named = _is_fields(ours) and _is_fields(peers)
        if named:
            _drop_newer(mine, theirs)
            self.settle_lag(mine, theirs)
        elif ours.head != peers.head:
            return False
        if len(mine) != len(theirs):
            return False
        fields = [_field_of(mine, place, named, field) for place in range(len(mine))]
        return all(self.alike(a, b, name) for a, b, name in zip(mine, theirs, fields, strict=True))

    def settle_lag(self, mine: list[Frame], theirs: list[Frame]) -> None:
        """Where the lags differ and ours is the true one, take it for both."""
        names = [item.text for item in mine[::2]]
        if self.count_after is None or b"lag" not in names or names != [item.text for item in theirs[::2]]:
            return
        place = names.index(b"lag") * 2 + 1
        cursor = mine[names.index(b"last-delivered-id") * 2 + 1].text or b""
        if mine[place] == theirs[place] or mine[place].kind != b":":
            return
        count = self.count_after(self.words[2], cursor)
        excused = count is None and (theirs[place].kind != b":" or self.counters_chosen)
        if mine[place].integer == count or excused:
            theirs[place] = mine[place]


def _drop_newer(mine: list[Frame], theirs: list[Frame]) -> None:
    known = {item.text for item in theirs[::2]}
    newer = [place for place in range(0, len(mine), 2) if mine[place].text in NEWER_FIELDS - known]
    for place in reversed(newer):
        del mine[place : place + 2]


def _field_of(items: list[Frame], place: int, named: bool, above: bytes | None) -> bytes | None:
    """The name under which a member stands. Pending entries are ``[id, (consumer,) time, count]``."""
    if named:
        return items[place - 1].text if place % 2 else None
    if above == b"pending":
        return b"pending entry"
    if above == b"pending entry" and place == len(items) - 2:
        return b"delivery-time"
    return None


def _is_fields(frame: Frame) -> bool:
    """A map, or a flat array whose even members are field names, as RESP2 gives them."""
    if frame.kind == b"%":
        return True
    items = frame.items or ()
    names = {b"name", b"length"}
    return frame.kind == b"*" and len(items) >= 4 and len(items) % 2 == 0 and items[0].text in names


def _near(ours: Frame, peers: Frame, unit_ms: int) -> bool:
    return abs(ours.integer - peers.integer) * unit_ms <= CLOCK_TOLERANCE_MS


def _both_clock_ids(ours: bytes | None, peers: bytes | None) -> bool:
    a, b = CLOCK_ID.fullmatch(ours or b""), CLOCK_ID.fullmatch(peers or b"")
    if not a or not b:
        return False
    now = time.time() * 1000
    first, second = int(a[1]), int(b[1])
    return abs(first - second) <= CLOCK_TOLERANCE_MS and abs(first - now) < 3_600_000


def _sorted_keys(name: bytes, frame: Frame) -> Frame:
    items = frame.items or ()
    if name == b"scan":
        return attrs.evolve(frame, items=(items[0], _sorted_keys(b"keys", items[1])))
    if name == b"hgetall":
        pairs = sorted(zip(items[::2], items[1::2], strict=True), key=lambda pair: pair[0].text or b"")
        return attrs.evolve(frame, items=tuple(item for pair in pairs for item in pair))
    return attrs.evolve(frame, items=tuple(sorted(items, key=lambda item: item.text or b"")))
