"""Output commit: replies wait for the sync that covers them, in the order of ticks."""

from __future__ import annotations

import socket
import threading

from respbroker.resp.limits import Limits
from respbroker.server.commit import OutputCommit, Sending
from respbroker.server.connection import Connection
from respbroker.sessions.client import Client
from tests.server.edge import ask, edge, receive, receive_all
from tests.server.toy_node import FRAME, ToyDurability, ToyNode


class Disk:
    """A sync that a test ends when it wants to."""

    def __init__(self):
        self.started = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.error = None

    def sync(self):
        self.started.release()
        self.may_end.acquire()
        if self.error:
            raise self.error


def sending(name):
    return Sending(connection=name, pieces=[], closing=False)


def names(sendings):
    return [one.connection for one in sendings]


class Bench:
    def __init__(self, pace=0.0):
        self.durability = ToyDurability(ToyNode())
        self.submitted = []
        self.commit = OutputCommit(self.durability, self.submitted.append, lambda: pace)

    def tick(self, name, *, wrote, policy="always", now=0.0):
        self.durability.needs_sync = self.durability.needs_sync or wrote
        return names(self.commit.after_tick([sending(name)], policy, now))

    def finish(self, policy="always", now=0.0):
        released = names(self.commit.finished(None, now))
        self.commit.start_due(policy, now)
        return released


def test_a_tick_that_wrote_nothing_is_answered_at_once():
    assert Bench().tick("a", wrote=False) == ["a"]


def test_outputs_wait_for_their_sync_and_keep_their_order():
    bench = Bench()
    assert bench.tick("a", wrote=True) == []
    assert len(bench.submitted) == 1
    assert bench.tick("b", wrote=True) == []  # not covered by the running sync
    assert bench.tick("c", wrote=False) == []  # a reader behind it may have seen what b wrote
    assert bench.tick("d", wrote=True) == []
    assert len(bench.submitted) == 1
    assert bench.finish() == ["a"]
    assert len(bench.submitted) == 2  # one sync for b and d
    assert bench.tick("e", wrote=False) == []
    assert bench.finish() == ["b", "c", "d", "e"]
    assert not bench.commit.holding
    assert bench.tick("f", wrote=False) == ["f"]
    assert len(bench.submitted) == 2


def test_a_sync_at_once_lets_the_outputs_go():
    bench, performed = Bench(), []
    bench.durability.needs_sync = True
    assert bench.commit.holds_back("always")
    assert bench.commit.sync_at_once([], performed.append, 0.0) == []
    assert len(performed) == 1
    assert bench.submitted == []
    assert not bench.commit.holds_back("always")


def test_nothing_is_synced_at_once_while_others_wait_or_much_is_to_be_synced():
    bench, performed = Bench(), []
    bench.tick("a", wrote=True)
    bench.durability.needs_sync = True
    assert bench.commit.sync_at_once([], performed.append, 0.0) is None
    assert bench.finish() == ["a"]
    bench.finish()
    bench.durability.needs_sync, bench.durability.logs_to_sync = True, 3
    assert bench.commit.sync_at_once([], performed.append, 0.0) is None
    assert performed == []
    assert bench.commit.holds_back("always")


def test_clients_are_closed_unanswered_when_a_sync_at_once_fails():
    bench, client = Bench(), Client(1)

    def fail(request):
        raise OSError(5, "Input/output error")

    bench.durability.needs_sync = True
    assert bench.commit.sync_at_once([client], fail, 0.0) == []
    assert client.kill
    assert bench.durability.log == ["failed: [Errno 5] Input/output error"]


def test_those_just_answered_may_join_the_next_sync():
    bench = Bench(pace=0.004)
    bench.tick("a", wrote=True)
    bench.tick("b", wrote=True, now=0.003)
    assert bench.finish(now=0.004) == ["a"]
    assert len(bench.submitted) == 1  # b waits for a
    assert bench.commit.next_deadline("always") == 0.008
    bench.commit.company.heard(["a"])
    assert bench.tick("a", wrote=True, now=0.005) == []
    assert len(bench.submitted) == 2
    assert bench.finish(now=0.009) == ["b", "a"]


def test_a_sync_that_is_waited_for_covers_all_who_joined():
    bench, performed = Bench(pace=0.0005), []
    bench.commit.company.answered(["a", "b"], 1.0)
    bench.durability.needs_sync = True
    bench.commit.company.heard(["a"])
    assert bench.commit.sync_at_once([], performed.append, 1.0001) is None
    assert bench.tick("a", wrote=True, now=1.0001) == []
    bench.commit.company.heard(["b"])
    assert names(bench.commit.sync_at_once([], performed.append, 1.0002)) == ["a"]
    assert len(performed) == 1
    assert bench.submitted == []
    assert not bench.commit.holding


def test_nobody_is_waited_for_longer_than_a_sync_takes():
    bench = Bench(pace=0.004)
    bench.tick("a", wrote=True)
    bench.tick("b", wrote=True)
    bench.finish(now=1.0)
    bench.commit.start_due("always", 1.0039)
    assert len(bench.submitted) == 1
    bench.commit.start_due("always", 1.0041)
    assert len(bench.submitted) == 2
    assert bench.finish(now=1.01) == ["b"]


