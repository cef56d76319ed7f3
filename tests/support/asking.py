"""Asking a node in lines, and replies as plain values.

Bulk and simple strings become str (latin-1), integers int, nulls None, arrays lists, maps dicts; an error is the line
as sent, with its minus sign.
"""

from __future__ import annotations

from typing import Any

import attrs

from respbroker.sessions.client import Client
from tests.support.nodes import NodeUnderTest
from tests.support.wire import Frame, parse

NOTHING = "nothing"  # no reply: the client waits


@attrs.define
class Asker:
    """One client that asks in lines; words are split at blanks, ``""`` is the empty word."""

    node: NodeUnderTest
    client: Client

    def __call__(self, line: str) -> Any:
        return self.value(self.wire(line))

    def wire(self, line: str) -> bytes:
        """The reply as sent."""
        return self.node.run(self.client, *(word if word != '""' else "" for word in line.split()))

    def heard(self) -> Any:
        """What has come since the last reply."""
        return self.value(self.node.output(self.client))

    @staticmethod
    def value(wire: bytes) -> Any:
        return _value(parse(wire)) if wire else NOTHING


def asker(node: NodeUnderTest, protocol: int = 2) -> Asker:
    """A new client of the node."""
    return Asker(node, node.client(protocol))


def fields(flat: list[Any]) -> dict[str, Any]:
    """A flat array of names and values as a dict."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def ids(entries: list[Any] | None) -> list[str]:
    """The IDs of entries."""
    return [entry[0] for entry in entries or []]


def _value(frame: Frame) -> Any:
    if frame.items is not None:
        members = [_value(item) for item in frame.items]
        return fields(members) if frame.kind == b"%" else members
    if frame.text is None or frame.kind == b"_":
        return None
    text = frame.text.decode("latin-1")
    match frame.kind:
        case b":":
            return int(text)
        case b"-":
            return "-" + text
    return text
