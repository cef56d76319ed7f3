"""DIR/replication: what is in it, that it reads back, and what is said of a file that cannot be."""

from __future__ import annotations

import json
import zlib

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from respbroker.replication.history import History
from respbroker.replication.membership import Member, Membership
from respbroker.replication.state import RANDOM_BYTES, VERSION, ReplicationState
from tests.replication.test_history import histories

A, B, C = "a" * 16, "b" * 16, "c" * 16
HERE, THERE = Member(A, "10.0.0.1", 6379), Member(B, "höst", 7000)
FULL = ReplicationState(
    dataset="0123456789" * 4,
    node=A,
    history=History().begin(1, A, 0).begin(3, B, 700),
    leader=("10.0.0.2", 6379),
    in_sync=(HERE,),
    membership=Membership(3, 2, [HERE], [HERE, THERE], [Member(C, "", 7001)]),
    promised=4,
    promised_to=B,
    position=650,
    level=1,
    complete=False,
    boot="de305d54",
)
TEXT = f"""\
{{
  "version": 2,
  "dataset": "0123456789012345678901234567890123456789",
  "node": "{A}",
  "history": [[1, "{A}", 0], [3, "{B}", 700]],
  "leader": ["10.0.0.2", 6379],
  "in_sync": [["{A}", "10.0.0.1", 6379]],
  "membership": [3, 2, [["{A}", "10.0.0.1", 6379, 3], ["{B}", "h\\u00f6st", 7000, 2], ["{C}", "", 7001, 0]]],
  "promised": 4,
  "promised_to": "{B}",
  "position": 650,
  "level": 1,
  "complete": false,
  "boot": "de305d54",
  "crc32": "CHECKSUM"
}}
"""


def signed(lines: str) -> bytes:
    """The file with these lines in it, and the right checksum."""
    body = b"{\n" + lines.encode()
    return body + b'  "crc32": "%08x"\n}\n' % zlib.crc32(body)


def with_value(name: str, value: object) -> bytes:
    """The full file with one value that is another."""
    values = json.loads(FULL.encode()) | {name: value}
    del values["crc32"]
    return signed("".join(f'  "{key}": {json.dumps(each)},\n' for key, each in values.items()))


def test_the_file_is_json_with_one_key_a_line():
    text = FULL.encode().decode()
    checksum = json.loads(text)["crc32"]
    assert text == TEXT.replace("CHECKSUM", checksum)


def test_the_file_reads_back():
    assert ReplicationState.decode(FULL.encode()) == FULL


def test_a_new_node_has_names_of_its_own_and_leads_nobody():
    state = ReplicationState.new(bytes(range(RANDOM_BYTES)))
    assert state.dataset == "000102030405060708090a0b0c0d0e0f10111213"
    assert state.node == "1415161718191a1b"
    assert (state.leader, state.complete, state.history) == (None, True, History())
    assert ReplicationState.decode(state.encode()) == state


@given(histories(), st.integers(0, 2**62), st.booleans(), st.text(max_size=20), st.integers(0, 65535))
def test_any_state_reads_back(history, number, flag, host, port):
    state = attrs.evolve(
        FULL,
        history=history,
        promised=number,
        complete=flag,
        leader=(host, port) if flag else None,
        in_sync=[(B, host, port)],
        membership=Membership(number, number, [(B, host, port)]),
    )
    assert ReplicationState.decode(state.encode()) == state


@given(st.data())
def test_a_file_with_one_other_byte_is_refused(data):
    raw = bytearray(FULL.encode())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match=r"damaged or edited|cut short"):
        ReplicationState.decode(bytes(raw))


def test_a_file_that_ends_early_or_goes_on_is_refused():
    raw = FULL.encode()
    for end in range(len(raw)):
        with pytest.raises(ValueError, match="cut short"):
            ReplicationState.decode(raw[:end])
    with pytest.raises(ValueError, match="cut short"):
        ReplicationState.decode(raw + b"\n")


def test_a_file_of_a_later_version_is_refused_by_its_number():
    with pytest.raises(ValueError, match="has version 3, and this server knows version 2"):
        ReplicationState.decode(with_value("version", VERSION + 1))


def test_a_file_without_a_key_is_refused_by_its_name():
    raw = FULL.encode().decode()
    lines = [line for line in raw.splitlines(keepends=True)[1:-2] if '"promised"' not in line]
    with pytest.raises(ValueError, match="lacks 'promised'"):
        ReplicationState.decode(signed("".join(lines)))


@pytest.mark.parametrize(
    ("name", "value", "refusal"),
    [
        ("dataset", "0123", "dataset must be 40 hexadecimal digits"),
        ("node", None, "node must be 16 hexadecimal digits"),
        ("history", [[2, A, 0], [1, A, 0]], "epochs must rise"),
        ("history", 5, "not iterable"),
        ("leader", ["10.0.0.2"], "leader must be a host and a port"),
        ("leader", ["10.0.0.2", "6379"], "leader must be a host and a port"),
        ("in_sync", [["me", "10.0.0.2", 1]], "in_sync must be node ids with a host and a port each"),
        ("membership", [1, 1, [[A, "10.0.0.2", "1", 3]]], "members must be node ids with a host, a port and the lists"),
        ("membership", [1, 1, [[A, "10.0.0.2", 1]]], "members must be node ids with a host, a port and the lists"),
        ("membership", [1, 1, [[A, "", 1, 4]]], "members must be node ids with a host, a port and the lists"),
        ("membership", [1, 1, [[A, "", 1, 2], [B, "", 1, 2]]], "one at a time"),
        ("membership", [1, "1", []], "an epoch and a number"),
        ("membership", [1, 1], "not enough values"),
        ("promised", -1, "promised must be a number of at least 0"),
        ("promised_to", "me", "promised_to must be a node id or empty"),
        ("position", True, "position must be a number of at least 0"),
        ("complete", 1, "complete must be true or false"),
        ("surprise", 1, "surprise"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(name, value, refusal):
    with pytest.raises(ValueError, match=f"has a value that cannot be: .*{refusal}"):
        ReplicationState.decode(with_value(name, value))


VERSION_1 = f"""\
  "version": 1,
  "dataset": "0123456789012345678901234567890123456789",
  "node": "{A}",
  "history": [[1, "{A}", 1]],
  "leader": null,
  "in_sync": [["{B}", "127.0.0.1", 7001]],
  "members": [["{B}", "127.0.0.1", 7001], ["{C}", "127.0.0.1", 7002]],
  "promised": 1,
  "promised_to": "{A}",
  "position": 335,
  "level": 1,
  "complete": true,
  "boot": "",
"""


def test_a_file_of_before_lists_had_versions_is_read_with_all_it_knows_as_members() -> None:
    state = ReplicationState.decode(signed(VERSION_1))
    assert state.membership.version == (0, 0)
    assert state.membership.lists == ({A, B, C},)
    assert {member.port for member in state.others} == {7001, 7002}
    assert ReplicationState.decode(state.encode()) == state


def test_so_is_one_of_a_server_that_was_alone() -> None:
    lines = [line for line in VERSION_1.splitlines() if "members" not in line]
    state = ReplicationState.decode(signed("\n".join([*lines, '  "members": [],\n'])))
    assert state.membership == Membership()
    assert state.is_member
