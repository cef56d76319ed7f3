"""A follower written from docs/replication.md and docs/log-format.md alone: it keeps the bytes of every log.

It shares no code with the server and knows no stream, group or effect: a follower need not, until it is to lead.
"""

from __future__ import annotations

import struct
from typing import Any

import redis

IN_SYNC, LEVEL = 1, 4
Files = dict[int, bytearray]  # a log's segments, by the offset of each one's first record


class BareFollower:
    """What it has of a leader's data, and the connection to it."""

    def __init__(self, node: str) -> None:
        self.node, self.dataset, self.history = node, b"0" * 40, b"-"
        self.logs: dict[int, Files] = {}
        self.lost: set[int] = set()  #: logs that cannot be read any more
        self.position = self.flags = self._received = 0
        self.wanted, self.verdicts = b"", list[Any]()
        self.kinds: set[bytes] = set()  #: of frames that came

    def connect(self, port: int) -> None:
        """HELLO and LOGS; frames come from then on."""
        self._received = self.flags = 0
        self.connection = redis.Connection(port=port, protocol=2, socket_timeout=20)
        answer = self._ask("HELLO", 4, self.dataset, self.node, self.history, self.position, 1, 0, "", "", 1)
        _, self.dataset, _, self.history, _, self.wanted, *numbers = answer
        if self.wanted == b"fresh":
            self.logs.clear()
        listed = list(map(int, numbers)) if self.wanted == b"some" else list(self.logs)
        self.verdicts = self._ask("LOGS", *(word for number in listed for word in (number, *self._end(number))))
        for kind, number, offset in zip(*[iter(self.verdicts)] * 3, strict=True):
            if kind == b"drop":
                self.logs.pop(int(number), None)
            elif kind != b"anew":
                self._cut(self.logs[int(number)], int(offset))

    def take(self) -> None:
        """The next frame, and the answer to it."""
        kind, *words = self.connection.read_response()
        self.kinds.add(kind)
        if kind == b"copy":
            self.logs[int(words[0])] = {}
            self.lost.discard(int(words[0]))
        elif kind == b"chunk":
            self._append(int(words[0]), words[1] == b"1", words[2])
        elif kind == b"members":
            self.connection.send_command("REPLICATE", "KNOWS", *words[:2])
        elif kind == b"tick":
            for number, begins_segment, batches in zip(*[iter(words[3:])] * 3, strict=True):
                self._append(int(number), begins_segment == b"1", batches)
            self.flags = int(words[2])
            self.position = int(words[0]) if self.flags & LEVEL else 0
        position = self.position if self.flags & LEVEL else 0
        self.connection.send_command("REPLICATE", "ACK", self._received, position, position, 0)

    def _ask(self, *words: object) -> Any:
        self.connection.send_command("REPLICATE", *words)
        return self.connection.read_response()

    def _append(self, number: int, begins_segment: bool, batches: bytes) -> None:
        files = self.logs.setdefault(number, {})
        if begins_segment or not files:
            (first,) = struct.unpack_from("<Q", batches, 16)
            files[first] = bytearray()
        files[max(files)] += batches
        self._received += len(batches)

    def _end(self, number: int) -> tuple[int, int]:
        """Where a log ends, and the epoch of its last batch."""
        last = [(0, 0, 0, 0, 0), *self._batches(self.logs.get(number, {}))][-1]
        return (-1, 0) if number in self.lost else (last[4], last[2])

    def _batches(self, files: Files) -> list[tuple[int, int, int, int, int]]:
        """For each batch its segment, its place there, its epoch, its first offset, its end offset."""
        found = []
        for first in sorted(files):
            at = 0
            while at < len(files[first]):
                size, _, epoch, base = struct.unpack_from("<IIIQ", files[first], at + 4)
                (span,) = struct.unpack_from("<I", files[first], at + 76)
                found.append((first, at, epoch, base, base + span))
                at += size
        return found

    def _cut(self, files: Files, offset: int) -> None:
        for first, at, _, base, _ in reversed(self._batches(files)):
            if base >= offset:
                del files[first][at:]
                if not files[first]:
                    del files[first]
