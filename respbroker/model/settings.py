"""Settings by their names in redis.conf (or Kafka's, where Redis has none): the table, and one node's values.

The class body *is* the table: attribute, type, default, kind, sentence. CONFIG GET and SET, the configuration
file, the command line and docs/configuration.md all read it. A setting that is here is honoured; a value that
cannot be honoured is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from respbroker.errors import ReplyError
from respbroker.model.config_file import SettingsError, decode, parse_lines, rewrite_lines
from respbroker.model.glob import compile_glob
from respbroker.model.setting_kinds import (
    I64_MAX,
    U32_MAX,
    Address,
    Choice,
    Clamped,
    EventClasses,
    Host,
    Integer,
    Memory,
    OutputLimit,
    OutputLimits,
    Percentiles,
    SaveRules,
    Text,
    Words,
    YesNo,
    only,
)
from respbroker.model.setting_rows import Setting, setting

__all__ = ["SETTINGS", "OutputLimit", "Setting", "Settings", "SettingsError"]


OUTPUT_LIMITS: Final = {
    "normal": OutputLimit(0, 0, 0),
    "slave": OutputLimit(256 << 20, 64 << 20, 60),
    "pubsub": OutputLimit(32 << 20, 8 << 20, 60),
}

EVICTIONS: Final = (
    *("volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"),
    *("allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction"),
)


@attrs.define(eq=False)
class Settings:
    """The values of one node. Attributes are read where they matter; `set_many` changes them, and REPLICAOF one."""

    # section: network
    bind: tuple[str, ...] = setting(
        ("127.0.0.1",), Words(), "Addresses to listen on; `--host` says the same.", alias="host", fixed=True
    )
    port: int = setting(6379, Integer(0, 65535), "TCP port; 0 takes any free one.", fixed=True)
    unixsocket: str = setting("", Text(), "Path of a Unix socket to listen on as well.", fixed=True)
    tcp_backlog: int = setting(511, Integer(), "Connections that may wait to be accepted.", fixed=True)
    tcp_keepalive: int = setting(300, Integer(), "Seconds of silence before the system probes a peer; 0 never.")
    timeout: int = setting(0, Integer(), "Seconds after which an idle connection is closed; 0 never.")
    protected_mode: bool = setting(
        True, YesNo(), "Without a password, answer nobody but loopback addresses and the Unix socket."
    )
    requirepass: str = setting("", Text(), "The password that AUTH must give; empty for none.", secret=True)
    maxclients: int = setting(10000, Integer(1, U32_MAX), "Connections served at once; more are told so and closed.")
    client_output_buffer_limit: Mapping[str, OutputLimit] = setting(
        OUTPUT_LIMITS,
        OutputLimits(),
        "What a client may leave unread before it is closed, by class of client; what is on the way to replicas is"
        " bounded without it.",
    )
    client_query_buffer_limit: int = setting(
        1 << 30, Memory(1 << 20), "Bytes of an unfinished request that are kept for a client."
    )
    proto_max_bulk_len: int = setting(512 << 20, Memory(1 << 20), "Bytes that one word of a request may have.")

    # section: general
    databases: int = setting(16, Integer(1), "How many databases SELECT can choose from.", fixed=True)
    loglevel: str = setting(
        "notice", Choice(("debug", "verbose", "notice", "warning", "nothing")), "How much is logged."
    )
    logfile: str = setting("", Text(), "Where to log; empty for the standard output.", fixed=True)
    logformat: str = setting(
        "plain", Choice(("plain", "json")), "Lines for people, or one JSON object a line.", fixed=True
    )
    hz: int = setting(10, Clamped(1, 500), "How often a second background work is looked for.")
    enable_debug_command: str = setting(
        "local",
        Choice(("no", "yes", "local")),
        "Whether DEBUG is served: to all, to loopback only, to nobody.",
        fixed=True,
    )

    # section: durability
    dir: str = setting("./respbroker-data", Text(), "Directory of all data.", fixed=True, protected=True)
    appendonly: bool = setting(
        True, only(YesNo(), True, reason="the log is the only store and is always on"), "Whether writes are logged."
    )
    appendfsync: str = setting(
        "everysec",
        Choice(("everysec", "always", "no")),
        "When the log is synced: before replies leave, once a second, or when the system sees fit.",
    )
    no_appendfsync_on_rewrite: bool = setting(
        False,
        only(YesNo(), False, reason="background work never holds up syncs"),
        "Syncs go on during background work.",
    )
    aof_use_rdb_preamble: bool = setting(
        True,
        only(YesNo(), True, reason="the log starts from a snapshot always"),
        "Whether recovery starts from snapshots.",
    )
    save: tuple[tuple[int, int], ...] = setting(
        (), SaveRules(), "Checkpoints by time and number of changes; more than the log needs, so none by default."
    )
    stop_writes_on_bgsave_error: bool = setting(
        True,
        only(YesNo(), True, reason="a disk that refuses writes is never ignored"),
        "Refuse writes when the disk does.",
    )

    # section: memory
    maxmemory: int = setting(0, Memory(), "Refuse writes that need memory while the process has more; 0 for no limit.")
    maxmemory_policy: str = setting(
        "noeviction",
        only(Choice(EVICTIONS), "noeviction", reason="streams are on disk and never evicted"),
        "What happens at maxmemory: writes are refused.",
    )

    # section: streams
    stream_node_max_bytes: int = setting(
        4096,
        only(Memory(), 4096, 0, reason="nodes are counted in entries: see stream-node-max-entries"),
        "Read by some programs; nodes here are counted in entries only.",
    )
    stream_node_max_entries: int = setting(
        100, Integer(0, I64_MAX), "Entries of a node: `MAXLEN ~` and `MINID ~` trim whole nodes; 0 trims exactly."
    )
    stream_idmp_duration: int = setting(100, Integer(1, 86400), "Seconds for which an idempotent ID is remembered.")
    stream_idmp_maxsize: int = setting(100, Integer(1, 10000), "Idempotent IDs remembered for each producer.")
    notify_keyspace_events: str = setting("", EventClasses(), "Classes of events published as keyspace notifications.")

    # section: log
    segment_bytes: int = setting(
        128 << 20, Memory(1 << 10), "Size at which a stream's active segment is sealed.", name="segment.bytes"
    )
    segment_ms: int = setting(
        7 * 24 * 3600 * 1000, Integer(1, I64_MAX), "Age at which it is sealed, in ms.", name="segment.ms"
    )
    retention_ms: int = setting(
        -1, Integer(-1, I64_MAX), "Age at which entries go, in ms; -1 keeps them.", name="retention.ms"
    )
    retention_bytes: int = setting(
        -1,
        Integer(-1, I64_MAX),
        "Size of a stream above which its oldest segments go; -1 keeps them.",
        name="retention.bytes",
    )

    # section: replicas
    replicaof: tuple[str, int] | None = setting(
        None,
        Address(),
        "The leader that this server follows, as host and port; empty if it leads. REPLICAOF changes it.",
        former="slaveof",
        fixed=True,
    )
    masterauth: str = setting("", Text(), "The password that the leader asks for.", secret=True)
    masteruser: str = setting("", Text(), "The user that the password is of; empty for the default user.", secret=True)
    replica_priority: int = setting(
        100,
        Integer(),
        "Which follower sentinels promote first: the lowest; 0 never. Shown by INFO, used by nobody here.",
        former="slave-priority",
    )
    replica_announce_ip: str = setting(
        "",
        Host(),
        "The address that this server is to be found at; empty for the one it connects from.",
        former="slave-announce-ip",
    )
    replica_announce_port: int = setting(
        0, Integer(0, 65535), "The port with it; 0 for the one it listens on.", former="slave-announce-port"
    )
    replica_read_only: bool = setting(
        True,
        only(YesNo(), True, reason="a follower has what its leader has, and nothing else"),
        "Whether a follower refuses writes.",
        former="slave-read-only",
    )
    replica_serve_stale_data: bool = setting(
        True,
        only(YesNo(), True, reason="a follower without its leader answers reads with what it has"),
        "Whether a follower answers reads while it has no connection to its leader.",
        former="slave-serve-stale-data",
    )
    acks: str = setting(
        "1",
        Choice(("1", "all")),
        "`1`: a write is answered when it is in the leader's log; `all`: when every in-sync replica has it.",
    )
    min_insync_replicas: int = setting(
        1,
        Integer(1),
        "How many replicas must be in sync, the leader counted, for anything to be safe: with fewer, writes with `acks "
        "all` are refused. From 2 on no follower leads unless enough others agree.",
        name="min.insync.replicas",
    )
    replica_lag_time_max_ms: int = setting(
        3000,
        Integer(1),
        "After how long an in-sync follower that has not caught up is out, in ms. So long may a reply wait for one that"
        " hangs, if it speaks of a key changed meanwhile; hence not Kafka's 30000.",
        name="replica.lag.time.max.ms",
    )

    # section: observing
    slowlog_log_slower_than: int = setting(
        10000, Integer(-1, I64_MAX), "Microseconds from which a command enters the slow log; -1 none, 0 every one."
    )
    slowlog_max_len: int = setting(128, Integer(0, I64_MAX), "Entries the slow log keeps.")
    latency_monitor_threshold: int = setting(
        0, Integer(0, I64_MAX), "Milliseconds from which an event enters the latency history; 0 for none."
    )
    latency_tracking: bool = setting(True, YesNo(), "Whether the time of each command is counted in a histogram.")
    latency_tracking_info_percentiles: tuple[float, ...] = setting(
        (50.0, 99.0, 99.9), Percentiles(), "Which percentiles INFO latencystats prints."
    )

    #: Names passed over in the configuration file (see PASSED_OVER), for a warning at the start.
    passed_over: list[str] = attrs.field(factory=list, init=False)

    @classmethod
    def load(cls, text: str = "", overrides: Iterable[tuple[str, str]] = ()) -> Settings:
        """From the text of a configuration file, and name-value pairs of the command line, which win.

        Raises:
            SettingsError: the line or option, and why.
        """
        settings = cls()
        rules: list[str] = []  # lines of `save` add up; all others replace what stood before
        for line in parse_lines(text):
            row = SETTINGS.get(line.name) or ALIASES.get(line.name)
            where = f"configuration file, line {line.number}: '{line.name}'"
            if row is None and PASSED_OVER.fullmatch(line.name):
                settings.passed_over.append(line.name)
                continue
            words = list(line.words)
            if row is not None and row.attribute == "save":
                rules = [*rules, *words] if words != [""] else []
                words = rules or [""]
            settings._start_with(row, words, where)
        for name, value in overrides:
            row = SETTINGS.get(name.lower()) or ALIASES.get(name.lower())
            settings._start_with(row, [value], f"option --{name}")
        return settings

    def _start_with(self, row: Setting | None, words: Sequence[str], where: str) -> None:
        if row is None:
            raise SettingsError(f"{where}: no such setting")
        if not words or (len(words) > 1 and not row.kind.several):
            raise SettingsError(f"{where}: wrong number of arguments")
        try:
            value = row.kind.parse(" ".join(words), getattr(self, row.attribute))
        except ValueError as refusal:
            raise SettingsError(f"{where}: {refusal}") from None
        setattr(self, row.attribute, value)

    @property
    def host(self) -> str:
        """The first address to listen on."""
        return self.bind[0] if self.bind else ""

    def get(self, *patterns: bytes) -> list[tuple[str, str]]:
        """CONFIG GET: names and values. A name without wildcards is given back as it was asked for."""
        found: dict[str, str] = {}
        for pattern in patterns:
            text = pattern.decode("latin-1")
            row = CONFIG_NAMES.get(text.lower())
            if row is not None:
                found.setdefault(text, self.text_of(row))
                continue
            matches = compile_glob(pattern, ignore_case=True)
            for name, candidate in CONFIG_NAMES.items():
                if matches(name.encode()):
                    found.setdefault(name, self.text_of(candidate))
        return list(found.items())

    def text_of(self, row: Setting) -> str:
        """The value of a setting as CONFIG GET prints it."""
        return row.kind.format(getattr(self, row.attribute))

    def set_many(self, pairs: Sequence[tuple[bytes, bytes]]) -> list[str]:
        """CONFIG SET: all of ``pairs`` or none. Gives the attributes that changed.

        Raises:
            ReplyError: the first of the names or values that cannot be.
        """
        rows: list[Setting] = []
        for name, _ in pairs:
            row = CONFIG_NAMES.get(name.lower().decode("latin-1"))
            if row is None:
                raise ReplyError(f"Unknown option or number of arguments for CONFIG SET - '{name.decode('latin-1')}'")
            if row.protected or not row.mutable:
                raise _failed(name, f"can't set {'protected' if row.protected else 'immutable'} config")
            if row in rows:
                raise _failed(name, "duplicate parameter")
            rows.append(row)
        parsed: list[tuple[str, Any]] = []
        for row, (_, value) in zip(rows, pairs, strict=True):
            try:
                parsed.append((row.attribute, row.kind.parse(decode(value), getattr(self, row.attribute))))
            except ValueError as refusal:
                raise _failed(row.name.encode(), str(refusal)) from None
        changed = [attribute for attribute, value in parsed if getattr(self, attribute) != value]
        for attribute, value in parsed:
            setattr(self, attribute, value)
        return changed

    def rewrite(self, text: str) -> str:
        """CONFIG REWRITE: the configuration file's text with the present values in it."""
        values = {row.name: row.kind.lines(getattr(self, row.attribute), row.default) for row in SETTINGS.values()}
        return rewrite_lines(text, values, {alias: row.name for alias, row in ALIASES.items()})


