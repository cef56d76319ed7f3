"""XADD's IDMP and IDMPAUTO: the same entry sent twice is added once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from respbroker.commands.arguments import Arguments
from respbroker.errors import ReplyError
from respbroker.streams import effects
from respbroker.streams.idmp import idempotent_id_of

if TYPE_CHECKING:
    from respbroker.streams.stream import Id, Stream


@attrs.frozen
class Idempotency:
    """Who produces, and the entry's name to it; None until the fields it is a digest of are known (IDMPAUTO)."""

    producer: bytes
    idempotent_id: bytes | None

    def of_fields(self, fields: list[bytes]) -> Idempotency:
        """With the digest of the fields, where the client gave no name."""
        if self.idempotent_id is not None:
            return self
        return Idempotency(self.producer, idempotent_id_of(fields))

    def find(self, stream: Stream, now_ms: int) -> Id | None:
        """The ID of the entry added earlier under this name, as long as it is remembered."""
        assert self.idempotent_id is not None
        known = stream.idmp.lookup(self.producer, self.idempotent_id, now_ms)
        if known is not None:
            stream.idmp.count_duplicate()
        return known

    def record(self, stream: Stream, entry_id: Id, now_ms: int) -> None:
        """Remember the entry just added."""
        stream.commit([effects.IDMP_RECORDED, self.producer, self.idempotent_id, *entry_id, now_ms])


def take_idempotency(option: bytes, arguments: Arguments, earlier: Idempotency | None) -> Idempotency:
    """Read what follows IDMP or IDMPAUTO."""
    if earlier is not None:
        raise ReplyError("syntax error, IDMP/IDMPAUTO specified multiple times")
    producer = arguments.value()
    if not producer:
        raise ReplyError(f"syntax error, {option.decode()} requires a non-empty producer ID")
    if option == b"IDMPAUTO":
        return Idempotency(producer, None)
    idempotent_id = arguments.value()
    if not idempotent_id:
        raise ReplyError("syntax error, IDMP requires a non-empty idempotent ID")
    return Idempotency(producer, idempotent_id)
