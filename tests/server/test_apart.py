"""Jobs in a process of their own: the result comes back, and the process never outlives the server."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from respbroker.broker.job import Job
from respbroker.resp.codec import encode_entry, encode_id
from respbroker.server.apart import Apart, Limiter, Stopped
from respbroker.streams.cleaning import SurveyRequest
from storage import CompactionConfig, Log, LogConfig, OsFileSystem, Sealed
from tests.server.sleeper import Sleeper


def request_for(directory: Path) -> SurveyRequest:
    log = Log.open(OsFileSystem(), str(directory), LogConfig(segment_bytes=1000))
    for i in range(40):
        words = [b"XADD", b"t", b"*", b"key", b"k%d" % (i % 4), b"value", b"v"]
        log.append([i + 1], [0], [encode_entry(encode_id(i + 1, 0), words, 3)], now_ms=i)
    for _ in range(2):
        pending = log.unsynced()
        pending.sync()
        log.synced(pending)
    sealed = Sealed.of(log.settled(), 1000)
    log.close()
    return SurveyRequest(sealed, 0, b"", b"key", CompactionConfig(), 10**6)


def job(request: object) -> Job:
    return Job("test", lambda: None, request=request)  # type: ignore[arg-type]


def test_the_result_is_that_of_the_same_work_done_here(tmp_path: Path) -> None:
    request = request_for(tmp_path / "log")
    apart = Apart()
    for _ in range(2):
        result = apart.perform(job(request))
        assert result == request.perform(OsFileSystem(), lambda size: None)
        assert result.found.keys_count == 4
    apart.stop()


def test_a_process_that_has_ended_is_replaced(tmp_path: Path) -> None:
    request = request_for(tmp_path / "log")
    apart = Apart()
    apart.perform(job(request))
    assert apart._child
    apart._child.kill()
    apart._child.wait()
    assert apart.perform(job(request)).found.keys_count == 4
    apart.stop()


def test_what_goes_wrong_there_is_told_here(tmp_path: Path) -> None:
    request = request_for(tmp_path / "log")
    with (tmp_path / "log" / f"{0:020d}.log").open("r+b") as file:
        file.seek(100)
        file.write(b"\xff\xff")
    apart = Apart()
    with pytest.raises(ChildProcessError, match=r"batch is damaged .*00000000000000000000\.log"):
        apart.perform(job(request))
    apart.stop()


def test_stopping_ends_what_runs_and_starts_nothing_more(tmp_path: Path) -> None:
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    apart = Apart()
    raised: list[BaseException] = []

    def run() -> None:
        try:
            apart.perform(job(Sleeper(pipe)))
        except Stopped as stopped:
            raised.append(stopped)

    thread = threading.Thread(target=run)
    thread.start()
    with Path(pipe).open("rb") as running:
        apart.stop()
        assert running.read() == b""  # it has ended
    thread.join()
    assert raised
    with pytest.raises(Stopped):
        apart.perform(job(Sleeper(pipe)))


def test_the_process_ends_when_the_server_is_gone(tmp_path: Path) -> None:
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "respbroker.server.apart"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin
    assert child.stdout
    wire = pickle.dumps(Sleeper(pipe))
    child.stdin.write(struct.pack("<Q", len(wire)) + wire)
    child.stdin.flush()
    with Path(pipe).open("rb"):
        child.stdin.close()
        assert child.wait(60) == 1
    child.stdout.close()


def test_a_limiter_lets_so_many_bytes_pass_in_a_second() -> None:
    slept: list[float] = []
    limiter = Limiter(1000, clock=lambda: 100.0 + sum(slept), sleep=slept.append)
    for _ in range(5):
        limiter(500)
    assert sum(slept) == pytest.approx(2.0)
