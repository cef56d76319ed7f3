"""`respbroker migrate --follow` as a process, and those who use its source meanwhile."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

from tests.migration.moving import client_of
from tests.support.servers import Server


class Following:
    """The command as a process of its own."""

    def __init__(self, source: Server, target: Server, *words: str) -> None:
        command = [sys.executable, "-m", "respbroker", "migrate", "--from", source.url, "--to", target.url, "--follow"]
        self.process = subprocess.Popen([*command, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines: list[str] = []

    def wait_for(self, words: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if words in line:
                return
        raise AssertionError((words, self.lines, self.process.communicate()[1]))

    def end(self) -> str:
        """Ctrl-C, and what it still prints."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, (out, err)
        return out

    def kill(self) -> None:
        """kill -9, if it still runs."""
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def at_work(url: str) -> Iterator[threading.Event]:
    """A producer and a consumer are at work on the stream ``s``; the event that ends them, for waiting."""
    stop = threading.Event()
    threads = [threading.Thread(target=each, args=(url, stop)) for each in (produce, consume)]
    for thread in threads:
        thread.start()
    try:
        yield stop
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def produce(url: str, stop: threading.Event) -> None:
    client, number = client_of(url), 0
    while not stop.is_set():
        pipeline = client.pipeline(transaction=False)
        for _ in range(20):
            number += 1
            pipeline.execute_command("XADD", "s", "*", "n", str(number))
        pipeline.execute()


def consume(url: str, stop: threading.Event) -> None:
    """Reads, acknowledges two of three, deletes some of those, and trims now and then."""
    client, turn = client_of(url), 0
    while not stop.is_set():
        turn += 1
        reply = client.execute_command("XREADGROUP", "GROUP", "g", f"c{turn % 3}", "COUNT", 30, "STREAMS", "s", ">")
        read = [entry_id for entry_id, _ in reply[0][1]] if reply else []
        if read:
            client.execute_command("XACK", "s", "g", *read[::3], *read[1::3])
            client.execute_command("XDEL", "s", *read[::4])
        if turn % 50 == 0:
            client.execute_command("XTRIM", "s", "MAXLEN", 2000)
