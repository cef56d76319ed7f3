"""`respbroker groups list` and `describe`, on a running server."""

from __future__ import annotations

import time

import pytest

from tests.support.servers import respbroker_server
from tests.tools.commandline import Tools

HOUR_MS = 3_600_000


def fill(client, key, ids):
    for entry_id in ids:
        client.xadd(key, {"a": "b"}, id=entry_id)


@pytest.fixture
def orders(tools, client):
    """A topic of three partitions; the group billing has read some of the first two."""
    tools.done("topics", "create", "orders", "--partitions", "3")
    for partition, count in enumerate((4, 3, 2)):
        key = f"orders/{partition}"
        fill(client, key, [f"{1000 * (partition + 1) + n}-{partition}" for n in range(count)])
        client.xgroup_create(key, "billing", id="0")
    client.xreadgroup("billing", "anna", {"orders/0": ">"}, count=3)
    client.xreadgroup("billing", "bert", {"orders/1": ">"}, count=1)
    client.xack("orders/0", "billing", "1000-0")
    return tools


# -- list ---------------------------------------------------------------------------------------------------


def test_a_server_without_groups_says_so(tools, client):
    assert tools.done("groups", "list").out == "There are no groups.\n"
    client.xadd("s", {"a": "b"})
    assert tools.done("groups", "list").out == "There are no groups.\n"
    assert tools.done("groups", "list", "s").out == "s has no groups.\n"
    assert tools.json("groups", "list") == []


def test_groups_of_streams_and_topics_are_listed_together(orders, client):
    fill(client, "mails", ["1-0", "2-0", "3-0"])
    client.xgroup_create("mails", "a", id="1-0")
    client.xgroup_create("mails", "b", id="$")
    assert orders.done("groups", "list").rows == [
        ["TOPIC", "GROUP", "PARTITIONS", "CONSUMERS", "PENDING", "LAG"],
        ["mails", "a", "1", "0", "0", "2"],
        ["mails", "b", "1", "0", "0", "0"],
        ["orders", "billing", "3", "2", "3", "5"],
    ]
    assert orders.done("groups", "list", "mails").column("GROUP") == ["a", "b"]
    assert orders.json("groups", "list", "orders") == [
        {"topic": "orders", "group": "billing", "partitions": 3, "consumers": 2, "pending": 3, "lag": 5}
    ]


def test_a_partition_is_listed_by_its_name(orders):
    assert orders.done("groups", "list", "orders/1").row("orders/1") == ["orders/1", "billing", "1", "1", "1", "2"]


def test_hundreds_of_streams_are_listed(tools, client):
    pipeline = client.pipeline()
    for number in range(1100):
        pipeline.xgroup_create(f"s{number:04}", "g", id="0", mkstream=True)
    pipeline.execute()
    assert [each["topic"] for each in tools.json("groups", "list")] == [f"s{number:04}" for number in range(1100)]


# -- describe -----------------------------------------------------------------------------------------------


def test_each_partition_is_described(orders):
    said = orders.done("groups", "describe", "orders", "billing")
    assert said.out.startswith("billing of orders: ordered, 3 partitions, 2 consumers\n")
    assert said.rows[1] == ["5 entries to be given out; 3 entries pending"]
    assert said.row("anna")[-2] == "2"
    assert said.row("bert")[-2] == "1"
    told = zip(*map(said.column, ("PARTITION", "CURSOR", "LAG", "OLDEST", "HOLDER", "TIMES")), strict=True)
    assert [list(row) for row in told] == [
        ["orders/0", "1002-0", "1", "1001-0", "anna", "1"],
        ["orders/1", "2000-1", "2", "2000-1", "bert", "1"],
        ["orders/2", "0-0", "2", "-", "-", "-"],
    ]


def test_a_program_reads_the_same(orders):
    told = orders.json("groups", "describe", "orders", "billing")
    assert (told["topic"], told["group"], told["ordered"]) == ("orders", "billing", True)
    assert (told["lag"], told["lag_seconds"], told["pending"]) == (5, None, 3)
    assert [(each["name"], each["pending"]) for each in told["consumers"]] == [("anna", 2), ("bert", 1)]
    assert told["partitions"][1] == {
        "partition": 1,
        "key": "orders/1",
        "owner": None,
        "moves_to": None,
        "cursor": "2000-1",
        "lag": 2,
        "lag_seconds": None,
        "pending": 1,
        "oldest_pending": "2000-1",
        "oldest_pending_seconds": None,
        "oldest_holder": "bert",
        "oldest_deliveries": 1,
    }


