"""Connections to other servers: which the edge is to make, and who is told what comes of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from respbroker.model.settings import Settings
from respbroker.resp.replies import bulk_array
from respbroker.resp.reply_decoder import ErrorReply
from respbroker.sessions.peer import Peer


def login(settings: Settings) -> list[bytes]:
    """What another server is told first, as wire bytes: AUTH, where servers need a password among themselves."""
    if not settings.masterauth:
        return []
    user = [settings.masteruser.encode()] if settings.masteruser else []
    return [bulk_array([b"AUTH", *user, settings.masterauth.encode()])]


def refused(refusal: ErrorReply) -> str:
    """What another server's refusal means for an operator."""
    if refusal.text.startswith("unknown command"):
        return "it is no respbroker"
    if refusal.code == "NOAUTH" or "unauthenticated" in refusal.text:  # that of words before AUTH
        return "it asks for a password: set masterauth here"
    if refusal.code in ("WRONGPASS", "NOPERM"):
        return f"it refused what masteruser and masterauth say here: {refusal}"
    return f"it refused: {refusal}"


class PeerOwner(Protocol):
    """Who wanted a connection."""

    def connected(self, peer: Peer) -> None: ...
    def received(self, peer: Peer, answers: Sequence[Any], /) -> None: ...
    def lost(self, peer: Peer, reason: str) -> None: ...


class PeerOwners:
    """Owns the list of peers that are wanted, until the edge takes them, and who wanted each."""

    def __init__(self) -> None:
        self._dialled: list[Peer] = []
        self._owners: dict[Peer, PeerOwner] = {}

    def dial(self, peer: Peer, owner: PeerOwner) -> None:
        """Have the edge connect to a peer, and let ``owner`` hear of it."""
        self._dialled.append(peer)
        self._owners[peer] = owner

    def take(self) -> list[Peer]:
        """Peers that the edge is to connect to."""
        dialled, self._dialled = self._dialled, []
        return [peer for peer in dialled if not peer.closing]

    def of(self, peer: Peer, *, forget: bool = False) -> PeerOwner | None:
        """Who wanted the connection; None once nobody does."""
        if peer.closing or forget:
            owner = self._owners.pop(peer, None)
            return None if peer.closing else owner
        return self._owners.get(peer)
