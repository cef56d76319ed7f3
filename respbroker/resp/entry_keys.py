"""The keys of stored entries, many at a time: what a compaction asks of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from respbroker.resp.entry import decode_entry


class EntryKeys:
    """From payloads to keys: the value of the first field of a given name, or None.

    An entry that has that field and nothing else is a tombstone. Most entries have the field in front, and there the
    key is found without looking at the rest.
    """

    def __init__(self, field: bytes) -> None:
        self.field = field
        in_front = rb"\*2\r\n\$\d+\r\n\d+-\d+\r\n\*(\d+)\r\n\$%d\r\n%b\r\n\$(\d+)\r\n" % (len(field), re.escape(field))
        self._match = re.compile(in_front).match

    def __call__(self, payload: memoryview, ends: Sequence[int]) -> tuple[list[bytes | None], list[int]]:
        """Key of each entry, and the places of the tombstones; ``ends`` says where each entry ends."""
        raw, match = bytes(payload), self._match
        keys: list[bytes | None] = []
        tombstones: list[int] = []
        start = 0
        for end in ends:
            found = match(raw, start, end)
            if found is None:
                keys.append(self._look_for(raw[start:end], len(keys), tombstones))
            else:
                words, size = found.groups()
                if words == b"2":
                    tombstones.append(len(keys))
                start = found.end()
                keys.append(raw[start : start + int(size)])
            start = end
        return keys, tombstones

    def _look_for(self, payload: bytes, place: int, tombstones: list[int]) -> bytes | None:
        try:
            _, words = decode_entry(payload)
        except ValueError:  # of an entry that is gone nothing may be left
            return None
        names = words[::2]
        if self.field not in names:
            return None
        if len(words) == 2:
            tombstones.append(place)
        return words[2 * names.index(self.field) + 1]
