"""BullMQ's QueueEvents, which reads a queue's events with XREAD, and what publishes into them.

The queue itself is Lua scripts over lists, hashes and sorted sets: it stays on a Redis.
"""

from __future__ import annotations

from tests.applications.node.programs import Node
from tests.support.replica_sets import until
from tests.support.servers import Server


def is_reading(server: Server) -> bool:
    return any(b"cmd=xread" in line and b"flags=b" in line for line in server.call("CLIENT", "LIST").splitlines())


def test_the_events_of_a_queue_are_heard_as_they_come(node: Node, server: Server) -> None:
    program = node.program("bullmq.mjs")
    program.ask("listen", url=server.url)
    until(lambda: is_reading(server), "QueueEvents waits")
    # as its scripts add them when a job goes through
    for fields in (
        ["event", "waiting", "jobId", "7"],
        ["event", "progress", "jobId", "7", "data", '{"percent":50}'],
        ["event", "completed", "jobId", "7", "returnvalue", '"sent"', "prev", "active"],
        ["event", "drained"],
    ):
        server.call("XADD", "bull:mail:events", "MAXLEN", "~", 10000, "*", *fields)
    assert program.ask("heard", count=5) == [
        ["waiting", {"jobId": "7"}],
        ["progress", {"jobId": "7", "data": {"percent": 50}}],
        ["completed", {"jobId": "7", "returnvalue": "sent", "prev": "active"}],
        ["completed:7", "sent"],
        ["drained"],
    ]
    program.ask("publish", event={"eventName": "opened", "by": "anna"})
    assert program.ask("heard", count=1) == [["opened", {"by": "anna"}]]
    program.ask("leave")


def test_a_listener_reads_on_from_the_last_event_that_it_knows(node: Node, server: Server) -> None:
    known, missed = (
        server.call("XADD", "bull:mail:events", "*", "event", "opened", "by", who).split()[1].decode()
        for who in ("anna", "ben")
    )
    assert known < missed
    program = node.program("bullmq.mjs")
    program.ask("listen", url=server.url, since=known)
    assert program.ask("heard", count=1) == [["opened", {"by": "ben"}]]
    program.ask("leave")


def test_a_listener_hears_on_after_the_server_was_killed(node: Node, lasting_server: Server) -> None:
    program = node.program("bullmq.mjs")
    program.ask("listen", url=lasting_server.url)
    until(lambda: is_reading(lasting_server), "QueueEvents waits")
    program.ask("publish", event={"eventName": "opened", "by": "anna"})
    assert program.ask("heard", count=1) == [["opened", {"by": "anna"}]]
    lasting_server.kill()
    lasting_server.start_again()
    program.ask("publish", event={"eventName": "opened", "by": "ben"})
    assert program.ask("heard", count=1) == [["opened", {"by": "ben"}]]
    program.ask("leave")


def test_a_queue_is_told_at_once_that_there_is_no_lua(node: Node, respbroker_server: Server) -> None:
    respbroker_server.call("FLUSHALL")
    refusal = node.program("bullmq.mjs").ask("addJob", url=respbroker_server.url)
    assert refusal.startswith("ERR there is no Lua here")
