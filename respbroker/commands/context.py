"""What a handler may touch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from respbroker.commands.replicas import Replicas
    from respbroker.commands.table import Command, CommandTable
    from respbroker.model.settings import Settings
    from respbroker.sessions.channels import Channels
    from respbroker.sessions.client import Client, Reply
    from respbroker.sessions.latency import LatencyMonitor
    from respbroker.sessions.notifications import Notifications
    from respbroker.sessions.scripts import Scripts
    from respbroker.sessions.slowlog import SlowLog
    from respbroker.sessions.statistics import Statistics
    from respbroker.sessions.watches import Watches
    from respbroker.streams.group_sessions import GroupSessions
    from respbroker.streams.keyspace import Keyspace
    from respbroker.streams.stream import Stream
    from respbroker.streams.topic import Topic
    from respbroker.streams.waiters import Waiters
    from respbroker.values.kinds import SortedSet


class BlockedRequest(Protocol):
    """A request that waits; frozen, so that it can be tried again and again."""

    @property
    def exhausts(self) -> object:
        """What is used up for all who wait with an equal value once one of them finds nothing; None: nothing is."""

    @property
    def outlasts_values(self) -> bool:
        """Whether it waits on though one of its keys holds a value now; else it is tried, and refused."""

    def retry(self, ctx: Context) -> Reply:
        """Serve it if it can be served now (``ctx.client`` is the waiting client), else None; raises ReplyError."""

    def timed_out(self, client: Client) -> bytes:
        """The reply when the deadline passed."""

    def retry_ms(self, ctx: Context) -> int | None:
        """Wall time at which to try again though no key changes (a pending entry comes of age); None: never."""


class Context(Protocol):
    """The node as handlers see it. One object serves all requests; ``client`` is whoever asked.

    Time stands still during a tick: ``now_ms`` (wall clock, Unix milliseconds: IDs, expiry, idle times) and
    ``now`` (monotonic seconds: deadlines).
    """

    client: Client
    now_ms: int
    now: float
    #: True while EXEC runs: a blocking command then answers at once.
    in_exec: bool
    settings: Settings
    keyspace: Keyspace
    waiters: Waiters
    #: Who reads for groups of topics on which connection.
    group_sessions: GroupSessions
    clients: dict[int, Client]
    channels: Channels
    commands: CommandTable
    statistics: Statistics
    slowlog: SlowLog
    latency: LatencyMonitor
    watches: Watches
    notifications: Notifications
    scripts: Scripts
    random: Random
    #: No waiter, no WATCH and no notification anywhere: handlers may skip `changed`.
    quiet: bool
    #: Number of the tick.
    ticks_count: int
    #: Keys changed since the start (rdb_changes_since_last_save counts from the last checkpoint).
    dirty: int

    @property
    def replicas(self) -> Replicas:
        """What there is to ask of replication."""

    @property
    def may_linger(self) -> bool:
        """Whether an XADD to a topic with ``linger.ms`` may be put aside (by raising `Lingers`)."""

    def lookup(self, key: bytes) -> Stream | None:
        """The stream at ``key`` in the client's database, opened if need be; expired keys are gone.

        Raises:
            SeveralPartitions: it is a topic of several partitions; where the row of the command has ``on_topic``, that
                is called instead, so nothing may have been changed yet.
        """

    def find(self, key: bytes) -> Stream | Topic | None:
        """The stream or the topic of several partitions at ``key``."""

    def lookup_to_read(self, key: bytes) -> Stream | None:
        """The same for a command that only reads: counted as a hit or a miss (keyspace_hits)."""

    def count_lookup(self, found: bool) -> None:
        """A reading command asked for a key without opening its stream."""

    def lookup_or_create(self, key: bytes) -> Stream:
        """The same, made empty if there is none."""

    # -- keys that hold a value; all of them raise WrongType if the key is a stream or holds another kind --------

    def text(self, key: bytes) -> bytes | None:
        """The string at ``key`` in the client's database; expired keys are gone. Counts no hit and no miss."""

    def hash(self, key: bytes) -> Mapping[bytes, bytes] | None:
        """The fields at ``key``, to be looked at only: they change with the next `put_member`."""

    def sorted_set(self, key: bytes) -> SortedSet | None:
        """The sorted set at ``key``, to be looked at only."""

    def set_text(self, key: bytes, data: bytes, *, expires_ms: int | None = 0) -> None:
        """The key holds this string and expires at that Unix time in milliseconds (0: never; None: as it did).

        Replaces whatever was there, a stream too; `changed` stays the handler's call, as with the two below.

        Raises:
            PartOfTopic, NoSuchPartition, BusyKey: the key is a partition's name, or would be.
        """

    def put_member(self, key: bytes, kind: bytes, member: bytes, payload: bytes) -> None:
        """A field and its value (kind `HASH`), or a member and its score by `encode_score` (kind `SORTED_SET`).

        The key is made if there is none; it holds nothing else, so look it up first. Kinds and `encode_score` are in
        `respbroker.values.kinds`.
        """

    def remove_member(self, key: bytes, member: bytes) -> bool:
        """Whether there was such a member; the last one takes the key with it (which is a "del" to be told)."""

    def changed(self, key: bytes, event: str, db: int | None = None) -> None:
        """The one door for "a key was modified": WATCH, keyspace notification ``event``, waiters on the key.

        ``dirty`` is raised too. Call it once per change, after it.
        """

    def came_or_went(self, key: bytes, event: str, parts: int, db: int | None = None) -> None:
        """The same for a key as a whole, which has or had ``parts`` partitions: their names mean something else now."""

    def notified(self, key: bytes, event: str, *, wake: bool = False) -> None:
        """A change that WATCH does not see (groups): ``dirty`` and the notification; waiters if ``wake``."""

    def wake(self, key: bytes) -> None:
        """Try the waiters on the key again though it did not change."""

    def block(self, request: BlockedRequest, keys: list[bytes], timeout_ms: int) -> None:
        """Let the client wait for any of ``keys`` (0: for ever). The handler then returns None."""

    def unblock(self, client: Client, reply: bytes | None) -> None:
        """End a client's waiting with ``reply``, or as if its time were over."""

    def refresh_quiet(self) -> None:
        """Work out ``quiet`` anew: call it after WATCH."""

    def unwatch(self, client: Client) -> None:
        """The client watches nothing any more."""

    def set_monitor(self, client: Client, on: bool) -> None:
        """Whether the client sees every command (MONITOR)."""

    def push(self, client: Client, wire: bytes) -> None:
        """Send something unasked (pub/sub, MONITOR) to any client; to the current one behind the running reply."""

    def execute(self, command: Command, words: list[bytes]) -> Reply:
        """Run one queued request of the current client inside EXEC."""

    def call(self, words: list[bytes]) -> Reply:
        """Run a request that a script of the current client makes; raises ReplyError with what stands against it."""

    def close(self, client: Client, *, at_once: bool = False) -> None:
        """Close a connection: behind what it still has to be sent, or at once."""

    def pause(self, until: float, *, writes_only: bool) -> None:
        """CLIENT PAUSE: hold requests until the monotonic time ``until``."""

    def unpause(self) -> None:
        """CLIENT UNPAUSE."""

    def save(self, *, background: bool) -> None:
        """SAVE, BGSAVE, BGREWRITEAOF: a checkpoint of every open stream and of the catalog."""

    def reload(self) -> None:
        """DEBUG RELOAD, LOADAOF: forget memory, recover from disk, go on."""

    def shut_down(self, *, save: bool, now: bool, force: bool) -> None:
        """SHUTDOWN: ask the edge to stop."""

    def apply_setting(self, name: str) -> None:
        """A setting was changed by CONFIG SET, or those of a ``topic``: let the node act on it."""

    def wait_for_sync(self, numlocal: int, timeout_ms: int) -> Reply:
        """WAITAOF: answer once everything this client wrote has been synced to the local disk."""

    def cancel_shutdown(self) -> bool:
        """SHUTDOWN ABORT: whether one was under way."""

    def rewrite_config(self) -> None:
        """CONFIG REWRITE: bring the settings file up to date; raises ReplyError if there is none."""

    #: Whether keys are expired in the background (DEBUG SET-ACTIVE-EXPIRE).
    active_expire: bool

    def note(self, count: int, words: str) -> None:
        """Tell the operator, in sums now and then, that there were ``count`` of what ``words`` say."""

    def facts(self) -> dict[str, Any]:
        """Numbers only the node knows (memory, uptime, files, syncs), for INFO; keys as INFO names them."""
