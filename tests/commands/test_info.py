"""INFO, read as monitoring reads it."""

from __future__ import annotations

import pytest

from respbroker.commands.info_fields import human
from respbroker.sessions.client import Client
from tests.support.nodes import NodeUnderTest
from tests.support.servers import Server
from tests.support.wire import parse

#: What redis-cli --stat, redis_exporter, RedisInsight, ioredis and redis-py's tests read.
READ_BY_PROGRAMS = (
    "redis_version",
    "redis_mode",
    "uptime_in_seconds",
    "process_id",
    "run_id",
    "tcp_port",
    "hz",
    "connected_clients",
    "blocked_clients",
    "maxclients",
    "used_memory",
    "used_memory_human",
    "used_memory_rss",
    "used_memory_peak",
    "used_memory_lua",
    "maxmemory",
    "maxmemory_policy",
    "mem_fragmentation_ratio",
    "loading",
    "rdb_changes_since_last_save",
    "rdb_bgsave_in_progress",
    "rdb_last_save_time",
    "rdb_last_bgsave_status",
    "rdb_last_bgsave_time_sec",
    "aof_enabled",
    "aof_rewrite_in_progress",
    "aof_last_bgrewrite_status",
    "aof_last_write_status",
    "aof_current_size",
    "total_connections_received",
    "total_commands_processed",
    "instantaneous_ops_per_sec",
    "total_net_input_bytes",
    "total_net_output_bytes",
    "rejected_connections",
    "expired_keys",
    "evicted_keys",
    "keyspace_hits",
    "keyspace_misses",
    "pubsub_channels",
    "pubsub_patterns",
    "latest_fork_usec",
    "total_error_replies",
    "role",
    "connected_slaves",
    "master_repl_offset",
    "master_replid",
    "used_cpu_sys",
    "used_cpu_user",
    "cluster_enabled",
)


def info(node: NodeUnderTest, client: Client, *sections: str) -> dict[str, str]:
    text = parse(node.run(client, "INFO", *sections)).text
    assert text is not None
    return dict(line.split(":", 1) for line in text.decode().split("\r\n") if ":" in line)


def titles(node: NodeUnderTest, client: Client, *sections: str) -> list[str]:
    text = parse(node.run(client, "INFO", *sections)).text or b""
    return [line[2:] for line in text.decode().split("\r\n") if line.startswith("# ")]


def test_every_field_that_programs_read_is_there(node: NodeUnderTest) -> None:
    fields = info(node, node.client())
    assert [name for name in READ_BY_PROGRAMS if name not in fields] == []
    assert fields["loading"] == "0"
    assert fields["role"] == "master"


def test_sections_are_chosen_by_name_in_any_case_and_come_in_their_order(node: NodeUnderTest) -> None:
    client = node.client()
    assert titles(node, client, "KEYSPACE", "cpu", "Cpu") == ["CPU", "Keyspace"]
    assert titles(node, client, "nope") == []
    default = titles(node, client)
    assert "Commandstats" not in default
    assert titles(node, client, "default") == default
    assert titles(node, client, "default", "commandstats") == [*default[:8], "Commandstats", *default[8:]]
    assert set(titles(node, client, "all")) == set(titles(node, client, "everything")) > set(default)


def test_sections_are_parted_by_an_empty_line(node: NodeUnderTest) -> None:
    client = node.client()
    assert node.run(client, "INFO", "nope") == b"$0\r\n\r\n"
    assert node.run(client, "INFO", "cluster") == b"$30\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n"
    assert node.run(client, "INFO", "cluster", "keyspace").endswith(b":0\r\n\r\n# Keyspace\r\n\r\n")


def test_in_resp3_the_text_is_verbatim(node: NodeUnderTest) -> None:
    assert node.run(node.client(3), "INFO", "cluster") == b"=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n"


def test_commands_and_refusals_are_counted(node: NodeUnderTest) -> None:
    client = node.client()
    for words in (["PING"], ["PING"], ["CONFIG", "GET"], ["CONFIG", "SET", "nope", "1"], ["NOPE"]):
        node.run(client, *words)
    fields = info(node, client, "commandstats", "errorstats", "stats")
    assert fields["cmdstat_ping"].startswith("calls=2,usec=")
    assert fields["cmdstat_ping"].endswith("rejected_calls=0,failed_calls=0")
    assert "calls=1" in fields["cmdstat_config|set"]
    assert "failed_calls=1" in fields["cmdstat_config|set"]
    assert fields["errorstat_ERR"] == "count=3"
    assert fields["total_error_replies"] == "3"
    assert fields["total_commands_processed"] == "3"


