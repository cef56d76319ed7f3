"""XTOPIC, the names of partitions, and XADD to a topic of several."""

from __future__ import annotations

import pytest

from tests.support.asking import asker, fields, ids
from tests.support.nodes import open_node

SEVERAL = "-ERR 'orders' has 4 partitions: name one of them, 'orders/0' to 'orders/3'"
PART = "-ERR 'orders/1' is a partition of 'orders' and cannot go or be moved by itself"


@pytest.fixture
def ask(node):
    return asker(node)


@pytest.fixture
def orders(ask):
    assert ask("XTOPIC CREATE orders PARTITIONS 4 CONFIG key.field customer") == "OK"
    return ask


def partition_of(entry_id):
    return int(entry_id.partition("-")[2]) % 4096


# -- XTOPIC -------------------------------------------------------------------------------------------------


def test_a_topic_is_one_key_of_type_stream(orders):
    assert orders("TYPE orders") == "stream"
    assert orders("EXISTS orders orders/3 orders/4 orders/03") == 2
    assert orders("KEYS *") == ["orders"]
    assert orders("DBSIZE") == 1


def test_a_topic_of_one_partition_is_an_ordinary_stream(ask):
    assert ask("XTOPIC CREATE plain") == "OK"
    assert ask("XADD plain 1-1 a b") == "1-1"
    assert ids(ask("XRANGE plain - +")) == ["1-1"]


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("XTOPIC CREATE orders", "-BUSYKEY Target key name already exists."),
        ("XTOPIC CREATE t PARTITIONS 0", "-ERR PARTITIONS must be between 1 and 4096"),
        ("XTOPIC CREATE t PARTITIONS 4097", "-ERR PARTITIONS must be between 1 and 4096"),
        ("XTOPIC CREATE t PARTITIONS x", "-ERR PARTITIONS is not an integer or out of range"),
        ("XTOPIC CREATE t PARTITIONS", "-ERR syntax error"),
        ("XTOPIC CREATE t REPLICAS 3", "-ERR REPLICAS must be between 1 and 1: every server has all topics"),
        ("XTOPIC CREATE t COLOUR red", "-ERR syntax error"),
        ("XTOPIC CREATE t CONFIG", "-ERR wrong number of arguments for 'xtopic|create' command"),
        ("XTOPIC CREATE t CONFIG colour red", "-ERR unknown topic setting 'colour'. Try XTOPIC HELP."),
        (
            "XTOPIC CREATE t CONFIG retention.ms soon",
            "-ERR topic setting 'retention.ms': argument couldn't be parsed into an integer",
        ),
        (
            "XTOPIC CREATE t CONFIG acks 2",
            "-ERR topic setting 'acks': argument(s) must be one of the following: 1, all",
        ),
        (
            "XTOPIC CREATE t CONFIG cleanup.policy compact",
            "-ERR topic setting 'cleanup.policy': compaction needs key.field",
        ),
        ("XTOPIC CREATE t CONFIG linger.ms 1 linger.ms 2", "-ERR topic setting 'linger.ms' stands there twice"),
        ("XTOPIC ALTER orders PARTITIONS 3", "-ERR a topic's partitions only grow: it has 4"),
        ("XTOPIC ALTER none PARTITIONS 3", "-ERR no such key"),
        ("XTOPIC INFO none", "-ERR no such key"),
        ("XTOPIC NOPE", "-ERR unknown subcommand 'NOPE'. Try XTOPIC HELP."),
    ],
)
def test_xtopic_refuses_what_cannot_be(orders, line, refusal):
    assert orders(line) == refusal
    assert orders("KEYS *") == ["orders"]


def test_settings_are_told_and_altered(orders):
    assert orders("XTOPIC ALTER orders CONFIG retention.ms 60000 segment.bytes 1mb") == "OK"
    config = fields(fields(orders("XTOPIC INFO orders"))["config"])
    assert (config["retention.ms"], config["segment.bytes"]) == ("60000", "1048576")
    assert config["key.field"] == "customer"
    [listed] = orders("XTOPIC LIST")
    assert fields(fields(listed)["config"]) == {
        "key.field": "customer",
        "retention.ms": "60000",
        "segment.bytes": "1048576",
    }
    assert orders("XTOPIC ALTER orders CONFIG retention.ms default") == "OK"
    assert fields(fields(orders("XTOPIC INFO orders"))["config"])["retention.ms"] == ""


