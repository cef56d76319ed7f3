"""Connections to other servers: dialling, both directions, and the sentence in which each end is told."""

from __future__ import annotations

import socket
import struct
import threading

import pytest

from respbroker.resp.reply_decoder import ErrorReply
from respbroker.server import peers
from tests.server.edge import receive, receive_all
from tests.server.peer_bench import bench, listening, port_of
from tests.support.servers import free_port


def test_a_peer_is_connected_and_spoken_with():
    with bench() as edge, listening() as listener:
        edge.node.greeting = b"HELLO\r\n"
        peer, other = edge.connected_to(listener)
        with other:
            assert edge.node.told == [("connected", peer, None)]
            host, port = other.getpeername()
            assert peer.local_address == f"{host}:{port}"
            edge.turn()
            assert receive(other, 7) == b"HELLO\r\n"
            other.sendall(b"+OK\r\n:5\r\n-ERR no\r\n*2\r\n$1\r\na\r\n$-1\r\n")
            edge.until(lambda: len(edge.node.replies_of(peer)) == 4)
            assert edge.node.replies_of(peer) == [b"OK", 5, ErrorReply("ERR", "no"), [b"a", None]]


def test_what_was_to_be_said_before_it_was_connected_is_said_then():
    with bench() as edge, listening() as listener:
        peer = edge.want(port_of(listener))
        peer.out += [b"ONE\r\n", b"TWO\r\n"]
        edge.until(lambda: peer.connected)
        edge.turn()
        with listener.accept()[0] as other:
            assert receive(other, 10) == b"ONE\r\nTWO\r\n"


def test_the_socket_sends_at_once_and_is_probed():
    with bench() as edge, listening() as listener:
        _, other = edge.connected_to(listener)
        with other:
            (link,) = edge.peers._links
            assert link.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert link.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


# -- failing to connect --------------------------------------------------------------------------------------------


def test_a_refused_connection_is_told_with_its_address():
    port = free_port()
    with bench() as edge:
        assert edge.end_of(edge.want(port)) == f"cannot connect to 127.0.0.1:{port}: Connection refused"
        assert edge.end_of(edge.want(port, "::1")).startswith(f"cannot connect to [::1]:{port}: ")


def test_a_connection_to_oneself_is_a_refused_one():
    """The system may take the very port that is dialled for our end, where nobody listens on it."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.connect(sock.getsockname())
        with pytest.raises(ConnectionRefusedError):
            peers.local_end(sock)


def test_an_address_that_does_not_answer_is_given_up_after_five_seconds():
    with bench() as edge, listening(backlog=0) as listener, socket.socket() as first, socket.socket() as second:
        for waiting in (first, second):  # the queue of the listener is full: the system answers nobody else
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        peer = edge.want(port_of(listener))
        edge.turn()
        deadline = edge.peers.next_deadline()
        assert deadline is not None
        edge.turn()
        assert edge.node.told == []
        edge.later = peers.CONNECT_SECONDS
        edge.turn()
        assert edge.node.end_of(peer) == f"cannot connect to 127.0.0.1:{port_of(listener)}: no answer within 5 seconds"
        assert edge.peers.next_deadline() is None


def test_a_name_is_looked_up_in_a_thread(monkeypatch):
    threads = []
    real = socket.getaddrinfo

    def noting(host, port, **options):
        if not options["flags"]:
            threads.append(threading.current_thread().name)
        return real(host, port, **options)

    monkeypatch.setattr(socket, "getaddrinfo", noting)
    with bench() as edge, listening() as listener:
        peer = edge.want(port_of(listener), "localhost")
        edge.until(lambda: peer.connected)
        assert threads == ["jobs"]


def name_means(monkeypatch, *addresses):
    """Every name that has to be looked up has these addresses."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
    real = socket.getaddrinfo

    def look_up(host, port, *, type, flags):
        return real(host, port, type=type, flags=flags) if flags else found

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def test_all_addresses_of_a_name_are_tried(monkeypatch):
    unreachable, dead = ("255.255.255.255", 7000), ("127.0.0.1", free_port())
    with bench() as edge, listening() as listener:
        name_means(monkeypatch, unreachable, dead, unreachable, listener.getsockname())
        peer = edge.want(7000, "db.example")
        edge.until(lambda: peer.connected)
        name_means(monkeypatch, unreachable, dead)
        assert edge.end_of(edge.want(7000, "db.example")) == "cannot connect to db.example:7000: Connection refused"


def test_the_first_address_that_answers_is_the_one(monkeypatch):
    with bench() as edge, listening() as first, listening() as second:
        name_means(monkeypatch, first.getsockname(), second.getsockname())
        peer = edge.want(7000, "db.example")
        edge.until(lambda: peer.connected)
        other, _ = first.accept()
        peer.out.append(b"HELLO\r\n")
        for _ in range(3):
            edge.turn()
        assert receive(other, 7) == b"HELLO\r\n"
        other.close()
        assert edge.end_of(peer) == "db.example:7000 closed the connection"
        second.setblocking(False)
        with pytest.raises(BlockingIOError):
            second.accept()


@pytest.mark.parametrize("name", ["no-such-host.invalid", "a..b", "x" * 70])
def test_a_name_without_an_address_is_told(name):
    with bench() as edge:
        assert edge.end_of(edge.want(7000, name)).startswith(f"cannot find the address of {name}: ")


# -- losing it --------------------------------------------------------------------------------------------------


