"""Random programs of streams, strings, hashes, sorted sets and locks, whose keys meet each other."""

from __future__ import annotations

import random
from typing import Final

from redis.lock import Lock

from tests.compat import programs
from tests.compat.programs import QUESTIONS_CLIENT, Program, Step, Writer
from tests.compat.words import KEYS, ODD_NUMBERS, VALUES

STRINGS: Final = (b"t1", b"t2", b"t3")
HASHES: Final = (b"h1", b"h2")
SORTED_SETS: Final = (b"z1", b"z2")
VALUE_KEYS: Final = (*STRINGS, *HASHES, *SORTED_SETS)

FIELDS: Final = (b"a", b"b", b"c", b"", b"\x00\xff", b"n" * 70)
TEXTS: Final = (b"1", b"10", b"-5", b"token", b"9223372036854775800", b"-9223372036854775808", *VALUES)
SCORES: Final = (
    b"1", b"2", b"3", b"2.5", b"-1", b"0", b"inf", b"-inf", b"+inf", b"1e3", b"0.1", b"1e21", b"123456.789",
    b"0x10", b"17000000000000000", b"0.00001", b"nan", b"x", b"", b"1e400", b" 1",
)  # fmt: skip
DIGEST: Final = "c3f8721cbb97f72bc19e972846bd7aaf91901658"  # of redis-py's script that releases
LOCK_SCRIPTS: Final = (
    *(text.encode() for text in (Lock.LUA_RELEASE_SCRIPT, Lock.LUA_EXTEND_SCRIPT, Lock.LUA_REACQUIRE_SCRIPT)),
    b"if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end",
    b'if redis.call("GET",KEYS[1]) == ARGV[1] then\n return redis.call("pexpire",KEYS[1],ARGV[2])\nelse return 0 end',
    b'return redis.call("set", KEYS[1], ARGV[1], "NX", "PX", ARGV[2])',
)


def make_program(seed: int, length: int, *, policies: bool = True, reload: bool = True) -> Program:
    """The program of ``seed``, as `programs.make_program`."""
    return MixedWriter(random.Random(f"mixed {seed}"), policies, reload).program(seed, length)


