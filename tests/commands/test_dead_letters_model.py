"""Dead letters beside a count of deliveries: nothing is delivered too often, and nothing is lost or there twice."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.asking import asker, fields, ids
from tests.support.memory_filesystem import MemoryFileSystem
from tests.support.nodes import open_node

MOST = 2
SETTINGS = {
    "stream": "PARTITIONS 1 CONFIG max.deliveries 2",
    "shared": "PARTITIONS 2 CONFIG max.deliveries 2 key.field k group.mode shared",
    "ordered": "PARTITIONS 2 CONFIG max.deliveries 2 key.field k",
}
CONSUMERS = ("anna", "bert")


def steps():
    consumer, count, some = st.sampled_from(CONSUMERS), st.integers(1, 4), st.integers(0, 20)
    return st.lists(
        st.one_of(
            st.tuples(st.just("add"), count),
            st.tuples(st.just("read"), consumer, count),
            st.tuples(st.just("claim on the way"), consumer, count),
            st.tuples(st.just("history"), consumer, count),
            st.tuples(st.just("claim"), consumer, some),
            st.tuples(st.just("autoclaim"), consumer, count),
            st.tuples(st.just("fail"), some),
            st.tuples(st.just("fatal"), some),
            st.tuples(st.just("acknowledge"), some),
            st.tuples(st.just("delete"), some),
        ),
        min_size=12,
        max_size=40,
    )


class Run:
    """A topic, its group, and what became of each entry."""

    def __init__(self, kind):
        disk = MemoryFileSystem()
        disk.mkdir("/data")
        self.node = open_node("/data", disk)
        self.asks = {consumer: asker(self.node) for consumer in CONSUMERS}
        self.ask = asker(self.node)
        self.ask(f"XTOPIC CREATE t {SETTINGS[kind]}")
        self.ask("XGROUP CREATE t g 0")
        self.added = 0
        self.deliveries = Counter()
        self.acknowledged, self.deleted = set(), set()
        self.step("add", 6)
        for consumer in CONSUMERS:
            self.step("read", consumer, 3)

    def pending(self):
        return ids(self.ask("XPENDING t g - + 1000"))

    def one(self, place):
        """Some entry that is pending, or was never added."""
        pending = self.pending()
        return pending[place % len(pending)] if pending else "1-0"

    def take(self, entries):
        """Entries were delivered; those that are gone are told without fields, and do not count."""
        for entry in entries or []:
            if entry[1] is not None:
                self.deliveries[entry[0]] += 1
                assert self.deliveries[entry[0]] <= MOST

    def read(self, consumer, words):
        reply = self.asks[consumer](words)
        self.take(reply[0][1] if reply else [])

    def step(self, kind, *words):
        match kind:
            case "add":
                for _ in range(words[0]):
                    self.added += 1
                    self.ask(f"XADD t * k {self.added % 5} n {self.added}")
            case "read":
                self.read(words[0], f"XREADGROUP GROUP g {words[0]} COUNT {words[1]} STREAMS t >")
            case "claim on the way":
                self.read(words[0], f"XREADGROUP GROUP g {words[0]} COUNT {words[1]} CLAIM 0 STREAMS t >")
            case "history":
                self.read(words[0], f"XREADGROUP GROUP g {words[0]} COUNT {words[1]} STREAMS t 0")
            case "claim":
                self.take(self.asks[words[0]](f"XCLAIM t g {words[0]} 0 {self.one(words[1])}"))
            case "autoclaim":
                _, entries, gone = self.asks[words[0]](f"XAUTOCLAIM t g {words[0]} 0 0 COUNT {words[1]}")
                self.take(entries)
                assert set(gone) <= self.deleted
            case "fail" | "fatal":
                self.ask(f"XNACK t g {kind} IDS 1 {self.one(words[0])}")
            case "acknowledge":
                entry_id = self.one(words[0])
                if self.ask(f"XACK t g {entry_id}"):
                    self.acknowledged.add(entry_id)
            case "delete":
                entry_id = self.one(words[0])
                if self.ask(f"XDEL t {entry_id}"):
                    self.deleted.add(entry_id)
        self.node.clock.advance(1)

    def check(self):
        letters = [fields(words) for _, words in self.ask("XRANGE t.dlq - +")]
        dead = [letter["dlq.id"] for letter in letters]
        pending = self.pending()
        assert len(dead) == len(set(dead))
        assert not set(dead) & set(pending)
        assert not set(dead) & self.acknowledged
        assert set(self.deliveries) <= set(dead) | set(pending) | self.acknowledged | self.deleted
        for letter in letters:
            assert int(letter["dlq.deliveries"]) == self.deliveries[letter["dlq.id"]]
            assert letter["dlq.reason"] == "fatal" or self.deliveries[letter["dlq.id"]] == MOST


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(SETTINGS)), steps())
def test_an_entry_is_pending_or_acknowledged_or_a_letter(kind, plan):
    run = Run(kind)
    for step in plan:
        run.step(*step)
    run.check()