def test_one_partition_can_be_described(orders):
    said = orders.done("groups", "describe", "orders/1", "billing")
    assert said.out.startswith("billing of orders/1: ordered, 1 partition, 1 consumer\n")
    assert said.column("LAG") == ["2"]


@pytest.fixture
def shared_out(tools, client):
    """A topic of four partitions that two consumers of an ordered group have shared out; their connections."""
    tools.done("topics", "create", "orders", "--partitions", "4", "--config", "group.session.timeout.ms=0")
    client.xgroup_create("orders", "billing", id="0")
    with tools.client as left, tools.client as right:
        for name, connection in (("left", left), ("right", right)):
            connection.xreadgroup("billing", name, {"orders": ">"})
        yield left, right


def test_owners_are_told_in_an_ordered_group(tools, shared_out):
    said = tools.done("groups", "describe", "orders", "billing")
    assert said.row("left")[:4] == ["left", "2-3", "1", "0"]
    assert said.row("right")[:4] == ["right", "0-1", "1", "0"]
    assert said.column("OWNER") == ["right", "right", "left", "left"]
    told = tools.json("groups", "describe", "orders", "billing")
    assert [each["partitions"] for each in told["consumers"]] == [[2, 3], [0, 1]]
    assert [each["owner"] for each in told["partitions"]] == ["right", "right", "left", "left"]


def test_a_member_that_waits_for_a_partition_is_described(tools, client):
    tools.done("topics", "create", "orders", "--partitions", "2")
    client.xgroup_create("orders", "billing", id="0")
    client.xadd("orders/1", {"a": "b"})
    client.xreadgroup("billing", "left", {"orders": ">"})
    client.xadd("orders/0", {"a": "b"})
    client.xreadgroup("billing", "left", {"orders": ">"})
    with tools.client as late:
        late.xreadgroup("billing", "right", {"orders": ">"})
        said = tools.done("groups", "describe", "orders", "billing")
        assert said.row("right")[:4] == ["right", "-", "1", "0"]
        assert said.column("OWNER") == ["left", "left"]
        assert sorted(said.column("MOVES-TO")) == ["-", "right"]


def test_the_owner_of_one_partition_is_told_before_it_has_read_there(tools, shared_out):
    said = tools.done("groups", "describe", "orders/3", "billing")
    assert said.row("orders/3")[:2] == ["orders/3", "left"]
    assert said.column("PARTITIONS") == ["3"]
    assert tools.json("groups", "describe", "orders/3", "billing")["partitions"][0]["partition"] == 3


def test_a_group_of_some_partitions_only_is_described_by_their_names(tools, client):
    tools.done("topics", "create", "orders", "--partitions", "3")
    client.xgroup_create("orders/1", "g", id="0")
    assert tools.refusal("groups", "describe", "orders", "g") == (
        "the group g is not in all partitions of orders: name one, as in orders/1"
    )
    assert tools.done("groups", "list", "orders").out == "orders has no groups.\n"
    assert tools.done("groups", "describe", "orders/1", "g").column("LAG") == ["0"]


def test_a_stream_tells_how_far_a_group_is_behind_in_time(tools, client):
    now_ms = int(time.time() * 1000)
    fill(client, "mails", [f"{now_ms - hours * HOUR_MS}-0" for hours in (50, 3, 2)])
    client.xgroup_create("mails", "g", id="0")
    client.xreadgroup("g", "anna", {"mails": ">"}, count=1)
    said = tools.done("groups", "describe", "mails", "g")
    assert said.rows[1] == ["2 entries to be given out, the first 3h00m old; 1 entry pending, the first 2d02h old"]
    assert (said.column("BEHIND"), said.column("AGE")) == (["3h00m"], ["2d02h"])
    told = tools.json("groups", "describe", "mails", "g")
    assert 0 <= told["lag_seconds"] - 3 * 3600 < 60
    assert 0 <= told["oldest_pending_seconds"] - 50 * 3600 < 60


