"""REPLICAOF, ROLE, FAILOVER, WAIT and WAITAOF: the part this node plays, and what its replicas have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import attrs

from respbroker.commands.arguments import (
    I64_MAX,
    Arguments,
    parse_bounded,
    parse_int,
    parse_positive,
    parse_timeout_ms,
)
from respbroker.commands.table import CommandSpec, Flag
from respbroker.commands.tips import LEAST, TO_ALL_SHARDS
from respbroker.errors import ReplyError, SyntaxRefused
from respbroker.replication.words import HOST
from respbroker.resp.replies import OK, array, bulk, bulk_array, integer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from respbroker.commands.context import Context
    from respbroker.replication.campaign import Candidacy, Leads
    from respbroker.replication.messages import Hello, Knows, Listed, Progress, Welcome
    from respbroker.sessions.client import Client, Reply


@attrs.frozen
class ReplicaFacts:
    """A follower as its leader tells of it; ``lag`` is in seconds, -1 if it has not been heard."""

    host: str
    port: int
    state: str
    position: int
    lag: int


@attrs.frozen
class LeaderFacts:
    """A leader as its follower tells of it; ``state`` is ROLE's word, ``link_seconds`` since when it is up or down.
    ``silent_seconds`` is -1 where it is down.
    """

    host: str
    port: int
    state: str
    is_up: bool
    is_copying: bool
    copied_bytes: int
    silent_seconds: int
    link_seconds: int


class Replicas(Protocol):
    """What commands ask of replication; `respbroker.broker.replica_desk` answers."""

    @property
    def position(self) -> int: ...
    @property
    def leader(self) -> LeaderFacts | None:
        """None: this node leads."""

    @property
    def followers(self) -> Sequence[ReplicaFacts]: ...
    @property
    def failover_state(self) -> str: ...
    def hello(self, client: Client, hello: Hello) -> Welcome: ...
    def listed(self, client: Client, logs: list[Listed]) -> None:
        """The answer comes when they have been looked at."""

    def acknowledged(self, client: Client, progress: Progress) -> None: ...
    def asked_to_hand_over(self, client: Client) -> None:
        """By a follower; if it cannot be, nothing happens."""

    def left(self, client: Client) -> None: ...
    def knows(self, client: Client, knows: Knows) -> None: ...
    def vote(self, candidacy: Candidacy) -> Reply: ...
    def hear_of(self, leads: Leads) -> None: ...
    def follow(self, host: str, port: int) -> None:
        """From the next tick on."""

    def promote(self) -> None:
        """As soon as those agree who must."""

    def hand_over(self, target: tuple[str, int] | None, timeout_ms: int) -> None: ...
    def stay(self) -> None: ...
    def forget(self, who: str | tuple[str, int]) -> Reply:
        """Take a server out for good, by its node id or its address."""

    def wait(self, replicas: int, timeout_ms: int, *, aof: bool, local: int) -> Reply: ...
    def published(self, channel: bytes, message: bytes, *, sharded: bool) -> None:
        """Followers tell their own listeners."""

    def facts(self) -> dict[str, object]:
        """More fields for INFO."""


def replicaof(ctx: Context, words: list[bytes]) -> Reply:
    """Follow another node, or lead from now on (NO ONE)."""
    host, port = words[1], words[2]
    if host.lower() == b"no" and port.lower() == b"one":
        ctx.replicas.promote()
        return OK
    if not HOST.fullmatch(host):
        raise ReplyError("Invalid master host")
    try:
        number = parse_bounded(port, 1, 65535, "")
    except ReplyError:
        raise ReplyError("Invalid master port") from None
    leader = ctx.replicas.leader
    if leader is not None and leader.is_up and (leader.host, leader.port) == (host.decode("latin-1"), number):
        return b"+OK Already connected to specified master\r\n"
    ctx.replicas.follow(host.decode("latin-1"), number)
    return OK


def role(ctx: Context, words: list[bytes]) -> Reply:
    replicas = ctx.replicas
    leader = replicas.leader
    if leader is not None:
        return array([
            bulk(b"slave"), bulk(leader.host.encode()), integer(leader.port), bulk(leader.state.encode()),
            integer(replicas.position if leader.state == "connected" else -1),
        ])  # fmt: skip
    rows = [bulk_array([each.host.encode(), b"%d" % each.port, b"%d" % each.position]) for each in replicas.followers]
    return array([bulk(b"master"), integer(replicas.position), array(rows)])


def failover(ctx: Context, words: list[bytes]) -> Reply:
    """FAILOVER [TO host port] [ABORT] [TIMEOUT milliseconds]: hand over to a follower, and lose nothing."""
    if len(words) == 2 and words[1].lower() == b"abort":
        ctx.replicas.stay()
        return OK
    target: tuple[str, int] | None = None
    timeout_ms = 0
    options = Arguments(words, 1)
    while options.more:
        match options.option():
            case b"TO" if target is None:
                host, port = options.take(2)
                target = host.decode("latin-1"), parse_bounded(port, 1, 65535, "Invalid port")
            case b"TIMEOUT" if not timeout_ms:
                timeout_ms = parse_bounded(options.value(), 1, I64_MAX, "FAILOVER timeout must be greater than 0")
            case _:
                raise SyntaxRefused
    ctx.replicas.hand_over(target, timeout_ms)
    return OK


def wait(ctx: Context, words: list[bytes]) -> Reply:
    """How many replicas have everything that was written before."""
    if ctx.replicas.leader is not None:
        raise ReplyError(_NOT_ON_REPLICAS.format("WAIT"))
    wanted = parse_int(words[1])
    return ctx.replicas.wait(wanted, parse_timeout_ms(words[2], ctx.now_ms), aof=False, local=0)


def waitaof(ctx: Context, words: list[bytes]) -> Reply:
    """Whether this disk has it (1), and how many replicas' disks do."""
    local = parse_bounded(words[1], 0, 1, "value is out of range, value must between 0 and 1")
    replicas = parse_positive(words[2])
    timeout_ms = parse_timeout_ms(words[3], ctx.now_ms)
    if ctx.replicas.leader is not None:
        raise ReplyError(_NOT_ON_REPLICAS.format("WAITAOF"))
    if replicas > 0:
        return ctx.replicas.wait(replicas, timeout_ms, aof=True, local=local)
    return ctx.wait_for_sync(local, timeout_ms)


