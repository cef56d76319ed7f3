"""Votes look at all logs: this node's are opened some in each tick, and candidates wait until all are."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from respbroker.broker.follower_session import TICK_LISTED
from respbroker.commands.delays import KeylessWait
from respbroker.errors import ReplyError
from respbroker.replication.campaign import Candidacy, Verdict
from respbroker.resp.replies import bulk_array, error
from respbroker.sessions.client import Client, Reply
from storage import StorageError

if TYPE_CHECKING:
    from respbroker.broker.node import Node
    from respbroker.broker.replication import Replication


def lacks_logs(node: Node, replication: Replication) -> bool:
    """Whether to say what this node has takes logs that are not open yet."""
    return replication.state.complete and not node.keyspace.all_open


def open_on(node: Node) -> None:
    """Open some more of them."""
    with contextlib.suppress(StorageError):  # whoever looks at that one is told
        node.keyspace.open_some(TICK_LISTED)


@attrs.frozen(eq=False)
class VoteWait(KeylessWait):
    """One candidate's wait."""

    candidacy: Candidacy

    def timed_out(self, client: Client) -> bytes:
        return error(ReplyError("this server has not looked at all its logs yet: ask again"))


class Voting:
    """Owns the candidates that wait; ``judge`` gives a vote, or not."""

    def __init__(self, node: Node, replication: Replication, judge: Callable[[Candidacy], Verdict]) -> None:
        self._node = node
        self._replication = replication
        self._judge = judge
        self._waiting: dict[Client, VoteWait] = {}

    @property
    def is_looking(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    def ask(self, candidacy: Candidacy) -> Reply:
        """Judge a candidate, at once or when all logs are open.

        Raises:
            ReplyError: it cannot be one.
            StorageError: a log cannot be read, or the vote not be remembered.
        """
        node, replication = self._node, self._replication
        is_ours = candidacy.dataset == replication.state.dataset
        if not is_ours or replication.is_idle or not lacks_logs(node, replication):
            return bulk_array(self._judge(candidacy).words())
        wait = self._waiting[node.client] = VoteWait(candidacy)
        node.block(wait, [], 0)
        return None

    def look(self) -> None:
        """At the end of a tick: open some logs; answer those who wait if these were the last."""
        if not self._waiting:
            return
        open_on(self._node)
        if lacks_logs(self._node, self._replication):
            return
        waiting, self._waiting = self._waiting, {}
        for client, wait in waiting.items():
            if self._node.blocking.is_waiting(client, wait):  # else it is gone
                self._node.unblock(client, self._answer(client, wait.candidacy))

    def _answer(self, client: Client, candidacy: Candidacy) -> bytes:
        node = self._node
        before, node.client = node.client, client
        try:
            return bulk_array(self._judge(candidacy).words())
        except StorageError as problem:
            return error(node.durability.refusal_of(problem))
        except ReplyError as refusal:
            return error(refusal)
        finally:
            node.client = before
