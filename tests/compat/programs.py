"""Random stream programs from a seed: few keys, groups, consumers and IDs, so that the commands meet each other."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence

import attrs

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
NODE_SIZES = (b"100", b"100", b"4", b"7")


@attrs.frozen
class Step:
    """One request of one of the program's connections."""

    client: int
    words: tuple[bytes, ...]

    def __str__(self) -> str:
        return f"{self.client}> " + " ".join(show_word(word) for word in self.words)


def show_word(word: bytes) -> str:
    """A word as redis-cli would take it; long ones are cut, the seed brings them back."""
    if len(word) > 100:
        return f"{show_word(word[:10])}...({len(word)} bytes)"
    if word and all(33 <= byte < 127 and byte not in b"\"'\\" for byte in word):
        return word.decode()
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\x{b:02x}" for b in word) + '"'


@attrs.frozen
class Program:
    """What is replayed on both servers: settings first, then the steps, then questions about all that is left."""

    seed: int
    node_entries: bytes
    steps: tuple[Step, ...]


QUESTIONS_CLIENT = 2  # a connection of its own, which is never inside MULTI


def closing_questions() -> list[Step]:
    """Everything observable about the keys that are left."""
    questions: list[tuple[bytes, ...]] = []
    for key in (*KEYS, CLOCK_KEY):
        questions += [
            (b"TYPE", key),
            (b"XLEN", key),
            (b"XRANGE", key, b"-", b"+"),
            (b"XINFO", b"STREAM", key),
            (b"XINFO", b"STREAM", key, b"FULL", b"COUNT", b"0"),
            (b"XINFO", b"GROUPS", key),
        ]
        for group in GROUPS:
            questions += [
                (b"XINFO", b"CONSUMERS", key, group),
                (b"XPENDING", key, group),
                (b"XPENDING", key, group, b"-", b"+", b"1000"),
            ]
    return [Step(QUESTIONS_CLIENT, words) for words in questions]


def make_program(seed: int, length: int, *, policies: bool = True, reload: bool = True) -> Program:
    """The program of ``seed``: equal seeds and lengths give equal programs.

    ``policies`` adds what Redis has since 8.2 (XDELEX, XACKDEL, KEEPREF and its like) and Valkey has not;
    ``reload`` adds DEBUG RELOAD, which makes both servers forget their memory and read their disk.
    """
    return _Writer(random.Random(f"{seed}"), policies, reload).program(seed, length)


