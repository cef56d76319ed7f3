"""Symfony Messenger's Redis transport through phpredis: what `messenger:consume` and a dispatched message do."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from tests.applications.credentials import IN_URL, PASSWORD
from tests.applications.worker import Worker
from tests.support.replica_sets import until
from tests.support.servers import Server
from tests.support.wire import parse


@attrs.frozen
class Transport:
    """One transport of the program; each consumer has its own."""

    messenger: Worker
    name: str

    def ask(self, check: str, **given: object) -> Any:
        return self.messenger.ask(check, name=self.name, **given)

    def send(self, what: str, **given: object) -> None:
        self.ask("send", what=what, **given)

    def get(self) -> list[str]:
        found: list[str] = self.ask("get")
        return found

    def wait(self) -> list[str]:
        """What it gets as soon as it gets anything."""
        found: list[str] = []

        def has_come() -> bool:
            found.extend(self.get())
            return bool(found)

        until(has_come, "a message")
        return found


@attrs.frozen
class Messenger:
    server: Server
    program: Worker

    def transport(self, name: str, **options: object) -> Transport:
        """A transport with these options, on the stream `orders` for the group `shop` with this name as consumer."""
        transport = Transport(self.program, name)
        dsn = f"redis://127.0.0.1:{self.server.port}/orders/shop/{name}"
        transport.ask("open", dsn=dsn, options=options)
        return transport

    def pending(self) -> list[tuple[bytes | None, int]]:
        """Who holds each message that is delivered and not acknowledged, and how often it was delivered."""
        reply = parse(self.server.call("XPENDING", "orders", "shop", "-", "+", 10)).items or ()
        return [(one.items[1].text, one.items[3].integer) for one in reply if one.items]

    def length(self) -> int:
        return parse(self.server.call("XLEN", "orders")).integer


@pytest.fixture
def symfony(messenger: Worker, server: Server) -> Messenger:
    messenger.ask("forget")
    return Messenger(server, messenger)


def test_a_message_is_handled_and_gone(symfony: Messenger) -> None:
    shop = symfony.transport("anna")
    shop.send("lamp")
    shop.send("Glühbirne \0")
    assert shop.get() == ["lamp"]
    assert symfony.pending() == [(b"anna", 1)]
    shop.ask("ack", what="lamp")
    assert shop.get() == ["Glühbirne \0"]
    shop.ask("ack", what="Glühbirne \0")
    assert shop.get() == []
    assert (symfony.pending(), symfony.length()) == ([], 0)


def test_a_rejected_message_is_gone_and_an_acknowledged_one_may_stay(symfony: Messenger) -> None:
    shop = symfony.transport("anna", delete_after_ack=False)
    for what in ("lamp", "bulb"):
        shop.send(what)
    for what, done in (("lamp", "ack"), ("bulb", "reject")):
        assert shop.get() == [what]
        shop.ask(done, what=what)
    assert (symfony.pending(), symfony.length()) == ([], 1)


def test_a_delayed_message_waits_in_a_sorted_set_until_its_time(symfony: Messenger) -> None:
    shop = symfony.transport("anna")
    shop.send("soon", delay=300)
    shop.send("much later", delay=3_600_000)
    shop.send("now")
    assert shop.get() == ["now"]
    shop.ask("ack", what="now")
    assert symfony.server.call("ZCARD", "orders__queue") == b":2\r\n"
    assert shop.wait() == ["soon"]
    shop.ask("ack", what="soon")
    assert symfony.server.call("ZCARD", "orders__queue") == b":1\r\n"
    assert shop.get() == []


def test_what_a_dead_consumer_held_is_claimed_by_another(symfony: Messenger) -> None:
    symfony.transport("anna").send("lamp")
    assert symfony.transport("anna").get() == ["lamp"]
    ben = symfony.transport("ben", redeliver_timeout=0, claim_interval=0)
    assert ben.wait() == ["lamp"]
    assert [holder for holder, _ in symfony.pending()] == [b"ben"]
    ben.ask("ack", what="lamp")
    assert symfony.length() == 0


def test_a_consumer_that_starts_again_is_given_what_it_held(symfony: Messenger) -> None:
    symfony.transport("anna").send("lamp")
    assert symfony.transport("anna").get() == ["lamp"]
    symfony.program.ask("forget")  # the worker ends without an acknowledgement
    assert symfony.transport("anna").get() == ["lamp"]
    assert symfony.pending() == [(b"anna", 2)]


def test_a_stream_with_a_bound_is_trimmed_and_a_second_group_forbids_deleting(symfony: Messenger) -> None:
    shop = symfony.transport("anna", stream_max_entries=100)
    for n in range(300):
        shop.send(str(n))
    assert 100 <= symfony.length() < 300
    symfony.server.call("XGROUP", "CREATE", "orders", "billing", "0")
    refused = symfony.transport("ben")
    with pytest.raises(pytest.fail.Exception, match="More than one group exists"):
        refused.ask("setup")


def test_a_group_that_was_deleted_is_told_in_the_words_of_redis(symfony: Messenger) -> None:
    shop = symfony.transport("anna")
    shop.send("lamp")
    symfony.server.call("XGROUP", "DESTROY", "orders", "shop")
    with pytest.raises(pytest.fail.Exception, match="NOGROUP No such key 'orders' or consumer group 'shop'"):
        shop.get()


def test_a_worker_is_let_in_by_a_password_and_works_in_another_database(
    messenger: Worker, guarded_server: Server
) -> None:
    messenger.ask("forget")
    shop = Transport(messenger, "guarded")
    dsn = f"redis://{IN_URL}@127.0.0.1:{guarded_server.port}/orders"
    shop.ask("open", dsn=dsn, options={"dbindex": 3})
    shop.send("lamp")
    assert shop.get() == ["lamp"]
    shop.ask("ack", what="lamp")
    with guarded_server.connect() as wire:
        wire.call("AUTH", PASSWORD)
        assert wire.call("EXISTS", "orders") == b":0\r\n"
        wire.call("SELECT", 3)
        assert wire.call("EXISTS", "orders") == b":1\r\n"
    with pytest.raises(pytest.fail.Exception, match=r"NOAUTH|WRONGPASS"):
        Transport(messenger, "stranger").ask("open", dsn=dsn.replace(IN_URL, "guessed"))
    messenger.ask("forget")
