"""The tree of tasks, top to bottom: the loop that serves, and the task that waits for signals."""

from __future__ import annotations

import gc
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import trio

import respbroker
from respbroker.broker.clock import Now
from respbroker.broker.node import Node
from respbroker.errors import ReplyError
from respbroker.model.config_file import decode, encode
from respbroker.model.settings import Settings
from respbroker.resp.codec import COMPILED
from respbroker.server import listener as listening
from respbroker.server.allocator import keep_freed_memory
from respbroker.server.loop import Loop
from respbroker.server.process import ProcessFacts
from storage import OsFileSystem

_log = logging.getLogger("respbroker")

#: The young generation is collected every so many allocations. What lives long (clients, streams) is frozen at the
#: start or grows slowly, and requests are freed by reference counts, so the default of 700 only costs time.
GC_THRESHOLDS: Final = (50_000, 20, 100)


def run(settings: Settings, config_file: str = "") -> None:
    """Serve until a signal or SHUTDOWN; returns after a clean stop.

    Raises:
        OSError: an address or the directory cannot be had.
        StorageError: the directory is in use, or damaged where nothing can be served.
    """
    keep_freed_memory()
    clients_max = listening.raise_file_limit(settings.maxclients)
    listeners = listening.listen(settings)
    try:
        node = open_node(settings, config_file, port_of(listeners))
        announce(node, listeners)
        trio.run(serve, Loop(node, listeners, clients_max))
    finally:
        for listener in listeners:
            listener.close()
        if settings.unixsocket:
            Path(settings.unixsocket).unlink(missing_ok=True)
    _log.info("stopped")


async def serve(loop: Loop) -> None:
    """Run the loop until it is asked to stop; then write and sync everything, and say goodbye.

    Owns every task of the process: a crash in any of them ends the server.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(_stop_at_signal, loop.stop)  # before anybody is served
            await loop.run()
            nursery.cancel_scope.cancel()
    finally:
        loop.close()


async def _stop_at_signal(
    stop: Callable[[], None], task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """SIGTERM and SIGINT stop; SIGHUP is taken and does nothing."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as received:
        task_status.started()
        async for number in received:
            if number != signal.SIGHUP:
                _log.info("stopping: %s", signal.Signals(number).name)
                stop()
                return


def open_node(settings: Settings, config_file: str, port: int) -> Node:
    """The node over the settings' directory, recovered."""
    directory = settings.dir = os.path.abspath(settings.dir)
    os.makedirs(directory, exist_ok=True)
    return Node(
        OsFileSystem(),
        directory,
        settings,
        Now(time.time_ns() // 1_000_000, time.monotonic()),
        clock=time.perf_counter,
        seed=secrets.randbits(64),
        process_facts=ProcessFacts(port, config_file),
        config_writer=(lambda changed: rewrite(config_file, changed)) if config_file else None,
    )


def rewrite(path: str, settings: Settings) -> None:
    """CONFIG REWRITE: replace the configuration file by one with the present values, whole or not at all."""
    old, fresh = Path(path), Path(path + ".rewrite")
    try:
        wire = encode(settings.rewrite(decode(old.read_bytes())))
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, old.stat().st_mode & 0o777)  # it may hold a password
        with open(fd, "wb") as file:
            file.write(wire)
            file.flush()
            os.fsync(fd)
        fresh.replace(old)
    except OSError as error:
        raise ReplyError(f"Rewriting config file: {error.strerror}") from None


def port_of(listeners: Sequence[socket.socket]) -> int:
    """The TCP port that was taken; 0 if there is none."""
    for listener in listeners:
        if listener.family != socket.AF_UNIX:
            return int(listener.getsockname()[1])
    return 0


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def announce(node: Node, listeners: Sequence[socket.socket]) -> None:
    """The start banner: version, addresses, directory, what was recovered and in how long."""
    took = time.monotonic() - node.started_at.seconds
    addresses = [listening.format_address(listener.getsockname()).removesuffix(":0") for listener in listeners]
    streams = sum(len(database.keys) for database in node.keyspace.visible)
    values = sum(len(each.keys) for each in node.keyspace.values)
    _log.info(
        "respbroker %s (Python %s, codec %s, pid %d)",
        respbroker.__version__,
        sys.version.split()[0],
        "compiled" if COMPILED else "not compiled",
        os.getpid(),
        extra={"event": "start", "version": respbroker.__version__, "pid": os.getpid()},
    )
    if node.settings.passed_over:
        _log.warning("settings passed over, for what they tune is not here: %s", ", ".join(node.settings.passed_over))
    _log.info(
        "recovered %s%s from %s in %.0f ms",
        _counted(streams, "stream"),
        f" and {_counted(values, 'value')}" if values else "",
        node.directory,
        took * 1000,
        extra={
            "event": "recovered",
            "directory": node.directory,
            "streams": streams,
            "values": values,
            "seconds": round(took, 6),
        },
    )
    _log.info(
        "ready on %s, appendfsync %s",
        ", ".join(addresses),
        node.settings.appendfsync,
        extra={"event": "ready", "addresses": addresses, "port": port_of(listeners)},
    )
