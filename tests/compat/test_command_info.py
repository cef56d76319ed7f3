"""What COMMAND tells clients about our commands is what redis-server 8.2 tells about its own."""

from __future__ import annotations

import pytest

from tests.support.servers import Server
from tests.support.wire import Frame, parse, render

NEWER_THAN_8_2 = {b"xcfgset", b"xnack"}
OUR_OWN = (b"xtopic", b"replicate")
SUBCOMMANDS = 9  # place of a command's subcommands in its description; each server has some that the other has not


def described(server: Server, protocol: int) -> dict[bytes, list[bytes]]:
    """Every command and subcommand by name, each as the wire bytes of its values, but for its subcommands."""
    found: dict[bytes, list[bytes]] = {}

    def add(command: Frame) -> None:
        assert command.items is not None
        name, below = command.items[0].text, command.items[SUBCOMMANDS]
        assert name is not None
        found[name] = [render(item) for item in command.items[:SUBCOMMANDS]]
        for subcommand in below.items or ():
            add(subcommand)

    with server.connect(protocol) as wire:
        for command in parse(wire.call("COMMAND")).items or ():
            add(command)
    return found


@pytest.mark.parametrize("protocol", [2, 3])
def test_every_command_is_described_as_redis_describes_it(
    redis_server: Server, respbroker_server: Server, protocol: int
) -> None:
    theirs, ours = described(redis_server, protocol), described(respbroker_server, protocol)
    assert set(ours) - set(theirs) == NEWER_THAN_8_2 | {name for name in ours if name.startswith(OUR_OWN)}
    different = {name: (theirs[name], ours[name]) for name in set(ours) & set(theirs) if ours[name] != theirs[name]}
    assert different == {}
