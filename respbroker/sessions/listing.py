"""A client as CLIENT LIST tells of it: one line of ``name=value`` pairs, the same names and order as Redis'.

Numbers are true or zero: what Redis measures in its own buffers and has no counterpart here (``rbs``, ``qbuf-free``,
``argv-mem``, …) is zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from respbroker.sessions.client import Client

#: Bytes of a connection with nothing to say and nothing to hear (the object, its containers and its decoder); measured.
IDLE_SIZE: Final = 2048


def client_class(client: Client) -> str:
    """Which of Redis' classes of clients it belongs to. A leader is no client here: a follower dials it."""
    if client.replica:
        return "replica"
    return "pubsub" if client.subscribed else "normal"


def flags_of(client: Client) -> str:
    """One letter for each state, in Redis' order; ``N`` for none."""
    flags = (
        ("O" if client.monitor else "")
        + ("S" if client.replica else "")
        + ("P" if client.subscribed else "")
        + ("x" if client.transaction is not None else "")
        + ("b" if client.blocked else "")
        + ("d" if client.watch_broken else "")
        + ("A" if client.kill else "c" if client.closing else "")
        + ("r" if client.readonly else "")
        + ("e" if client.no_evict else "")
        + ("T" if client.no_touch else "")
    )
    return flags or "N"


def describe(client: Client, now: float) -> bytes:
    """The line, without its line end; ``now`` is monotonic. One expression, for there may be ten thousand clients."""
    transaction = client.transaction
    queued = -1 if transaction is None else len(transaction.queue)
    queued_size = sum([_size(words) for _, words in transaction.queue]) if transaction is not None else 0
    unread_size = sum([_size(words) for words in client.backlog]) if client.backlog else 0
    unsent_size = _size([piece for piece in client.out if isinstance(piece, bytes | memoryview)]) if client.out else 0
    return (
        f"id={client.id} addr={client.address} laddr={client.local_address} fd={client.fd} "
        f"name={client.name.decode('latin-1')} age={max(0, int(now - client.connected_at))} "
        f"idle={max(0, int(now - client.last_active))} flags={flags_of(client)} db={client.db} "
        f"sub={len(client.channels)} psub={len(client.patterns)} ssub={len(client.shard_channels)} multi={queued} "
        f"watch={len(client.watched)} qbuf={unread_size} qbuf-free=0 argv-mem=0 multi-mem={queued_size} rbs=0 rbp=0 "
        f"obl={unsent_size} oll={len(client.out)} omem={unsent_size} "
        f"tot-mem={IDLE_SIZE + queued_size + unread_size + unsent_size} events={'rw' if client.out else 'r'} "
        f"cmd={client.last_command or 'NULL'} user={client.user} redir=-1 resp={client.protocol} "
        f"lib-name={client.library_name.decode('latin-1')} lib-ver={client.library_version.decode('latin-1')} "
        f"io-thread=0 tot-net-in={client.bytes_in} tot-net-out={client.bytes_out} tot-cmds={client.requests_count}"
    ).encode("latin-1")


def _size(pieces: Iterable[bytes | memoryview]) -> int:
    return sum(map(len, pieces))
