"""The edge over real sockets: reading, replying, backpressure, refusals, the end."""

from __future__ import annotations

import contextlib
import select
import socket
import threading

import pytest

from respbroker.server import connection, listener
from respbroker.sessions.peer import Peer
from tests.server.edge import TIMEOUT, ask, edge, receive, receive_all
from tests.server.peer_bench import listening, port_of
from tests.server.toy_node import CHUNK, FRAME, ToyNode


def test_pipelined_requests_are_answered_in_order():
    with edge() as server, server.connect() as peer:
        ask(peer, b"PING\r\n" * 1000 + b"ECHO hello\r\n", b"+PONG\r\n" * 1000 + b"$5\r\nhello\r\n")


def test_what_is_read_and_written_is_counted_each_time():
    with edge() as server, server.connect() as peer:
        for _ in range(10):
            ask(peer, b"PING\r\n", b"+PONG\r\n")
        assert server.node.statistics.reads_processed == 10
        assert server.node.statistics.writes_processed in (9, 10)  # a reply arrives before it is counted


def test_half_a_request_waits_while_others_are_served():
    with edge() as server, server.connect() as slow, server.connect() as quick:
        for byte in b"*2\r\n$4\r\nECHO\r\n$2\r\nh":
            slow.sendall(bytes([byte]))
            ask(quick, b"PING\r\n", b"+PONG\r\n")
        ask(slow, b"i\r\n", b"$2\r\nhi\r\n")


def test_a_protocol_error_is_told_behind_the_replies_and_closes():
    with edge() as server, server.connect() as peer:
        peer.sendall(b"PING\r\n*1\r\n:5\r\nPING\r\n")
        assert receive_all(peer) == b"+PONG\r\n-ERR Protocol error: expected '$', got ':'\r\n"
        with server.connect() as other:
            ask(other, b"PING\r\n", b"+PONG\r\n")


def test_strangers_have_narrow_limits():
    with edge(("requirepass", "secret")) as server, server.connect() as peer:
        peer.sendall(b"*11\r\n")
        assert receive_all(peer) == b"-ERR Protocol error: unauthenticated multibulk length\r\n"


def test_quit_closes_behind_its_reply():
    with edge() as server, server.connect() as peer:
        peer.sendall(b"PING\r\nQUIT\r\nPING\r\n")
        assert receive_all(peer) == b"+PONG\r\n+OK\r\n"


def test_a_disconnected_client_is_forgotten_also_while_it_waits():
    with edge() as server, server.connect() as other:
        for sent in (b"", b"PING\r\n", b"WAIT\r\n", b"WAIT\r\nPING\r\n"):
            with server.connect() as peer:
                peer.sendall(sent)
                ask(other, b"PING\r\n", b"+PONG\r\n")
                assert len(server.node.clients) <= 2
            while len(server.node.clients) > 1:
                ask(other, b"PING\r\n", b"+PONG\r\n")


def test_a_blocked_client_is_not_read_from_and_goes_on_when_woken():
    with edge() as server, server.connect() as blocked, server.connect() as other:
        blocked.sendall(b"WAIT\r\n")
        while not any(client.blocked for client in server.node.clients.values()):
            ask(other, b"PING\r\n", b"+PONG\r\n")
        writer = threading.Thread(target=blocked.sendall, args=(b"ECHO " + b"x" * 60_000 + b"\r\n",))
        writer.start()
        ask(other, b"PING\r\nGO\r\n", b"+PONG\r\n+OK\r\n")
        reply = b"+woken\r\n$60000\r\n" + b"x" * 60_000 + b"\r\n"
        assert receive(blocked, len(reply)) == reply
        writer.join()


@pytest.mark.parametrize("size", [10, 20_000, 30_000_000])
def test_a_reply_of_any_size_arrives_whole(size):
    with edge() as server, server.connect() as peer:
        wire = b"$%d\r\n" % size + b"x" * size + b"\r\n"
        ask(peer, b"BIG %d\r\nPING\r\n" % size, wire + b"+PONG\r\n")
        ask(peer, b"PING\r\n", b"+PONG\r\n")


def test_a_lazy_reply_is_pulled_only_as_fast_as_it_is_read():
    with edge() as server, server.connect(SO_RCVBUF=65536) as peer, server.connect() as other:
        count = 2000  # 131 MB
        peer.sendall(b"LAZY %d\r\nPING\r\n" % count)
        ask(other, b"PING\r\n" * 10, b"+PONG\r\n" * 10)
        assert server.node.pulled < count // 2
        wire = b"$%d\r\n" % (count * len(CHUNK))
        assert receive(peer, len(wire)) == wire
        assert receive(peer, count * len(CHUNK)).count(b"x") == count * len(CHUNK)
        assert receive(peer, 9) == b"\r\n+PONG\r\n"


