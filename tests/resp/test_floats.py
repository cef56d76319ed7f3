"""Floats as Redis reads and writes them; the texts were taken from redis-server 8.2."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respbroker.resp.floats import digits_of, parse_bound, parse_float

WRITTEN = {
    -0.0: b"-0", 3.0: b"3", -16.0: b"-16", 0.5: b"0.5", 100000.0: b"100000", 2.0**62: b"4611686018427387904",
    2.0**63: b"9223372036854776000", 1e19: b"1e+19", 1.5e20: b"1.5e+20", 1.234e25: b"1.234e+25",
    1234567890000000.0: b"1234567890000000", 1e-6: b"0.000001", 1e-7: b"1e-7", 0.00012345678: b"1.2345678e-4",
    0.0012345678: b"0.0012345678", 12345.6789012345: b"1.23456789012345e+4", 1700000000.123456: b"1700000000.123456",
    1700000000.1234567: b"1.7000000001234567e+9", 5e-324: b"5e-324", -2.5e-10: b"-2.5e-10",
    1.7976931348623157e308: b"1.7976931348623157e+308", math.inf: b"inf", -math.inf: b"-inf",
}  # fmt: skip


@pytest.mark.parametrize(("value", "text"), WRITTEN.items())
def test_numbers_are_written_as_redis_writes_them(value: float, text: bytes) -> None:
    assert digits_of(value) == text


def test_zero_is_written_without_a_sign() -> None:
    assert digits_of(0.0) == b"0"


@given(st.floats(allow_nan=False))
def test_what_is_written_is_read_as_the_same_number(value: float) -> None:
    assert parse_float(digits_of(value)) == value


@pytest.mark.parametrize("word", [b"1", b"+3", b"-0", b".5", b"5.", b"1E5", b"inf", b"-INFINITY", b"0x1.8p3", b"-0X10"])
def test_numbers_in_many_forms_are_read(word: bytes) -> None:
    assert parse_float(word) is not None


@pytest.mark.parametrize(
    "word",
    [b"", b" 1", b"1 ", b"1\0", b"x", b"nan", b"-nan", b"1_0", b"1e", b".", b"+", b"infin", b"1e400", b"1e-400", b"0x",
     b"0xg", b"0x1p5000", b"0x1p-5000", b"1,5", "\u0661".encode()],
)  # fmt: skip
def test_what_is_no_number_or_too_large_or_too_small_is_not_read(word: bytes) -> None:
    assert parse_float(word) is None


@pytest.mark.parametrize(
    ("word", "bound"),
    [(b"", 0.0), (b"\0", 0.0), (b"1\0z", 1.0), (b"1e400", math.inf), (b"1e-400", 0.0), (b"+1", 1.0), (b"0x1", None),
     (b"nan", None), (b" 1", None), (b"1_", None)],
)  # fmt: skip
def test_ends_of_ranges_are_read_less_strictly(word: bytes, bound: float | None) -> None:
    assert parse_bound(word) == bound
