"""A pytest plugin for redis-py's own suite: leaves out what ``left_out`` names, and says why.

Loaded by ``python -m tests.compat.redis_py`` into a pytest that knows nothing else of this project. It watches which
commands each test sends, so that a failure for want of SET is told apart from a failure of ours.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator
from typing import Any

import pytest

sys.path.insert(0, os.path.dirname(__file__))
import left_out  # type: ignore[import-not-found]

if os.environ.get("WITHOUT_HIREDIS"):
    sys.modules["hiredis"] = None  # type: ignore[assignment]  # makes `import hiredis` fail, as if it were not there

SENT: set[str] = set()  # commands sent since the current test began


def _note(words: tuple[Any, ...]) -> None:
    texts = [w.decode("latin-1") if isinstance(w, bytes) else str(w) for w in words[:2]]
    first = texts[0].upper().split(" ")
    SENT.add(first[0])
    SENT.add("|".join([*first, *(text.upper() for text in texts[1:])][:2]))


def _watch(connection: type) -> None:
    send: Callable[..., Any] = connection.send_command  # type: ignore[attr-defined]
    one: Callable[..., Any] = connection.pack_command  # type: ignore[attr-defined]
    many: Callable[..., Any] = connection.pack_commands  # type: ignore[attr-defined]

    def send_command(self: object, *words: Any, **options: Any) -> Any:
        _note(words)
        return send(self, *words, **options)

    def pack_command(self: object, *words: Any) -> Any:
        _note(words)
        return one(self, *words)

    def pack_commands(self: object, commands: Any) -> Any:
        commands = list(commands)
        for words in commands:
            _note(tuple(words))
        return many(self, commands)

    connection.send_command = send_command  # type: ignore[attr-defined]
    connection.pack_command = pack_command  # type: ignore[attr-defined]
    connection.pack_commands = pack_commands  # type: ignore[attr-defined]


def pytest_configure(config: pytest.Config) -> None:
    import redis.asyncio.connection
    import redis.connection

    _watch(redis.connection.AbstractConnection)
    _watch(redis.asyncio.connection.AbstractConnection)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        cluster = item.get_closest_marker("onlycluster")
        reason = "asks for a cluster client" if cluster else left_out.rule_for(item.nodeid)
        if reason:
            item.add_marker(pytest.mark.skip(reason=f"left out: {reason}"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    SENT.clear()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    reason = left_out.outside(SENT) if report.failed else None
    if reason:
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1] or 0, f"left out: {reason}")
    return report
