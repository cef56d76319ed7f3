"""A topic of several partitions against one plain stream: whatever is done to both, they hold the same entries."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.asking import Asker, asker, ids
from tests.support.memory_filesystem import MemoryFileSystem
from tests.support.nodes import open_node

NODE_ENTRIES = 4

lengths = st.integers(0, 30) | st.integers(60, 120)
places = st.integers(0, 150)
counts = st.sampled_from(["", "", " COUNT 1", " COUNT 3", " COUNT 1000"])


class TopicMachine(RuleBasedStateMachine):
    """``t`` is the topic, ``s`` the stream. The n-th entry added to either is entry n, whatever its ID."""

    @initialize(
        partitions=st.integers(1, 5), by_key=st.booleans(), entries=st.integers(0, 120), seed=st.integers(0, 1000)
    )
    def begin(self, partitions: int, by_key: bool, entries: int, seed: int) -> None:
        self.filesystem = MemoryFileSystem()
        self.filesystem.mkdir("d")
        self.partitions = partitions
        self.added: dict[str, list[str]] = {"t": [], "s": []}
        self.numbers: dict[str, int] = {}
        self.ask = self.open()
        config = " CONFIG key.field k" if by_key else ""
        assert self.ask(f"XTOPIC CREATE t PARTITIONS {partitions}{config}") == "OK"
        assert self.ask("XTOPIC CREATE s") == "OK"
        rng = Random(seed)
        while len(self.added["s"]) < entries:
            keys = [rng.randrange(10) for _ in range(rng.choice((1, 2, 15)))]
            self.add(keys, rng.randrange(2), counted=False)

    def open(self) -> Asker:
        self.node = open_node("d", self.filesystem, stream_node_max_entries=NODE_ENTRIES)
        return asker(self.node)

    # -- one and the same, said of both ---------------------------------------------------------------------

    def note(self, key: str, entry_id: str) -> None:
        self.numbers[key + entry_id] = len(self.added[key])
        self.added[key].append(entry_id)

    def id_of(self, key: str, place: int) -> str:
        """The ID of an entry that is, or was, there; sometimes of none."""
        known = self.added[key]
        return known[place % len(known)] if known else "1-1"

    def plain(self, key: str, entries: list[Any] | None) -> list[Any] | None:
        """Entries with their numbers for IDs."""
        return entries and [[self.numbers[key + entry_id], fields] for entry_id, fields in entries]

    def both(self, line: str, *numbers: int) -> Any:
        """Ask both; ``{0}`` stands for the ID of ``numbers[0]``, KEY for the key."""
        return [
            self.ask(line.format(*(self.id_of(key, number) for number in numbers)).replace("KEY", key))
            for key in ("t", "s")
        ]

    def same(self, line: str, *numbers: int) -> Any:
        of_topic, of_stream = self.both(line, *numbers)
        assert of_topic == of_stream, line
        return of_topic

    def same_entries(self, line: str, *numbers: int) -> None:
        of_topic, of_stream = self.both(line, *numbers)
        if line.startswith("XREAD"):
            of_topic, of_stream = (reply and reply[0][1] for reply in (of_topic, of_stream))
        assert self.plain("t", of_topic) == self.plain("s", of_stream), line

    # -- changes --------------------------------------------------------------------------------------------

    @rule(keys=st.lists(st.integers(0, 9), min_size=1, max_size=12), gap=st.integers(0, 1), counted=st.booleans())
    def add(self, keys: list[int], gap: int, counted: bool) -> None:
        """Several in one tick, which are read in the same tick as well."""
        self.node.clock.advance(gap)
        read = {}
        for key in ("t", "s"):
            out = self.node.pipeline(
                self.ask.client,
                [["XADD", key, "*", "k", each, "n", len(self.added[key]) + i] for i, each in enumerate(keys)]
                + [["XREVRANGE", key, "+", "-", *(["COUNT", 7] if counted else [])]],
            )
            *added, entries = Asker.value(b"*%d\r\n" % (len(keys) + 1) + out)
            for entry_id in added:
                self.note(key, entry_id)
            read[key] = self.plain(key, entries)
        assert read["t"] == read["s"]

    @rule(partition=st.integers(0, 4))
    def add_by_hand(self, partition: int) -> None:
        target = f"t/{partition % self.partitions}" if self.partitions > 1 else "t"
        self.note("t", self.ask(f"XADD {target} * by hand"))
        self.note("s", self.ask("XADD s * by hand"))

    @rule(maxlen=lengths, key=st.integers(0, 9))
    def add_and_trim(self, maxlen: int, key: int) -> None:
        for stream in ("t", "s"):
            self.note(stream, self.ask(f"XADD {stream} MAXLEN {maxlen} * k {key}"))

    @rule(chosen=st.lists(places, min_size=1, max_size=20))
    def delete(self, chosen: list[int]) -> None:
        line = "XDEL KEY " + " ".join(f"{{{i}}}" for i in range(len(chosen)))
        self.same(line, *chosen)

    @rule(chosen=st.lists(places, min_size=1, max_size=20), policy=st.sampled_from(["", "KEEPREF", "DELREF", "ACKED"]))
    def delete_ex(self, chosen: list[int], policy: str) -> None:
        words = " ".join(f"{{{i}}}" for i in range(len(chosen)))
        self.same(f"XDELEX KEY {policy} IDS {len(chosen)} {words}", *chosen)

    @rule(maxlen=lengths, policy=st.sampled_from(["", " DELREF", " ACKED"]))
    def trim_by_length(self, maxlen: int, policy: str) -> None:
        self.same(f"XTRIM KEY MAXLEN {maxlen}{policy}")

    @rule(place=places)
    def trim_by_id(self, place: int) -> None:
        self.same("XTRIM KEY MINID {0}", place)

    @rule(
        maxlen=lengths,
        limit=st.sampled_from(["", " LIMIT 0", " LIMIT 5", " LIMIT 9"]),
        policy=st.sampled_from(["", " ACKED"]),
        adding=st.booleans(),
    )
    def trim_about(self, maxlen: int, limit: str, policy: str, adding: bool) -> None:
        before = self.topic()
        if adding:
            self.note("t", self.ask(f"XADD t{policy} MAXLEN ~ {maxlen}{limit} * a b"))
            self.note("s", self.ask("XADD s * a b"))
            before.append(self.added["t"][-1])
        else:
            assert self.ask(f"XTRIM t MAXLEN ~ {maxlen}{limit}{policy}") == len(before) - len(self.topic())
        self.follow(before, maxlen, limit)

    @rule(place=places, limit=st.sampled_from(["", " LIMIT 5"]))
    def trim_about_by_id(self, place: int, limit: str) -> None:
        before = self.topic()
        entry_id = self.id_of("t", place)
        self.ask(f"XTRIM t MINID ~ {entry_id}{limit}")
        number = self.numbers.get("t" + entry_id, 0)
        self.follow(before, sum(self.numbers["t" + each] >= number for each in before), limit)

    def topic(self) -> list[str]:
        return ids(self.ask("XRANGE t - +"))

    def follow(self, before: list[str], kept: int, limit: str) -> None:
        """What ``~`` took is right, and goes from the stream too."""
        after = self.topic()
        assert after[len(after) - min(kept, len(before)) :] == before[len(before) - min(kept, len(before)) :]
        if limit in (" LIMIT 5", " LIMIT 9"):
            assert len(before) - len(after) <= int(limit.split()[1])
        elif limit == " LIMIT 0" and len(before) > kept:
            assert len(after) < kept + self.partitions * NODE_ENTRIES
        for entry_id in set(before) - set(after):
            assert self.ask(f"XDEL s {self.added['s'][self.numbers['t' + entry_id]]}") == 1

    @rule()
    def restart(self) -> None:
        self.node.kill()
        self.ask = self.open()

    # -- reading ---------------------------------------------------------------------------------------------

    @rule(first=places, last=places, count=counts, backwards=st.booleans(), exclusive=st.sampled_from(["", "("]))
    def read_range(self, first: int, last: int, count: str, backwards: bool, exclusive: str) -> None:
        if backwards:
            self.same_entries(f"XREVRANGE KEY {{0}} {exclusive}{{1}}{count}", first, last)
        else:
            self.same_entries(f"XRANGE KEY {exclusive}{{0}} {{1}}{count}", first, last)

    @rule(count=counts, backwards=st.booleans())
    def read_all(self, count: str, backwards: bool) -> None:
        self.same_entries(f"XREVRANGE KEY + -{count}" if backwards else f"XRANGE KEY - +{count}")

    @rule(place=places, count=st.sampled_from(["", "COUNT 3", "MAXCOUNT 5", "COUNT 2 MAXCOUNT 5"]))
    def read_behind(self, place: int, count: str) -> None:
        self.same_entries(f"XREAD {count} STREAMS KEY {{0}}", place)

    @rule(sign=st.sampled_from(["$", "+", "0"]))
    def read_from_an_end(self, sign: str) -> None:
        self.same_entries(f"XREAD STREAMS KEY {sign}")

    @rule(place=places, size=st.sampled_from([1, 100, 400]))
    def read_so_many_bytes(self, place: int, size: int) -> None:
        reply = self.ask(f"XREAD MAXSIZE {size} STREAMS t {self.id_of('t', place)}")
        entries = ids(reply and reply[0][1])
        everything = ids(self.ask(f"XRANGE t ({self.id_of('t', place)} +"))
        assert entries == everything[: len(entries)]
        assert bool(entries) == bool(everything)

    @precondition(lambda self: self.added["t"])
    @rule(place=places)
    def follow_by_steps(self, place: int) -> None:
        """A reader that goes on behind the last ID it saw comes to all there is."""
        after = self.id_of("t", place)
        expected = ids(self.ask(f"XRANGE t ({after} +"))
        seen: list[str] = []
        while reply := self.ask(f"XREAD COUNT 2 STREAMS t {after}"):
            seen += ids(reply[0][1])
            after = seen[-1]
        assert seen == expected

    @invariant()
    def as_long(self) -> None:
        if hasattr(self, "ask"):
            self.same("XLEN KEY")

    def teardown(self) -> None:
        if hasattr(self, "ask"):
            self.same_entries("XRANGE KEY - +")
            self.same_entries("XREVRANGE KEY + -")


TestTopic = TopicMachine.TestCase
TestTopic.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