def closing_questions() -> tuple[Step, ...]:
    """Everything observable about the keys that are left."""
    questions: list[tuple[bytes, ...]] = [(b"KEYS", b"*"), (b"SCAN", b"0", b"COUNT", b"1000")]
    for key in (*VALUE_KEYS, *KEYS):
        questions += [
            (b"TYPE", key),
            (b"GET", key),
            (b"HGETALL", key),
            (b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"),
            (b"PEXPIRETIME", key),
            (b"OBJECT", b"ENCODING", key),
        ]
    return (*(Step(QUESTIONS_CLIENT, words) for words in questions), *programs.closing_questions())


class MixedWriter(Writer):
    """Draws programs in which a key is now of this kind, now of that."""

    def __init__(self, draw: random.Random, policies: bool, reload: bool) -> None:
        super().__init__(draw, policies, reload)
        self.of_any_kind = False  # the keys that are drawn now
        self.table = [(weight * 0.4, words) for weight, words in self.table]
        self.table += [
            (8, self.set_),
            (4, self.set_in_old_ways),
            (6, self.get),
            (4, self.counter),
            (3, self.several),
            (6, self.hash_written),
            (5, self.hash_read),
            (7, self.zadd),
            (4, self.sorted_set_shrunk),
            (6, self.sorted_set_read),
            (4, self.script),
            (4, self.keyspace),
            (0.05, lambda: [b"FLUSHDB"]),
            (1, self.scan),
        ]

    def program(self, seed: int, length: int) -> Program:
        found = super().program(seed, length)
        return Program(seed, found.node_entries, found.steps, closing_questions())

    # -- words ---------------------------------------------------------------------------------------------------

    def key(self) -> bytes:
        if self.of_any_kind or self.chance(0.06):
            return self.pick((*VALUE_KEYS, *KEYS))
        return super().key()

    def key_of(self, keys: tuple[bytes, ...]) -> bytes:
        """One of these, or of another kind."""
        return self.pick((*VALUE_KEYS, *KEYS)) if self.chance(0.08) else self.pick(keys)

    def number(self) -> bytes:
        return self.pick(ODD_NUMBERS) if self.chance(0.1) else b"%d" % self.draw.randint(-3, 9)

    def expiry(self, odd: float = 0.08) -> list[bytes]:
        option, times = self.draw.choice(
            [
                (b"EX", (b"2000", b"300000")),
                (b"PX", (b"2000000", b"400000000")),
                (b"EXAT", (b"99999999999", b"1")),
                (b"PXAT", (b"99999999999999", b"1")),
            ]
        )
        return [self.word(option), self.pick(ODD_NUMBERS) if self.chance(odd) else self.pick(times)]

    def some(self, words: tuple[bytes, ...], most: int = 3) -> list[bytes]:
        return [self.pick(words) for _ in range(self.draw.randint(1, most))]

    def damage(self, words: list[bytes]) -> list[bytes]:
        """Not of scripts, for Lua would tell what is wrong with one, nor of SCAN, which must give all keys at once."""
        return words if words[0].upper() in (b"EVAL", b"SCRIPT", b"SCAN") else super().damage(words)

    # -- strings -------------------------------------------------------------------------------------------------

    def set_(self) -> list[bytes]:
        condition = [self.word(self.pick((b"NX", b"XX")))] if self.chance(0.2) else []
        get = [self.word(b"GET")] if self.chance(0.15) else []
        expiry = self.expiry() if self.chance(0.25) else [self.word(b"KEEPTTL")] if self.chance(0.1) else []
        return [self.word(b"SET"), self.key_of(STRINGS), self.pick(TEXTS), *self.blocks(condition, get, expiry)]

    def set_in_old_ways(self) -> list[bytes]:
        key, text = self.key_of(STRINGS), self.pick(TEXTS)
        time = self.pick(ODD_NUMBERS) if self.chance(0.1) else b"2000000"
        return self.draw.choice(
            [
                [b"SETNX", key, text],
                [b"SETEX", key, time, text],
                [b"PSETEX", key, time, text],
                [b"GETSET", key, text],
                [b"APPEND", key, text],
                [b"GETDEL", key],
            ]
        )

    def get(self) -> list[bytes]:
        key = self.key_of(STRINGS)
        if self.chance(0.25):
            how = [] if self.chance(0.2) else [self.word(b"PERSIST")] if self.chance(0.3) else self.expiry()
            return [self.word(b"GETEX"), key, *how]
        return [self.word(self.pick((b"GET", b"GET", b"STRLEN"))), key]

    def counter(self) -> list[bytes]:
        name = self.pick((b"INCR", b"DECR", b"INCRBY", b"DECRBY"))
        amount = [self.number()] if name.endswith(b"BY") else []
        return [self.word(name), self.key_of(STRINGS), *amount]

    def several(self) -> list[bytes]:
        keys = [self.key_of(STRINGS) for _ in range(self.draw.randint(1, 3))]
        if self.chance(0.5):
            return [self.word(b"MGET"), *keys]
        pairs = [word for key in keys for word in (key, self.pick(TEXTS))]
        return [self.word(self.pick((b"MSET", b"MSETNX"))), *pairs]

    # -- hashes --------------------------------------------------------------------------------------------------

    def hash_written(self) -> list[bytes]:
        key, field = self.key_of(HASHES), self.pick(FIELDS)
        pairs = [word for field in self.some(FIELDS) for word in (field, self.pick(TEXTS))]
        return self.draw.choice(
            [
                [self.word(b"HSET"), key, *pairs],
                [self.word(b"HMSET"), key, *pairs],
                [self.word(b"HSETNX"), key, field, self.pick(TEXTS)],
                [self.word(b"HINCRBY"), key, field, self.number()],
                [self.word(b"HDEL"), key, *self.some(FIELDS, 4)],
            ]
        )

    def hash_read(self) -> list[bytes]:
        key, field = self.key_of(HASHES), self.pick(FIELDS)
        return self.draw.choice(
            [
                [b"HGET", key, field],
                [b"HMGET", key, *self.some(FIELDS)],
                [b"HGETALL", key],
                [b"HKEYS", key],
                [b"HVALS", key],
                [b"HLEN", key],
                [b"HEXISTS", key, field],
            ]
        )

    # -- sorted sets ---------------------------------------------------------------------------------------------

    def score(self) -> bytes:
        return self.pick(SCORES) if self.chance(0.5) else b"%d" % self.draw.randint(1, 5)

    def zadd(self) -> list[bytes]:
        options = [[self.word(name)] for name in (b"NX", b"XX", b"GT", b"LT", b"CH") if self.chance(0.1)]
        increments = self.chance(0.15)
        if increments:
            options.append([self.word(b"INCR")])
        count = 1 if increments and self.chance(0.9) else self.draw.randint(1, 3)
        pairs = [word for _ in range(count) for word in (self.score(), self.pick(FIELDS))]
        return [self.word(b"ZADD"), self.key_of(SORTED_SETS), *self.blocks(*options), *pairs]

    def sorted_set_shrunk(self) -> list[bytes]:
        key = self.key_of(SORTED_SETS)
        if self.chance(0.5):
            return [b"ZREM", key, *self.some(FIELDS)]
        return [b"ZPOPMIN", key, *([self.count(3)] if self.chance(0.5) else [])]

    def score_end(self, edge: bytes) -> bytes:
        if self.chance(0.3):
            return edge
        return (b"(" if self.chance(0.3) else b"") + self.score()

    def sorted_set_read(self) -> list[bytes]:
        key = self.key_of(SORTED_SETS)
        scores = [self.word(b"WITHSCORES")] if self.chance(0.5) else []
        limit = [self.word(b"LIMIT"), self.number(), self.number()] if self.chance(0.3) else []
        ends = [self.score_end(b"-inf"), self.score_end(b"+inf")]
        by_score = self.blocks([self.word(b"BYSCORE")], [self.word(b"REV")] if self.chance(0.4) else [], limit, scores)
        by_rank = self.blocks([self.word(b"REV")] if self.chance(0.2) else [], scores)
        return self.draw.choice(
            [
                [b"ZCARD", key],
                [b"ZSCORE", key, self.pick(FIELDS)],
                [b"ZCOUNT", key, *ends],
                [self.word(b"ZRANGE"), key, self.number(), self.number(), *by_rank],
                [self.word(b"ZRANGE"), key, *ends, *by_score],
                [self.word(b"ZRANGEBYSCORE"), key, *ends, *self.blocks(scores, limit)],
            ]
        )

    # -- scripts and keys ----------------------------------------------------------------------------------------

    def script(self) -> list[bytes]:
        text = self.pick(LOCK_SCRIPTS)
        token = b"token" if self.chance(0.7) else self.pick(TEXTS)
        arguments = [
            self.key_of(STRINGS),
            token,
            self.pick((b"100000", b"900000", b"1.5", b"-5")),
            self.pick((b"0", b"1")),
        ]
        given = [b"1", *(arguments if self.chance(0.9) else arguments[: self.draw.randint(1, 3)])]
        return self.draw.choice(
            [
                [self.word(b"EVAL"), text, *given],
                [self.word(b"EVAL"), text, *given],
                [self.word(b"EVALSHA"), DIGEST.encode(), *given],
                [b"SCRIPT", self.word(b"LOAD"), text],
                [b"SCRIPT", self.word(b"EXISTS"), DIGEST.encode(), b"0" * 40],
            ]
        )

    def scan(self) -> list[bytes]:
        kind = self.pick((b"string", b"hash", b"zset", b"stream", b"list", b"nope"))
        return [b"SCAN", b"0", b"COUNT", b"1000", b"TYPE", self.word(kind)]

    def keyspace(self) -> list[bytes]:
        """Of keys of any kind, but no DBSIZE: it counts keys that SET gave a time in the past, for a while."""
        self.of_any_kind = True
        try:
            words = super().keyspace()
        finally:
            self.of_any_kind = False
        return [b"KEYS", b"*"] if words == [b"DBSIZE"] else words
