"""What a million pending entries and ten thousand connections take of a server, and how soon it is back after kill -9.

    python -m tests.benchmarks.sizes

One server, one round, no peers: for sizes and orders of magnitude, not for comparisons.
"""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Callable

from tests.support.servers import Server, respbroker_server

ENTRIES = 1_000_000
CONNECTIONS = 10_000
ADD = b"*5\r\n$4\r\nXADD\r\n$1\r\ns\r\n$1\r\n*\r\n$1\r\nf\r\n$100\r\n" + b"x" * 100 + b"\r\n"
READ = b"XREADGROUP GROUP g c COUNT 100 STREAMS s >\r\n"


def resident_kb(server: Server) -> int:
    """Resident memory of the server, kB."""
    with open(f"/proc/{server.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def timed(what: str, act: Callable[[], object]) -> None:
    began = time.perf_counter()
    found = act()
    print(f"{what}: {time.perf_counter() - began:.2f} s" + (f" ({found})" if found is not None else ""))


def pipelined(server: Server, request: bytes, times: int, depth: int, ends: bytes, per_request: int) -> None:
    """Send ``request`` ``times`` times, ``depth`` at once; each reply has the byte ``ends`` ``per_request`` times."""
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        for _ in range(times // depth):
            sock.sendall(request * depth)
            missing = depth * per_request
            while missing > 0:
                missing -= sock.recv(1 << 20).count(ends)


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with respbroker_server("--maxclients", str(CONNECTIONS + 100)) as server:
        server.call("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
        timed(f"append {ENTRIES:,} entries of 100 bytes", lambda: pipelined(server, ADD, ENTRIES, 1000, b"$", 1))
        before = resident_kb(server)
        timed("deliver them, 100 at a time", lambda: pipelined(server, READ, ENTRIES // 100, 10, b"x", 10_000))
        print(f"resident memory before and after: {before} kB, {resident_kb(server)} kB")
        server.kill()
        server.start_again()
        timed("first XPENDING after kill -9", lambda: server.call("XPENDING", "s", "g").split(b"\r\n")[1].decode())
        before = resident_kb(server)
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(CONNECTIONS)]
        server.call("PING")
        print(f"{CONNECTIONS:,} connections: {(resident_kb(server) - before) / CONNECTIONS:.2f} kB each")
        for sock in idle[: CONNECTIONS // 2]:
            sock.sendall(b"XREAD BLOCK 0 STREAMS nothing $\r\n")
        timed("stop by SIGTERM, half of them blocked", server.stop)


if __name__ == "__main__":
    main()
