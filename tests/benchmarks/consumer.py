"""Four consumers of one group in one process: read what is new, acknowledge it, until everything was seen.

    python -m tests.benchmarks.consumer PORT CONSUMERS ENTRIES

Writes a line when it has asked for the first entries; at the end how many were acknowledged, by how many reads they
came, and the seconds of CPU time that this took.

The same cheap client for all servers, which parses nothing: all entries differ in their IDs alone, so what stands
between them is cut out of a reply at once, and what is left are the words of the XACK, as they are sent. Its answer
says how many of them had been pending.
"""

from __future__ import annotations

import select
import sys
import time

from tests.benchmarks.loader import WrongReply, connect, request

FIELD, VALUE = b"field", b"x" * 100
COUNT_MAX = 100
_FIELDS = b"*2\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(FIELD), FIELD, len(VALUE), VALUE)  # behind the ID of an entry
_BETWEEN = _FIELDS + b"*2\r\n"  # from an ID to the next one
_HEAD = b"*1\r\n*2\r\n$1\r\ns\r\n*"  # of a reply, up to the number of its entries
_EMPTY = (b"*-1\r\n", b"_\r\n")
_XACK = [request("XACK", "s", "g", *[b""] * count).split(b"$0", 1)[0] for count in range(COUNT_MAX + 1)]


def consume(port: int, consumers: int, entries: int) -> tuple[int, int, float]:
    """Reads of up to 100 entries that wait for some, each followed by one XACK."""
    epoll = select.epoll()
    sockets = {}
    for number in range(consumers):
        sock = connect(port)
        read = request(
            "XREADGROUP", "GROUP", "g", f"c{number}", "COUNT", COUNT_MAX, "BLOCK", 200, "STREAMS", "s", ">"
        )  # fmt: skip
        sockets[sock.fileno()] = (sock, read)
        epoll.register(sock.fileno(), select.EPOLLIN)
        sock.sendall(read)
    print("ready", flush=True)
    began = time.process_time()
    buffers = dict.fromkeys(sockets, b"")
    acknowledged = reads = 0
    while acknowledged < entries:
        for fd, _ in epoll.poll(60) or [(-1, 0)]:
            if fd < 0:
                raise WrongReply("nothing came for a minute")
            sock, read = sockets[fd]
            data = buffers[fd] + sock.recv(1 << 18)
            buffers[fd] = b""
            if data.startswith(b":"):  # the XACK was answered
                acknowledged += int(data[1:])
                sock.sendall(read)
            elif data.startswith(_EMPTY):
                sock.sendall(read)
            elif data.startswith(b"-"):
                raise WrongReply(data[:300].decode())
            elif acknowledgement := acknowledgement_of(data):
                reads += 1
                sock.sendall(acknowledgement)
            else:
                buffers[fd] = data
    return acknowledged, reads, time.process_time() - began


def acknowledgement_of(reply: bytes) -> bytes | None:
    """The XACK of all entries in a reply; None as long as it is not whole.

    Raises:
        WrongReply: it holds anything else than it should.
    """
    if not reply.endswith(_FIELDS):
        return None
    start = reply.index(b"\r\n", len(_HEAD)) + 2
    count = int(reply[len(_HEAD) : start])
    words = reply[start + 4 : -len(_FIELDS)].replace(_BETWEEN, b"")
    lines = words.count(b"\n")
    if lines < 2 * count:
        return None
    if lines > 2 * count or not reply.startswith(_HEAD):
        raise WrongReply(reply[:300].decode())
    return _XACK[count] + words


if __name__ == "__main__":
    print(*consume(*map(int, sys.argv[1:])))
