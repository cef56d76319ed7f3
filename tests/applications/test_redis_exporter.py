"""redis_exporter for Prometheus: what it tells of our streams and keys is what it tells of Redis'."""

from __future__ import annotations

import re
import shutil
import urllib.request

import pytest

from tests.applications import programs
from tests.support import needs, servers
from tests.support.replica_sets import until
from tests.support.servers import HOST, Server

PROGRAM = "prometheus-redis-exporter"
OPTIONS = ("-check-streams", "ord*", "-check-single-streams", "other", "-check-keys", "*", "-count-keys", "db0=o*")
EXTRA = ("-export-client-list", "-include-system-metrics", "-redis-only-metrics", "-ping-on-connect")

#: What one server tells and another need not: its allocator, its threads, its files, what it counts of itself.
MACHINERY = re.compile(
    r"redis_(allocator|aof|defrag|mem_fragmentation|memory_used|cpu|io_thread|rdb|replication_backlog|config_io_threads)"
    r"|redis_(client_recent_max|clients_in_timeout|mem_clients|dump_payload|net_|process_id|start_time)"
    r"|redis_db0_distrib|redis_total_system"
)
#: What takes its time, or is of the moment.
TIMES = re.compile(
    r"_seconds|_usec|redis_exporter|redis_(instance_info|connected_clients|keyspace_hits|total_)|redis_uptime"
    r"|redis_(slowlog|last_slow)"
)
#: To learn a string's length the exporter tries PFCOUNT first: Redis says it is no HyperLogLog, we say there are none.
HYPERLOGLOG = re.compile(r'cmd="pfcount|redis_errors_total|redis_commands_processed')


def metrics_of(server: Server) -> dict[str, float]:
    """What Prometheus would read, of a second look: the first has not been counted yet in the first."""
    address = f"{HOST}:{servers.free_port()}"
    where = ("-redis.addr", server.url, "-web.listen-address", address)
    with programs.running(shutil.which(PROGRAM) or PROGRAM, *where, *OPTIONS, *EXTRA) as exporter:
        text = ""

        def is_told() -> bool:
            nonlocal text
            assert exporter.process.poll() is None, exporter.printed()
            try:
                with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as page:
                    text = page.read().decode()
            except OSError:
                return False
            return "redis_exporter_scrapes_total 2" in text

        until(is_told, "metrics")
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def fill(server: Server) -> None:
    with server.connect() as wire:
        for number in range(1, 11):
            wire.call("XADD", "orders", f"{number}-0", "n", number)
        wire.call("XDEL", "orders", "3-0")
        wire.call("XTRIM", "orders", "MAXLEN", 8)
        for group, start in (("workers", "0"), ("late", "$"), ("unread", "5-0")):
            wire.call("XGROUP", "CREATE", "orders", group, start)
        wire.call("XREADGROUP", "GROUP", "workers", "anna", "COUNT", 3, "STREAMS", "orders", ">")
        wire.call("XREADGROUP", "GROUP", "workers", "ben", "COUNT", 2, "STREAMS", "orders", ">")
        wire.call("XACK", "orders", "workers", "2-0")
        wire.call("XADD", "other", "1-1", "a", "b")
        wire.call("SET", "text", "hello", "EX", 1000)
        wire.call("HSET", "hash", "a", 1, "b", 2)
        wire.call("ZADD", "ranking", 1, "m")


Told = tuple[dict[str, float], dict[str, float]]


@pytest.fixture(scope="module")
def told() -> Told:
    """The metrics of Redis and of ours, which were asked the same since they were started."""
    if shutil.which(PROGRAM) is None:
        needs.missing(f"{PROGRAM}, from the package of that name")
    with servers.running("redis") as redis, servers.running("respbroker") as respbroker:
        for server in (redis, respbroker):
            fill(server)
        return metrics_of(redis), metrics_of(respbroker)


def test_the_metrics_of_streams_groups_and_consumers_are_the_same(told: Told) -> None:
    streams, ours = ({name: told[name] for name in told if name.startswith("redis_stream_")} for told in told)
    assert ours.keys() == streams.keys()
    idle = {name for name in streams if "idle_seconds" in name}
    assert len(idle) == 2
    assert {name: ours[name] for name in ours.keys() - idle} == {name: streams[name] for name in streams.keys() - idle}
    group = 'db="db0",group="workers",stream="orders"'
    assert ours[f"redis_stream_group_messages_pending{{{group}}}"] == 4
    assert ours['redis_stream_length{db="db0",stream="orders"}'] == 8
    assert all(0 <= ours[name] < 1000 for name in idle)


def test_the_other_metrics_are_there_too_and_those_that_are_no_measurements_are_equal(told: Told) -> None:
    theirs, ours = (
        {name: told[name] for name in told if not MACHINERY.match(name) and not HYPERLOGLOG.search(name)}
        for told in told
    )
    of_the_moment = re.compile("redis_(instance_info|connected_clients_details)")
    assert {name for name in theirs.keys() ^ ours.keys() if not of_the_moment.match(name)} == set()
    counted = [name for name in theirs if name in ours and not TIMES.search(name)]
    assert {name: ours[name] for name in counted} == {name: theirs[name] for name in counted}
    assert 'redis_key_size{db="db0",key="hash"}' in counted
    assert 'redis_commands_total{cmd="xadd"}' in counted
    assert "redis_up" in counted


def test_counters_of_the_connection_count(told: Told) -> None:
    for metrics in told:
        for name in ("redis_total_reads_processed", "redis_total_writes_processed", "redis_net_input_bytes_total"):
            assert metrics[name] > 0, name
