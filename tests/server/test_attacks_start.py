"""A server that cannot start says why in one line and leaves with a status."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from respbroker.cli import sentence
from respbroker.model.settings import Settings
from respbroker.server.listener import DENIED, TOO_MANY_CLIENTS, refusal
from tests.support.servers import ROOT, Server, respbroker_server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with respbroker_server() as one:
        yield one


def refused(*words: str | Path) -> str:
    """What a server that must not start says, without its ``Error:``."""
    command = [sys.executable, "-m", "respbroker", "serve", *map(str, words)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1, ended
    line, _, rest = ended.stderr.partition("\n")
    assert not rest
    return line.removeprefix("Error: ")


def test_a_second_server_on_the_port_or_the_directory(server: Server, tmp_path: Path):
    taken = refused("--port", str(server.port), "--dir", tmp_path)
    assert taken == f"cannot listen on 127.0.0.1 port {server.port}: Address already in use"
    locked = refused("--port", "0", "--dir", server.directory / "data")
    assert locked == f"another server has the directory in use (in {server.directory / 'data'})"
    assert server.call("PING") == b"+PONG\r\n"


def test_damage_that_nothing_can_be_served_with_is_told_with_what_to_do(tmp_path: Path):
    (tmp_path / "replication").write_text("nonsense")
    command = [sys.executable, "-m", "respbroker", "serve", "--port", "0", "--dir", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    first, *advice = ended.stderr.splitlines()
    assert first.startswith("Error: the file cannot be read: ")
    assert first.endswith(f"(in {tmp_path / 'replication'})")
    told = " ".join(advice)
    assert all(words in told for words in ("Nothing was changed", "REPLICAOF NO ONE", "--replicaof", "storage.inspect"))


def test_a_directory_or_a_log_that_cannot_be_had(tmp_path: Path):
    file = tmp_path / "file"
    file.touch()
    assert refused("--port", "0", "--dir", file) == f"{file}: File exists"
    assert refused("--port", "0", "--dir", file / "below") == f"{file / 'below'}: Not a directory"
    log = tmp_path / "missing" / "log"
    assert refused("--port", "0", "--dir", tmp_path, "--logfile", log) == f"{log}: No such file or directory"
    assert refused(tmp_path / "missing.conf") == f"{tmp_path / 'missing.conf'}: No such file or directory"


def test_a_directory_without_room_is_named():
    with pytest.raises(OSError, match="No space left") as full, Path("/dev/full").open("wb", buffering=0) as file:
        file.write(b"x")
    assert sentence(full.value, "/var/lib/broker") == "/var/lib/broker: No space left on device"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("nonsense 1", "'nonsense': no such setting"),
        ("appendfsync maybe", "'appendfsync': argument(s) must be one of the following: everysec, always, no"),
        ('dir "open', "Unbalanced quotes in configuration line"),
        ("segment.bytes lots", "'segment.bytes': argument must be a memory value"),
    ],
)
def test_a_bad_line_of_the_file_is_named(tmp_path: Path, line: str, told: str):
    file = tmp_path / "respbroker.conf"
    file.write_text(f"# one\nport 0\n{line}\n")
    assert refused(file, "--dir", tmp_path) == f"configuration file, line 3: {told}"


def test_a_bad_option_is_named(tmp_path: Path):
    told = refused("--port", "0", "--dir", tmp_path, "--appendfsync", "maybe")
    assert told == "option --appendfsync: argument(s) must be one of the following: everysec, always, no"


def test_without_a_password_only_this_machine_is_served():
    open_door, protected = Settings.load("protected-mode no"), Settings()
    with_password = Settings.load("requirepass secret")
    for near in (("127.0.0.1", 5), ("127.8.8.8", 5), ("::1", 5, 0, 0), ("::ffff:127.0.0.1", 5, 0, 0), ""):
        assert refusal(protected, near, 1) is None
    for far in (("192.0.2.1", 5), ("10.0.0.1", 5), ("fe80::1%eth0", 5, 0, 2), ("::ffff:192.0.2.1", 5, 0, 0)):
        assert refusal(protected, far, 1) == DENIED
        assert refusal(open_door, far, 1) is refusal(with_password, far, 1) is None
        assert refusal(protected, far, 0) == TOO_MANY_CLIENTS


def test_a_flood_over_maxclients_is_told_and_room_comes_back():
    with respbroker_server("--maxclients", "5") as server:
        first = [server.connect() for _ in range(5)]
        while b"connected_clients:5\r" not in first[0].call("INFO", "clients"):
            pass
        for _ in range(200):
            with server.connect() as surplus:
                assert surplus.read_to_end() == TOO_MANY_CLIENTS
        first.pop().close()
        while b"connected_clients:5\r" in first[0].call("INFO", "clients"):
            pass
        assert server.call("PING") == b"+PONG\r\n"
        for client in first:
            client.close()
