"""The scripts that clients have sent, by the digest under which EVALSHA asks for them. Forgotten at a restart."""

from __future__ import annotations

from hashlib import sha1
from typing import Final

import attrs

#: More are not kept: the one that was sent first goes.
SCRIPTS_MAX: Final = 500
DIGEST_SIZE: Final = 40


@attrs.define(eq=False)
class Scripts:
    """Owns the texts; only those are given to it that this server carries out."""

    _texts: dict[bytes, bytes] = attrs.field(factory=dict)

    def __len__(self) -> int:
        return len(self._texts)

    def load(self, text: bytes) -> bytes:
        """Keep a script; its digest."""
        digest = digest_of(text)
        if digest not in self._texts and len(self) >= SCRIPTS_MAX:
            del self._texts[next(iter(self._texts))]
        self._texts[digest] = text
        return digest

    def find(self, digest: bytes) -> bytes | None:
        """The script of that digest, written in any case."""
        return self._texts.get(digest.lower())

    def flush(self) -> None:
        """Forget them all."""
        self._texts.clear()


def digest_of(text: bytes) -> bytes:
    """SHA1 in lower-case hexadecimal, which names a script (and protects nothing)."""
    return sha1(text, usedforsecurity=False).hexdigest().encode()
