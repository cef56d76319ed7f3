"""The innermost loops, compiled and as they stand, against the decoder that reads one header at a time."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from respbroker.errors import ProtocolError
from respbroker.resp import codec, proven
from respbroker.resp.entry import decode_entry
from respbroker.resp.limits import Limits
from respbroker.resp.stepwise import StepwiseDecoder
from tests.resp.test_decoder import READABLE, VIOLATIONS, request

SOURCE = Path(codec.__file__).with_name("codec.py")
BULK_MAX = 512 * 1024 * 1024


def as_it_stands() -> ModuleType:
    """codec.py interpreted, also where a compiled one is there."""
    spec = importlib.util.spec_from_file_location("codec_as_it_stands", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


PURE = as_it_stands()
BOTH = pytest.mark.parametrize(
    "it",
    [pytest.param(it, id="compiled" if it.COMPILED else "pure") for it in {id(m): m for m in (codec, PURE)}.values()],
)
READERS = [codec, PURE, proven]


def stepwise(data: bytes) -> tuple[list[list[bytes]], bool]:
    """What the arbiter reads, and whether nothing is left or wrong."""
    decoder, requests = StepwiseDecoder(Limits()), []
    try:
        decoder.step(data, requests, to_border=False)
    except ProtocolError:
        return requests, False
    return requests, decoder.at_border


def check_reader(reader: Any, data: bytes) -> None:
    """What it reads is what the arbiter reads, up to where it stops; behind that the arbiter goes on alike."""
    requests: list[list[bytes]] = []
    read = reader.read_requests(data, 0, BULK_MAX, requests)
    expected, sound = stepwise(data)
    assert requests == expected[: len(requests)]
    rest, rest_sound = stepwise(data[read:])
    assert (requests + rest, rest_sound) == (expected, sound)


WORD = st.binary(max_size=12) | st.sampled_from([b"", b"*", b"$1\r\n", b"+OK\r\n", b"x" * 1500, b"*1\r\n$1\r\nx\r\n"])
ORDINARY = st.lists(st.lists(WORD, min_size=1, max_size=4), max_size=4).map(
    lambda requests: b"".join(request(*words) for words in requests)
)
ODD = st.sampled_from([data for data, _ in READABLE + VIOLATIONS]) | st.binary(max_size=20)


@given(ORDINARY, ODD, ORDINARY, st.integers(min_value=0, max_value=40))
@example(b"*1\r\n$4\r\nPING\r\n", b"*1\r\n$00000000004\r\nPING\r\n", b"", 0)
@example(b"", b"*1\r\n$99999999999999999999\r\nx", b"", 0)
@example(b"", b"*1\r\n$-0\r\n\r\n", b"", 0)
def test_every_reader_reads_what_the_arbiter_reads(before: bytes, odd: bytes, behind: bytes, cut: int) -> None:
    data = before + odd + behind
    data = data[: len(data) - cut] if cut else data
    for reader in READERS:
        check_reader(reader, data)


@BOTH
def test_a_pipeline_is_read_in_one_go(it: ModuleType) -> None:
    data = request(b"XADD", b"s", b"*", b"f", b"v" * 100) * 50 + request(b"PING")
    requests: list[list[bytes]] = []
    assert it.read_requests(data, 0, BULK_MAX, requests) == len(data)
    assert requests == [[b"XADD", b"s", b"*", b"f", b"v" * 100]] * 50 + [[b"PING"]]


@BOTH
def test_a_word_above_the_limit_is_left_to_others(it: ModuleType) -> None:
    requests: list[list[bytes]] = []
    assert it.read_requests(request(b"PING") + request(b"ECHO", b"x" * 11), 0, 10, requests) == len(request(b"PING"))
    assert requests == [[b"PING"]]


@BOTH
def test_reading_stops_at_every_cut_of_a_request(it: ModuleType) -> None:
    whole = request(b"XADD", b"s", b"*", b"f", b"v")
    for cut in range(len(whole)):
        requests: list[list[bytes]] = []
        assert it.read_requests(whole + whole[:cut], 0, BULK_MAX, requests) == len(whole)
        assert requests == [[b"XADD", b"s", b"*", b"f", b"v"]]


@BOTH
@given(
    ms=st.integers(0, 2**64 - 1),
    first=st.integers(0, 12_000) | st.integers(2**64 - 20, 2**64 - 1),
    count=st.integers(1, 150),
)
def test_ids_in_a_row_are_those_one_by_one(it: ModuleType, ms: int, first: int, count: int) -> None:
    texts = [b"%d-%d" % (ms, seq) for seq in range(first, first + count)]
    assert it.encode_ids(ms, first, count) == [b"$%d\r\n%b\r\n" % (len(text), text) for text in texts]
    assert it.encode_id(ms, first) == it.encode_ids(ms, first, 1)[0]


@BOTH
@given(st.lists(st.lists(WORD, min_size=1, max_size=6).map(lambda words: words * 2), min_size=1, max_size=4))
def test_entries_are_decoded_to_what_they_were(it: ModuleType, fields: list[list[bytes]]) -> None:
    requests = [[b"skipped"], *([b"XADD", b"s", b"*", *words] for words in fields)]
    payloads = it.encode_entries(it.encode_ids(5, 7, len(fields)), requests, 1, 3)
    assert [decode_entry(payload) for payload in payloads] == [(b"5-%d" % (7 + n), f) for n, f in enumerate(fields)]


@BOTH
def test_neighbours_alike_are_counted(it: ModuleType) -> None:
    pairs = [[b"1", b"2"], [b"1", b"2", b"3", b"4"], [b"1", b"5"]]
    requests = [[b"a", b"b", *pair] for pair in pairs] + [[b"a", b"x", b"1", b"2"], [b"a", b"b", b"1", b"2"]]
    assert [it.count_entries(requests, start, 2) for start in range(5)] == [3, 2, 1, 1, 1]
    assert [it.count_entries(requests, start, 1) for start in range(5)] == [0] * 5


@BOTH
def test_a_request_without_pairs_ends_its_neighbours(it: ModuleType) -> None:
    good = [b"a", b"b", b"1", b"2"]
    for bad in ([b"a", b"b"], [b"a", b"b", b"1"], [b"a"], [*good, b"3"]):
        assert it.count_entries([good, good, bad, good], 0, 2) == 2
        assert it.count_entries([bad, good], 0, 2) == 0


@BOTH
@given(
    st.lists(st.lists(st.sampled_from([b"a", b"b", b"key"]), min_size=2, max_size=6).map(lambda w: w * 2), max_size=4)
)
def test_the_value_of_a_field_is_its_first(it: ModuleType, rows: list[list[bytes]]) -> None:
    requests = [[b"skipped"], *([b"XADD", b"s", b"*", *words] for words in rows)]
    expected = [dict(reversed(list(zip(w[::2], w[1::2], strict=True)))).get(b"key") for w in rows]
    assert it.values_of(requests, 1, len(rows), 3, b"key") == expected


@BOTH
@given(
    st.lists(st.integers(0, 3) | st.integers(0, 4095), min_size=1, max_size=40),
    st.integers(-1, 5000) | st.integers(900_000, 10**7) | st.integers(10**16, 9 * 10**17),
)
def test_entries_that_are_spread_have_rising_ids_that_tell_the_partition(
    it: ModuleType, indexes: list[int], before: int
) -> None:
    requests = [[b"XADD", b"t", b"*", b"n", b"%d" % n] for n in range(len(indexes) + 1)]
    seqs: list[list[int]] = [[] for _ in range(4096)]
    payloads: list[list[bytes]] = [[] for _ in range(4096)]
    bulks: list[bytes] = []
    last = it.spread_entries(requests, 1, 3, indexes, 77, before, seqs, payloads, bulks)
    expected = []
    for index in indexes:
        before = next(seq for seq in range(before + 1, before + 4097) if seq % 4096 == index)
        expected.append(before)
    assert bulks == [it.encode_id(77, seq) for seq in expected]
    assert last == expected[-1]
    for index in set(indexes):
        places = [place for place, each in enumerate(indexes) if each == index]
        assert seqs[index] == [expected[place] for place in places]
        assert payloads[index] == [it.encode_entry(bulks[place], requests[place + 1], 3) for place in places]


def test_what_was_compiled_is_what_stands_there() -> None:
    if codec.COMPILED:
        sources = [SOURCE, SOURCE.with_suffix(".pxd")]
        built = Path(codec.__file__).stat().st_mtime
        assert all(source.stat().st_mtime <= built for source in sources), (
            "codec.py has changed: pip install -e . again"
        )
