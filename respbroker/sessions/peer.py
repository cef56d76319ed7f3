"""A connection that this node wants to another server: what the node and the edge tell each other of it."""

from __future__ import annotations

import attrs


@attrs.define(eq=False, slots=True)
class Peer:
    """Owned by the node, which makes it, writes ``out`` and sets ``closing``; the edge only moves bytes.

    The edge dials ``host`` and ``port``, sets ``connected`` and ``local_address``, takes ``out`` after each tick, and
    tells the node what arrives. It tells of the end too, unless the node wanted it: once ``closing`` is set, what is in
    ``out`` is sent as far as the socket takes it at once, the connection is closed and nothing more is said. A peer
    that was lost is not dialled again; the node makes another.
    """

    host: str
    port: int
    out: list[bytes] = attrs.Factory(list)  #: requests as wire bytes, in order; may be written before it is connected
    closing: bool = False
    connected: bool = False
    local_address: str = ""  #: ``host:port`` of our end
