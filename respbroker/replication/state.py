"""What a node remembers of replication over a restart: DIR/replication.

A small file, replaced atomically: JSON with one key a line, so that a person can read it, and a checksum of the lines
above it behind the last one. It is written by nobody but the server.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable
from typing import Any, Final

import attrs

from respbroker.replication.history import NODE, History
from respbroker.replication.membership import Member, Membership, Part, are_members

VERSION: Final = 2
RANDOM_BYTES: Final = 28
NODE_BYTES: Final = 8  # of these, for the node's id
NOTHING_YET: Final = "-"  # as `ReplicationState.boot`
_NODE_OR_NONE: Final = re.compile(rf"({NODE.pattern})?")
_DATASET: Final = re.compile(r"[0-9a-f]{40}")
_CHECKSUM: Final = re.compile(rb'  "crc32": "([0-9a-f]{8})"\n\}\n')


def _matches(pattern: re.Pattern[str], what: str) -> Any:
    def check(_state: Any, attribute: attrs.Attribute[str], value: str) -> None:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError(f"{attribute.name} must be {what}")

    return check


def _is_count(_state: Any, attribute: attrs.Attribute[int], value: int) -> None:
    if type(value) is not int or value < 0:
        raise ValueError(f"{attribute.name} must be a number of at least 0")


def _is_flag(_state: Any, attribute: attrs.Attribute[bool], value: bool) -> None:
    if type(value) is not bool:
        raise ValueError(f"{attribute.name} must be true or false")


def _is_address(_state: Any, attribute: attrs.Attribute[Any], value: tuple[str, int] | None) -> None:
    if value is not None and [type(part) for part in value] != [str, int]:
        raise ValueError(f"{attribute.name} must be a host and a port")


def _are_members(_state: Any, attribute: attrs.Attribute[Any], value: tuple[Member, ...]) -> None:
    if not are_members(value):
        raise ValueError(f"{attribute.name} must be node ids with a host and a port each")


def _members(rows: Iterable[Iterable[Any]]) -> tuple[Member, ...]:
    return tuple(Member(*row) for row in rows)


@attrs.frozen(kw_only=True)
class ReplicationState:
    """The state of one node. Change it by `attrs.evolve`, and write it before anything follows from the change."""

    version: int = attrs.field(default=VERSION, validator=attrs.validators.in_([VERSION]))
    #: What the node's records are a copy of; a follower takes its leader's.
    dataset: str = attrs.field(validator=_matches(_DATASET, "40 hexadecimal digits"))
    #: This node's id, for as long as it has what it ever promised and acknowledged.
    node: str = attrs.field(validator=_matches(NODE, "16 hexadecimal digits"))
    history: History = attrs.field(default=History(), validator=attrs.validators.instance_of(History))
    #: Host and port of whom it follows; None where it leads, or would if the others agreed.
    leader: tuple[str, int] | None = attrs.field(default=None, validator=_is_address)
    #: Its own followers that were in sync, where it led.
    in_sync: tuple[Member, ...] = attrs.field(default=(), converter=_members, validator=_are_members)
    #: Who takes part, in sync or not, itself included: those who are asked for a vote.
    membership: Membership = attrs.field(default=Membership(), validator=attrs.validators.instance_of(Membership))
    promised: int = attrs.field(default=0, validator=_is_count)  #: highest epoch it has agreed to, or followed in
    #: Id of the node that it agreed to follow in that epoch, or its own; empty for none.
    promised_to: str = attrs.field(default="", validator=_matches(_NODE_OR_NONE, "a node id or empty"))
    #: Up to where, in the order of the last epoch of ``history``, everything has been synced; it may have more.
    position: int = attrs.field(default=0, validator=_is_count)
    #: The last epoch in which it led or was level; written before it acknowledges anything as level in that epoch.
    level: int = attrs.field(default=0, validator=_is_count)
    #: False until the first copy of a leader is whole, and while logs that it had removed are copied again.
    complete: bool = attrs.field(default=True, validator=_is_flag)
    #: Of the machine's start in which this server had all that it ever acknowledged; empty after a stop in order.
    #: Or that it lacks some: it has been copying since it had none, or has forgotten what comes again.
    boot: str = attrs.field(default="", validator=attrs.validators.instance_of(str))

    @property
    def others(self) -> tuple[Member, ...]:
        """All other servers that follow, members or not."""
        return tuple(each for each in self.membership.everybody if each.node != self.node)

    @property
    def is_member(self) -> bool:
        """Whether this node has a vote: in every list, or because nobody else ever took part."""
        lists = self.membership.lists
        return not self.membership.members or all(self.node in each for each in lists)

    @classmethod
    def new(cls, random: bytes) -> ReplicationState:
        """Of a node that has met no other; ``random``: 28 bytes for its names."""
        assert len(random) == RANDOM_BYTES
        return cls(dataset=random[:20].hex(), node=random[20:].hex())

    def encode(self) -> bytes:
        values = attrs.asdict(self, recurse=False) | {
            "history": self.history.dump(), "membership": self.membership.dump(),
        }  # fmt: skip
        lines = "".join(f'  "{name}": {json.dumps(value)},\n' for name, value in values.items())
        body = b"{\n" + lines.encode()
        return body + b'  "crc32": "%08x"\n}\n' % zlib.crc32(body)

    @classmethod
    def decode(cls, data: bytes) -> ReplicationState:
        """From what `encode` gave.

        Raises:
            ValueError: what is wrong with it, in words that go on from "the file …".
        """
        values = _read(data)
        if values.get("version") == 1:
            values = _of_version_1(values)
        version = values.get("version")
        if version != VERSION:
            raise ValueError(f"has version {version}, and this server knows version {VERSION}")
        missing = [field.name for field in attrs.fields(cls) if field.name not in values]
        if missing:
            raise ValueError(f"lacks '{missing[0]}'")
        try:
            values["history"] = History.load(values["history"])
            values["membership"] = Membership.load(values["membership"])
            values["leader"] = values["leader"] and tuple(values["leader"])
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise ValueError(f"has a value that cannot be: {error}") from None


def _of_version_1(values: dict[str, Any]) -> dict[str, Any]:
    """It had no lists with a version, but all others that the node had heard of: members of a list older than all."""
    others = values.pop("members", None) or []
    own = [[values.get("node"), "", 0]] if others else []  # its leader, or itself as one, knows where it is
    rows = [[*each, int(Part.BOTH)] for each in (*own, *others)]
    return values | {"version": VERSION, "membership": [0, 0, rows]}


def _read(data: bytes) -> dict[str, Any]:
    """The values under the checksum."""
    end = data.rfind(b'  "crc32"')
    match = _CHECKSUM.fullmatch(data, max(end, 0))
    if match is None:
        raise ValueError("is cut short, or was not written by this server")
    if int(match[1], 16) != zlib.crc32(data[:end]):
        raise ValueError("was damaged or edited: its checksum is another")
    values: dict[str, Any] = json.loads(data)
    del values["crc32"]
    return values
