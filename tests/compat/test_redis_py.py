"""A slice of redis-py's own test-suite against our server; `python -m tests.compat.redis_py` runs all of it."""

from __future__ import annotations

import pytest

from tests.compat.redis_py import __main__ as suite
from tests.compat.redis_py import left_out
from tests.compat.redis_py.__main__ import Variant
from tests.support import needs
from tests.support.servers import Server

SLICE = (
    "(test_x and not test_xgroup_helper) or pipeline or test_scan or test_client_list or test_set_ or test_get_"
    " or test_mset or test_incr or test_hset or test_hget or test_zadd or test_zpopmin or test_zrange"
)
FILES = ("test_commands.py",)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "variant",
    [Variant(False, 2, True), Variant(True, 3, False)],  # both ways of each choice; one took 24 s at a load of 5
    ids=str,
)
def test_redis_py_passes_a_slice_of_its_tests_on_our_server(respbroker_server: Server, variant: Variant) -> None:
    try:
        suite.fetch()
    except suite.NotFetched as error:
        needs.missing(f"the sdist of redis-py: {error}")
    outcome, output = suite.run(respbroker_server, variant, ["-k", SLICE], FILES)
    assert not outcome.failed, f"{outcome}\n{output[-6000:]}"
    assert outcome.passed >= 60, str(outcome)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("variant", [Variant(False, 2, False), Variant(True, 3, True)], ids=str)
def test_redis_py_passes_its_tests_of_locks_on_our_server(respbroker_server: Server, variant: Variant) -> None:
    try:
        suite.fetch()
    except suite.NotFetched as error:
        needs.missing(f"the sdist of redis-py: {error}")
    outcome, output = suite.run(respbroker_server, variant, files=["test_lock.py"])
    assert not outcome.failed, f"{outcome}\n{output[-6000:]}"
    assert outcome.passed >= 30, str(outcome)
    assert not outcome.left_out, str(outcome)


def test_only_commands_we_do_not_have_excuse_a_failure() -> None:
    assert left_out.outside({"XADD", "XREAD", "DEL"}) is None
    assert left_out.outside({"XADD", "SETBIT"}) == "sends commands that are not there: strings"
    assert left_out.rule_for("tests/test_commands.py::TestRedisCommands::test_xadd") is None


def test_no_command_outside_streams_is_one_of_ours(respbroker_server: Server) -> None:
    named = [name for names in left_out.OUTSIDE.values() for name in names.split()]
    with respbroker_server.connect() as wire:
        known = [name for name in named if b"nknown" not in wire.call(*name.split("|"))]
    assert known == []
