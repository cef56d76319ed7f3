"""MONITOR: what it shows, and what it must not show."""

from __future__ import annotations

import re

from respbroker.commands.monitor import quoted_word
from tests.support.nodes import NodeUnderTest

LINE = re.compile(rb"\+(\d+\.\d{6}) \[(\d+) 127\.0\.0\.1:50000\] (.*)\r\n")


def seen(output: bytes) -> list[bytes]:
    """The commands of the lines of a monitor."""
    assert LINE.sub(b"", output) == b""
    return [words for _, _, words in LINE.findall(output)]


def test_a_line_has_time_database_address_and_quoted_words(node: NodeUnderTest) -> None:
    onlooker, client = node.client(), node.client()
    assert node.run(onlooker, "MONITOR") == b"+OK\r\n"
    node.run(client, "SELECT", "3")
    node.run(client, "ping", b'\x00\xff"\\\n\r\t\x07\x08 e')
    assert node.output(onlooker) == (
        b'+1700000000.000000 [3 127.0.0.1:50000] "SELECT" "3"\r\n'
        b'+1700000000.000000 [3 127.0.0.1:50000] "ping" "\\x00\\xff\\"\\\\\\n\\r\\t\\a\\b e"\r\n'
    )


def test_passwords_are_not_shown(node: NodeUnderTest) -> None:
    onlooker, client = node.client(), node.client()
    node.run(onlooker, "MONITOR")
    for line in ("AUTH secret", "AUTH user secret", "HELLO 3 SETNAME me AUTH default secret"):
        node.run(client, *line.split())
    assert seen(node.output(onlooker)) == [
        b'"AUTH" "(redacted)"',
        b'"AUTH" "(redacted)" "(redacted)"',
        b'"HELLO" "3" "SETNAME" "me" "AUTH" "(redacted)" "(redacted)"',
    ]


def test_only_commands_that_ran_and_are_not_for_administrators_are_shown(node: NodeUnderTest) -> None:
    onlooker, client = node.client(), node.client()
    node.run(onlooker, "MONITOR")
    for line in ("NOPE", "XADD s", "CLIENT LIST", "CONFIG GET port", "XADD s x f v", "CLIENT ID"):
        node.run(client, *line.split())
    assert seen(node.output(onlooker)) == [b'"XADD" "s" "x" "f" "v"', b'"CLIENT" "ID"']


def test_a_transaction_is_shown_command_by_command_when_it_runs(node: NodeUnderTest) -> None:
    onlooker, client = node.client(), node.client()
    node.run(onlooker, "MONITOR")
    for line in ("MULTI", "PING", "SELECT 3", "EXEC"):
        node.run(client, *line.split())
    output = node.output(onlooker)
    assert seen(output) == [b'"MULTI"', b'"PING"', b'"SELECT" "3"', b'"EXEC"']
    assert [db for _, db, _ in LINE.findall(output)] == [b"0", b"0", b"3", b"3"]


def test_an_onlooker_sees_itself_but_may_not_touch_keys(node: NodeUnderTest) -> None:
    onlooker = node.client()
    node.run(onlooker, "MONITOR")
    assert node.run(onlooker, "MONITOR") == b""
    assert node.run(onlooker, "XLEN", "s") == b"-ERR Replica can't interact with the keyspace\r\n"
    reply, _, line = node.run(onlooker, "PING").partition(b"\r\n")
    assert reply == b"+PONG"
    assert seen(line) == [b'"PING"']


def test_monitor_is_refused_inside_a_transaction(node: NodeUnderTest) -> None:
    client = node.client()
    node.run(client, "MULTI")
    node.run(client, "MONITOR")
    assert node.run(client, "EXEC") == b"*1\r\n-ERR MONITOR isn't allowed for DENY BLOCKING client\r\n"


def test_an_onlooker_that_goes_leaves_nothing_behind(node: NodeUnderTest) -> None:
    onlooker, client = node.client(), node.client()
    node.run(onlooker, "MONITOR")
    node.node.disconnect(onlooker)
    assert node.run(client, "PING") == b"+PONG\r\n"
    assert onlooker.out == []


def test_every_byte_is_shown_in_printable_ascii() -> None:
    shown = quoted_word(bytes(range(256)))
    assert all(0x20 <= byte < 0x7F for byte in shown)
    assert shown.startswith(b'"\\x00\\x01')
