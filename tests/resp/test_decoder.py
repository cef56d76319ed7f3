"""Requests from bytes: each case whole, byte by byte, and with bytes behind it."""

from __future__ import annotations

import random
import re
import socket
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respbroker.resp.decoder import Decoder
from respbroker.resp.limits import Limits
from tests.support.servers import Server


def request(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def decode(*chunks: bytes, authenticated: bool = True) -> tuple[list[list[bytes]], str | None]:
    decoder = Decoder(Limits())
    decoder.authenticated = authenticated
    requests = [words for chunk in chunks for words in decoder.feed(chunk)]
    return requests, None if decoder.error is None else decoder.error.text


def split(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


READABLE = [
    (b"\r\n", []),
    (b"   \n", []),
    (b"PING\n", [[b"PING"]]),
    (b"  ECHO   a  \r\n", [[b"ECHO", b"a"]]),
    (b"_\r\n", [[b"_"]]),
    (b"+OK\r\n", [[b"+OK"]]),
    (b"$1\r\na\r\n", [[b"$1"], [b"a"]]),
    (b"ECHO a\rb\r\n", [[b"ECHO", b"a", b"b"]]),
    (b'ECHO "a\\x41\\n\\"b"\r\n', [[b"ECHO", b'aA\n"b']]),
    (b'ECHO "\\xZZ\\q\\a\\b\\t\\r"\r\n', [[b"ECHO", b"xZZq\a\b\t\r"]]),
    (b"ECHO 'a\\'b\\n'\r\n", [[b"ECHO", b"a'b\\n"]]),
    (b"ECHO a\"b\" ''\r\n", [[b"ECHO", b"ab", b""]]),
    (b"ECHO a\vb \v\f\r\n", [[b"ECHO", b"a\vb"]]),
    (b"ECHO \xff\xa0x\r\n", [[b"ECHO", b"\xff\xa0x"]]),
    (b"*0\r\n", []),
    (b"*-1\r\n", []),
    (b"*-5\r\n", []),
    (request(b""), [[b""]]),
    (
        request(b"XADD", b"s", b"*", b"f", b"v\r\n*1\r\n$1\r\nx\r\n"),
        [[b"XADD", b"s", b"*", b"f", b"v\r\n*1\r\n$1\r\nx\r\n"]],
    ),
    (request(b"XADD", b"s", b"MAXLEN", b"=", b"+1"), [[b"XADD", b"s", b"MAXLEN", b"=", b"+1"]]),
    (request(b"ECHO", b"x" * 5000), [[b"ECHO", b"x" * 5000]]),
    (b"*2\r\n$4\r\nECHO\r\n$3\r\nabcXY", [[b"ECHO", b"abc"]]),
    (b"*1\rX$4\rYPING\r\n", [[b"PING"]]),
]

VIOLATIONS = [
    (b"*1\r\n:5\r\n", "expected '$', got ':'"),
    (b"*1\r\n+OK\r\n", "expected '$', got '+'"),
    (b"*2\r\n$1\r\naXY+OK\r\n", "expected '$', got '+'"),
    (b"*1\r\n=5\r\ntxt:a\r\n", "expected '$', got '='"),
    (b"*1\r\n(12\r\n", "expected '$', got '('"),
    (b"*1\r\n-ERR\r\n", "expected '$', got '-'"),
    (b"*1\r\n*1\r\n$1\r\na\r\n", "expected '$', got '*'"),
    (b"*1\r\n\xff\r\n", "expected '$', got '\xff'"),
    (b"*1\r\n$-1\r\n", "invalid bulk length"),
    (b"*1\r\n$abc\r\n", "invalid bulk length"),
    (b"*1\r\n$01\r\n", "invalid bulk length"),
    (b"*1\r\n$+4\r\nPING\r\n", "invalid bulk length"),
    (b"*1\r\n$ 4\r\nPING\r\n", "invalid bulk length"),
    (b"*1\r\n$\r\n", "invalid bulk length"),
    (b"*1\r\n$536870913\r\n", "invalid bulk length"),
    (b"*01\r\n$4\r\nPING\r\n", "invalid multibulk length"),
    (b"*+1\r\n", "invalid multibulk length"),
    (b"*\r\n", "invalid multibulk length"),
    (b"*-0\r\n", "invalid multibulk length"),
    (b"*2147483648\r\n", "invalid multibulk length"),
    (b"*99999999999\r\n", "invalid multibulk length"),
    (b"*-99999999999999999999\r\n", "invalid multibulk length"),
    (b'ECHO "a\r\n', "unbalanced quotes in request"),
    (b"ECHO 'a\r\n", "unbalanced quotes in request"),
    (b'ECHO "a"b\r\n', "unbalanced quotes in request"),
    (b"ECHO 'a'b\r\n", "unbalanced quotes in request"),
    (b'ECHO "a\\"\r\n', "unbalanced quotes in request"),
    (b'"\r\n', "unbalanced quotes in request"),
    (b"A" * 65537, "too big inline request"),
    (b"*" + b"1" * 65536, "too big mbulk count string"),
    (b"*1\r\n$" + b"1" * 65536, "too big bulk count string"),
]

UNAUTHENTICATED = [
    (b"*11\r\n", "unauthenticated multibulk length"),
    (b"*1\r\n$16385\r\n", "unauthenticated bulk length"),
]

WAITS = [
    b"A" * 65536,
    b"ECHO a\0b\r\n",
    b"*1\r\n$536870912\r\n",
    b"*2147483647\r\n",
    b"*1\r\n\0\r\n",
    b"*1\r",
    b"*1\r\n$1\r",
]


def short(value: object) -> str:
    return repr(value)[:40]


@pytest.mark.parametrize(("data", "expected"), READABLE, ids=short)
def test_requests_are_read_however_they_arrive(data, expected):
    for before, behind in [([], []), ([[b"A", b"b"]], []), ([], [[b"PING"]]), ([[b"GET", b"k"]] * 30, [[b"PING"]] * 9)]:
        whole = b"".join(request(*words) for words in before) + data + b"".join(request(*words) for words in behind)
        wanted = before + expected + behind
        assert decode(whole) == (wanted, None)
        assert decode(*split(whole)) == (wanted, None)
        assert decode(whole[:-3], whole[-3:]) == (wanted, None)
        assert decode(whole, authenticated=False) == (wanted, None) or len(data) > 4000


@pytest.mark.parametrize(("data", "text"), VIOLATIONS, ids=short)
def test_a_violation_is_named_behind_the_requests_before_it(data, text):
    named = f"Protocol error: {text}"
    before = request(b"PING") + request(b"ECHO", b"a+b")
    wanted = [[b"PING"], [b"ECHO", b"a+b"]]
    assert decode(data) == ([], named)
    assert decode(before + data) == (wanted, named)
    assert decode(before + data + before) == (wanted, named)
    assert decode(before + data, before) == (wanted, named)
    if len(data) < 1000:
        assert decode(*split(before + data + before)) == (wanted, named)
    assert decode(*split(data)) == ([], named)


@pytest.mark.parametrize(("data", "text"), UNAUTHENTICATED, ids=short)
def test_strangers_have_narrow_limits(data, text):
    assert decode(data, authenticated=False) == ([], f"Protocol error: {text}")
    assert decode(*split(data), authenticated=False) == ([], f"Protocol error: {text}")
    assert decode(data) == ([], None)


@pytest.mark.parametrize("data", WAITS, ids=short)
def test_an_incomplete_request_waits(data):
    assert decode(data) == ([], None)
    assert decode(*split(data)) == ([], None)


@pytest.mark.parametrize("data", [b"*1\r\n$536870912\r\n", b"*2147483647\r\n", b"*1000000\r\n" + b"*1000000\r\n" * 7])
def test_what_is_announced_takes_no_memory_before_it_arrives(data):
    decoder = Decoder(Limits())
    tracemalloc.start()
    try:
        decoder.feed(data)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 20_000


def test_pending_bytes_counts_all_that_is_held_and_goes_back_to_zero():
    decoder = Decoder(Limits())
    decoder.feed(b"*3\r\n$3\r\nabc\r\n$1000000\r\n" + b"x" * 5000)
    assert 5000 < decoder.pending_bytes < 6000
    decoder.feed(b"x" * 995_000)
    assert 1_000_000 < decoder.pending_bytes < 1_000_200
    assert decoder.feed(b"\r\n$1\r\nz\r\n") == [[b"abc", b"x" * 1_000_000, b"z"]]
    assert decoder.pending_bytes == 0
    assert decoder.at_border


def test_a_changed_limit_reaches_open_connections():
    limits = Limits()
    decoder = Decoder(limits)
    limits.bulk_bytes_max = 1_048_576
    decoder.feed(b"*1\r\n$1048577\r\n")
    assert decoder.error is not None


def test_a_request_of_a_million_words_is_read():
    words = [b"%d" % n for n in range(1_000_000)]
    data = request(*words)
    assert decode(*[data[i : i + 65536] for i in range(0, len(data), 65536)])[0] == [words]


PIECES = [
    *(b"*1\r\n", b"*2\r\n", b"*3\r\n", b"$1\r\n", b"$0\r\n", b"$3\r\n", b"$5\r\n", b"*0\r\n", b"$-1\r\n"),
    *(b"+OK\r\n", b"=5\r\ntxt:a\r\n", b":5\r\n", b"(12\r\n", b"#t\r\n", b",1.5\r\n", b"_\r\n"),
    *(b"|1\r\n", b"~1\r\n", b"%1\r\n", b">1\r\n", b"*", b"$", b"-1", b"a", b"\r\n", b"\r", b"\n", b"\0", b" "),
    *(b"PING\r\n", b"abc\r\n", b'"', b"'", b"\\x41"),
    *(request(b"A", b"bc"), request(b"XADD", b"s", b"*", b"f", b"v+"), request(b""), request(b"=", b"*")),
]


@given(st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join), st.data())
def test_any_bytes_give_requests_or_one_violation_whatever_the_chunks(data, draw):
    whole = decode(data)
    assert decode(*split(data)) == whole
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=4)))
    chunks = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    assert decode(*chunks) == whole
    assert all(words and all(type(word) is bytes for word in words) for words in whole[0])