def _failed(name: bytes, reason: str) -> ReplyError:
    """A refusal naming the setting: as sent when the name is the trouble, as in the table when the value is."""
    return ReplyError(f"CONFIG SET failed (possibly related to argument '{name.decode('latin-1')}') - {reason}")


#: The attribute each section of the table begins with.
SECTIONS: Final = {
    "bind": "Network",
    "databases": "General",
    "dir": "Durability",
    "maxmemory": "Memory",
    "stream_node_max_bytes": "Streams",
    "segment_bytes": "Log",
    "replicaof": "Replicas",
    "slowlog_log_slower_than": "Observing",
}


def _rows() -> Iterable[Setting]:
    section = ""
    for field in attrs.fields(Settings):
        section = SECTIONS.get(field.name, section)
        if field.metadata:
            row = dict(field.metadata)
            name = row.pop("name") or field.name.replace("_", "-")
            yield Setting(name=name, attribute=field.name, default=field.default, section=section, **row)


#: Every setting by its name.
SETTINGS: Final = {row.name: row for row in _rows()}
#: By every name that CONFIG knows: those of older versions of Redis too.
CONFIG_NAMES: Final = SETTINGS | {row.former: row for row in SETTINGS.values() if row.former}
#: Other names that the file and the command line may use: ``--host``, ``--segment-bytes``, ``--slaveof``.
ALIASES: Final = {name: row for row in SETTINGS.values() for name in (row.alias, row.former) if name} | {
    row.attribute.replace("_", "-"): row for row in SETTINGS.values()
}

#: Settings of Redis that tune what is not here (lists, hashes, scripts, RDB files …): a redis.conf may keep them, they
#: are passed over with a warning. What promises something (TLS, ACL files) is refused like any unknown name.
PASSED_OVER: Final = re.compile(
    r"(hash|list|set|zset|hll)-(max|sparse|compress).*|lua-time-limit|busy-reply-threshold"
    r"|repl-(timeout|ping-.*|diskless-.*|disable-tcp-nodelay|backlog-.*)"
    r"|replica-(announced|full-sync-buffer-limit|ignore-disk-write-errors)|(replica|slave)-(ignore-maxmemory|lazy-flush)"
    r"|rdb.*|dbfilename|append(filename|dirname)|auto-aof-.*|aof-(load|rewrite|timestamp)-.*|active-?defrag.*|lf[uo]-.*|lazyfree-.*|jemalloc-.*"
    r"|activerehashing|active-expire-effort|dynamic-hz|pidfile|always-show-logo|set-proc-title|proc-title-template|locale-collate"
    r"|oom-score-.*|disable-thp|acllog-max-len|maxmemory-samples|crash-.*|sanitize-dump-payload|tracking-table-max-keys"
)
