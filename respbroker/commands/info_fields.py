"""What INFO says, section by section, as a table: the name of a field and where its value comes from.

Only fields stand here whose value is counted or is always the one given. A field of Redis about something that is
not here (scripts, defragmentation, evictions of clients …) is there as 0 if programs read it, and else left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import attrs

from respbroker.model.version import REDIS_VERSION

if TYPE_CHECKING:
    from respbroker.commands.context import Context


@attrs.frozen
class View:
    """A node at the moment of INFO; ``facts`` are what `Context.facts` told."""

    ctx: Context
    facts: dict[str, Any]

    def fact(self, name: str, default: Any = 0) -> Any:
        return self.facts.get(name, default)

    def blocked_count(self) -> int:
        """Clients that wait, for keys or because of CLIENT PAUSE."""
        return sum([client.stalled for client in self.ctx.clients.values()])

    def watched(self) -> list[set[tuple[int, bytes]]]:
        """What each client that watches anything watches."""
        return [client.watched for client in self.ctx.clients.values() if client.watched]

    def listeners_count(self) -> int:
        """Clients that listen to any channel or pattern."""
        channels = self.ctx.channels
        tables = (channels.channels, channels.patterns, channels.shard_channels)
        return len({number for table in tables for listeners in table.values() for number in listeners})


#: None leaves the field out.
Source = Callable[[View], object]


@attrs.frozen
class Field:
    name: str
    value: Source


def fixed(name: str, value: object) -> Field:
    """A field that never changes here."""
    return Field(name, lambda view: value)


def fact(name: str, default: object = 0) -> Field:
    """A number only the node knows."""
    return Field(name, lambda view: view.fact(name, default))


def told(name: str) -> Field:
    """A number only the node knows; the field is left out where it does not."""
    return Field(name, lambda view: view.fact(name, None))


def counter(name: str, attribute: str) -> Field:
    """A counter of the node's statistics."""
    return Field(name, lambda view: getattr(view.ctx.statistics, attribute))


def human(size: int) -> str:
    """``1.50M``, as Redis writes sizes for people."""
    if size < 1024:
        return f"{size}B"
    scaled = float(size)
    for unit in "KMGTP":
        scaled /= 1024
        if scaled < 1024 or unit == "P":
            break
    return f"{scaled:.2f}{unit}"


def sized(name: str) -> tuple[Field, Field]:
    """A size the node knows, and the same for people."""
    return fact(name), Field(f"{name}_human", lambda view: human(view.fact(name)))


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _kilobytes(rate: float) -> str:
    return f"{rate / 1024:.2f}"