def test_a_connection_closed_by_the_other_side_is_lost_behind_its_last_words():
    with bench() as edge, listening() as listener:
        peer, other = edge.connected_to(listener)
        other.sendall(b"-DENIED protected mode\r\n+unfinish")
        other.close()
        assert edge.end_of(peer) == f"127.0.0.1:{port_of(listener)} closed the connection"
        assert edge.node.replies_of(peer) == [ErrorReply("DENIED", "protected mode")]
        assert not peer.connected


def test_a_connection_that_breaks_is_told_with_the_systems_words():
    with bench() as edge, listening() as listener:
        peer, other = edge.connected_to(listener)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        other.close()
        assert edge.end_of(peer) == f"the connection to 127.0.0.1:{port_of(listener)} broke: Connection reset by peer"


def test_a_server_that_does_not_speak_resp_is_left():
    with bench() as edge, listening() as listener:
        peer, other = edge.connected_to(listener)
        with other:
            other.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            reason = edge.end_of(peer)
            assert reason.startswith(f"what 127.0.0.1:{port_of(listener)} sends is not understood (is it a ")
            assert receive_all(other) == b""


def test_a_server_that_takes_nothing_is_left_at_the_limit(monkeypatch):
    monkeypatch.setattr(peers, "UNSENT_MAX", 16 << 20)
    with bench() as edge, listening() as listener:
        peer, other = edge.connected_to(listener)
        with other:
            for _ in range(60):
                peer.out.append(b"x" * (1 << 20))
                edge.turn()
            assert edge.end_of(peer).endswith("leaves more than 16 MB unread of what it is sent")


def test_whoever_is_lost_is_not_dialled_again():
    with bench() as edge, listening() as listener:
        peer, other = edge.connected_to(listener)
        other.close()
        edge.end_of(peer)
        told = len(edge.node.told)
        for _ in range(5):
            edge.turn()
        assert len(edge.node.told) == told
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_connection_found_broken_when_something_is_sent_is_lost_and_not_made_anew(monkeypatch):
    with bench() as edge, listening() as first, listening() as second:
        name_means(monkeypatch, first.getsockname(), second.getsockname())
        peer = edge.want(7000, "db.example")
        edge.until(lambda: peer.connected)
        other, _ = first.accept()
        other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        other.close()
        peer.out.append(b"HELLO\r\n")
        edge.peers.after_tick(0.0)
        assert edge.peers.next_deadline() == 0.0
        assert edge.end_of(peer).startswith("the connection to db.example:7000 broke: ")
        second.setblocking(False)
        with pytest.raises(BlockingIOError):
            second.accept()


# -- much at once ------------------------------------------------------------------------------------------------


def test_much_is_sent_as_fast_as_it_is_read():
    pieces = [bytes([n]) * (1 << 20) for n in range(40)]
    with bench() as edge, listening() as listener:
        peer, other = edge.connected_to(listener)
        received = []
        reader = threading.Thread(target=lambda: received.append(receive(other, 40 << 20)))
        reader.start()
        peer.out += pieces
        edge.until(lambda: not reader.is_alive())
        with other:
            assert received == [b"".join(pieces)]
        assert edge.node.statistics.net_output_bytes == 40 << 20


def test_a_large_reply_arrives_whole_and_never_much_of_it_in_one_turn():
    size = 50_000_000
    wire = b"*2\r\n:1\r\n$%d\r\n%b\r\n" % (size, b"x" * size)
    with bench() as edge, listening() as listener:
        peer, other = edge.connected_to(listener)
        with other:
            writer = threading.Thread(target=other.sendall, args=(wire,))
            writer.start()
            most = before = 0
            while not edge.node.replies_of(peer):
                edge.turn()
                now = edge.node.statistics.net_repl_input_bytes
                most, before = max(most, now - before), now
            writer.join()
        assert edge.node.replies_of(peer) == [[1, b"x" * size]]
        assert before == len(wire)
        assert most <= peers.READS_MAX * peers.READ_SIZE_LARGE


def test_a_reply_that_is_larger_than_a_read_arrives_in_one_turn():
    with bench() as edge, listening() as listener:
        peer, other = edge.connected_to(listener)
        (link,) = edge.peers._links
        link.read_size = 1000
        with other:
            other.sendall(b"$1500\r\n%b\r\n" % (b"x" * 1500))
            edge.until(lambda: edge.node.statistics.net_repl_input_bytes)
        assert edge.node.replies_of(peer) == [b"x" * 1500]


# -- when the node is done with it ------------------------------------------------------------------------------


def test_a_peer_that_the_node_is_done_with_gets_its_last_words_and_is_not_spoken_of():
    with bench() as edge, listening() as listener:
        peer, other = edge.connected_to(listener)
        with other:
            other.sendall(b"+late\r\n")
            peer.out.append(b"BYE\r\n")
            peer.closing = True
            edge.turn()
            assert receive_all(other) == b"BYE\r\n"
            for _ in range(3):
                edge.turn()
        assert edge.node.told == [("connected", peer, None)]


def test_a_peer_may_be_given_up_while_it_is_dialled():
    with bench() as edge, listening(backlog=0) as listener, socket.socket() as first:
        first.connect(listener.getsockname())
        for host in ("127.0.0.1", "localhost", "no-such-host.invalid"):
            peer = edge.want(port_of(listener), host)
            edge.turn()
            peer.closing = True
        edge.until(lambda: not edge.peers._links)
        edge.worker.stop()
        edge.turn()
        assert edge.node.told == []
        assert edge.peers.next_deadline() is None
