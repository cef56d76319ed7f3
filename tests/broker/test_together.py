"""What several clients ask alike in one tick is served at once, and nobody can tell."""

from __future__ import annotations

import random

import pytest

from respbroker.sessions.client import Client
from tests.broker.test_runs import ADD, GROUP, acks, in_memory, state
from tests.support.nodes import NodeUnderTest

Request = list[bytes]
PING: Request = [b"PING"]


def run(node: NodeUnderTest, parts: list[list[Request]], *, at_once: bool) -> list[bytes]:
    """Each part from a client of its own, in one tick or each request in one; what each client was sent."""
    clients = [node.client() for _ in parts]
    if at_once:
        node.tick([(client, part) for client, part in zip(clients, parts, strict=True) if part])
        return [node.output(client) for client in clients]
    return [b"".join(node.run(client, *words) for words in part) for client, part in zip(clients, parts, strict=True)]


def same(prepared: list[Request], parts: list[list[Request]]) -> list[bytes]:
    together, apart = in_memory(), in_memory()
    for node in (together, apart):
        node.pipeline(node.client(), prepared)
    replies = run(together, parts, at_once=True)
    assert replies == run(apart, parts, at_once=False)
    assert state(together) == state(apart)
    return replies


def test_appends_of_fifty_clients_get_an_id_each() -> None:
    replies = same([ADD], [[ADD]] * 50)
    assert len(set(replies)) == 50


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([[ADD, ADD], [ADD], [ADD] * 3], id="pipelines of different lengths"),
        pytest.param([[ADD], [ADD, PING, ADD], [ADD]], id="another command in the middle"),
        pytest.param([[ADD], [ADD, [*ADD, b"odd"], ADD], [ADD]], id="one refused in the middle of a pipeline"),
        pytest.param([[ADD], [[*ADD, b"odd"]], [ADD]], id="one refused between others"),
        pytest.param([[[b"XADD", b"s"]], [[b"XADD", b"s"]]], id="too few words"),
        pytest.param([[ADD], [[b"XADD", b"t", *ADD[2:]]], [ADD]], id="another stream between"),
        pytest.param([[PING], [PING, PING], [[b"PING", b"hello"]], [PING]], id="pings"),
        pytest.param([[[b"PING", b"a", b"b"]], [[b"PING", b"a", b"b"]]], id="pings refused"),
        pytest.param([acks([0, 1]), acks([2]), acks([2, 3]), acks([3000])], id="acknowledgements"),
    ],
)
def test_replies_and_state_are_those_of_one_by_one(parts: list[list[Request]]) -> None:
    same(GROUP, parts)


def test_random_mixtures() -> None:
    chooser = random.Random(11)
    kinds = [
        ADD,
        PING,
        [b"XADD", b"s", b"MAXLEN", b"~", b"100", b"*", b"f", b"v"],
        [b"XLEN", b"s"],
        [b"XADD", b"s", b"1"],
    ]
    for _ in range(200):
        length = chooser.randrange(1, 4)
        alike = [[chooser.choice(kinds)] * length for _ in range(chooser.randrange(2, 9))]
        same([ADD], [part + [chooser.choice(kinds)] * chooser.randrange(2) for part in alike])


def served(node: NodeUnderTest, clients: list[Client]) -> list[bytes]:
    node.tick([(client, [ADD]) for client in clients])
    return [node.output(client) for client in clients]


def test_a_client_in_a_transaction_between_others_is_queued() -> None:
    node = in_memory()
    clients = [node.client() for _ in range(4)]
    node.run(clients[2], b"MULTI")
    replies = served(node, clients)
    assert replies[2] == b"+QUEUED\r\n"
    assert [reply[:1] for reply in replies] == [b"$", b"$", b"+", b"$"]
    assert node.run(clients[0], b"XLEN", b"s") == b":3\r\n"


def test_each_client_writes_to_its_own_database() -> None:
    node = in_memory()
    clients = [node.client() for _ in range(4)]
    for client in clients[2:]:
        node.run(client, b"SELECT", b"3")
    served(node, clients)
    assert [node.run(client, b"XLEN", b"s") for client in clients] == [b":2\r\n"] * 4


def test_a_silenced_client_between_others_is_told_nothing() -> None:
    node = in_memory()
    clients = [node.client() for _ in range(3)]
    node.run(clients[1], b"CLIENT", b"REPLY", b"OFF")
    replies = served(node, clients)
    assert replies[1] == b""
    assert node.run(clients[0], b"XLEN", b"s") == b":3\r\n"


def test_the_node_counts_each_request_and_each_client_its_own() -> None:
    node = in_memory()
    clients = [node.client() for _ in range(5)]
    served(node, clients)
    served(node, clients)
    assert b"cmdstat_xadd:calls=10," in node.run(clients[0], b"INFO", b"commandstats")
    assert [client.requests_count for client in clients] == [3, 2, 2, 2, 2]
    assert {client.last_command for client in clients[1:]} == {"xadd"}
