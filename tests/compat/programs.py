"""Random stream programs from a seed: few keys, groups, consumers and IDs, so that the commands meet each other."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import attrs

from tests.compat.words import CLOCK_KEY, GROUPS, JUNK, KEYS, LONG_IDLE, VALUES, Words

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
    questions: tuple[Step, ...] = attrs.Factory(lambda: closing_questions())


QUESTIONS_CLIENT = 2  # a connection of its own, which is never inside MULTI


def closing_questions() -> tuple[Step, ...]:
    """Everything observable about the streams that are left."""
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
    return tuple(Step(QUESTIONS_CLIENT, words) for words in questions)


def make_program(seed: int, length: int, *, policies: bool = True, reload: bool = True) -> Program:
    """The program of ``seed``: equal seeds and lengths give equal programs.

    ``policies`` adds what Redis has since 8.2 (XDELEX, XACKDEL, KEEPREF and its like) and Valkey has not;
    ``reload`` adds DEBUG RELOAD, which makes both servers forget their memory and read their disk.
    """
    return Writer(random.Random(f"{seed}"), policies, reload).program(seed, length)


class Writer(Words):
    """Draws one program: commands whose words meet each other."""

    def __init__(self, draw: random.Random, policies: bool, reload: bool) -> None:
        super().__init__(draw)
        self.policies = policies
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
