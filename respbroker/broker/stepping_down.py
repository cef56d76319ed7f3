"""What becomes of the clients of a server that leads no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from respbroker.errors import Unblocked
from respbroker.resp import replies

if TYPE_CHECKING:
    from respbroker.broker.node import Node

#: Sentinels that did not begin a failover themselves find it out from INFO, half a minute later.
SENDS_AWAY_SECONDS: Final = 60.0
_ROLE_CHANGED: Final = "force unblock from blocking operation, instance state changed (master -> replica?)"


def let_go_of_waiters(node: Node) -> None:
    """Clients that wait for what a follower does not do, or in data that may go are told and sent away as by Redis."""
    for client in list(node.clients.values()):
        if client.blocked and not client.lingering:
            node.unblock(client, replies.error(Unblocked(_ROLE_CHANGED)))
            node.close(client)


def send_away(node: Node) -> None:
    """Close all connections, behind what is being sent: another server leads, and many clients look for it only where a
    connection ends. Sentinel ends them with CLIENT KILL, but not at a server that it finds following already. Who waits
    is told nothing: clients ask again where a connection ends, and take UNBLOCKED for a failure of the program's.
    Sentinels name this server for a moment longer: who comes back is sent away again with the first write.
    """
    node.replication.sends_away_until = node.now + SENDS_AWAY_SECONDS
    for client in list(node.clients.values()):
        if not client.replica:
            node.blocking.forget(client)
            node.close(client)
