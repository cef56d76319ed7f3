"""A server that stops appends what lingers, and answers it; one that is killed has never answered it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.servers import respbroker_server


@pytest.mark.parametrize("appendfsync", ["always", "everysec"])
def test_what_lingers_when_the_server_is_told_to_stop_is_appended_and_answered(
    tmp_path: Path, appendfsync: str
) -> None:
    with respbroker_server("--appendfsync", appendfsync, directory=tmp_path) as server:
        server.call("XTOPIC", "CREATE", "t", "PARTITIONS", "3", "CONFIG", "linger.ms", "60000")
        with server.connect() as wire, server.connect() as killed:
            wire.send("XADD", "t", "*", "f", "v")
            killed.send("XADD", "t", "*", "f", "v")
            killed.send("XADD", "t", "*", "f", "w")
            assert server.call("XLEN", "t") == b":0\r\n"
            killed.abort()
            assert server.stop() == 0
            assert wire.read().startswith(b"$")
        server.start_again()
        assert server.call("XLEN", "t") == b":1\r\n"


def test_a_pipeline_longer_than_one_read_is_gathered_as_one(tmp_path: Path) -> None:
    with respbroker_server(directory=tmp_path) as server:
        server.call("XTOPIC", "CREATE", "t", "CONFIG", "linger.ms", "60000")
        with server.connect() as wire:
            replies = wire.pipeline([["XADD", "t", "*", "f", "x" * 700]] * 1000)  # as many as are gathered at most
        assert all(reply.startswith(b"$") for reply in replies)
        assert server.call("XLEN", "t") == b":1000\r\n"