def test_entries_that_were_deleted_are_no_lag(tools, client):
    fill(client, "mails", ["1-0", "2-0", "3-0"])
    client.xgroup_create("mails", "g", id="0")
    client.xdel("mails", "1-0", "3-0")
    assert tools.done("groups", "describe", "mails", "g").column("LAG") == ["1"]


def test_a_group_that_nobody_has_read_for_says_so(tools, client):
    client.xgroup_create("mails", "g", mkstream=True)
    said = tools.done("groups", "describe", "mails", "g")
    assert said.out == (
        "g of mails: 1 partition, 0 consumers\n"
        "0 entries to be given out; 0 entries pending\n"
        "\n"
        "Nobody has read for it yet.\n"
        "\n"
        "PARTITION  CURSOR  LAG  PENDING\n"
        "mails      0-0       0        0\n"
    )


def test_entries_given_up_are_pending_with_nobody(tools, client):
    fill(client, "mails", ["1-0"])
    client.xgroup_create("mails", "g", id="0")
    client.xreadgroup("g", "anna", {"mails": ">"})
    client.execute_command("XNACK", "mails", "g", "SILENT", "IDS", 1, "1-0")
    said = tools.done("groups", "describe", "mails", "g")
    assert said.column("OLDEST") == ["1-0"]
    assert "HOLDER" not in said.out


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("list none", "there is no topic or stream none"),
        ("describe none g", "there is no topic or stream none"),
        ("describe mails h", "mails has no group h: it has g"),
        ("describe empty h", "empty has no group h, and no other"),
        ("describe orders/3 g", "the server refuses: 'orders' has 3 partitions, 0 to 2: there is no 'orders/3'"),
    ],
)
def test_what_is_not_there_is_named(tools, client, line, refusal):
    client.xgroup_create("mails", "g", mkstream=True)
    client.xadd("empty", {"a": "b"})
    tools.done("topics", "create", "orders", "--partitions", "3")
    assert tools.refusal("groups", *line.split()) == refusal


def test_names_may_be_any_bytes(tools):
    with tools.client as client:
        client.xgroup_create(b"caf\xe9", b"g\x00h", mkstream=True)
        client.xgroup_createconsumer(b"caf\xe9", b"g\x00h", b"an\xffna")
    assert tools.done("groups", "list").rows[1][:2] == ["$'caf\\xe9'", "$'g\\x00h'"]
    [listed] = tools.json("groups", "list")
    assert (listed["topic"], listed["topic_base64"], listed["group"]) == ("$'caf\\xe9'", "Y2Fm6Q==", "g\x00h")
    with tools.client as client:
        client.xgroup_create("caf\udce9".encode("utf-8", "surrogateescape"), "plain")
    said = tools.done("groups", "describe", "caf\udce9", "plain")
    assert said.out.startswith("plain of $'caf\\xe9': 1 partition, 0 consumers\n")


def test_a_huge_group_on_many_partitions_is_described():
    """Of a server of its own: it is not to slow the others down."""
    with respbroker_server() as server, Tools(server).client as client:
        tools = Tools(server)
        tools.done("topics", "create", "wide", "--partitions", "500")
        pipeline = client.pipeline(transaction=False)
        for partition in range(500):
            pipeline.xgroup_create(f"wide/{partition}", "g", id="0")
            for _ in range(20):
                pipeline.xadd(f"wide/{partition}", {"a": "b"})
            for consumer in range(4):
                pipeline.xreadgroup("g", f"c{(partition + consumer) % 1000}", {f"wide/{partition}": ">"}, count=4)
        pipeline.execute()
        told = tools.json("groups", "describe", "wide", "g")
        assert (told["lag"], told["pending"]) == (500 * 4, 500 * 16)
        assert len(told["partitions"]) == 500
        assert sum(each["pending"] for each in told["consumers"]) == 500 * 16
        [listed] = tools.json("groups", "list")
        assert (listed["consumers"], listed["lag"]) == (len(told["consumers"]), 2000)