SERVER: Final = (
    fixed("redis_version", REDIS_VERSION),
    fixed("redis_git_sha1", "00000000"),
    fixed("redis_git_dirty", 0),
    fixed("redis_build_id", "0"),
    fixed("redis_mode", "standalone"),
    fact("os", ""),
    fact("arch_bits", 64),
    fact("multiplexing_api", "epoll"),
    fact("process_id"),
    fixed("process_supervised", "no"),
    fact("run_id", ""),
    Field("tcp_port", lambda view: view.fact("tcp_port", view.ctx.settings.port)),
    Field("server_time_usec", lambda view: view.ctx.now_ms * 1000),
    fact("uptime_in_seconds"),
    Field("uptime_in_days", lambda view: view.fact("uptime_in_seconds") // 86400),
    Field("hz", lambda view: view.ctx.settings.hz),
    Field("configured_hz", lambda view: view.ctx.settings.hz),
    Field("lru_clock", lambda view: view.ctx.now_ms // 1000 & 0xFFFFFF),
    fact("executable", ""),
    fact("config_file", ""),
    fixed("io_threads_active", 0),
    told("respbroker_version"),
)

CLIENTS: Final = (
    Field("connected_clients", lambda view: sum(not client.replica for client in view.ctx.clients.values())),
    fixed("cluster_connections", 0),
    Field("maxclients", lambda view: view.ctx.settings.maxclients),
    told("client_recent_max_input_buffer"),
    told("client_recent_max_output_buffer"),
    Field("blocked_clients", lambda view: view.blocked_count()),
    fixed("tracking_clients", 0),
    Field("pubsub_clients", lambda view: view.listeners_count()),
    Field("watching_clients", lambda view: len(view.watched())),
    told("clients_in_timeout_table"),
    Field("total_watched_keys", lambda view: len({key for keys in view.watched() for key in keys})),
    told("total_blocking_keys"),
    told("total_blocking_keys_on_nokey"),
)

MEMORY: Final = (
    *sized("used_memory"),
    *sized("used_memory_rss"),
    *sized("used_memory_peak"),
    Field(
        "used_memory_peak_perc",
        lambda view: f"{100 * _ratio(view.fact('used_memory'), view.fact('used_memory_peak')):.2f}%",
    ),
    fact("used_memory_startup"),
    Field("used_memory_overhead", lambda view: view.fact("used_memory_startup")),
    Field("used_memory_dataset", lambda view: max(0, view.fact("used_memory") - view.fact("used_memory_startup"))),
    *sized("total_system_memory"),
    fixed("used_memory_lua", 0),
    fixed("used_memory_scripts", 0),
    Field("number_of_cached_scripts", lambda view: len(view.ctx.scripts)),
    fixed("number_of_functions", 0),
    fixed("number_of_libraries", 0),
    Field("maxmemory", lambda view: view.ctx.settings.maxmemory),
    Field("maxmemory_human", lambda view: human(view.ctx.settings.maxmemory)),
    Field("maxmemory_policy", lambda view: view.ctx.settings.maxmemory_policy),
    Field(
        "mem_fragmentation_ratio",
        lambda view: f"{_ratio(view.fact('used_memory_rss'), view.fact('used_memory')):.2f}",
    ),
    Field("mem_fragmentation_bytes", lambda view: view.fact("used_memory_rss") - view.fact("used_memory")),
    fixed("mem_not_counted_for_evict", 0),
    fixed("mem_replication_backlog", 0),
    fixed("mem_clients_slaves", 0),
    told("mem_clients_normal"),
    fixed("mem_aof_buffer", 0),
    told("mem_allocator"),
    fixed("active_defrag_running", 0),
    fact("lazyfree_pending_objects"),
    told("lazyfreed_objects"),
)

PERSISTENCE: Final = (
    fact("loading"),
    fixed("async_loading", 0),
    fact("rdb_changes_since_last_save"),
    fact("rdb_bgsave_in_progress"),
    fact("rdb_last_save_time"),
    fact("rdb_last_bgsave_status", "ok"),
    fact("rdb_last_bgsave_time_sec", -1),
    fixed("rdb_current_bgsave_time_sec", -1),
    fact("rdb_saves"),
    fixed("rdb_last_cow_size", 0),
    fixed("aof_enabled", 1),
    fact("aof_rewrite_in_progress"),
    fixed("aof_rewrite_scheduled", 0),
    told("aof_last_rewrite_time_sec"),
    fixed("aof_current_rewrite_time_sec", -1),
    fact("aof_last_bgrewrite_status", "ok"),
    fact("aof_rewrites"),
    fixed("aof_rewrites_consecutive_failures", 0),
    fact("aof_last_write_status", "ok"),
    fixed("aof_last_cow_size", 0),
    fixed("module_fork_in_progress", 0),
    fixed("module_fork_last_cow_size", 0),
    fact("aof_current_size"),
    told("aof_base_size"),
    fixed("aof_pending_rewrite", 0),
    fixed("aof_buffer_length", 0),
    fact("aof_pending_bio_fsync"),
    told("aof_delayed_fsync"),
    fact("open_streams"),
    fact("segments_count"),
    fact("syncs_count"),
)

STATS: Final = (
    counter("total_connections_received", "connections_received"),
    counter("total_commands_processed", "commands_processed"),
    Field("instantaneous_ops_per_sec", lambda view: int(view.ctx.statistics.commands_rate.per_second)),
    counter("total_net_input_bytes", "net_input_bytes"),
    counter("total_net_output_bytes", "net_output_bytes"),
    counter("total_net_repl_input_bytes", "net_repl_input_bytes"),
    counter("total_net_repl_output_bytes", "net_repl_output_bytes"),
    Field("instantaneous_input_kbps", lambda view: _kilobytes(view.ctx.statistics.input_rate.per_second)),
    Field("instantaneous_output_kbps", lambda view: _kilobytes(view.ctx.statistics.output_rate.per_second)),
    counter("rejected_connections", "connections_rejected"),
    fixed("sync_full", 0),
    fixed("sync_partial_ok", 0),
    fixed("sync_partial_err", 0),
    counter("expired_keys", "expired_keys"),
    fixed("expired_stale_perc", "0.00"),
    fixed("expired_time_cap_reached_count", 0),
    fixed("evicted_keys", 0),
    fixed("evicted_clients", 0),
    counter("keyspace_hits", "keyspace_hits"),
    counter("keyspace_misses", "keyspace_misses"),
    Field("pubsub_channels", lambda view: len(view.ctx.channels.channels)),
    Field("pubsub_patterns", lambda view: len(view.ctx.channels.patterns)),
    Field("pubsubshard_channels", lambda view: len(view.ctx.channels.shard_channels)),
    fixed("latest_fork_usec", 0),
    fixed("total_forks", 0),
    fixed("migrate_cached_sockets", 0),
    fixed("slave_expires_tracked_keys", 0),
    fixed("tracking_total_keys", 0),
    fixed("tracking_total_items", 0),
    fixed("tracking_total_prefixes", 0),
    counter("dead_letters", "dead_letters"),
    counter("unread_lost", "unread_lost"),
    counter("unexpected_error_replies", "unexpected_errors"),
    counter("total_error_replies", "error_replies"),
    counter("total_reads_processed", "reads_processed"),
    counter("total_writes_processed", "writes_processed"),
    counter("client_query_buffer_limit_disconnections", "query_limit_disconnections"),
    counter("client_output_buffer_limit_disconnections", "output_limit_disconnections"),
    told("eventloop_cycles"),
    counter("acl_access_denied_auth", "denied_logins"),
    fixed("acl_access_denied_cmd", 0),
    fixed("acl_access_denied_key", 0),
    fixed("acl_access_denied_channel", 0),
)


def _seconds(name: str) -> Field:
    return Field(name, lambda view: f"{view.fact(name, 0.0):.6f}")


CPU: Final = (
    _seconds("used_cpu_sys"),
    _seconds("used_cpu_user"),
    _seconds("used_cpu_sys_children"),
    _seconds("used_cpu_user_children"),
)

CLUSTER: Final = (fixed("cluster_enabled", 0),)