def test_clients_that_do_not_come_back_are_not_waited_for_again_and_again():
    bench, waits = Bench(pace=0.004), 0
    for round_number in range(1, 101):
        bench.commit.company.answered(["a", "b"], float(round_number))
        bench.commit.company.heard(["a"])
        waits += bench.commit.company.is_awaited(round_number + 0.001)
        bench.commit.company.left()
    assert 2 <= waits <= 8


def test_whoever_wants_a_sync_now_waits_for_nobody():
    bench = Bench(pace=0.004)
    bench.tick("a", wrote=True)
    bench.tick("b", wrote=True)
    bench.durability.wants_sync_now = True
    bench.finish(now=1.0)
    assert len(bench.submitted) == 2


def test_a_failed_sync_at_once_closes_those_who_joined_it():
    bench = Bench(pace=0.004)

    def fail(request):
        raise OSError(5, "Input/output error")

    joined = Connection(socket.socket(), Client(1), Limits())
    bench.commit.company.answered(["other"], 0.0)
    bench.durability.needs_sync = True
    assert bench.commit.after_tick([Sending(joined, [b"+OK\r\n"], False)], "always", 0.001) == []
    (sending,) = bench.commit.sync_at_once([], fail, 0.005)
    assert (sending.pieces, sending.closing, joined.client.kill) == ([], True, True)
    joined.sock.close()


def test_a_reader_behind_a_running_sync_waits_only_for_that_one():
    bench = Bench()
    bench.tick("a", wrote=True)
    assert bench.tick("b", wrote=False) == []
    assert bench.tick("c", wrote=True) == []
    assert bench.finish() == ["a", "b"]


def test_everysec_answers_at_once_and_syncs_once_a_second():
    bench = Bench()
    assert bench.tick("a", wrote=True, policy="everysec", now=10.0) == ["a"]
    assert len(bench.submitted) == 1
    bench.finish("everysec", 10.1)
    assert bench.tick("b", wrote=True, policy="everysec", now=10.2) == ["b"]
    assert len(bench.submitted) == 1
    assert bench.commit.next_deadline("everysec") == 11.0
    bench.commit.start_due("everysec", 11.0)
    assert len(bench.submitted) == 2


def test_no_syncs_only_when_somebody_waits_for_it():
    bench = Bench()
    assert bench.tick("a", wrote=True, policy="no") == ["a"]
    assert bench.submitted == []
    bench.durability.wants_sync_now = True
    assert bench.tick("b", wrote=False, policy="no") == ["b"]
    assert len(bench.submitted) == 1


def test_a_policy_that_becomes_laxer_does_not_overtake_what_is_held():
    bench = Bench()
    bench.tick("a", wrote=True)
    assert bench.tick("b", wrote=True, policy="no") == []
    assert bench.finish("no") == ["a", "b"]


def test_replies_are_held_on_the_socket_until_the_sync_is_done():
    disk = Disk()
    node = ToyNode(sync=disk.sync)
    with edge(("appendfsync", "always"), node=node) as server, server.connect() as writer, server.connect() as reader:
        ask(reader, b"PING\r\n", b"+PONG\r\n")
        writer.sendall(b"WRITE\r\n")
        disk.started.acquire()
        ticks = node.ticks
        reader.sendall(b"PING\r\n")
        while node.ticks == ticks:
            pass
        reader.setblocking(False)
        try:
            assert reader.recv(100) == b"nothing yet"
        except BlockingIOError:
            pass
        reader.settimeout(20)
        disk.may_end.release()
        assert receive(writer, 5) == b"+OK\r\n"
        assert receive(reader, 7) == b"+PONG\r\n"
        for _ in range(10):
            disk.may_end.release()


def test_frames_leave_before_the_sync_and_before_the_replies_that_wait_for_it():
    """A follower may have what its leader has not synced: both disks work at the same time."""
    disk = Disk()
    node = ToyNode(sync=disk.sync)
    with edge(("appendfsync", "always"), node=node) as server, server.connect() as writer, server.connect() as replica:
        ask(replica, b"REPLICA\r\n", b"+OK\r\n")
        for _ in range(3):
            writer.sendall(b"WRITE\r\n")
            disk.started.acquire()
            assert receive(replica, len(FRAME)) == FRAME
            ask(replica, b"PING\r\n", b"+PONG\r\n")
            disk.may_end.release()
            assert receive(writer, 5) == b"+OK\r\n"
        assert node.statistics.net_repl_output_bytes == 3 * len(FRAME + b"+PONG\r\n") + len(b"+OK\r\n")
        for _ in range(10):
            disk.may_end.release()


def test_a_failed_sync_closes_whoever_waits_for_it_and_is_never_tried_again():
    disk = Disk()
    disk.error = OSError(5, "Input/output error")
    node = ToyNode(sync=disk.sync)
    with edge(("appendfsync", "always"), node=node) as server, server.connect() as writer, server.connect() as reader:
        ask(reader, b"PING\r\n", b"+PONG\r\n")
        writer.sendall(b"WRITE\r\n")
        disk.started.acquire()
        disk.may_end.release()
        assert receive_all(writer) == b""
        ask(reader, b"PING\r\n", b"+PONG\r\n")
        assert node.durability.log == ["failed: [Errno 5] Input/output error"]
        disk.error = None
        disk.may_end.release()