def test_what_a_write_waits_for_is_the_servers_unless_the_topic_says_so(orders):
    def told():
        config = fields(fields(orders("XTOPIC INFO orders"))["config"])
        return config["acks"], config["min.insync.replicas"]

    assert told() == ("", "")
    assert orders("XTOPIC ALTER orders CONFIG acks ALL min.insync.replicas 2") == "OK"
    assert told() == ("all", "2")
    assert orders("XTOPIC ALTER orders CONFIG acks default min.insync.replicas default") == "OK"
    assert told() == ("", "")


def test_settings_of_logs_reach_the_logs(node, orders):
    orders("XTOPIC ALTER orders CONFIG retention.ms 60000 segment.bytes 1mb")
    log = node.node.keyspace.lookup(0, b"orders/2", node.node.now_ms).log
    assert (log.config.retention_ms, log.config.segment_bytes) == (60000, 1 << 20)
    asker(node)("CONFIG SET segment.bytes 2mb retention.ms 5")
    assert (log.config.retention_ms, log.config.segment_bytes) == (60000, 1 << 20)
    orders("XTOPIC ALTER orders CONFIG cleanup.policy compact")
    assert log.config.retention_ms is None


def test_help_names_every_setting(ask):
    lines = "\n".join(ask("XTOPIC HELP"))
    for name in ("key.field", "cleanup.policy", "retention.ms", "max.deliveries", "linger.ms", "schema.field"):
        assert f"  {name} <" in lines


def test_info_tells_of_each_partition(orders):
    for number in range(8):
        orders(f"XADD orders * customer c{number} n {number}")
    told = fields(orders("XTOPIC INFO orders"))
    assert (told["partitions"], told["entries"]) == (4, 8)
    parts = [fields(part) for part in told["partition-list"]]
    assert [part["partition"] for part in parts] == [0, 1, 2, 3]
    assert sum(part["entries"] for part in parts) == 8
    assert told["last-generated-id"] in [part["last-id"] for part in parts]


# -- names --------------------------------------------------------------------------------------------------


def test_a_partition_that_is_not_there_is_named(orders):
    words = "-ERR 'orders' has 4 partitions, 0 to 3: there is no 'orders/4'"
    assert orders("XADD orders/4 * a b") == words
    assert orders("XLEN orders/4") == words
    assert orders("XADD orders/x * a b") != words  # an ordinary key
    assert orders("XLEN orders/x") == 1


def test_names_do_not_become_ambiguous(ask):
    assert ask("XADD t/1 1-0 a b") == "1-0"
    refusal = "-BUSYKEY the key 't/1' exists, and would be a partition of 't'"
    assert ask("XTOPIC CREATE t PARTITIONS 2") == refusal
    assert ask("XTOPIC CREATE t PARTITIONS 1") == "OK"
    assert ask("XTOPIC ALTER t PARTITIONS 2") == refusal
    assert ask("XTOPIC CREATE u PARTITIONS 2") == "OK"
    assert ask("RENAME t/1 u/7") == "-BUSYKEY 'u/7' would be a partition of the topic 'u'"
    assert ask("RENAME u t") == refusal
    assert ids(ask("XRANGE t/1 - +")) == ["1-0"]


def test_a_partition_does_not_go_by_itself(orders):
    orders("XADD orders/1 * a b")
    for line in ("DEL orders/1", "UNLINK orders/1", "RENAME orders/1 x", "MOVE orders/1 1", "EXPIRE orders/1 5"):
        assert orders(line) == PART, line
    assert orders("XTOPIC DELETE orders/1") == PART
    assert orders("XLEN orders/1") == 1


def test_a_renamed_topic_takes_its_partitions_along(orders):
    orders("XADD orders/1 * a b")
    assert orders("RENAME orders invoices") == "OK"
    assert orders("XLEN invoices/1") == 1
    assert orders("EXISTS orders orders/1") == 0
    assert orders("XADD orders/1 1-0 a b") == "1-0"  # an ordinary key again
    assert partition_of(orders("XADD invoices/1 * a b")) == 1


