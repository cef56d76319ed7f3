"""XADD at a fixed rate whatever the server does, and one blocked consumer: how late each reply and each delivery was.

    python -m tests.benchmarks.offered PORT PER_SECOND SECONDS

Every millisecond a thousandth of the rate is due, on ten connections. Lateness counts from when an entry was
due, not from when it could be sent, so a server that stalls cannot hide it. Writes two lines of seconds: of the XADDs'
replies, of the deliveries.
"""

from __future__ import annotations

import re
import select
import sys
import time

from tests.benchmarks.loader import connect, request

PRODUCERS = 10
STEP_SECONDS = 0.001
LAG_SECONDS_MAX = 30
_STAMP = re.compile(rb"at:(\d+\.\d{6})")


def offer(port: int, per_second: int, seconds: float) -> tuple[list[float], list[float]]:
    """Both lists of latenesses, in seconds."""
    producers = [connect(port) for _ in range(PRODUCERS)]
    consumer = connect(port)
    by_fd = {sock.fileno(): n for n, sock in enumerate(producers)}
    due: list[list[float]] = [[] for _ in producers]  # of the XADDs not answered yet, in order
    epoll = select.epoll()
    for sock in (*producers, consumer):
        epoll.register(sock.fileno(), select.EPOLLIN)
    consumer.sendall(_READ)
    added: list[float] = []
    delivered: list[float] = []
    each = round(per_second * STEP_SECONDS)
    total = int(seconds / STEP_SECONDS) * each
    sent, turn, rest = 0, 0, b""
    started = time.perf_counter() + 0.05
    while len(added) < total or len(delivered) < total:
        now = time.perf_counter()
        assert now < started + seconds + LAG_SECONDS_MAX, "the server does not keep up"
        while sent < total and started + turn * STEP_SECONDS <= now:
            at = started + turn * STEP_SECONDS
            turn += 1
            for _ in range(each):
                number = sent % PRODUCERS
                producers[number].sendall(_add(at))
                due[number].append(at)
                sent += 1
        wait = started + turn * STEP_SECONDS - time.perf_counter() if sent < total else 1.0
        for fd, _ in epoll.poll(max(0.0, wait)):
            if fd == consumer.fileno():
                data = rest + consumer.recv(1 << 18)
                arrived = time.perf_counter()
                if not data.endswith(b"\r\n") or data.count(b"\r\n") != 5 + 8 * int(data.split(b"\r\n", 5)[4][1:]):
                    rest = data
                    continue
                rest = b""
                delivered += [arrived - float(stamp) for stamp in _STAMP.findall(data)]
                consumer.sendall(_READ)
            else:
                replies = producers[by_fd[fd]].recv(1 << 16).count(b"$")
                arrived = time.perf_counter()
                answered, due[by_fd[fd]] = due[by_fd[fd]][:replies], due[by_fd[fd]][replies:]
                added += [arrived - at for at in answered]
    return added, delivered


_READ = request("XREADGROUP", "GROUP", "g", "c", "NOACK", "COUNT", 1000, "BLOCK", 0, "STREAMS", "s", ">")


def _add(at: float) -> bytes:
    return request("XADD", "s", "*", "f", (b"at:%.6f" % at).ljust(100, b"."))


if __name__ == "__main__":
    for latenesses in offer(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])):
        print(*(f"{lateness:.6f}" for lateness in latenesses))
