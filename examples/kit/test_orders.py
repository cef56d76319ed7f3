"""The team's tests, on a Redis and on a respbroker: `pytest examples/kit`. See docs/migrating.md."""

import orders
import pytest

from respbroker.testing import on_both

pytestmark = on_both  # every test here; the URL is put where the code looks for it: see pytest.ini


@pytest.fixture
def client(both_servers):
    with orders.connect() as client:
        yield client


def test_workers_share_the_orders(client):
    for what in ("lamp", "table", "chair"):
        orders.place(client, what=what)
    first, second = orders.take(client, "anna", 2), orders.take(client, "bert", 2)
    assert [order["what"] for _, order in first + second] == ["lamp", "table", "chair"]
    assert orders.take(client, "anna", 1) == []


def test_an_order_is_finished_once(client):
    order_id = orders.place(client, what="lamp")
    orders.take(client, "anna", 1)
    assert orders.finish(client, order_id)
    assert not orders.finish(client, order_id)


def test_what_a_worker_left_is_done_by_another(client):
    orders.place(client, what="lamp")
    left = orders.take(client, "anna", 1)
    assert orders.take_over(client, "bert", idle_ms=60_000) == []
    assert orders.take_over(client, "bert", idle_ms=0) == left


def test_whoever_connects_again_finds_the_orders(client):
    orders.place(client, what="lamp")
    with orders.connect() as other:
        assert len(orders.take(other, "anna", 1)) == 1