_NOT_ON_REPLICAS: Final = (
    "{} cannot be used with replica instances. Please also note that writes to replicas are just local and are not "
    "propagated."
)

_FACT: Final = Flag.LOADING | Flag.STALE | Flag.FAST
_ROLE_CHANGE: Final = Flag.ADMIN | Flag.NOSCRIPT | Flag.STALE

COMMANDS = (
    CommandSpec(
        "ROLE", 1, _FACT | Flag.NOSCRIPT, role,
        summary="Tells the part this server plays in replication.",
        since="2.8.12", group="server", categories=("admin", "dangerous"),
    ),
    CommandSpec(
        "REPLICAOF", 3, _ROLE_CHANGE | Flag.NO_ASYNC_LOADING, replicaof,
        summary="Follows another server, or leads from now on.", syntax="<host port | NO ONE>",
        since="5.0.0", group="server", categories=("admin", "dangerous"),
    ),
    CommandSpec(
        "SLAVEOF", 3, _ROLE_CHANGE | Flag.NO_ASYNC_LOADING, replicaof,
        summary="The older name of REPLICAOF.", syntax="<host port | NO ONE>",
        since="1.0.0", group="server", categories=("admin", "dangerous"),
    ),
    CommandSpec(
        "FAILOVER", -1, _ROLE_CHANGE, failover,
        summary="Hands over to a replica and loses nothing.",
        syntax="[TO host port] [ABORT] [TIMEOUT milliseconds]",
        since="6.2.0", group="server", categories=("admin", "dangerous"),
    ),
    CommandSpec(
        "WAIT", 3, Flag.BLOCKING, wait,
        summary="Waits until replicas have the writes of this connection.", syntax="numreplicas timeout",
        since="3.0.0", group="generic", categories=("connection",), tips=(TO_ALL_SHARDS, LEAST),
    ),
    CommandSpec(
        "WAITAOF", 4, Flag.BLOCKING, waitaof,
        summary="Waits until the writes of this connection are synced here and on replicas.",
        syntax="numlocal numreplicas timeout", since="7.2.0", group="generic", categories=("connection",),
        tips=(TO_ALL_SHARDS, LEAST),
    ),
)  # fmt: skip
