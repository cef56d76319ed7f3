"""Redis' glob patterns, against examples taken off a real server, and the two ways of matching against each other."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respbroker.model import glob
from tests.support.servers import Server
from tests.support.wire import parse

EXAMPLES = [
    (b"", b"", True),
    (b"*", b"", False),  # KEYS * lists the empty key all the same: it does not look at names
    (b"*", b"anything\nat all", True),
    (b"a**b", b"ab", True),
    (b"a*", b"a", True),
    (b"h?llo", b"hello", True),
    (b"h?llo", b"hllo", False),
    (b"h[ae]llo", b"hallo", True),
    (b"h[^e]llo", b"hello", False),
    (b"h[b-a]llo", b"hallo", True),
    (b"[]", b"]", False),
    (b"[^]", b"]", True),
    (b"[abc", b"b", True),
    (b"[a-]", b"b", False),
    (b"[a-]", b"^", True),  # ^ lies between ] and a
    (b"[\\]]", b"]", True),
    (b"a\\", b"a\\", True),
    (b"\\*", b"*", True),
    (b"\\*", b"x", False),
    (b"news.*", b"news.art", True),
    (b"NEWS.*", b"news.art", False),
    (b"a\xff?", b"a\xff\x00", True),
]


@pytest.mark.parametrize(("pattern", "string", "expected"), EXAMPLES, ids=repr)
def test_patterns_match_as_in_redis(pattern: bytes, string: bytes, expected: bool) -> None:
    assert glob.matches(pattern, string) is expected
    assert glob.walk(pattern, string) is expected


@settings(max_examples=1000)
@given(
    st.text("ab]-^\\*?[c", max_size=10).map(str.encode),
    st.text("ab]-^\\c[", max_size=6).map(str.encode),
)
def test_compiled_and_walked_patterns_agree(pattern: bytes, string: bytes) -> None:
    assert glob.matches(pattern, string) is glob.walk(pattern, string)


def test_case_can_be_ignored() -> None:
    assert glob.compile_glob(b"Max[M]*", ignore_case=True)(b"maxmemory")
    assert glob.compile_glob(b"PORT", ignore_case=True)(b"port")


@pytest.mark.timeout(20)
def test_a_pattern_made_to_explode_does_not() -> None:
    assert not glob.matches(b"a*" * 500 + b"b", b"a" * 2000)
    assert not glob.matches(b"*a?*" * 30 + b"[b]" * 30, b"a" * 2000)


def test_a_pattern_too_long_to_compile_is_walked() -> None:
    pattern = b"*" + b"x" * glob.COMPILED_SIZE_MAX + b"?"
    assert glob.matches(pattern, b"y" + b"x" * glob.COMPILED_SIZE_MAX + b"z")
    assert not glob.matches(pattern, b"y" + b"x" * glob.COMPILED_SIZE_MAX)


def test_random_patterns_match_as_in_redis(redis_server: Server) -> None:
    """PUBSUB CHANNELS is the plainest way to ask a server what a pattern matches."""
    random = Random(8)
    words = {bytes(random.choices(b"ab]-^\\c[", k=random.randint(1, 5))) for _ in range(50)}
    names = [b"", *sorted(words)]
    with redis_server.connect() as listening, redis_server.connect() as asking:
        listening.pipeline([["SUBSCRIBE", name] for name in names])
        patterns = [bytes(random.choices(b"ab]-^\\*?[c", k=random.randint(1, 8))) for _ in range(500)]
        replies = asking.pipeline([["PUBSUB", "CHANNELS", pattern] for pattern in patterns])
        for pattern, reply in zip(patterns, replies, strict=True):
            theirs = {item.text for item in parse(reply).items or ()}
            assert {name for name in names if glob.matches(pattern, name)} == theirs, pattern
