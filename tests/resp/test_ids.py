"""IDs written out many at a time are those written out one by one."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respbroker.resp import codec
from respbroker.resp.ids import bulk_ids, join_ids
from tests.resp.test_codec import PURE

U64 = st.integers(0, 2**64 - 1)
NEAR = st.integers(95, 105)  # numbers of two and of three digits
IDS = st.one_of(
    st.sets(st.tuples(NEAR, NEAR), min_size=1, max_size=30),
    st.sets(st.tuples(U64, U64), min_size=1, max_size=5),
    st.sets(st.tuples(st.just(7), U64), min_size=1, max_size=5),
    st.sets(st.tuples(U64, st.just(0)), min_size=1, max_size=5),
).map(sorted)


@given(IDS)
def test_texts(ids: list[tuple[int, int]]) -> None:
    ms, seqs = map(list, zip(*ids, strict=True))
    assert join_ids(ms, seqs) == b"".join([b"%d-%d " % each for each in ids])
    assert join_ids(ms, seqs, b"<", b"%%>") == b"".join([b"<%d-%d%%>" % each for each in ids])


@given(IDS)
@settings(deadline=None)
def test_bulk_strings(ids: list[tuple[int, int]]) -> None:
    ms, seqs = map(list, zip(*ids, strict=True))
    texts = [b"%d-%d" % each for each in ids]
    wanted = b"".join([b"100%%d,$%d\r\n%b\r\n%%b." % (len(text), text) for text in texts])
    columns = [array("Q", column).tobytes() for column in (ms, seqs)]
    assert bulk_ids(*columns, b"100%d,", b"%b.") == wanted
    for it in (codec, PURE):
        assert it.encode_bulk_ids(*columns, b"100%d,", b"%b.") == wanted
    with pytest.MonkeyPatch.context() as patch:  # the way without a compiler
        patch.setattr("respbroker.resp.ids.COMPILED", False)
        assert bulk_ids(*columns, b"100%d,", b"%b.") == wanted
