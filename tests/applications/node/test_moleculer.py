"""Services of Moleculer on several nodes that exchange messages over @moleculer/channels, its Redis adapter."""

from __future__ import annotations

from tests.applications.node.programs import Node
from tests.support.replica_sets import until
from tests.support.servers import Server
from tests.support.wire import parse

LAMP = {"id": 1, "what": "Glühbirne"}
BROKEN = {"id": 2, "broken": True}


def pending(server: Server, group: str) -> int:
    """How many messages are delivered to a group and not acknowledged."""
    summary = parse(server.call("XPENDING", "orders", group)).items
    assert summary is not None
    return summary[0].integer


def dead_letters(server: Server) -> int:
    return parse(server.call("XLEN", "DEAD")).integer


def test_every_group_handles_a_message_once(node: Node, server: Server) -> None:
    with node.start("moleculer.mjs") as east, node.start("moleculer.mjs") as west:
        for name, program in (("east", east), ("west", west)):
            program.ask("start", url=server.url, node=name, services=["shop", "mail"])
        for _ in range(20):
            east.ask("send", payload=LAMP, options={"headers": {"who": "anna"}, "xaddMaxLen": "~100"})
        found: list[object] = []

        def all_are_handled() -> bool:
            for program in (east, west):
                found.extend(program.ask("handled", count=0))
            return len(found) >= 40

        until(all_are_handled, "20 messages for each of two groups")
        for service in ("shop", "mail"):
            assert found.count([service, LAMP, {"who": "anna"}]) == 20
            until(lambda service=service: pending(server, service) == 0, "all are acknowledged")
        for program in (east, west):
            program.ask("stop")


def test_what_cannot_be_handled_is_tried_again_and_then_a_dead_letter(node: Node, server: Server) -> None:
    with node.start("moleculer.mjs") as program:
        program.ask("start", url=server.url, node="east", services=["shop"])
        program.ask("send", payload=BROKEN)
        assert program.ask("handled", count=2) == [["shop", BROKEN, None]] * 2
        until(lambda: dead_letters(server) == 1, "the dead letter")
        until(lambda: pending(server, "shop") == 0, "it is acknowledged")
        program.ask("send", payload=LAMP)
        assert program.ask("handled", count=1) == [["shop", LAMP, None]]
        program.ask("stop")
    letter = server.call("XRANGE", "DEAD", "-", "+")
    for text in (b'{"id":2,"broken":true}', b'"x-original-channel":"orders"', b'"x-original-group":"shop"'):
        assert text in letter


def test_what_a_killed_node_was_handling_is_claimed_by_another(node: Node, server: Server) -> None:
    with node.start("moleculer.mjs") as east, node.start("moleculer.mjs") as west:
        east.ask("start", url=server.url, node="east", services=["shop"], stuck=True)
        east.ask("send", payload=LAMP)
        assert east.ask("handled", count=1) == [["shop", LAMP, None]]
        east.kill()
        west.ask("start", url=server.url, node="west", services=["shop"])
        assert west.ask("handled", count=1) == [["shop", LAMP, None]]
        until(lambda: pending(server, "shop") == 0, "it is acknowledged")
        west.ask("stop")


def test_a_node_goes_on_after_the_server_was_killed(node: Node, lasting_server: Server) -> None:
    with node.start("moleculer.mjs") as program:
        program.ask("start", url=lasting_server.url, node="east", services=["shop"])
        program.ask("send", payload=LAMP)
        assert program.ask("handled", count=1) == [["shop", LAMP, None]]
        lasting_server.kill()
        lasting_server.start_again()
        program.ask("send", payload=LAMP)
        assert program.ask("handled", count=1) == [["shop", LAMP, None]]
        until(lambda: pending(lasting_server, "shop") == 0, "it is acknowledged")
        program.ask("stop")
