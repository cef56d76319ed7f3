"""Which part a node plays when it starts, and what it does as long as there is no room to write that down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from respbroker.broker.canvass import Canvass
from respbroker.broker.following import Following
from storage import DiskFull

if TYPE_CHECKING:
    from respbroker.broker.node import Node
    from respbroker.broker.replication import Replication
    from respbroker.broker.replication_store import ReplicationStore


def begin(node: Node, replication: Replication, store: ReplicationStore) -> None:
    """The keyspace is open: take the part that was played before, or that the settings ask for."""
    replication.unproven = replication.is_remembered
    try:
        _take_part(node, replication, store)
    except DiskFull as error:
        _wait(node, replication, store)
        waits = "until there is room this server follows nobody, agrees to no leader and takes no write"
        node.housekeeping.report("warning", f"{error}: {waits}")
        if replication.unconfirmed:
            node.durability.refuse_writes(error)
        replication.wish(lambda: _take_part(node, replication, store))


def _take_part(node: Node, replication: Replication, store: ReplicationStore) -> None:
    replication.begin_run()
    state = replication.state
    if not replication.is_remembered:
        if node.settings.replicaof:
            replication.follow_anew(*node.settings.replicaof, told=True)
    elif state.leader is not None:
        replication.follow_anew(*state.leader)
    elif store.begins_unconfirmed(node.settings.min_insync_replicas):
        replication.unconfirmed = True
        replication.adopt_role()
        replication.canvass = Canvass(node, replication, confirm=True)
    else:
        replication.lead(replication.next_epoch())


def _wait(node: Node, replication: Replication, store: ReplicationStore) -> None:
    """The part is not begun. What is here of a leader that would ask nobody may be read."""
    leader = replication.state.leader
    if leader is not None:
        replication.following = Following(node, replication, *leader)
        replication.following.stopped = True
    else:
        replication.unconfirmed = True
        if store.begins_leading(node.settings.replicaof, node.settings.min_insync_replicas):
            replication.unproven = False
    replication.adopt_role()
