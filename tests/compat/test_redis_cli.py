"""redis-cli and redis-benchmark as people use them; each test also runs on redis-server 8.2, to know it is sound."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import termios
import time
from collections.abc import Iterator

import pytest

from tests.support.needs import IN_CI
from tests.support.servers import HOST, Server

CLI = shutil.which("redis-cli")
BENCHMARK = shutil.which("redis-benchmark")
needs_cli = pytest.mark.skipif(CLI is None and not IN_CI, reason="redis-cli is not installed")
needs_benchmark = pytest.mark.skipif(BENCHMARK is None and not IN_CI, reason="redis-benchmark is not installed")
ANSWER_SECONDS = 10.0
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PLAIN = {**os.environ, "TERM": "xterm", "COLUMNS": "200", "REDISCLI_HISTFILE": "/dev/null"}


@pytest.fixture(params=["respbroker", "redis"])
def server(request: pytest.FixtureRequest) -> Server:
    """Our server, then redis-server 8.2; with two streams and a group."""
    found: Server = request.getfixturevalue(f"{request.param}_server")
    with found.connect() as wire:
        wire.call("FLUSHALL")
        for number in range(1, 31):
            wire.call("XADD", "orders", f"{number}-0", "item", f"book {number}")
        wire.call("XADD", "other", "1-0", "f", "v")
        wire.call("XGROUP", "CREATE", "orders", "g", "0")
        wire.call("XREADGROUP", "GROUP", "g", "c", "COUNT", "1", "STREAMS", "orders", ">")
    return found


def run(server: Server, *options: str, said: bytes | None = None) -> str:
    """redis-cli with these options, to its end; what it printed."""
    assert CLI, "redis-cli is not installed"
    command = [CLI, "-h", HOST, "-p", str(server.port), *options]
    done = subprocess.run(command, input=said, capture_output=True, timeout=ANSWER_SECONDS, env=PLAIN)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return done.stdout.decode() + done.stderr.decode()


@needs_cli
def test_one_command(server: Server) -> None:
    assert run(server, "XLEN", "orders") == "30\n"
    assert run(server, "XRANGE", "orders", "-", "+", "COUNT", "1") == "1-0\nitem\nbook 1\n"
    assert "ERR unknown command 'NOPE'" in run(server, "NOPE", "x")


@needs_cli
def test_commands_from_standard_input(server: Server) -> None:
    assert run(server, said=b"PING\nXLEN orders\n") == "PONG\n30\n"


@needs_cli
def test_resp3_prints_maps(server: Server) -> None:
    plain = run(server, "-3", "--no-raw", "XREAD", "COUNT", "1", "STREAMS", "orders", "0")
    assert " ".join(plain.split()) == '1# "orders" => 1) 1) "1-0" 2) 1) "item" 2) "book 1"'
    assert '1# "length" => (integer) 30' in run(server, "-3", "--no-raw", "XINFO", "STREAM", "orders")


@needs_cli
def test_json_output(server: Server) -> None:
    assert run(server, "--json", "XLEN", "orders") == "30\n"


@needs_cli
def test_scan_lists_the_keys(server: Server) -> None:
    assert sorted(run(server, "--scan").split()) == ["orders", "other"]
    assert run(server, "--scan", "--pattern", "ord*") == "orders\n"
    assert run(server, "--scan", "--pattern", "x*") == ""


@needs_cli
def test_bigkeys_finds_the_longest_stream(server: Server) -> None:
    shown = run(server, "--bigkeys")
    assert "Biggest stream found so far '\"orders\"' with 30 entries" in shown
    assert "2 streams with 31 entries" in shown


@needs_cli
def test_memkeys_asks_for_memory_usage(server: Server) -> None:
    assert "Biggest stream found" in run(server, "--memkeys")


@needs_cli
def test_pipe_loads_requests(server: Server) -> None:
    requests = b"".join(b"*5\r\n$4\r\nXADD\r\n$4\r\nbulk\r\n$1\r\n*\r\n$1\r\nf\r\n$1\r\nv\r\n" for _ in range(5000))
    assert "errors: 0, replies: 5000" in run(server, "--pipe", said=requests)
    assert run(server, "XLEN", "bulk") == "5000\n"


@needs_cli
def test_repeated_commands(server: Server) -> None:
    assert run(server, "-r", "3", "XLEN", "orders") == "30\n30\n30\n"


@needs_cli
def test_another_database(server: Server) -> None:
    assert run(server, "-n", "4", "DBSIZE") == "0\n"


@needs_cli
def test_stat_prints_a_line_each_time(server: Server) -> None:
    assert CLI, "redis-cli is not installed"
    command = [CLI, "-h", HOST, "-p", str(server.port), "--stat", "-i", "0.05"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=PLAIN) as process:
        assert process.stdout
        lines = [process.stdout.readline().decode() for _ in range(6)]
        process.kill()
    assert "keys" in lines[1]
    assert all(re.match(r"2 +\d+(\.\d+)?[KMG] +\d+ +0 +\d+ \(\+\d+\) +\d+", line) for line in lines[2:]), lines


# -- at a terminal -----------------------------------------------------------------------------------


class Terminal:
    """A redis-cli at a terminal of its own."""

    def __init__(self, server: Server, *options: str) -> None:
        assert CLI, "redis-cli is not installed"
        command = [CLI, "-h", HOST, "-p", str(server.port), *options]
        self.prompt = f"{HOST}:{server.port}> "
        self._shown = b""
        self._own, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=PLAIN, close_fds=True)
        os.close(theirs)

    def type(self, text: str) -> None:
        os.write(self._own, text.encode())

    def until(self, wanted: str) -> str:
        """What the screen has got since the last call until ``wanted`` appears, without escape sequences.

        What is typed before the prompt is there is thrown away by redis-cli: wait for it before typing.
        """
        deadline = time.monotonic() + ANSWER_SECONDS
        while wanted not in (text := ESCAPES.sub("", self._shown.decode("utf-8", "replace"))):
            ready, _, _ = select.select([self._own], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{wanted!r} did not appear: {text!r}"
            self._shown += os.read(self._own, 65536)
        end = text.index(wanted) + len(wanted)
        self._shown = text[end:].encode()
        return text[:end]

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._own)


@contextlib.contextmanager
def terminal(server: Server, *options: str) -> Iterator[Terminal]:
    found = Terminal(server, *options)
    try:
        yield found
    finally:
        found.end()


@needs_cli
def test_a_session_at_a_terminal(server: Server) -> None:
    with terminal(server) as screen:
        screen.until(screen.prompt)
        screen.type("xlen orders\r")
        screen.until("(integer) 30")
        screen.until(screen.prompt)
        screen.type("select 3\r")
        screen.until("OK")
        screen.until(f"{HOST}:{server.port}[3]> ")
        screen.type("multi\r")
        screen.until("OK")
        screen.until("(TX)> ")
        screen.type("discard\r")
        screen.until("OK")
        screen.until("[3]> ")
        screen.type("xinfo\r")
        screen.until("(error) ERR wrong number of arguments for 'xinfo' command")
        screen.until("[3]> ")
        screen.type("quit\r")
        assert screen.process.wait(ANSWER_SECONDS) == 0


@needs_cli
def test_hints_come_from_command_docs(server: Server) -> None:
    with terminal(server) as screen:
        screen.until(screen.prompt)
        screen.type("xlen ")
        screen.until("key")
        screen.type("orders\r")
        screen.until("(integer) 30")
        screen.until(screen.prompt)
        screen.type("xgroup createconsumer ")
        screen.until("key group consumer")


@needs_cli
def test_help_describes_a_command(server: Server) -> None:
    with terminal(server) as screen:
        screen.until(screen.prompt)
        screen.type("help xlen\r")
        shown = screen.until("group: stream")
        assert "XLEN key" in shown
        assert "since: 5.0.0" in shown


@needs_cli
def test_subscribing_at_a_terminal(server: Server) -> None:
    with terminal(server, "-3") as screen:
        screen.until(screen.prompt)
        screen.type("subscribe news\r")
        screen.until('"subscribe"')
        server.call("PUBLISH", "news", "hello there")
        screen.until("hello there")


@needs_cli
def test_monitor_shows_what_others_send(server: Server) -> None:
    with terminal(server) as screen:
        screen.until(screen.prompt)
        screen.type("monitor\r")
        screen.until("OK")
        server.call("XLEN", "orders")
        assert re.search(r'\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] "XLEN" "orders"', screen.until('"orders"'))


# -- redis-benchmark ---------------------------------------------------------------------------------


def benchmark(server: Server, *options: str) -> str:
    assert BENCHMARK, "redis-benchmark is not installed"
    command = [BENCHMARK, "-h", HOST, "-p", str(server.port), "-q", "-c", "10", *options]
    done = subprocess.run(command, capture_output=True, timeout=60, env=PLAIN)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return done.stdout.decode() + done.stderr.decode()


@needs_benchmark
def test_benchmark_pings(server: Server) -> None:
    shown = benchmark(server, "-t", "ping", "-n", "2000")
    assert "PING_INLINE" in shown
    assert "PING_MBULK" in shown
    assert "rror" not in shown.replace("ERROR: failed to fetch CONFIG", ""), shown


@needs_benchmark
@pytest.mark.parametrize("pipeline", ["1", "16"])
def test_benchmark_appends(server: Server, pipeline: str) -> None:
    shown = benchmark(server, "-n", "2000", "-P", pipeline, "XADD", "bench", "*", "field", "value")
    assert "requests per second" in shown
    assert server.call("XLEN", "bench") == b":2000\r\n"


@needs_benchmark
def test_benchmark_of_strings_hashes_and_sorted_sets(server: Server) -> None:
    shown = benchmark(server, "-t", "set,get,incr,mset,hset,zadd,zpopmin", "-n", "1000", "-P", "16")
    assert shown.count("requests per second") == 7, shown
    assert "rror" not in shown.replace("ERROR: failed to fetch CONFIG", ""), shown


@needs_benchmark
def test_benchmark_in_resp3(server: Server) -> None:
    assert "requests per second" in benchmark(server, "-3", "-n", "1000", "XLEN", "orders")
