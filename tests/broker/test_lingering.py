"""Topics with linger.ms: XADDs are gathered, appended together, and answered then."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respbroker.broker import lingering
from tests.benchmarks.counting import CountingFileSystem
from tests.support.asking import NOTHING, Asker, asker, fields, ids
from tests.support.memory_filesystem import MemoryFileSystem
from tests.support.nodes import NodeUnderTest, open_node

ADD = [b"XADD", b"t", b"*", b"k", b"v"]


@pytest.fixture
def disk():
    return CountingFileSystem()


@pytest.fixture
def node(tmp_path, disk):
    return open_node(tmp_path, disk)


@pytest.fixture
def ask(node) -> Asker:
    ask = asker(node)
    assert ask("XTOPIC CREATE t PARTITIONS 4 CONFIG key.field k linger.ms 5") == "OK"
    assert ask("XTOPIC CREATE single CONFIG linger.ms 20") == "OK"
    return ask


def wait(node: NodeUnderTest, milliseconds: int) -> None:
    node.clock.advance(milliseconds)
    node.tick()


@pytest.mark.parametrize("key", ["t", "t/1", "single"])
def test_an_xadd_is_answered_when_the_time_is_over(node, ask, key):
    linger = 20 if key == "single" else 5
    assert ask(f"XADD {key} * k v") == NOTHING
    assert node.node.next_deadline() <= node.clock.seconds + linger / 1000
    wait(node, linger - 1)
    assert ask.heard() == NOTHING
    assert asker(node)(f"XLEN {key}") == 0
    wait(node, 1)
    assert ask.heard().startswith(f"{node.clock.ms}-")
    assert ask(f"XLEN {key}") == 1


def test_what_several_clients_send_is_one_write_for_each_partition(node, ask, disk):
    asks = [asker(node) for _ in range(12)]
    node.tick()  # the catalog notes that the new directories are on disk
    disk.counts.clear()
    for number, one in enumerate(asks):
        one(f"XADD t/{number % 2} * n {number}")
        node.clock.advance(0 if number else 1)
    assert disk.counts["writes"] == 0
    wait(node, 4)
    assert disk.counts["writes"] == 2
    heard = [tuple(map(int, one.heard().split("-"))) for one in asks]
    assert heard == sorted(heard), "in the order of arrival"
    assert len(ask("XRANGE t - +")) == 12


def test_a_pipeline_lingers_once_and_keeps_the_order_of_its_replies(node, ask):
    client = ask.client
    wire = node.pipeline(client, [["PING"], ADD, ADD, ["XADD", "single", "*", "k", "v"], ["PING"], ADD])
    assert wire == b"+PONG\r\n"
    wait(node, 5)
    node.tick()
    wire = node.output(client)
    assert [line[:1] for line in wire.split(b"\r\n")[:-1:1] if line[:1] in b"$+"] == [b"$", b"$", b"$", b"+"]
    assert ask("XLEN t") == NOTHING, "the last XADD lingers by itself"
    wait(node, 5)
    node.tick()
    assert node.output(client).endswith(b":3\r\n")


def test_more_of_a_pipeline_joins_what_its_client_has_waiting(node, ask):
    node.pipeline(ask.client, [ADD, ADD])
    assert not ask.client.stalled
    node.clock.advance(3)
    node.pipeline(ask.client, [ADD, ["PING"], ADD])
    assert ask.client.stalled
    wait(node, 2)
    node.tick()
    wire = node.output(ask.client)
    assert wire.count(b"$") == 3
    assert wire.endswith(b"+PONG\r\n")
    wait(node, 5)
    assert node.output(ask.client).count(b"$") == 1


def test_many_at_once_go_on_one_linger_together(node, ask, disk):
    clients = [node.client() for _ in range(50)]
    node.tick([(client, [ADD, ADD]) for client in clients])
    disk.counts.clear()
    wait(node, 5)
    assert disk.counts["writes"] == 1
    assert all(node.output(client).count(b"$") == 2 for client in clients)
    assert ask("XLEN t") == 100


@pytest.mark.parametrize(
    "requests",
    [[ADD] * lingering.ENTRIES_MAX, [[*ADD[:4], b"x" * 100_000]] * 11],
    ids=["entries", "bytes"],
)
def test_what_is_too_much_is_appended_before_its_time(node, ask, requests):
    assert node.pipeline(ask.client, requests[:-1]) == b""
    assert node.pipeline(ask.client, requests[-1:]).count(b"$") == len(requests)


def test_all_topics_together_are_bounded(node, ask):
    value = b"x" * 900_000
    asks = [asker(node) for _ in range(20)]
    for number, one in enumerate(asks):
        one(f"XTOPIC CREATE t{number} CONFIG linger.ms 60000")
        node.pipeline(one.client, [["XADD", f"t{number}", "*", "f", value]])
        assert node.node.lingering.size <= lingering.ALL_BYTES_MAX
    assert sum(one.heard() != NOTHING for one in asks) >= 17


def test_a_refused_request_is_refused_when_it_is_run(node, ask):
    client = ask.client
    node.pipeline(client, [ADD, [*ADD, b"odd"], ADD])
    wait(node, 5)
    wire = node.output(client)
    assert wire.count(b"$") == 2
    assert b"-ERR wrong number of arguments" in wire
    assert ask("XADD t * k") == "-ERR wrong number of arguments for 'xadd' command"


def test_exec_does_not_linger(ask):
    ask("MULTI")
    ask("XADD t * k v")
    ask("XADD single * k v")
    assert len(ask("EXEC")) == 2


def test_a_client_that_leaves_takes_along_what_it_sent(node, ask):
    gone = node.client()
    node.pipeline(gone, [ADD, ADD])
    ask("XADD t * k v")
    node.node.disconnect(gone)
    wait(node, 5)
    assert ask.heard() != NOTHING
    assert ask("XLEN t") == 1
    assert node.node.lingering.size == 0


def test_a_killed_client_is_not_served(node, ask):
    other = asker(node)
    other("XADD t * k v")
    assert ask(f"CLIENT KILL ID {other.client.id}") == 1
    wait(node, 5)
    assert ask("XLEN t") == 0


def test_client_unblock_does_not_end_it(node, ask):
    other = asker(node)
    other("XADD t * k v")
    assert ask(f"CLIENT UNBLOCK {other.client.id}") == 0
    wait(node, 5)
    assert other.heard() != NOTHING


def test_client_pause_puts_it_off(node, ask):
    other = asker(node)
    other("XADD t * k v")
    assert ask("CLIENT PAUSE 100 WRITE") == "OK"
    wait(node, 50)
    assert other.heard() == NOTHING
    wait(node, 51)
    assert other.heard() != NOTHING


def test_nothing_more_is_gathered_during_a_pause(node, ask):
    other = asker(node)
    node.pipeline(other.client, [ADD])
    ask("CLIENT PAUSE 100 WRITE")
    node.pipeline(other.client, [ADD])
    assert other.client.stalled
    wait(node, 101)
    wait(node, 0)
    wait(node, 5)
    assert node.output(other.client).count(b"$") == 2


def test_it_ends_with_client_unpause(node, ask):
    other = asker(node)
    other("XADD t * k v")
    ask("CLIENT PAUSE 100000")
    node.clock.advance(5)
    assert ask("CLIENT UNPAUSE") == "OK"
    node.tick()
    assert other.heard() != NOTHING


def test_silenced_clients_stay_silent(node, ask):
    client = node.client()
    node.run(client, "CLIENT", "REPLY", "OFF")
    assert node.pipeline(client, [ADD]) == b""
    wait(node, 5)
    assert node.output(client) == b""
    assert node.pipeline(client, [["CLIENT", "REPLY", "ON"], ["CLIENT", "REPLY", "SKIP"], ADD, ["PING"]]) == (
        b"+OK\r\n+PONG\r\n"
    )
    assert ask("XLEN t") == 2


def test_each_request_is_counted_and_shown_once(node, ask):
    watcher = asker(node)
    watcher("MONITOR")
    watcher.heard()
    clients = [node.client() for _ in range(3)]
    for client in clients:
        node.pipeline(client, [ADD, ADD])
    node.tick([(client, [ADD]) for client in clients])
    wait(node, 5)
    assert node.output(watcher.client).count(b'"XADD"') == 9
    assert "cmdstat_xadd:calls=9," in ask("INFO commandstats")
    assert [client.requests_count for client in clients] == [3, 3, 3]


def test_a_waiting_reader_is_served_when_it_is_appended(node, ask):
    reader = asker(node)
    assert reader("XREAD BLOCK 0 STREAMS t $") == NOTHING
    node.pipeline(ask.client, [ADD, ADD])
    assert reader.heard() == NOTHING
    wait(node, 5)
    assert len(ids(reader.heard()[0][1])) == 2


def test_an_entry_sent_twice_while_it_waits_is_added_once(node, ask):
    other = asker(node)
    ask("XADD t IDMP p 1 * k v")
    other("XADD t IDMP p 1 * k v")
    wait(node, 5)
    assert ask.heard() == other.heard()


def test_a_topic_that_is_renamed_or_deleted_meanwhile_is_as_if_it_had_come_then(node, ask):
    other = asker(node)
    other("XADD t * k v")
    ask("DEL t")
    wait(node, 5)
    assert other.heard() == f"{node.clock.ms}-0"
    assert ask("XLEN t") == 1


def test_another_linger_holds_for_what_comes_then(node, ask):
    ask("XADD t * k v")
    other = asker(node)
    other("XTOPIC ALTER t CONFIG linger.ms 0")
    assert other("XADD t * k v") != NOTHING
    wait(node, 5)
    assert ask.heard() != NOTHING


def test_schemas_are_checked_when_it_is_appended(node, ask):
    ask('XTOPIC ALTER t CONFIG schema.field k schema {"type":"number"}')
    node.pipeline(ask.client, [ADD, ["XADD", "t", "*", "k", "1"]])
    wait(node, 5)
    wire = node.output(ask.client)
    assert wire.startswith(b"-SCHEMA field 'k' is no JSON")
    assert wire.count(b"$") == 1


def test_a_stop_appends_what_waits_and_answers_it(node, ask):
    ask("XADD t * k v")
    node.node.end_waiting()
    node.tick()
    assert ask.heard() != NOTHING


def test_a_full_disk_refuses_each_of_them_once(tmp_path):
    disk = MemoryFileSystem()
    disk.mkdir("/node")
    node = open_node("/node", disk)
    ask = asker(node)
    ask("XTOPIC CREATE t CONFIG linger.ms 5")
    clients = [node.client() for _ in range(3)]
    node.pipeline(clients[0], [ADD])
    disk.room = 0
    node.clock.advance(5)
    node.tick([(clients[0], [ADD]), (clients[1], [[b"PING"], ADD]), (clients[2], [ADD, [b"PING"]])])
    node.tick()
    assert [node.output(client).count(b"-MISCONF") for client in clients] == [2, 2, 1]


def test_info_of_the_topic_tells_the_setting(ask):
    assert fields(fields(ask("XTOPIC INFO t"))["config"])["linger.ms"] == "5"


KINDS = {
    "t": [b"XADD", b"t", b"*", b"k", b"v"],
    "single": [b"XADD", b"single", b"*", b"k", b"v"],
    "plain": [b"XADD", b"plain", b"*", b"k", b"v"],
    "ping": [b"PING"],
}
SCRIPT = st.lists(st.tuples(st.integers(0, 2), st.lists(st.sampled_from(sorted(KINDS)), max_size=5)), max_size=12)


@settings(max_examples=100, deadline=None)
@given(SCRIPT, st.lists(st.integers(0, 12), min_size=12, max_size=12))
def test_every_request_is_answered_in_its_place_whatever_lingers(script, pauses):
    disk = MemoryFileSystem()
    disk.mkdir("/node")
    node = open_node("/node", disk)
    node.pipeline(node.client(), [[b"XTOPIC", b"CREATE", b"t", b"PARTITIONS", b"3", b"CONFIG", b"linger.ms", b"5"]])
    node.pipeline(node.client(), [[b"XTOPIC", b"CREATE", b"single", b"CONFIG", b"linger.ms", b"9"]])
    clients = [node.client() for _ in range(3)]
    sent: list[list[str]] = [[], [], []]
    heard = [b"", b"", b""]
    for (number, kinds), pause in zip(script, pauses, strict=False):
        if kinds and not clients[number].stalled:  # as the edge does
            sent[number] += kinds
            node.tick([(clients[number], [KINDS[kind] for kind in kinds])])
        wait(node, pause)
        heard = [before + node.output(client) for before, client in zip(heard, clients, strict=True)]
    for _ in range(80):
        wait(node, 9)
    heard = [before + node.output(client) for before, client in zip(heard, clients, strict=True)]
    for kinds, wire in zip(sent, heard, strict=True):
        answers = [line for line in wire.decode().split("\r\n") if line and line[0] != "$"]
        assert ["-" in answer for answer in answers] == [kind != "ping" for kind in kinds]
        for name in KINDS:
            given_ids = [
                tuple(map(int, a.split("-"))) for a, kind in zip(answers, kinds, strict=True) if kind == name != "ping"
            ]
            assert given_ids == sorted(set(given_ids))
    ask = asker(node)
    for name in ("t", "single", "plain"):
        assert ask(f"XLEN {name}") == sum(kinds.count(name) for kinds in sent)
    assert node.node.lingering.size == 0
    assert not any(client.blocked or client.lingering for client in clients)
