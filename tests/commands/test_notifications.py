"""Keyspace notifications: which events are told, and on which channels."""

from __future__ import annotations

import pytest

from respbroker.sessions.notifications import ALL, Notifications
from tests.support.nodes import NodeUnderTest
from tests.support.wire import frame_end, parse


def configured(letters: str) -> Notifications:
    notifications = Notifications()
    notifications.configure(letters)
    return notifications


KEY = (b"__keyspace@3__:k", b"xadd")
EVENT = (b"__keyevent@3__:xadd", b"k")


@pytest.mark.parametrize(
    ("letters", "told"),
    [
        ("", []),
        ("t", []),
        ("K", []),
        ("Kt", [KEY]),
        ("Et", [EVENT]),
        ("KEt", [KEY, EVENT]),
        ("KEA", [KEY, EVENT]),
        ("KEg$lshzxedmn", []),
    ],
)
def test_an_event_is_told_where_its_class_and_a_channel_are_chosen(
    letters: str, told: list[tuple[bytes, bytes]]
) -> None:
    notifications = configured(letters)
    assert notifications.of("xadd", 3, b"k") == told
    assert notifications.wants("xadd") is bool(told)


def test_events_belong_to_classes() -> None:
    classes = {"xgroup-create": "t", "xtrim": "t", "del": "g", "rename_from": "g", "expire": "g", "expired": "x"}
    classes |= {"new": "n", "keymiss": "m", "evicted": "e"}
    classes |= {"set": "$", "incrby": "$", "append": "$", "hset": "h", "hdel": "h", "zadd": "z", "zpopmin": "z"}
    for event, letter in classes.items():
        assert configured("K" + letter).wants(event)
        everything_else = ALL | {"m", "n"} - {letter}
        assert not configured("K" + "".join(everything_else - {letter})).wants(event)


def test_a_and_its_classes_are_the_same_and_leave_out_the_two_rare_ones() -> None:
    assert configured("KA").classes == configured("Kg$lshzxetd").classes == ALL
    assert not configured("KEA").wants("new")
    assert not configured("KEA").wants("keymiss")


def test_nothing_is_worth_telling_without_a_channel_or_without_a_class() -> None:
    assert not configured("A")
    assert not configured("KE")
    assert configured("Kx")


def events(output: bytes) -> list[tuple[bytes, bytes]]:
    """Channel and message of the pattern messages in ``output``."""
    found = []
    while output:
        end = frame_end(output)
        assert end is not None
        items = parse(output[:end]).items
        assert items is not None
        found.append((items[2].text or b"", items[3].text or b""))
        output = output[end:]
    return found


def test_changes_of_streams_are_published(node: NodeUnderTest) -> None:
    listening, client = node.client(3), node.client()
    node.run(client, "CONFIG", "SET", "notify-keyspace-events", "Kgt")
    node.run(listening, "PSUBSCRIBE", "__key*__:*")
    told: list[str] = []
    for line in (
        "XADD s 1-1 f v",
        "XADD s MAXLEN 1 2-1 f v",
        "XGROUP CREATE s g 0",
        "XREADGROUP GROUP g c STREAMS s >",
        "XGROUP DELCONSUMER s g c",
        "XGROUP SETID s g 0",
        "XGROUP DESTROY s g",
        "XSETID s 5-1",
        "XDEL s 2-1",
        "XDEL s 2-1",
        "RENAME s t",
        "EXPIRE t 100",
        "PERSIST t",
        "DEL t",
    ):
        node.run(client, *line.split())
        told += [message.decode() for _, message in events(node.output(listening))]
    assert told == [
        "xadd", "xadd", "xtrim", "xgroup-create", "xgroup-createconsumer", "xgroup-delconsumer", "xgroup-setid",
        "xgroup-destroy", "xsetid", "xdel", "rename_from", "rename_to", "expire", "persist", "del",
    ]  # fmt: skip


def test_a_refused_value_leaves_the_setting_alone(node: NodeUnderTest) -> None:
    client = node.client()
    node.run(client, "CONFIG", "SET", "notify-keyspace-events", "KEA")
    assert node.run(client, "CONFIG", "SET", "notify-keyspace-events", "Q") == (
        b"-ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - "
        b"Invalid event class character. Use 'Ag$lshzxeKEtmdn'.\r\n"
    )
    assert node.run(client, "CONFIG", "GET", "notify-keyspace-events") == (
        b"*2\r\n$22\r\nnotify-keyspace-events\r\n$3\r\nAKE\r\n"
    )