def test_a_deleted_topic_is_gone_with_its_partitions(node, orders):
    orders("XADD orders/1 * a b")
    assert orders("DEL orders") == 1
    assert orders("EXISTS orders orders/1") == 0
    assert orders("XTOPIC CREATE orders PARTITIONS 2") == "OK"
    assert orders("XLEN orders/1") == 0
    assert orders("XTOPIC DELETE orders") == 1
    assert orders("XTOPIC DELETE orders") == 0


def test_a_topic_expires_whole(node, orders):
    orders("XADD orders/1 * a b")
    assert orders("PEXPIRE orders 50") == 1
    node.clock.advance(51)
    assert orders("XLEN orders/1") == 0
    assert orders("EXISTS orders/1 orders") == 0


def test_what_does_not_know_topics_names_the_partitions(orders):
    assert orders("XSETID orders 5-0") == SEVERAL
    assert orders("XSETID orders/1 5-4097") == "OK"


# -- XADD ---------------------------------------------------------------------------------------------------


def test_entries_of_a_key_go_to_one_partition_that_their_ids_tell(orders):
    for number in range(40):
        customer = f"c{number % 7}"
        place = {partition_of(orders(f"XADD orders * n {number} customer {customer}")) for _ in range(3)}
        assert len(place) == 1
    lengths = [orders(f"XLEN orders/{index}") for index in range(4)]
    assert sum(lengths) == 120
    assert sum(1 for length in lengths if length) > 1
    for index in range(4):
        assert {partition_of(each) for each in ids(orders(f"XRANGE orders/{index} - +"))} <= {index}


def test_ids_rise_over_the_whole_topic(node, orders):
    given = [orders(f"XADD orders * customer c{number} a b") for number in range(50)]
    given.append(orders("XADD orders/3 * a b"))
    node.clock.advance(1)
    given.append(orders("XADD orders/0 * a b"))
    as_numbers = [tuple(map(int, each.split("-"))) for each in given]
    assert as_numbers == sorted(set(as_numbers))
    assert given[-1] == f"{node.clock.ms}-0"


def test_a_pipeline_goes_where_single_requests_go(node, orders):
    client = node.client()
    requests = [["XADD", "orders", "*", "customer", f"c{number}", "a", "b"] for number in range(30)]
    given = [line for line in node.pipeline(client, requests).decode().split("\r\n") if "-" in line]
    alone = [orders(f"XADD orders * customer c{number} a b") for number in range(30)]
    assert [partition_of(each) for each in given] == [partition_of(each) for each in alone]
    assert len(set(given + alone)) == 60


def test_entries_without_a_key_stay_together_in_a_tick_and_go_round(node, ask):
    ask("XTOPIC CREATE t PARTITIONS 3")
    client = node.client()
    ticks = []
    for _ in range(6):
        wire = node.pipeline(client, [["XADD", "t", "*", "a", "b"]] * 4).decode()
        ticks.append({partition_of(line) for line in wire.split("\r\n") if "-" in line})
    assert all(len(places) == 1 for places in ticks)
    assert [places.pop() for places in ticks] == [0, 1, 2, 0, 1, 2]


def test_an_id_that_is_given_must_tell_the_partition(orders):
    assert orders("XADD orders/1 5-4097 a b") == "5-4097"
    assert orders("XADD orders/1 6-2 a b").startswith("-ERR The ID specified in XADD is not one of this partition")
    assert orders("XADD orders 6-2 a b") == "6-2"
    assert orders("XADD orders/2 6-* a b") == "6-4098"
    assert orders("XADD orders/1 6-1 a b").startswith("-ERR The ID specified in XADD is equal or smaller")
    assert orders("XADD orders 7-9 a b") == (
        "-ERR The ID specified in XADD belongs to partition 9, which the topic does not have"
    )
    place = partition_of(orders("XADD orders * customer anna"))
    other = (place + 1) % 4
    assert "where its key belongs" in orders(f"XADD orders 9999999999999-{other} customer anna")
    assert orders(f"XADD orders 9999999999999-{place} customer anna") == f"9999999999999-{place}"


