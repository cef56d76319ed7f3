"""REPLICATE FORGET: operators who wait until a server that is gone takes part no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from respbroker.commands.delays import KeylessWait
from respbroker.errors import ReplyError
from respbroker.resp.replies import OK, error
from respbroker.sessions.client import Client, Reply

if TYPE_CHECKING:
    from respbroker.broker.leading import Leading
    from respbroker.broker.node import Node
    from respbroker.broker.replication import Replication
    from respbroker.replication.membership import Member

PATIENCE_MS: Final = 10_000
Address = tuple[str, int]


@attrs.frozen(eq=False)
class ForgetWait(KeylessWait):
    """One operator's wait."""

    replication: Replication
    leading: Leading
    member: Member

    def reply(self) -> bytes | None:
        """What it came to; None as long as it may still come to something."""
        if self.replication.leading is not self.leading:
            return error(ReplyError("another leadership has begun meanwhile: ask its leader again"))
        if self.replication.state.membership.find(self.member.node) is None:
            return OK
        if not self.leading.changes.is_leaving(self.member.node):
            return error(ReplyError(f"{self.member.address} has come back, and stays a member"))
        return None

    def timed_out(self, client: Client) -> bytes:
        waits_for = self.leading.changes.waits_for or "this server has not begun with it, its log says why"
        return error(ReplyError(f"not yet: {waits_for}. It is done when that is so"))


class Forgetting:
    """Owns the operators that wait."""

    def __init__(self, node: Node, replication: Replication) -> None:
        self._node = node
        self._replication = replication
        self._waiting: dict[Client, ForgetWait] = {}

    def begin(self, leading: Leading, who: str | Address) -> Reply:
        """Take a server out, by its node id or its address; answered when that is done.

        Raises:
            ReplyError: there is none, or it cannot be.
        """
        client = self._node.client
        member = self._find(who)
        leading.changes.forget(member.node)
        wait = ForgetWait(self._replication, leading, member)
        self._node.block(wait, [], PATIENCE_MS)
        self._waiting[client] = wait
        return None

    def _find(self, who: str | Address) -> Member:
        state = self._replication.state
        found = [each for each in state.others if who in (each.node, (each.host, each.port))]
        if len(found) > 1:  # the one that is gone, and the one that is to take its place
            names = " and ".join(each.node for each in found)
            raise ReplyError(f"Ambiguous: {found[0].address} is the address of {names}. Name one of these instead")
        if found:
            return found[0]
        here = self._node.client.local_address.rpartition(":")[0], self._replication.announced[1]
        if who in (state.node, self._replication.announced, here):
            raise ReplyError("I tried hard but I can't forget myself...")
        raise ReplyError(f"Unknown node {who if isinstance(who, str) else ':'.join(map(str, who))}")

    @property
    def awaits_some(self) -> bool:
        """Whether a client waits for a member to be forgotten."""
        return bool(self._waiting)

    def look(self) -> None:
        """At the end of a tick: answer those whose wait is over."""
        for client, wait in list(self._waiting.items()):
            reply = wait.reply()
            if not self._node.blocking.is_waiting(client, wait):  # its time was over, or it is gone
                del self._waiting[client]
            elif reply is not None:
                del self._waiting[client]
                self._node.unblock(client, reply)
