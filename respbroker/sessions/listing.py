"""A client as CLIENT LIST tells of it: one line of ``name=value`` pairs, the same names and order as Redis'.

Numbers are true or zero: what Redis measures in its own buffers and has no counterpart here (``rbs``, ``qbuf-free``,
``argv-mem``, …) is zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from respbroker.sessions.client import Client

#: Bytes of a connection with nothing to say and nothing to hear (the object, its containers and its decoder).
IDLE_SIZE: Final = 2048


def client_class(client: Client) -> str:
    """Which of Redis' classes of clients it belongs to; there are no replicas and no masters among them."""
    return "pubsub" if client.subscribed else "normal"


def flags_of(client: Client) -> str:
    """One letter for each state, in Redis' order; ``N`` for none."""
    states = (
        (client.monitor, "O"),
        (client.subscribed, "P"),
        (client.transaction is not None, "x"),
        (client.blocked, "b"),
        (client.watch_broken, "d"),
        (client.closing and not client.kill, "c"),
        (client.kill, "A"),
        (client.readonly, "r"),
        (client.no_evict, "e"),
        (client.no_touch, "T"),
    )
    return "".join(letter for holds, letter in states if holds) or "N"


def describe(client: Client, now: float) -> bytes:
    """The line, without its line end; ``now`` is monotonic."""
    queue = client.transaction.queue if client.transaction is not None else []
    queued_size = sum(_size(words) for _, words in queue)
    unread_size = sum(_size(words) for words in client.backlog)
    unsent_size = _size(piece for piece in client.out if isinstance(piece, bytes | memoryview))
    pairs: tuple[tuple[str, object], ...] = (
        ("id", client.id),
        ("addr", client.address),
        ("laddr", client.local_address),
        ("fd", client.fd),
        ("name", client.name.decode("latin-1")),
        ("age", int(max(0.0, now - client.connected_at))),
        ("idle", int(max(0.0, now - client.last_active))),
        ("flags", flags_of(client)),
        ("db", client.db),
        ("sub", len(client.channels)),
        ("psub", len(client.patterns)),
        ("ssub", len(client.shard_channels)),
        ("multi", -1 if client.transaction is None else len(queue)),
        ("watch", len(client.watched)),
        ("qbuf", unread_size),
        ("qbuf-free", 0),
        ("argv-mem", 0),
        ("multi-mem", queued_size),
        ("rbs", 0),
        ("rbp", 0),
        ("obl", unsent_size),
        ("oll", len(client.out)),
        ("omem", unsent_size),
        ("tot-mem", IDLE_SIZE + queued_size + unread_size + unsent_size),
        ("events", "rw" if client.out else "r"),
        ("cmd", client.last_command or "NULL"),
        ("user", client.user),
        ("redir", -1),
        ("resp", client.protocol),
        ("lib-name", client.library_name.decode("latin-1")),
        ("lib-ver", client.library_version.decode("latin-1")),
        ("io-thread", 0),
        ("tot-net-in", client.bytes_in),
        ("tot-net-out", client.bytes_out),
        ("tot-cmds", client.requests_count),
    )
    return " ".join([f"{name}={value}" for name, value in pairs]).encode("latin-1")


def _size(pieces: Iterable[bytes | memoryview]) -> int:
    return sum(map(len, pieces))
