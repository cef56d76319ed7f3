"""walrus: containers of streams, consumer groups over several of them, and time series."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import walrus

from tests.support.servers import Server


@pytest.fixture
def database(server: Server) -> Iterator[walrus.Database]:
    database = walrus.Database.from_url(server.url)
    yield database
    database.close()


def fields(entries: list[tuple[bytes, dict[bytes, bytes]]]) -> list[bytes]:
    return [fields[b"n"] for _, fields in entries]


def test_a_stream_is_a_container_that_is_indexed_sliced_and_trimmed(database: Any) -> None:
    stream = database.Stream("events")
    first, second, third = (stream.add({"n": n}) for n in (1, 2, 3))

    assert len(stream) == 3
    assert stream[second] == (second, {b"n": b"2"})
    assert fields(stream[second:]) == [b"2", b"3"]
    assert fields(stream[:second]) == [b"1", b"2"]
    assert fields(stream[first:third:2]) == [b"1", b"2"]
    assert fields(list(stream)) == [b"1", b"2", b"3"]
    assert fields(stream.revrange(count=2)) == [b"3", b"2"]
    assert stream["1-1"] is None

    del stream[second]
    assert fields(list(stream)) == [b"1", b"3"]
    assert stream.trim(1, approximate=False) == 1
    assert fields(stream.read(last_id=first)) == [b"3"]
    assert stream.read(block=1, last_id=third) == []

    above = b"%d-0" % (int(third.split(b"-")[0]) + 60_000)
    assert stream.set_id(above)
    assert stream.info()["last-generated-id"] == above
    with pytest.raises(redis.ResponseError, match="equal or smaller"):
        stream.add({"n": 4}, id=third)


def test_creating_a_group_makes_its_streams_with_a_first_entry_that_is_gone_again(database: Any) -> None:
    """walrus adds an empty field with an empty value as 0-1 and deletes it: every version of Redis can do that."""
    group = database.consumer_group("workers", ["a", "b"])
    assert group.create() == {"a": True, "b": True}
    assert group.create() == {"a": False, "b": False}  # BUSYGROUP
    assert database.type("a") == b"stream"
    info = group.stream_info()["a"]
    assert (info["length"], info["last-generated-id"], info["groups"]) == (0, b"0-1", 1)
    assert group.destroy() == {"a": True, "b": True}


def test_a_consumer_group_reads_several_streams_and_gives_what_a_dead_consumer_held_to_another(database: Any) -> None:
    anna = database.consumer_group("workers", ["a", "b"], consumer="anna")
    anna.create()
    anna.set_id("$")
    added = [database.xadd(key, {"n": n}) for n, key in enumerate("abab")]

    read = dict(anna.read(count=1))
    assert {key: fields(entries) for key, entries in read.items()} == {b"a": [b"0"], b"b": [b"1"]}
    assert fields(anna.a.read()) == [b"2"]
    assert anna.a.ack(added[0]) == 1
    assert [(each["message_id"], each["consumer"]) for each in anna.a.pending()] == [(added[2], b"anna")]

    ben = anna.consumer("ben")
    assert fields(ben.a.claim(added[2])) == [b"2"]
    next_start, claimed, gone = ben.b.autoclaim("ben", 0)
    assert (next_start, fields(claimed), gone) == (b"0-0", [b"1"], [])
    assert fields(ben.b.read(last_id="0")) == [b"1"]
    assert [each["consumer"] for each in ben.a.pending(consumer="ben", idle=0)] == [b"ben"]
    assert ben.a.ack(added[2]) == 1
    assert ben.b.ack(added[1]) == 1
    assert dict(ben.read()) == {b"b": [(added[3], {b"n": b"3"})]}

    assert {each["name"]: each["pending"] for each in ben.b.consumers_info()} == {b"anna": 0, b"ben": 1}
    assert ben.b.delete_consumer() == 1
    assert [each["name"] for each in ben.b.consumers_info()] == [b"anna"]


def test_a_group_that_is_reset_is_given_everything_again(database: Any) -> None:
    group = database.consumer_group("workers", ["a"])
    for n in (1, 2):
        database.xadd("a", {"n": n})
    group.create()
    assert fields(group.a.read()) == [b"1", b"2"]
    assert group.read() == []
    group.reset()
    assert fields(group.a.read(count=1)) == [b"1"]
    (info,) = group.a.groups_info()
    assert (info["name"], info["pending"], info["entries-read"], info["lag"]) == (b"workers", 2, 1, 1)


def test_a_time_series_is_written_and_read_with_datetimes(database: Any) -> None:
    series = database.time_series("readers", ["temperature", "wind"])
    series.create()
    series.set_id("0-2")  # behind the entry that walrus made the streams with
    noon = datetime.datetime(2026, 6, 1, 12)
    minutes = [noon + datetime.timedelta(minutes=n) for n in range(3)]
    for n, moment in enumerate(minutes):
        assert series.temperature.add({"n": n}, moment) == (moment, 0)
        series.wind.add({"n": 10 + n}, (moment, 7))

    assert [(m.stream, m.timestamp, m.sequence, m.data) for m in series.read(count=1)] == [
        ("temperature", noon, 0, {"n": "0"}),
        ("wind", noon, 7, {"n": "10"}),
    ]
    between = series.temperature.range(minutes[1], minutes[2])
    assert [message.data["n"] for message in between] == ["1", "2"]
    assert series.wind.get((minutes[2], 7)).data == {"n": "12"}
    (moment, consumer, _, deliveries), *_ = series.temperature.pending(minutes[0], minutes[1])
    assert (moment, consumer, deliveries) == ((noon, 0), "readers.c1", 1)
    assert series.temperature.ack(between[0], noon) == 1
    assert series.temperature.delete(between[1]) == 1
    with pytest.raises(redis.ResponseError, match="equal or smaller"):
        series.temperature.add({"n": 9}, noon)


def test_a_walrus_that_was_reading_goes_on_after_the_server_was_killed(lasting_server: Server) -> None:
    database = walrus.Database.from_url(lasting_server.url)
    group = database.consumer_group("workers", ["a"])
    group.create()
    added = [database.xadd("a", {"n": n}) for n in range(3)]
    assert fields(group.a.read(count=2)) == [b"0", b"1"]
    group.a.ack(added[0])

    lasting_server.kill()
    lasting_server.start_again()
    assert fields(group.a.read(last_id="0")) == [b"1"]
    assert fields(group.a.read()) == [b"2"]
    assert group.a.ack(*added) == 2
    database.close()
