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
            _hide_login(shown)
        case b"config" if len(shown) > 2 and shown[1].lower() == b"set":
            for at in range(2, len(shown) - 1, 2):
                if shown[at].lower() in _SECRET_SETTINGS:
                    shown[at + 1] = REDACTED
        case b"acl" if len(shown) > 2 and shown[1].lower() == b"setuser":
            _hide(shown, 2)
    return shown


def _hide_login(words: list[bytes]) -> None:
    """HELLO: what follows AUTH, which may also be the name given by SETNAME."""
    at = 2
    while at < len(words):
        option = words[at].lower()
        if option == b"auth":
            words[at + 1 : at + 3] = [REDACTED] * len(words[at + 1 : at + 3])
        at += {b"auth": 3, b"setname": 2}.get(option, 1)


def _hide(words: list[bytes], first: int) -> None:
    words[first:] = [REDACTED] * len(words[first:])
