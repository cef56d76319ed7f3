"""Four consumers of one group in one process: read what is new, acknowledge it, until everything was seen.

    python -m tests.benchmarks.consumer PORT CONSUMERS ENTRIES

Writes how many entries were acknowledged. The same cheap client for all servers: IDs are found by a pattern.
"""

from __future__ import annotations

import re
import select
import sys

from tests.benchmarks.loader import WrongReply, connect, request

_ENTRY_ID = re.compile(rb"\*2\r\n\$\d+\r\n(\d+-\d+)\r\n\*2\r\n")
_EMPTY = (b"*-1\r\n", b"_\r\n")


def consume(port: int, consumers: int, entries: int) -> int:
    """Reads of up to 100 entries that wait for some, each followed by one XACK."""
    epoll = select.epoll()
    sockets = {}
    for number in range(consumers):
        sock = connect(port)
        read = request(
            "XREADGROUP", "GROUP", "g", f"c{number}", "COUNT", 100, "BLOCK", 200, "STREAMS", "s", ">"
        )  # fmt: skip
        sockets[sock.fileno()] = (sock, read)
        epoll.register(sock.fileno(), select.EPOLLIN)
        sock.sendall(read)
    buffers = dict.fromkeys(sockets, b"")
    acknowledged = 0
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
            elif _is_whole(data):
                sock.sendall(request("XACK", "s", "g", *_ENTRY_ID.findall(data)))
            else:
                buffers[fd] = data
    return acknowledged


def _is_whole(data: bytes) -> bool:
    """Whether the reply has as many entries as it announces; each ends with its value of 100 bytes."""
    lines = data.split(b"\r\n", 5)  # *1 *2 $1 s *<count> ...
    if len(lines) < 6:
        return False
    return data.endswith(b"\r\n") and data.count(b"\r\n") == 5 + 8 * int(lines[4][1:])


if __name__ == "__main__":
    print(consume(*map(int, sys.argv[1:])))
