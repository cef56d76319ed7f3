"""A migration that is cut off anywhere goes on where it was: nothing is lost, nothing is there twice."""

from __future__ import annotations

import json
import random
from pathlib import Path

from respbroker.migration.memo import Memo
from tests.migration.cutting import door_to
from tests.migration.moving import BINARY, assert_alike, build, client_of, fill, migrate, migrated, portrait, refusal
from tests.support.servers import Server


def test_it_goes_on_wherever_it_was_cut_off(redis_source: Server, target: Server, tmp_path: Path) -> None:
    client = client_of(redis_source.url)
    build(client)
    client.delete(b"large", BINARY)  # bytes in which a cut looks like any other
    before = portrait(client, idempotency=False)
    chooser = random.Random(5)
    with door_to(target.port) as door:
        migrated(redis_source.url, door.url)
        whole = door.passed
        for number in range(8):
            client_of(target.url).flushall()
            memo = str(tmp_path / f"{number}.json")
            door.open_for = chooser.randrange(whole)
            assert "no server can be reached at" in refusal(redis_source.url, door.url, "--resume", memo)
            door.open_for = chooser.randrange(whole // 2)
            again = migrate(redis_source.url, door.url, "--resume", memo)
            door.open_for = None
            out = migrated(redis_source.url, door.url, "--resume", memo, "--verify")
            assert "could not be kept" not in out, (number, again)
            assert_alike(before, portrait(client_of(target.url), idempotency=False))


def test_called_again_it_brings_what_is_new_and_what_has_gone(redis_source: Server, target: Server, tmp_path) -> None:
    client, memo = client_of(redis_source.url), str(tmp_path / "memo.json")
    build(client)
    migrated(redis_source.url, target.url, "--resume", memo)
    send = client.execute_command
    fill(client, "holes", 3001, 700)
    fill(client, "new", 1, 5)
    send("XDEL", "holes", "1235-2", "2950-1")
    send("XACK", "holes", "workers", "1-1", "1240-1")
    send("XCLAIM", "holes", "workers", "bert", 0, "1241-2")
    send("XREADGROUP", "GROUP", "workers", "dora", "COUNT", 600, "STREAMS", "holes", ">")
    send("XGROUP", "DELCONSUMER", "holes", "workers", "idle")
    send("XGROUP", "DESTROY", "holes", "audit")
    send("XGROUP", "CREATE", "holes", "late", "$")
    send("XTRIM", "large", "MAXLEN", 7)
    send("PERSIST", "expiring")
    migrated(redis_source.url, target.url, "--resume", memo, "--verify")
    assert_alike(portrait(client, idempotency=False), portrait(client_of(target.url), idempotency=False))


def test_what_an_emptied_source_has_not_any_more_stays_in_the_target(redis_source, target, tmp_path) -> None:
    memo = str(tmp_path / "memo.json")
    fill(client_of(redis_source.url), "s", 1, 5)
    migrated(redis_source.url, target.url, "--resume", memo)
    client_of(redis_source.url).flushall()
    out = migrated(redis_source.url, target.url, "--resume", memo)
    assert "Not in the source any more, and left alone in the target: s." in out
    assert client_of(target.url).execute_command("XLEN", "s") == 5


def test_a_target_that_others_write_to_is_not_gone_on_with(redis_source: Server, target: Server, tmp_path) -> None:
    memo = str(tmp_path / "memo.json")
    fill(client_of(redis_source.url), "s", 1, 5)
    migrated(redis_source.url, target.url, "--resume", memo)
    client_of(target.url).execute_command("XADD", "s", "*", "f", "v")
    said = refusal(redis_source.url, target.url, "--resume", memo)
    assert said == "s: the target has newer entries than the source, so somebody writes to it"


def test_the_file_is_readable_and_belongs_to_one_migration(redis_source: Server, target: Server, tmp_path) -> None:
    path = tmp_path / "memo.json"
    fill(client_of(redis_source.url), "s", 1, 1)
    fill(client_of(redis_source.url), BINARY, 1, 1)
    migrated(redis_source.url, target.url, "--resume", str(path))
    told = json.loads(path.read_text())
    assert told["streams"] == ["s", {"base64": "/wANCiAqJA=="}]
    assert (told["from"], told["to"], told["match"]) == (redis_source.url, target.url, "*")
    assert refusal(target.url, redis_source.url, "--resume", str(path)).startswith(f"{path} is of a migration from ")
    path.write_text("{}")
    assert refusal(redis_source.url, target.url, "--resume", str(path)) == f"{path} is no file of a migration"
    nowhere = tmp_path / "missing" / "memo"
    said = refusal(redis_source.url, target.url, "--replace", "--resume", str(nowhere))
    assert said == f"{nowhere} cannot be written: No such file or directory"


def test_a_memo_is_read_as_it_was_written() -> None:
    memo = Memo("redis://a/0", "redis://b/1", b"\xff*").with_streams([b"s", b"\xff\x00", "ü".encode()])
    assert Memo.read(memo.write()) == memo
