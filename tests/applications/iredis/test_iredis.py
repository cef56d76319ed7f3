"""iredis, the command line with completion: commands that are piped into it, and one that it is called with."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

from tests.support.servers import HOST, Server

LIMIT_SECONDS = 60
LATE = "ERROR The ID specified in XADD is equal or smaller than the target stream top item"
SESSION = """\
PING
XADD orders 1-1 item lamp price 20
XADD orders 1-2 item "two words" price ""
XADD orders MAXLEN ~ 1000 1-3 item chair
XADD orders 1-1 item late
XLEN orders
XRANGE orders - +
XREVRANGE orders + - COUNT 1
XREAD COUNT 2 STREAMS orders 0
XGROUP CREATE orders workers 0
XGROUP CREATE orders workers 0
XREADGROUP GROUP workers anna COUNT 2 STREAMS orders >
XACK orders workers 1-1
XPENDING orders workers
XCLAIM orders workers ben 0 1-2
XAUTOCLAIM orders workers anna 0 0
XREADGROUP GROUP none anna STREAMS orders >
XINFO GROUPS orders
XDEL orders 1-3
XTRIM orders MAXLEN 1
TYPE orders
EXPIRETIME orders
SELECT 1
XLEN orders
SELECT 0
SET greeting "hello there"
GET greeting
HSET person name anna
HGETALL person
MULTI
XADD orders 2-1 item table
XLEN orders
EXEC
KEYS ord*
NOSUCHCOMMAND a b
XLEN greeting
"""


def run(iredis: Path, server: Server, home: Path, *words: str, given: str | None = None) -> str:
    """What it prints. Its standard input is what is given, or else a terminal on which nobody types."""
    terminal, stdin = pty.openpty()
    try:
        done = subprocess.run(
            [iredis, "-h", HOST, "-p", str(server.port), *words],
            env={**os.environ, "HOME": str(home)},
            **({"stdin": stdin} if given is None else {"input": given}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_SECONDS,
            check=True,
        )
    finally:
        os.close(terminal)
        os.close(stdin)
    return done.stdout


def test_commands_that_are_piped_into_it_are_answered_as_by_redis(
    iredis: Path, redis_server: Server, respbroker_server: Server, tmp_path: Path
) -> None:
    printed = []
    for server in (redis_server, respbroker_server):
        server.call("FLUSHALL")
        printed.append(run(iredis, server, tmp_path, given=SESSION))
    theirs, ours = (text.splitlines() for text in printed)
    assert ours == theirs
    assert ours[:5] == ["PONG", "1-1", "1-2", "1-3", LATE]
    assert "ERROR BUSYGROUP Consumer Group name already exists" in ours


def test_it_is_called_with_one_command(iredis: Path, server: Server, tmp_path: Path) -> None:
    server.call("XADD", "orders", "1-1", "item", "lamp")
    assert run(iredis, server, tmp_path, "XREAD", "STREAMS", "orders", "0") == "orders\n1-1\nitem\nlamp\n"