def test_an_entry_sent_twice_is_added_once_wherever_it_would_go(orders):
    first = orders("XADD orders IDMP p 1 * a b")
    assert [orders("XADD orders IDMP p 1 * a b") for _ in range(5)] == [first] * 5
    auto = orders("XADD orders IDMPAUTO p * a c")
    assert [orders("XADD orders IDMPAUTO p * a c") for _ in range(5)] == [auto] * 5


# -- growing and coming back --------------------------------------------------------------------------------


def test_a_plain_stream_grows_into_a_topic(ask):
    for number in range(3):
        ask(f"XADD s 1-{number + 1} a b")
    ask("XGROUP CREATE s g 0")
    assert ask("XTOPIC ALTER s PARTITIONS 3 CONFIG key.field k") == (
        "OK, but keys may move: new entries of a key can be in another partition than its old ones"
    )
    assert ids(ask("XRANGE s/0 - +")) == ["1-1", "1-2", "1-3"]
    assert [ask(f"XLEN s/{index}") for index in (1, 2)] == [0, 0]
    assert [len(ask(f"XINFO GROUPS s/{index}")) for index in range(3)] == [1, 1, 1]
    assert partition_of(ask("XADD s/2 * a b")) == 2
    assert ask("XTOPIC ALTER s PARTITIONS 5").startswith("OK")
    assert partition_of(ask("XADD s/4 * a b")) == 4


@pytest.mark.parametrize("snapshot", [False, True])
def test_topics_are_there_after_a_kill(tmp_path, snapshot):
    node = open_node(tmp_path)
    ask = asker(node)
    ask("XTOPIC CREATE orders PARTITIONS 4 CONFIG key.field customer delete.retention.ms 3")
    ask("XTOPIC CREATE single CONFIG max.deliveries 5")
    ask("XADD plain 1-1 a b")
    ask("XTOPIC ALTER plain PARTITIONS 2")
    given = [ask(f"XADD orders/{index} * a b") for index in range(4)]
    ask("RENAME orders invoices")
    if snapshot:
        ask("SAVE")
    node.kill()
    again = open_node(tmp_path)
    ask = asker(again)
    assert [ids(ask(f"XRANGE invoices/{index} - +")) for index in range(4)] == [[each] for each in given]
    assert sorted(ask("KEYS *")) == ["invoices", "plain", "single"]
    listed = {fields(each)["name"]: fields(fields(each)["config"]) for each in ask("XTOPIC LIST")}
    assert listed == {
        "invoices": {"key.field": "customer", "delete.retention.ms": "3"},
        "plain": {},
        "single": {"max.deliveries": "5"},
    }
    assert again.node.find(b"plain").plain_until == (1, 1)
    assert ask("XADD invoices/0 * a b") > max(given)


@pytest.mark.parametrize("snapshot", [False, True])
def test_settings_may_hold_any_bytes_and_keep_them(tmp_path, snapshot):
    node = open_node(tmp_path)
    client = node.client()
    assert (
        node.run(client, "XTOPIC", "CREATE", "t", "CONFIG", "key.field", b"caf\xe9", "group.mode", "shared")
        == b"+OK\r\n"
    )
    if snapshot:
        node.run(client, "SAVE")
    node.kill()
    again = open_node(tmp_path)
    assert b"$4\r\ncaf\xe9\r\n" in again.run(again.client(), "XTOPIC", "LIST")


def test_swapdb_and_flush_take_topics_along(orders):
    orders("XADD orders/1 * a b")
    assert orders("SWAPDB 0 3") == "OK"
    assert orders("EXISTS orders orders/1") == 0
    orders("SELECT 3")
    assert orders("XLEN orders/1") == 1
    assert partition_of(orders("XADD orders/1 * a b")) == 1
    assert orders("FLUSHALL") == "OK"
    assert orders("EXISTS orders orders/1") == 0


def test_a_watched_topic_changed_through_a_partition_fails_exec(node, orders):
    orders("WATCH orders")
    orders("MULTI")
    asker(node)("XADD orders/2 * a b")
    orders("XADD orders/1 * a b")
    assert orders("EXEC") is None
