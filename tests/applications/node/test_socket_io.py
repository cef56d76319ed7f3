"""Two socket.io servers that exchange their events through @socket.io/redis-streams-adapter."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import attrs
import pytest

from tests.applications.node.programs import Node
from tests.applications.worker import Worker
from tests.support.replica_sets import until
from tests.support.servers import Server

LIBRARIES = ("redis", "ioredis6")  # what the adapter is given to speak to the server
KINDS = ("redis", "respbroker")
SHARDED = {"useShardedPubSub": True, "streamCount": 2}  # of the adapter: SPUBLISH and a stream for each namespace


@attrs.frozen
class Site:
    """Two servers, each with its port, and the browsers of all who visit them."""

    server: Server
    east: Worker
    west: Worker
    browsers: Worker
    ports: tuple[int, int]

    def visit(self, name: str, port: int, *rooms: str) -> str:
        """A browser that is connected and in these rooms; its socket's ID."""
        socket_id: str = self.browsers.ask("connect", name=name, port=port)
        for room in rooms:
            self.browsers.ask("join", name=name, room=room)
        return socket_id

    def heard(self, name: str, count: int = 1) -> list[list[object]]:
        """What that browser was told since it was asked last, once there is so much."""
        found: list[list[object]] = self.browsers.ask("heard", name=name, count=count)
        return found


def readers(server: Server) -> int:
    """How many clients wait in XREAD."""
    lines = server.call("CLIENT", "LIST").splitlines()
    return sum(b"cmd=xread" in line and b"flags=b" in line for line in lines)


@contextlib.contextmanager
def running_site(node: Node, server: Server, library: str, options: dict[str, object] | None = None) -> Iterator[Site]:
    server.call("FLUSHALL")
    until(lambda: readers(server) == 0, "nobody reads of those before")
    with (
        node.start("socket_server.mjs", library) as east,
        node.start("socket_server.mjs", library) as west,
        node.start("socket_browser.mjs") as browsers,
    ):
        ports = [
            each.ask("listen", url=server.url, servers=n, options=options or {})["port"]
            for n, each in enumerate((east, west), 1)
        ]
        until(lambda: readers(server) == (4 if options else 2), "both servers read")
        yield Site(server, east, west, browsers, (ports[0], ports[1]))


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture(scope="module", params=[("redis", None), ("ioredis6", SHARDED)], ids=["redis", "ioredis6 sharded"])
def site(request: pytest.FixtureRequest, node: Node, kind: str) -> Iterator[Site]:
    with running_site(node, request.getfixturevalue(f"{kind}_server"), *request.param) as site:
        yield site


@pytest.fixture(autouse=True)
def _everybody_leaves(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "site" in request.fixturenames:
        site: Site = request.getfixturevalue("site")
        site.browsers.ask("leave")
        until(lambda: site.east.ask("fetchSockets", room=[]) == [], "nobody is connected")


def test_what_one_server_emits_is_heard_at_both(site: Site) -> None:
    site.visit("anna", site.ports[0])
    site.visit("ben", site.ports[1])
    site.east.ask("emit", words=["hello", {"n": 1}])
    for name in ("anna", "ben"):
        assert site.heard(name) == [["told", "hello", {"n": 1}]]
    site.west.ask("emit", words=["bytes"], binary=[0, 255, 10])
    for name in ("anna", "ben"):
        assert site.heard(name) == [["told", "bytes", [0, 255, 10]]]


def test_a_room_spans_both_servers(site: Site) -> None:
    site.visit("anna", site.ports[0], "kitchen")
    site.visit("ben", site.ports[1], "kitchen")
    site.visit("carol", site.ports[1])
    site.east.ask("emit", room="kitchen", words=["soup"])
    site.browsers.ask("shout", name="anna", room="kitchen", word="more")
    assert site.heard("ben", 2) == [["told", "soup"], ["heard", "more"]]
    site.west.ask("emit", words=["all"])
    assert site.heard("ben") == [["told", "all"]]
    assert site.heard("anna", 2) == [["told", "soup"], ["told", "all"]]
    assert site.heard("carol") == [["told", "all"]]


def test_a_server_moves_and_disconnects_the_sockets_of_the_other(site: Site) -> None:
    ids = sorted([site.visit("anna", site.ports[0], "kitchen"), site.visit("ben", site.ports[1], "kitchen")])
    found = site.west.ask("fetchSockets", room="kitchen")
    assert sorted(found) == [[each, sorted(["kitchen", each])] for each in ids]

    site.east.ask("socketsJoin", **{"from": "kitchen"}, to="cellar")
    until(lambda: len(site.east.ask("fetchSockets", room="cellar")) == 2, "both are in the cellar")
    site.west.ask("socketsLeave", room="cellar")
    until(lambda: site.west.ask("fetchSockets", room="cellar") == [], "both have left it")
    site.east.ask("disconnectSockets", room="kitchen")
    for name in ("anna", "ben"):
        site.browsers.ask("gone", name=name)


def test_every_browser_and_the_other_server_answer(site: Site) -> None:
    site.visit("anna", site.ports[0], "kitchen")
    site.visit("ben", site.ports[1], "kitchen")
    assert sorted(site.west.ask("acknowledged", room="kitchen", word="hungry")) == ["anna hungry", "ben hungry"]
    (answer,) = site.east.ask("serverSideEmit", word="there")
    assert answer.startswith("there ")
    assert site.east.ask("serverCount") == 2


def test_who_comes_back_to_the_other_server_is_recognised_and_told_what_it_missed(site: Site) -> None:
    """The adapter keeps a lost session by SET PX, takes it by MULTI GET DEL EXEC, and reads the stream from there."""
    known_as = site.visit("anna", site.ports[0], "kitchen")
    site.east.ask("emit", words=["before"])
    assert site.heard("anna") == [["told", "before"]]
    site.browsers.ask("lose", name="anna")
    until(lambda: len(sessions(site.server)) == 1, "the session is kept")
    site.west.ask("emit", room="kitchen", words=["missed", 1])
    site.west.ask("emit", room="cellar", words=["for others"])
    site.west.ask("emit", words=["missed", 2])
    assert site.browsers.ask("comeBack", name="anna", port=site.ports[1]) == {"recovered": True, "id": known_as}
    assert site.heard("anna", 2) == [["told", "missed", 1], ["told", "missed", 2]]
    assert sessions(site.server) == []
    site.east.ask("emit", room="kitchen", words=["after"])
    assert site.heard("anna") == [["told", "after"]]


def sessions(server: Server) -> list[bytes]:
    """Keys of those who have lost their connection."""
    return [word for word in server.call("KEYS", "sio:session:*").splitlines() if word.startswith(b"sio:")]


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_servers_exchange_events_again_after_theirs_was_killed(
    node: Node, lasting_server: Server, library: str
) -> None:
    with running_site(node, lasting_server, library) as site:
        site.visit("anna", site.ports[0])
        site.visit("ben", site.ports[1])
        site.east.ask("emit", words=["before"])
        assert site.heard("ben") == [["told", "before"]]
        lasting_server.kill()
        lasting_server.start_again()
        until(lambda: readers(lasting_server) == 2, "both read again")
        site.west.ask("emit", words=["after"])
        assert site.heard("anna", 2) == [["told", "before"], ["told", "after"]]
        assert site.heard("ben") == [["told", "after"]]
        until(lambda: site.east.ask("serverCount") == 2, "both listen again")
