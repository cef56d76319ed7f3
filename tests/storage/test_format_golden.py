"""The bytes on disk: constants, golden files and the worked example in the document say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from storage import Log, LogConfig, Selection
from storage.inspect import main
from tests.support.memory_filesystem import MemoryFileSystem

ROOT = Path(__file__).resolve().parents[2]


def example() -> MemoryFileSystem:
    """The log of docs/log-format.md: two entries and an effect in one append, a snapshot, a roll, one more entry."""
    filesystem = MemoryFileSystem()
    log = Log.open(filesystem, "/log", LogConfig())
    log.append([1700000000000, 1700000000001], [0, 0], [b"first", b"second"], [b"effect"], now_ms=1700000000002)
    log.write_snapshot(b"state", 3)
    log.roll(1700000000003)
    log.leader_epoch = 1
    log.append([1700000000004], [7], [b"third"], now_ms=1700000000005)
    pending = log.unsynced()
    pending.sync()
    log.synced(pending)
    log.close()
    return filesystem


FILES = sorted(path.removeprefix("/log/") for path, inode in example().names.items() if inode)


@pytest.mark.parametrize("name", FILES)
def test_each_file_is_as_the_golden_bytes_and_the_document_have_it(name: str) -> None:
    content = bytes(example().content(f"/log/{name}"))
    golden = (ROOT / "tests/golden" / f"storage-{name}.hex").read_text()
    assert bytes.fromhex(golden) == content
    document = (ROOT / "docs/log-format.md").read_text()
    block = re.search(rf"`{re.escape(name)}`:\n\n```\n(.*?)```", document, re.DOTALL)
    assert block
    in_document = "".join(line.split("  ")[1] for line in block[1].splitlines())
    assert bytes.fromhex(in_document) == content


def test_the_example_is_printed_and_found_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["/log", "--records"], example()) == 0
    printed = capsys.readouterr().out
    assert "byte 0: DATA offset 0 ordinal 0 epoch 0 at 1700000000002 ms, 2 records" in printed
    assert "1 1700000000001-0 b'second'" in printed
    assert "2 effect b'effect'" in printed
    assert printed.endswith("1 logs, 0 damages\n")


def test_damage_anywhere_is_printed_with_its_place_and_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    for name in FILES:
        filesystem = example()
        filesystem.flip(f"/log/{name}", 8 * 40 if "snapshot" not in name else 8 * 25)
        assert main(["/log", "--verify"], filesystem) == 1
        assert f"/log/{name}" in capsys.readouterr().out


def test_logs_below_a_directory_are_all_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    filesystem = MemoryFileSystem()
    filesystem.mkdir("/data")
    for name in ("a", "b"):
        Log.open(filesystem, f"/data/{name}").append([1], [1], [b"x"], now_ms=1)
    assert main(["/data"], filesystem) == 0
    assert capsys.readouterr().out.endswith("2 logs, 0 damages\n")
    filesystem.mkdir("/empty")
    assert main(["/empty"], filesystem) == 2


def cleaned() -> MemoryFileSystem:
    filesystem = MemoryFileSystem()
    log = Log.open(filesystem, "/log")
    payloads = [b"first", b"second", b"third"]
    log.append([1700000000000, 1700000000001, 1700000000002], [0, 0, 0], payloads, [b"effect"], now_ms=1700000000002)
    log.roll(1700000000003)
    log.append([1700000000004], [0], [b"fourth"], now_ms=1700000000005)
    for _ in range(2):
        pending = log.unsynced()
        pending.sync()
        log.synced(pending)
    job = log.clean(log.settled(), Selection({1}))
    job.run()
    log.swap(job)
    return filesystem


def test_a_cleaned_segment_is_as_the_golden_bytes_and_the_document_have_it() -> None:
    content = bytes(cleaned().content("/log/00000000000000000000.log"))
    assert bytes.fromhex((ROOT / "tests/golden/storage-cleaned.log.hex").read_text()) == content
    block = re.search(r"`cleaned segment`:\n\n```\n(.*?)```", (ROOT / "docs/log-format.md").read_text(), re.DOTALL)
    assert block
    assert bytes.fromhex("".join(line.split("  ")[1] for line in block[1].splitlines())) == content


def test_a_cleaned_segment_is_printed_with_what_it_covers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["/log", "--records"], cleaned()) == 0
    printed = capsys.readouterr().out
    assert "offsets 0 to 4, 260 bytes, 2 batches, cleaned" in printed
    assert "DATA offset 0 ordinal 0 to 3" in printed
    assert "2 1700000000002-0 b'third'" in printed
    assert "second" not in printed