def test_a_client_that_never_reads_is_closed_at_its_limit():
    limits = ("client-output-buffer-limit", "normal 20000000 0 0")
    with edge(limits) as server, server.connect(SO_RCVBUF=65536) as silent, server.connect() as other:
        silent.sendall(b"BIG 4000000\r\n" * 12)
        while server.node.statistics.output_limit_disconnections == 0:
            ask(other, b"PING\r\n", b"+PONG\r\n")
        while len(server.node.clients) > 1:
            ask(other, b"PING\r\n", b"+PONG\r\n")
        assert len(receive_all(silent)) < 12 * 4_000_000


def test_a_client_with_too_much_unread_is_not_read_from_until_it_takes_some(monkeypatch):
    monkeypatch.setattr("respbroker.server.connections.UNREAD_MAX", 1_000_000)
    with edge() as server, server.connect(SO_RCVBUF=65536) as peer, server.connect() as other:
        peer.sendall(b"BIG 20000000\r\n")
        while not server.loop.connections.paused:
            ask(other, b"PING\r\n", b"+PONG\r\n")
        peer.sendall(b"PING\r\n")
        ask(other, b"PING\r\n", b"+PONG\r\n")
        receive(peer, 20_000_000 + len(b"$20000000\r\n\r\n"))
        assert receive(peer, 7) == b"+PONG\r\n"


def test_a_replica_that_reads_slowly_is_kept_and_heard_beyond_all_limits(monkeypatch):
    """The node bounds what is on the way to it, and goes by what it acknowledges."""
    monkeypatch.setattr("respbroker.server.connections.UNREAD_MAX", 1_000_000)
    limits = ("client-output-buffer-limit", "slave 1000000 0 0 normal 1000000 0 0")
    with edge(limits) as server, server.connect(SO_RCVBUF=65536) as replica, server.connect() as other:
        ask(replica, b"REPLICA\r\n", b"+OK\r\n")
        (client,) = [client for client in server.node.clients.values() if client.replica]
        for _ in range(5):
            heard = client.bytes_in
            replica.sendall(b"BIG 10000000\r\n")
            while client.bytes_in == heard:
                ask(other, b"PING\r\n", b"+PONG\r\n")
        while client.connection.unsent_bytes < 10_000_000:
            ask(other, b"PING\r\n", b"+PONG\r\n")
        reply = b"$10000000\r\n" + b"x" * 10_000_000 + b"\r\n"
        assert receive(replica, 5 * len(reply)) == reply * 5
        ask(replica, b"PING\r\n", b"+PONG\r\n")
        assert server.node.statistics.output_limit_disconnections == 0


def test_an_acknowledgement_that_comes_during_a_tick_is_heard_before_that_tick_is_answered():
    with edge() as server, server.connect() as replica, server.connect() as writer:
        ask(replica, b"REPLICA\r\n", b"+OK\r\n")
        server.node.during_hold = lambda: replica.sendall(b"ACK\r\n")
        ticks = server.node.ticks
        ask(writer, b"HOLD\r\n", b"+held\r\n")
        assert server.node.ticks == ticks + 1


def test_a_reply_leaves_before_frames_unless_another_waits_for_what_they_bring():
    with edge() as server, server.connect() as replica, server.connect() as writer, server.connect() as other:
        answered, holding = [], threading.Event()

        def frame():
            answered.append(bool(select.select([writer], [], [], 0)[0]))
            yield FRAME

        ask(replica, b"REPLICA\r\n", b"+OK\r\n")
        server.node.frame = frame
        writer.sendall(b"WRITE\r\n")
        assert receive(replica, len(FRAME)) == FRAME  # first, so that the reply is still there when that is sent
        assert receive(writer, 5) == b"+OK\r\n"
        server.node.during_hold = holding.set
        other.sendall(b"HOLD\r\n")
        assert holding.wait(TIMEOUT)
        writer.sendall(b"WRITE\r\n")
        assert receive(replica, len(FRAME)) == FRAME  # first, so that the reply is still there when that is sent
        assert receive(writer, 5) == b"+OK\r\n"
        assert answered == [True, False]


def test_frames_of_any_size_arrive_whole_and_are_counted():
    with edge() as server, server.connect(SO_RCVBUF=65536) as replica, server.connect() as writer:
        ask(replica, b"REPLICA\r\n", b"+OK\r\n")
        before = server.node.statistics.net_repl_output_bytes
        large = [bytes([n]) * 5_000_000 for n in range(1, 5)]
        ask(writer, b"WRITE 5000000 5000000 5000000 5000000\r\n", b"+OK\r\n")
        assert receive(replica, 20_000_000) == b"".join(large)
        while server.node.statistics.net_repl_output_bytes < before + 20_000_000:
            ask(writer, b"PING\r\n", b"+PONG\r\n")