class _Writer:
    """Draws one program. ``clock`` is the ID time that XADD has come to; it only rises."""

    def __init__(self, draw: random.Random, policies: bool, reload: bool) -> None:
        self.draw = draw
        self.policies = policies
        self.clock = 1
        self.added: dict[bytes, list[bytes]] = defaultdict(list)  # key to the IDs given to XADD lately
        self.last_key = KEYS[0]
        self.in_multi = [False, False]
        self.table: list[tuple[float, Callable[[], list[bytes]]]] = [
            (20, self.xadd),
            (3, self.xadd_now),
            (4, self.xtrim),
            (4, self.xdel),
            (4, self.xrange),
            (1.5, self.xlen),
            (3, self.xread),
            (14, self.xreadgroup),
            (7, self.xack),
            (5, self.xpending),
            (5, self.xclaim),
            (4, self.xautoclaim),
            (5, self.xgroup_create),
            (4, self.xgroup),
            (4, self.xinfo),
            (2, self.xsetid),
            (5, self.keyspace),
            (1, self.odd),
        ]
        if policies:
            self.table += [(4, self.xdelex), (4, self.xackdel)]
        if reload:
            self.table += [(0.4, lambda: [b"DEBUG", b"RELOAD"])]

    def program(self, seed: int, length: int) -> Program:
        groups = [(key, group) for key in KEYS for group in GROUPS]
        steps = [Step(0, (b"XGROUP", b"CREATE", key, group, b"0", b"MKSTREAM")) for key, group in groups]
        while len(steps) < length:
            steps += self.steps()
        return Program(seed, self.pick(NODE_SIZES), tuple(steps[:length]))

    def steps(self) -> list[Step]:
        client = 0 if self.draw.random() < 0.8 else 1
        transaction = self.transaction(client)
        if transaction:
            return [Step(client, tuple(transaction))]
        weights = [weight for weight, _ in self.table]
        words = self.draw.choices(self.table, weights)[0][1]()
        if words[0] == b"DEBUG" and any(self.in_multi):
            words = self.xlen()
        if self.draw.random() < 0.04:
            words = self.damage(words)
        return [Step(client, tuple(_never_blocks_for_long(words)))]

    def transaction(self, client: int) -> list[bytes] | None:
        """Now and then MULTI and its like; an open transaction is ended soon."""
        chance = self.draw.random()
        if self.in_multi[client]:
            if chance < 0.25:
                self.in_multi[client] = False
                return [self.word(b"EXEC")] if chance < 0.2 else [self.word(b"DISCARD")]
            return [b"MULTI"] if chance > 0.995 else None
        if chance < 0.02:
            self.in_multi[client] = True
            return [self.word(b"MULTI")]
        if chance < 0.03:
            return [b"WATCH", self.key()]
        return [self.pick((b"UNWATCH", b"EXEC", b"DISCARD"))] if chance < 0.033 else None

    # -- words ---------------------------------------------------------------------------------------

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

    def xadd(self) -> list[bytes]:
        nomk = [self.word(b"NOMKSTREAM")] if self.chance(0.08) else []
        options = self.blocks(nomk, *self.trimming_by_policy(0.15, 0.1))
        key, entry_id = self.key(), self.new_id()
        self.added[key] = [*self.added[key][-24:], entry_id.replace(b"*", b"0")]
        return [self.word(b"XADD"), key, *options, entry_id, *self.fields()]

    def xadd_now(self) -> list[bytes]:
        return [b"XADD", CLOCK_KEY, *self.blocks(*self.trimming(0.1)), b"*", *self.fields()]

    def xtrim(self) -> list[bytes]:
        return [self.word(b"XTRIM"), self.key(), *self.blocks(*self.trimming_by_policy(0.97, 0.25))]

    def xdel(self) -> list[bytes]:
        return [self.word(b"XDEL"), self.key(), *self.run_of_ids()]

    def id_block(self) -> list[bytes]:
        ids = self.run_of_ids()
        number = self.count() if self.chance(0.05) else b"%d" % len(ids)
        return [self.word(b"IDS"), number, *ids]

    def xdelex(self) -> list[bytes]:
        return [b"XDELEX", self.key(), *self.blocks(self.policy(0.8), self.id_block())]

    def xackdel(self) -> list[bytes]:
        return [b"XACKDEL", self.key(), self.group(), *self.blocks(self.policy(0.8), self.id_block())]

    def xrange(self) -> list[bytes]:
        ends = [self.range_end(b"-"), self.range_end(b"+")]
        name = b"XRANGE" if self.chance(0.6) else b"XREVRANGE"
        if name == b"XREVRANGE":
            ends.reverse()
        return [self.word(name), self.key(), *ends, *([self.word(b"COUNT"), self.count()] if self.chance(0.4) else [])]

    def xlen(self) -> list[bytes]:
        return [b"XLEN", self.key()]

    def reading(self) -> list[list[bytes]]:
        count = [self.word(b"COUNT"), self.count()] if self.chance(0.6) else []
        block = [self.word(b"BLOCK"), self.pick((b"1", b"2", b"-1", b"x"))] if self.chance(0.06) else []
        return [count, block]

    def streams(self, special: bytes, likely: float) -> list[bytes]:
        keys = [self.key() for _ in range(self.draw.choices((1, 2, 3), (16, 3, 1))[0])]
        ids = [special if self.chance(likely) else self.entry_id() for _ in keys]
        if self.chance(0.02):
            ids.pop()
        return [self.word(b"STREAMS"), *keys, *ids]

    def xread(self) -> list[bytes]:
        special = self.pick((b"+", b"$", b"0"))
        return [self.word(b"XREAD"), *self.blocks(*self.reading()), *self.streams(special, 0.4)]

    def xreadgroup(self) -> list[bytes]:
        noack = [self.word(b"NOACK")] if self.chance(0.08) else []
        who = [self.word(b"GROUP"), self.group(), self.consumer()]
        special = b">" if self.chance(0.8) else b"0"
        return [self.word(b"XREADGROUP"), *self.blocks(who, *self.reading(), noack), *self.streams(special, 0.9)]

    def xack(self) -> list[bytes]:
        return [self.word(b"XACK"), self.key(), self.group(), *self.run_of_ids()]

    def xpending(self) -> list[bytes]:
        words = [self.word(b"XPENDING"), self.key(), self.group()]
        if self.chance(0.3):
            return words
        idle = [self.word(b"IDLE"), self.pick((b"0", b"50000", b"1000000", b"-1", b"x"))] if self.chance(0.3) else []
        consumer = [self.consumer()] if self.chance(0.4) else []
        return [*words, *idle, self.range_end(b"-"), self.range_end(b"+"), self.count(10), *consumer]

    def min_idle(self) -> bytes:
        return self.draw.choices((b"0", b"50000", b"1000000", b"-1", b"x"), (12, 4, 2, 1, 0.3))[0]

    def xclaim(self) -> list[bytes]:
        idle = [self.word(b"IDLE"), self.pick((*LONG_IDLE, b"0"))] if self.chance(0.3) else []
        time = [self.word(b"TIME"), self.pick((b"1000", b"x"))] if self.chance(0.06) else []
        retry = [self.word(b"RETRYCOUNT"), self.count(9)] if self.chance(0.2) else []
        force = [self.word(b"FORCE")] if self.chance(0.3) else []
        justid = [self.word(b"JUSTID")] if self.chance(0.3) else []
        lastid = [self.word(b"LASTID"), self.entry_id()] if self.chance(0.08) else []
        options = self.blocks(idle, time, retry, force, justid, lastid)
        return [b"XCLAIM", self.key(), self.group(), self.consumer(), self.min_idle(), *self.run_of_ids(), *options]

    def xautoclaim(self) -> list[bytes]:
        count = [self.word(b"COUNT"), self.count(4)] if self.chance(0.5) else []
        justid = [self.word(b"JUSTID")] if self.chance(0.3) else []
        start = self.range_end(b"0")
        return [
            b"XAUTOCLAIM",
            self.key(),
            self.group(),
            self.consumer(),
            self.min_idle(),
            start,
            *self.blocks(count, justid),
        ]

    def group_start(self) -> bytes:
        return self.pick((b"$", b"0")) if self.chance(0.6) else self.entry_id()

    def entries_read(self) -> list[bytes]:
        if not self.chance(0.2):
            return []
        return [self.word(b"ENTRIESREAD"), self.pick((b"-1", b"0", b"3", b"1000", b"-2", b"x"))]

    def xgroup_create(self) -> list[bytes]:
        make = [self.word(b"MKSTREAM")] if self.chance(0.4) else []
        options = self.blocks(make, self.entries_read())
        return [self.word(b"XGROUP"), self.word(b"CREATE"), self.key(), self.group(), self.group_start(), *options]

    def xgroup(self) -> list[bytes]:
        kind = self.draw.choices(("setid", "destroy", "createconsumer", "delconsumer"), (4, 0.5, 3, 1.5))[0]
        words = [b"XGROUP", self.word(kind.upper().encode()), self.key(), self.group()]
        if kind == "setid":
            return [*words, self.group_start(), *self.entries_read()]
        return words if kind == "destroy" else [*words, self.consumer()]

    def xinfo(self) -> list[bytes]:
        kind = self.draw.choices(("stream", "full", "groups", "consumers", "help"), (3, 3, 3, 3, 0.2))[0]
        if kind == "help":
            return [self.pick((b"XINFO", b"XGROUP")), self.word(b"HELP")]
        if kind == "full":
            count = [self.word(b"COUNT"), self.count()] if self.chance(0.4) else []
            return [b"XINFO", self.word(b"STREAM"), self.key(), self.word(b"FULL"), *count]
        words = [self.word(b"XINFO"), self.word(kind.upper().encode()), self.key()]
        return [*words, self.group()] if kind == "consumers" else words

    def xsetid(self) -> list[bytes]:
        added = [self.word(b"ENTRIESADDED"), self.pick((b"0", b"5", b"1000", b"-1", b"x"))] if self.chance(0.4) else []
        deleted = [self.word(b"MAXDELETEDID"), self.entry_id()] if self.chance(0.3) else []
        return [self.word(b"XSETID"), self.key(), self.entry_id(), *self.blocks(added, deleted)]

    def keyspace(self) -> list[bytes]:
        key, other = self.key(), self.key()
        replace = [self.word(b"REPLACE")] if self.chance(0.5) else []
        ttl = self.pick((b"200000", b"3000000", b"4000000000", b"x", b"9223372036854775807"))
        flag = [self.pick((b"NX", b"XX", b"GT", b"LT", b"nope"))] if self.chance(0.3) else []
        choices: list[tuple[float, list[bytes]]] = [
            (2, [b"EXISTS", key, other, key]),
            (2, [b"TYPE", key]),
            (0.4, [self.pick((b"DEL", b"UNLINK")), key]),
            (0.2, [b"DEL", key, other]),
            (0.6, [b"RENAME", key, other]),
            (1, [b"RENAMENX", key, other]),
            (2, [b"COPY", key, other, *replace]),
            (0.4, [b"COPY", key, key, b"DB", self.pick((b"1", b"0", b"99", b"x")), *replace]),
            (0.4, [b"MOVE", key, self.pick((b"1", b"0", b"99", b"x"))]),
            (0.2, [b"SWAPDB", b"0", self.pick((b"1", b"0", b"99"))]),
            (1, [self.pick((b"EXPIRE", b"PEXPIRE")), key, ttl, *flag]),
            (1, [self.pick((b"EXPIREAT", b"PEXPIREAT")), key, self.pick((b"99999999999", b"1")), *flag]),
            (2, [self.pick((b"TTL", b"PTTL", b"EXPIRETIME", b"PEXPIRETIME")), key]),
            (1, [b"PERSIST", key]),
            (1, [b"KEYS", self.pick((b"*", b"s?", b"s[12]", b"[^s]*", b"\\s1"))]),
            (1, [b"SCAN", b"0", b"COUNT", b"1000", *self.pick_words(([], [b"TYPE", b"stream"], [b"MATCH", b"s*"]))]),
            (1, [b"DBSIZE"]),
            (1, [b"TOUCH", key, other]),
            (1, [b"OBJECT", self.pick((b"ENCODING", b"REFCOUNT", b"nope")), key]),
        ]
        return self.draw.choices(choices, [weight for weight, _ in choices])[0][1]

    def pick_words(self, choices: Sequence[list[bytes]]) -> list[bytes]:
        return self.draw.choice(choices)

    def odd(self) -> list[bytes]:
        """Subcommands and names that do not exist, and words beyond any sense."""
        return self.draw.choice(
            [
                [b"XINFO", b"NOPE"],
                [b"XGROUP", b"NOPE", self.key()],
                [b"XINFO"],
                [b"XGROUP", b"CREATE"],
                [b"XNOPE", self.key(), b"a", b"b"],
                [b"XADD"],
                [b"PING", self.pick(JUNK)],
                [b"ECHO", self.pick(VALUES)],
                [b"XREADGROUP", b"GROUP", b"STREAMS", b"c1", b"STREAMS", self.key(), b">"],
                [b"XREAD", b"STREAMS", self.key(), b">"],
                [b"XREAD", b"GROUP", b"g1", b"c1", b"STREAMS", self.key(), b"0"],
                [b"XREAD", b"NOACK", b"STREAMS", self.key(), b"0"],
                [b"XREADGROUP", b"STREAMS", self.key(), b">"],
                [b"XREADGROUP", b"GROUP", b"g1", b"c1", b"STREAMS", self.key(), b"$"],
            ]
        )


def _never_blocks_for_long(words: list[bytes]) -> list[bytes]:
    """Damage may have put any number behind BLOCK; only short waits are let through."""
    fixed = list(words)
    for place, word in enumerate(fixed[:-1]):
        if word.upper() == b"BLOCK" and fixed[place + 1] not in (b"-1", b"x", b"1.5", b"abc", b""):
            fixed[place + 1] = b"1"
    return fixed
