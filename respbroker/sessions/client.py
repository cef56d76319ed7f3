"""One connected client: what the protocol and the commands must remember of it."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from respbroker.sessions.transaction import Transaction

#: A reply as handlers give it: wire bytes, or a list of pieces of which the last may be lazy, for a reply too large
#: to hold; None where nothing is said now (the client blocks, or replies are off).
Buffer = bytes | memoryview
Output = bytes | memoryview | Iterator[Buffer]
Reply = bytes | Sequence[Output] | None


class ReplyMode(enum.Enum):
    """CLIENT REPLY: whether this connection's replies are sent."""

    ON = "on"
    OFF = "off"
    SKIP_NEXT = "skip-next"  #: CLIENT REPLY SKIP was just run: the next command's reply is left out
    SKIP = "skip"  #: the reply of the running command is left out


@attrs.define(eq=False, slots=True)
class Client:
    """State of one connection, owned by the node; the edge only takes ``out`` and reads the flags.

    ``out`` holds what is to be sent, in order. ``closing`` asks the edge to close once ``out`` is sent,
    ``kill`` to close at once. ``backlog`` holds requests that arrived while the client was blocked or paused;
    the edge stops reading while ``stalled`` is true. ``lagging`` says that they wait until the client has taken
    the replies to those before; the edge then calls `Node.go_on`.
    """

    id: int
    address: str = ""
    local_address: str = ""
    fd: int = -1
    connected_at: float = 0.0  #: monotonic seconds
    name: bytes = b""
    library_name: bytes = b""
    library_version: bytes = b""
    db: int = 0
    protocol: int = 2
    authenticated: bool = True
    user: str = "default"
    #: True while the dispatcher may take the short way. Set by `settle` and nobody else.
    plain: bool = True
    reply_mode: ReplyMode = ReplyMode.ON
    transaction: Transaction | None = None
    watched: set[tuple[int, bytes]] = attrs.Factory(set)
    watch_broken: bool = False
    #: What it listens to, in the order of subscription (dictionaries without values: sets have no order).
    channels: dict[bytes, None] = attrs.Factory(dict)
    patterns: dict[bytes, None] = attrs.Factory(dict)
    shard_channels: dict[bytes, None] = attrs.Factory(dict)
    monitor: bool = False
    blocked: bool = False
    lingering: bool = False  #: blocked by XADDs that are gathered: more of them may come
    no_evict: bool = False
    no_touch: bool = False
    readonly: bool = False
    #: A follower of this node: frames are pushed to it, and the node bounds what is on the way. Set by its hello, when
    #: it has received every earlier reply, for what it is sent from then on waits for no sync.
    replica: bool = False
    last_command: str = ""
    last_active: float = 0.0  #: monotonic seconds of the last request
    requests_count: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    out: list[Output] = attrs.Factory(list)
    backlog: deque[list[bytes]] = attrs.Factory(deque)
    connection: Any = None  #: the edge's own object for it
    lagging: bool = False
    awaiting: bool = False  #: so many of its replies wait for replicas that nothing more is read from it
    closing: bool = False
    kill: bool = False

    @property
    def stalled(self) -> bool:
        """Whether the edge should stop reading: earlier requests still wait."""
        return (self.blocked and not self.lingering) or bool(self.backlog) or self.awaiting

    @property
    def subscriptions_count(self) -> int:
        """Channels and patterns this client listens to, without sharded ones."""
        return len(self.channels) + len(self.patterns)

    @property
    def subscribed(self) -> bool:
        return bool(self.channels or self.patterns or self.shard_channels)

    @property
    def confined(self) -> bool:
        """Whether only the commands of a subscriber are open to it: RESP2 cannot tell a message from a reply."""
        return self.protocol == 2 and self.subscribed

    @property
    def replies_suppressed(self) -> bool:
        """Whether the reply of the running command is to be left out. Pushes are sent all the same."""
        return self.reply_mode is not ReplyMode.ON

    def settle(self) -> None:
        """Work out ``plain`` anew; to be called by whoever changed anything it depends on.

        A client is not plain while one of its requests might have to be refused, queued, held back or left
        unanswered for a reason that lies in the client and not in the request.
        """
        self.plain = (
            self.authenticated
            and self.reply_mode is ReplyMode.ON
            and self.transaction is None
            and not (self.monitor or self.blocked or self.closing or self.kill)
            and not self.confined
        )