def test_the_node_talks_to_another_server_in_the_turns_of_the_loop():
    with edge() as server, server.connect() as client, listening() as leader:
        told = server.node.told_of_peers
        server.node.wanted_peers = [Peer("127.0.0.1", port_of(leader)), Peer("localhost", port_of(leader))]
        ask(client, b"PING\r\n", b"+PONG\r\n")
        for _ in range(2):  # nobody else asks for anything from here on
            other, _ = leader.accept()
            other.settimeout(TIMEOUT)
            with other:
                assert receive(other, 6) == b"PING\r\n"
                other.sendall(b"+PONG\r\n")
        while len(told) < 6:
            ask(client, b"PING\r\n", b"+PONG\r\n")
        assert told.count("connected") == told.count(b"PONG") == 2
        assert f"127.0.0.1:{port_of(leader)} closed the connection" in told
        assert f"localhost:{port_of(leader)} closed the connection" in told


def test_a_query_over_its_limit_closes_the_connection():
    with edge(("client-query-buffer-limit", "1mb")) as server, server.connect() as peer:
        peer.sendall(b"*1\r\n$100000000\r\n")
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            for _ in range(400):
                peer.sendall(b"x" * 65536)
        assert receive_all(peer) == b""
        assert server.node.statistics.query_limit_disconnections == 1


def test_too_many_clients_are_told_so():
    with edge(clients_max=2) as server, server.connect() as one, server.connect() as two:
        ask(one, b"PING\r\n", b"+PONG\r\n")
        ask(two, b"PING\r\n", b"+PONG\r\n")
        with server.connect() as third:
            assert receive_all(third) == b"-ERR max number of clients reached\r\n"
        ask(one, b"PING\r\n", b"+PONG\r\n")
        assert server.node.statistics.connections_rejected == 1


def test_protected_mode_denies_strangers_only():
    from respbroker.model.settings import Settings

    settings = Settings.load()
    for local in [("127.0.0.1", 5), ("::1", 5, 0, 0), ("::ffff:127.0.0.1", 5, 0, 0), "", "/tmp/a.sock"]:
        assert listener.refusal(settings, local, 10) is None
    stranger = ("192.0.2.7", 5)
    assert listener.refusal(settings, stranger, 10).startswith(b"-DENIED Redis is running in protected mode")
    assert listener.refusal(Settings.load("", [("requirepass", "x")]), stranger, 10) is None
    assert listener.refusal(Settings.load("", [("protected-mode", "no")]), stranger, 10) is None


def test_two_thousand_idle_connections_cost_little_and_end_quickly():
    count = 2000
    with edge(("tcp-backlog", "4096")) as server:
        peers = [server.connect() for _ in range(count)]
        ask(peers[0], b"PING\r\n", b"+PONG\r\n")
        ask(peers[-1], b"PING\r\n", b"+PONG\r\n")
        while len(server.loop.connections) < count:
            ask(peers[0], b"PING\r\n", b"+PONG\r\n")
    assert server.node.durability.log == ["checkpoint", "synced", "stopped"]
    for peer in peers:
        assert receive_all(peer) == b""
        peer.close()


def test_shutdown_by_command_ends_the_loop():
    with edge() as server, server.connect() as peer:
        peer.sendall(b"SHUTDOWN\r\n")
        while not server.loop.stopping:
            pass


def test_a_job_runs_in_a_thread_and_its_result_comes_back_to_the_loop():
    results, threads = [], []

    class Job:
        request = None
        name = "test"

        def run(self):
            threads.append(threading.current_thread().name)
            return 42

        def done(self, result):
            results.append((result, threading.current_thread().name))

    node = ToyNode()
    with edge(node=node) as server, server.connect() as peer:
        node.housekeeping.jobs.append(Job())
        while not results:
            ask(peer, b"PING\r\n", b"+PONG\r\n")
    assert threads == ["respbroker-jobs"]
    assert results[0][0] == 42
    assert results[0][1] != "respbroker-jobs"


def test_an_idle_connection_is_closed_after_its_timeout_but_not_a_blocked_one_or_a_replica(monkeypatch):
    monkeypatch.setattr("respbroker.server.loop.SWEEP_SECONDS", 0.01)
    with edge(("timeout", "1")) as server, server.connect() as blocked, server.connect() as replica:
        ask(blocked, b"PING\r\nWAIT\r\n", b"+PONG\r\n")
        ask(replica, b"REPLICA\r\n", b"+OK\r\n")
        with server.connect() as idle:
            ask(idle, b"PING\r\n", b"+PONG\r\n")
            assert receive_all(idle) == b""
        assert sorted((client.blocked, client.replica) for client in server.node.clients.values()) == [
            (False, True),
            (True, False),
        ]


def test_a_unix_socket_serves_as_well(tmp_path):
    path = str(tmp_path / "s")
    with edge(("unixsocket", path)), socket.socket(socket.AF_UNIX) as peer:
        peer.connect(path)
        ask(peer, b"PING\r\n", b"+PONG\r\n")


def test_the_unread_mark_is_above_the_replies_of_large_pipelines():
    assert 1_000_000 * len(b"$15\r\n1700000000000-0\r\n") <= connection.UNREAD_MAX
