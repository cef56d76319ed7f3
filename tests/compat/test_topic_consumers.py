"""Unchanged redis-py consumers, each a process, on an ordered group of a real server; one is killed with -9."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections import defaultdict

import redis

PROGRAM = """
import sys, redis
port, name = int(sys.argv[1]), sys.argv[2]
server = redis.Redis(port=port, decode_responses=True, socket_timeout=60)
print("ready", flush=True)
while True:
    for _, entries in server.xreadgroup("g", name, {"orders": ">"}, count=5, block=1000) or []:
        for entry_id, fields in entries:
            server.xadd("handled", {"by": name, **fields})
            server.xack("orders", "g", entry_id)
"""
KEYS, COUNTS = 40, 20
NAMES = ["c1", "c2", "c3", "c4"]
TRIES = 100_000  # each is a round trip


@contextlib.contextmanager
def consumers(port, names):
    """Processes that read until they are ended."""
    command = [sys.executable, "-c", PROGRAM, str(port)]
    processes = {name: subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True) for name in names}
    try:
        for process in processes.values():
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield processes
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()


def add(server, counts):
    with server.pipeline(transaction=False) as pipeline:
        for count in counts:
            for key in range(KEYS):
                pipeline.xadd("orders", {"key": f"k{key}", "count": count})
        pipeline.execute()


def handled(server, enough):
    """What was handled, in its order, as soon as ``enough`` says so of it."""
    found, last = [], "0"
    while not enough(found):
        reply = server.xread({"handled": last}, block=10_000)
        assert reply, f"nothing more is handled after {len(found)} entries"
        entries = reply[0][1]
        found += [fields for _, fields in entries]
        last = entries[-1][0]
    return found


def members(server):
    [group] = server.execute_command("XTOPIC", "INFO", "orders")["groups"]
    return [member["name"] for member in group["members"]]


def pairs(found):
    return {(fields["key"], fields["count"]) for fields in found}


def test_each_key_is_handled_in_order_though_a_consumer_is_killed(respbroker_server):
    server = redis.Redis(port=respbroker_server.port, decode_responses=True, socket_timeout=60)
    server.flushall()
    settings = ["key.field", "key", "group.session.timeout.ms", "300"]
    server.execute_command("XTOPIC", "CREATE", "orders", "PARTITIONS", 8, "CONFIG", *settings)
    server.xgroup_create("orders", "g", "0")
    with consumers(respbroker_server.port, NAMES) as processes:
        assert any(members(server) == NAMES for _ in range(TRIES))
        add(server, range(COUNTS // 2))
        found = handled(server, lambda found: {fields["by"] for fields in found} == set(processes))
        victim = found[-1]["by"]
        processes[victim].send_signal(signal.SIGKILL)
        add(server, range(COUNTS // 2, COUNTS))
        found = handled(server, lambda found: len(pairs(found)) == KEYS * COUNTS)
        assert any(server.xpending("orders", "g")["pending"] == 0 for _ in range(TRIES))  # the last XACK is on its way
    first_times = defaultdict(list)
    for fields in found:
        if fields["count"] not in first_times[fields["key"]]:
            first_times[fields["key"]].append(fields["count"])
    assert set(first_times) == {f"k{key}" for key in range(KEYS)}
    for counts in first_times.values():
        assert counts == [str(count) for count in range(COUNTS)]
    again = len(found) - KEYS * COUNTS
    assert again <= 1, "the killed one had not acknowledged one entry at most"
