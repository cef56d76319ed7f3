"""The words of random programs: keys, groups, IDs, numbers and options, mostly sensible, sometimes odd."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

KEYS = (b"s1", b"s2", b"s3")
CLOCK_KEY = b"now"  # the only key that gets `*` IDs, so that the others stay the same to the byte
GROUPS = (b"g1", b"g2")
CONSUMERS = (b"c1", b"c2", b"c3")
POLICIES = (b"KEEPREF", b"DELREF", b"ACKED")
ODD_IDS = (
    b"0",
    b"0-0",
    b"-",
    b"+",
    b"$",
    b">",
    b"",
    b"abc",
    b"1-2-3",
    b"-1-1",
    b"1-",
    b"-1",
    b"01-01",
    b"(1-1",
    b"(-",
    b"18446744073709551615",
    b"18446744073709551615-18446744073709551615",
    b"18446744073709551616-0",
    b"9999999999999999999-0",
)
ODD_NUMBERS = (b"0", b"-1", b"-7", b"abc", b"", b"1.5", b"9223372036854775807", b"9223372036854775808", b"+3", b"03")
JUNK = (b"", b"x", b"NOPE", b"COUNT", b"STREAMS", b"\x00\xff", b"a b", b"10", b"*", b"IDS", b"LIMIT", b"GROUP")
VALUES = (b"v", b"", b"1", b"-12345678901234567890", b"\r\n", b"\x00\x01\xfe", b"x" * 70, b"y" * 700, "ключ".encode())
LONG_IDLE = (b"100000", b"5000000")  # explicit idle times, far from what passes during a run


class Words:
    """Draws words. ``clock`` is the ID time that XADD has come to; it only rises."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.clock = 1
        self.added: dict[bytes, list[bytes]] = defaultdict(list)  # key to the IDs given to XADD lately
        self.last_key = KEYS[0]

    def pick(self, choices: Sequence[bytes]) -> bytes:
        return self.draw.choice(choices)

    def chance(self, probability: float) -> bool:
        return self.draw.random() < probability

    def word(self, word: bytes) -> bytes:
        """An option or a command name, sometimes in another case."""
        if self.chance(0.9):
            return word
        return word.lower() if self.chance(0.5) else word.title()

    def key(self) -> bytes:
        """One of the keys, mostly the first; IDs drawn next are likely to be of this key."""
        if self.chance(0.03):
            return self.pick((b"missing", CLOCK_KEY))
        self.last_key = self.draw.choices(KEYS, (7, 2, 1))[0]
        return self.last_key

    def group(self) -> bytes:
        return b"nogroup" if self.chance(0.03) else self.draw.choices(GROUPS, (4, 1))[0]

    def consumer(self) -> bytes:
        return self.pick(CONSUMERS)

    def entry_id(self) -> bytes:
        """An ID that probably exists, or existed."""
        if self.chance(0.03):
            return self.pick(ODD_IDS)
        added = self.added[self.last_key]
        if added and self.chance(0.7):
            return self.pick(added[-16:])
        ms = self.draw.randint(max(1, self.clock - 12), self.clock + 1)
        return b"%d" % ms if self.chance(0.1) else b"%d-%d" % (ms, self.sequence())

    def sequence(self) -> int:
        """Mostly 0, so that most IDs drawn later hit an entry."""
        return self.draw.choices((0, 1, 2, 3), (8, 3, 1, 0.5))[0]

    def ids(self, most: int = 4) -> list[bytes]:
        return [self.entry_id() for _ in range(self.draw.randint(1, most))]

    def run_of_ids(self) -> list[bytes]:
        """All IDs of some neighbouring milliseconds: hits runs of pending entries in their middle."""
        if self.chance(0.6):
            return self.ids()
        added = self.added[self.last_key]
        if added and self.chance(0.6):
            start = self.draw.randrange(len(added))
            return added[start : start + self.draw.randint(1, 6)]
        first = self.draw.randint(max(1, self.clock - 10), self.clock)
        found = [b"%d-%d" % (ms, seq) for ms in range(first, first + self.draw.randint(1, 4)) for seq in (0, 1, 2)]
        if self.chance(0.3):
            self.draw.shuffle(found)
        return found

    def count(self, most: int = 5) -> bytes:
        return self.pick(ODD_NUMBERS) if self.chance(0.05) else b"%d" % self.draw.randint(1, most)

    def range_end(self, edge: bytes) -> bytes:
        if self.chance(0.5):
            return edge
        prefix = b"(" if self.chance(0.2) else b""
        return prefix + self.entry_id()

    def blocks(self, *blocks: list[bytes]) -> list[bytes]:
        """Option blocks in any order."""
        order = [block for block in blocks if block]
        if self.chance(0.5):
            self.draw.shuffle(order)
        return [word for block in order for word in block]

    def policy(self, probability: float = 0.25) -> list[bytes]:
        return [self.word(self.pick(POLICIES))] if self.policies and self.chance(probability) else []

    def trimming(self, probability: float) -> list[list[bytes]]:
        """MAXLEN or MINID with its threshold, and LIMIT, which only `~` allows."""
        if not self.chance(probability):
            return [[self.word(b"LIMIT"), self.count()]] if self.chance(0.02) else []
        if self.chance(0.6):
            rule = [self.word(b"MAXLEN")], [self.count(12)]
        else:
            rule = [self.word(b"MINID")], [self.entry_id()]
        sign = self.draw.choices(([], [b"="], [b"~"]), (5, 1, 4))[0]
        limited = self.chance(0.4 if sign == [b"~"] else 0.02)
        limit = [self.word(b"LIMIT"), self.count(8)] if limited else []
        return [rule[0] + sign + rule[1], limit]

    def trimming_by_policy(self, trimming: float, policy: float) -> list[list[bytes]]:
        """Trimming and a policy; not `~` with DELREF or ACKED, which Redis 8.2 gets wrong (redis#14623)."""
        blocks = self.trimming(trimming)
        if any(b"~" in block for block in blocks):
            return [*blocks, [b"KEEPREF"]] if self.policies and self.chance(0.1) else blocks
        return [*blocks, self.policy(policy)]

    def damage(self, words: list[bytes]) -> list[bytes]:
        """One word too few, too many, or wrong."""
        place = self.draw.randrange(len(words))
        kind = self.draw.randrange(5)
        if kind == 0:
            return words[: max(1, place)]
        if kind == 1:
            return words[:place] + words[place + 1 :] if place else words
        if kind == 2:
            return [*words[:place], self.pick(JUNK), *words[place + 1 :]] if place else [*words, b"x"]
        if kind == 3:
            return [*words[: place + 1], *words[place:]]
        return [*words, self.pick(JUNK)]

    # -- commands ------------------------------------------------------------------------------------

    def fields(self) -> list[bytes]:
        pairs = self.draw.choices((1, 2, 3), (8, 2, 1))[0]
        names = (b"f", b"g", b"h", b"", b"f")
        return [word for _ in range(pairs) for word in (self.pick(names), self.pick(VALUES))]

    def new_id(self) -> bytes:
        self.clock += self.draw.choices((0, 1, 2), (2, 7, 1))[0]
        kind = self.draw.random()
        if kind < 0.03:
            return self.entry_id()
        if kind < 0.05:
            return b"%d" % self.clock
        return b"%d-*" % self.clock if kind < 0.25 else b"%d-%d" % (self.clock, self.sequence())