def test_latencystats_has_the_percentiles_asked_for(node: NodeUnderTest) -> None:
    client = node.client()
    node.run(client, "PING")
    assert info(node, client, "latencystats")["latency_percentiles_usec_ping"].startswith("p50=")
    node.run(client, "CONFIG", "SET", "latency-tracking-info-percentiles", "99.99")
    assert info(node, client, "latencystats")["latency_percentiles_usec_ping"].startswith("p99.99=")


def test_latency_tracking_can_be_turned_off(node: NodeUnderTest) -> None:
    client = node.client()
    node.run(client, "CONFIG", "SET", "latency-tracking", "no")
    node.run(client, "PING")
    assert "latency_percentiles_usec_ping" not in info(node, client, "latencystats")


def test_keyspace_has_a_line_for_each_database_with_keys(node: NodeUnderTest) -> None:
    client = node.client()
    node.run(client, "XADD", "s", "*", "a", "b")
    node.run(client, "XADD", "t", "*", "a", "b")
    node.run(client, "PEXPIRE", "s", "5000")
    node.run(client, "SELECT", "3")
    node.run(client, "XADD", "s", "*", "a", "b")
    assert info(node, client, "keyspace") == {
        "db0": "keys=2,expires=1,avg_ttl=5000,subexpiry=0",
        "db3": "keys=1,expires=0,avg_ttl=0,subexpiry=0",
    }


def test_changes_since_the_last_save_go_back_to_zero_with_a_save(node: NodeUnderTest) -> None:
    client = node.client()
    node.run(client, "XADD", "s", "*", "a", "b")
    assert info(node, client, "persistence")["rdb_changes_since_last_save"] == "1"
    node.clock.advance(5000)
    node.run(client, "SAVE")
    fields = info(node, client, "persistence")
    assert fields["rdb_changes_since_last_save"] == "0"
    assert fields["rdb_last_save_time"] == str(node.clock.ms // 1000)


def test_clients_are_counted_by_what_they_do(node: NodeUnderTest) -> None:
    client, reader, listener, watcher, replica = [node.client() for _ in range(5)]
    replica.replica = True
    node.run(reader, "XREAD", "BLOCK", "0", "STREAMS", "s", "$")
    node.run(listener, "SUBSCRIBE", "c")
    node.run(watcher, "WATCH", "a", "b")
    fields = info(node, client, "clients")
    assert (fields["connected_clients"], fields["blocked_clients"], fields["pubsub_clients"]) == ("4", "1", "1")
    assert (fields["watching_clients"], fields["total_watched_keys"]) == ("1", "2")
    assert info(node, client, "stats")["pubsub_channels"] == "1"


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0B"), (1023, "1023B"), (1024, "1.00K"), (1906448, "1.82M"), (25274793984, "23.54G")]
)
def test_sizes_for_people_are_written_as_redis_writes_them(size: int, text: str) -> None:
    assert human(size) == text


def test_every_field_that_redis_has_too_stands_in_the_same_section(node: NodeUnderTest, redis_server: Server) -> None:
    def sections(text: str) -> dict[str, str]:
        found, title = {}, ""
        for line in text.split("\r\n"):
            if line.startswith("# "):
                title = line
            elif ":" in line:
                found[line.split(":")[0]] = title
        return found

    theirs = sections((parse(redis_server.call("INFO")).text or b"").decode())
    ours = sections((parse(node.run(node.client(), "INFO")).text or b"").decode())
    assert {name for name, title in ours.items() if theirs.get(name, title) != title} == set()
    assert set(ours) - set(theirs) <= {
        "dead_letters",
        "unread_lost",
        "open_streams",
        "segments_count",
        "syncs_count",
        *AOF_FIELDS,
        "respbroker_version",
        "leader_epoch",
        "high_watermark",
    }


#: Printed by Redis only while its append-only file is on.
AOF_FIELDS = {
    *("aof_current_size", "aof_base_size", "aof_pending_rewrite", "aof_buffer_length", "aof_pending_bio_fsync"),
    "aof_delayed_fsync",
}
