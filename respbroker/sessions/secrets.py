"""Which words of a request are secrets: they are shown to nobody, in no log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

REDACTED: Final = b"(redacted)"

_SECRET_SETTINGS: Final = frozenset({b"requirepass", b"masterauth", b"masteruser"})


def redact(words: Sequence[bytes]) -> list[bytes]:
    """The words with every password replaced."""
    shown = list(words)
    match shown[0].lower():
        case b"auth":
            _hide(shown, 1)
        case b"hello":
            for at, word in enumerate(shown):
                if at >= 2 and word.lower() == b"auth":
                    shown[at + 1 : at + 3] = [REDACTED] * len(shown[at + 1 : at + 3])
                    break
        case b"config" if len(shown) > 2 and shown[1].lower() == b"set":
            for at in range(2, len(shown) - 1, 2):
                if shown[at].lower() in _SECRET_SETTINGS:
                    shown[at + 1] = REDACTED
        case b"acl" if len(shown) > 2 and shown[1].lower() == b"setuser":
            _hide(shown, 2)
        case b"migrate":
            _hide(shown, 6)
    return shown


def _hide(words: list[bytes], first: int) -> None:
    words[first:] = [REDACTED] * len(words[first:])
