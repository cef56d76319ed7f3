"""Neighbouring XADDs to a topic are served at once, and nobody can tell: replies and state are those of one by one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.broker.test_runs import Request, in_memory, one_by_one
from tests.support.nodes import NodeUnderTest

PARTITIONS = 3
SCHEMA = '{"type":"number"}'
TOPICS: list[list[bytes]] = [
    [b"XTOPIC", b"CREATE", b"keyed", b"PARTITIONS", b"3", b"CONFIG", b"key.field", b"k"],
    [b"XTOPIC", b"CREATE", b"keyless", b"PARTITIONS", b"3"],
    [
        *(b"XTOPIC", b"CREATE", b"checked", b"PARTITIONS", b"3", b"CONFIG"),
        *(b"key.field", b"k", b"schema.field", b"n", b"schema", SCHEMA.encode()),
    ],
]
WORD = st.sampled_from([b"k", b"n", b"1", b"2", b"x"])
ENTRY = st.lists(WORD, min_size=1, max_size=6) | st.builds(
    lambda key, number: [b"k", key, b"n", number], st.sampled_from([b"a", b"b", b"c", b"d"]), WORD
)
NAME = st.sampled_from([b"keyed", b"keyless", b"checked", b"keyed/1"])
ADD = st.builds(lambda name, entry: [b"XADD", name, b"*", *entry], NAME, ENTRY)
RUN = st.builds(lambda name, entries: [[b"XADD", name, b"*", *e] for e in entries], NAME, st.lists(ENTRY, max_size=8))
OTHER = st.sampled_from(
    [
        [b"PING"],
        [b"XLEN", b"keyed"],
        [b"XADD", b"keyed", b"1800000000000-*", b"k", b"a"],
        [b"XADD", b"keyed/0", b"1900000000000-999999999999999995904", b"k", b"a"],
        [b"XADD", b"keyless/2", b"1900000000000-18446744073709547522", b"k", b"a"],
        [b"XTOPIC", b"ALTER", b"keyed", b"CONFIG", b"key.field", b"n"],
    ]
)
REQUESTS = st.lists(RUN | ADD.map(lambda each: [each]) | OTHER.map(lambda each: [each]), max_size=6).map(
    lambda runs: [request for run in runs for request in run]
)


def state(node: NodeUnderTest) -> bytes:
    names = [b"%b/%d" % (name, index) for name in (b"keyed", b"keyless", b"checked") for index in range(PARTITIONS)]
    return one_by_one(node, [[b"XRANGE", name, b"-", b"+"] for name in names])


@settings(max_examples=150, deadline=None)
@given(REQUESTS)
def test_a_pipeline_to_topics_is_the_same_as_single_requests(requests: list[Request]) -> None:
    together, apart = in_memory(), in_memory()
    for node in (together, apart):
        node.pipeline(node.client(), TOPICS)
    apart_client = apart.client()
    replies = together.pipeline(together.client(), requests)
    apart.node.tick = same_tick(apart)  # type: ignore[method-assign]
    assert replies == b"".join(apart.run(apart_client, *words) for words in requests)
    assert state(together) == state(apart)


def same_tick(node: NodeUnderTest):  # type: ignore[no-untyped-def]
    """Ticks that all have the number of the next one: entries without a key stay where one tick would put them."""
    tick, number = node.node.tick, node.node.ticks_count

    def run(batch, now):  # type: ignore[no-untyped-def]
        node.node.ticks_count = number
        tick(batch, now)

    return run


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(RUN | OTHER.map(lambda each: [each]), min_size=1, max_size=2), min_size=2, max_size=6))
def test_what_several_clients_send_to_topics_in_one_tick_is_served_in_their_order(
    parts: list[list[list[Request]]],
) -> None:
    scripts = [[request for run in part for request in run] for part in parts]
    together, apart = in_memory(), in_memory()
    for node in (together, apart):
        node.pipeline(node.client(), TOPICS)
    clients = [together.client() for _ in scripts]
    together.tick([(client, script) for client, script in zip(clients, scripts, strict=True) if script])
    apart.node.tick = same_tick(apart)  # type: ignore[method-assign]
    for client, script in zip(clients, scripts, strict=True):
        alone = apart.client()
        assert together.output(client) == b"".join(apart.run(alone, *words) for words in script)
    assert state(together) == state(apart)
