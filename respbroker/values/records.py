"""What stands in the log for a value: records of a name and what that is now, as entries of two fields.

A key has a *head*, which says of which kind it is, when it expires, its place and, if it is a string, its bytes. Every
member has a record of its own. A record without the second field is a tombstone: the name is gone. So a record says
all there is to know of its name, the last one of each name is enough, and compaction needs to know no more than that.

    k =<key>                        v <kind> <expires_ms> <place> <bytes of a string>
    k <length of key>:<key><member> v <payload>
"""

from __future__ import annotations

import re
from typing import Final

NAME_FIELD: Final = b"k"
PAYLOAD_FIELD: Final = b"v"

_ENTRY: Final = re.compile(rb"\*2\r\n\$\d+\r\n[\d-]+\r\n\*([24])\r\n\$1\r\nk\r\n\$(\d+)\r\n")


def head_name(key: bytes) -> bytes:
    return b"=%b" % key


def member_name(key: bytes, member: bytes) -> bytes:
    return b"%d:%b%b" % (len(key), key, member)


def head_payload(kind: bytes, expires_ms: int, place: int, data: bytes = b"") -> bytes:
    return b"%b %d %d %b" % (kind, expires_ms, place, data)


def words_of(name: bytes, payload: bytes | None) -> list[bytes]:
    """The words of the entry; ``payload`` is None for a tombstone."""
    return [NAME_FIELD, name] if payload is None else [NAME_FIELD, name, PAYLOAD_FIELD, payload]


def parse_entry(entry: bytes) -> tuple[bytes, bytes | None]:
    """Name and payload of a stored entry; no payload if it is a tombstone.

    Raises:
        ValueError: it is no record of a value.
    """
    found = _ENTRY.match(entry)
    if found is None:
        raise ValueError(f"no record of a value: {entry[:60]!r}")
    start = found.end()
    end = start + int(found[2])
    if found[1] == b"2":
        return entry[start:end], None
    payload = entry.index(b"\r\n", end + 10) + 2  # behind \r\n$1\r\nv\r\n and the size
    return entry[start:end], entry[payload:-2]


def parse_name(name: bytes) -> tuple[bytes, bytes | None]:
    """The key, and the member if the record is of one. Raises ValueError."""
    if name[:1] == b"=":
        return name[1:], None
    size, _, rest = name.partition(b":")
    return rest[: int(size)], rest[int(size) :]


def parse_head(payload: bytes) -> tuple[bytes, int, int, bytes]:
    """Kind, expiry, place, bytes. Raises ValueError."""
    kind, expires_ms, place, data = payload.split(b" ", 3)
    return kind, int(expires_ms), int(place), data