def test_pipelines_of_all_kinds_survive_any_chunking():
    random_ = random.Random(7)
    for _ in range(300):
        wanted = [
            [random_.randbytes(random_.choice([0, 1, 5, 300])) for _ in range(random_.randint(1, 6))]
            for _ in range(random_.randint(1, 40))
        ]
        data = b"".join(request(*words) for words in wanted)
        cuts = sorted(random_.randint(0, len(data)) for _ in range(random_.randint(0, 5)))
        chunks = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        assert decode(*chunks) == (wanted, None)


@pytest.mark.parametrize(("data", "text"), VIOLATIONS, ids=short)
def test_redis_uses_the_same_words(redis_server: Server, data, text):
    with socket.create_connection(("127.0.0.1", redis_server.port), timeout=5) as peer:
        peer.sendall(data)
        with peer.makefile("rb") as replies:
            assert replies.readline() == b"-ERR Protocol error: %b\r\n" % text.encode("latin-1")


@pytest.mark.parametrize(("data", "requests"), [case for case in READABLE if case[1]], ids=short)
def test_redis_reads_the_same_requests(redis_server: Server, data, requests):
    """Each request is sent to be echoed back, as words of an unknown command where it is not ECHO."""
    with socket.create_connection(("127.0.0.1", redis_server.port), timeout=5) as peer:
        asked = []
        for sent in (data, b"".join(request(*words) for words in requests)):
            peer.sendall(b"FLUSHALL\r\n" + sent + request(b"ECHO", b"the end"))
            with peer.makefile("rb", buffering=0) as replies:
                got = b""
                while not got.endswith(b"the end\r\n"):
                    got += replies.read(65536)
            asked.append(re.sub(rb"\d+-\d", b"id", got))
        assert asked[0] == asked[1]
