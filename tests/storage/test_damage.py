"""Damage is never silent: every flipped bit of every file is refused with its place, or made good from the log."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from storage import CorruptLog, Log, LogConfig, MissingLog, MissingSegment
from storage.batch import MORE, encode_effects, encode_entries
from tests.support.memory_filesystem import MemoryFileSystem

CONFIG = LogConfig(segment_bytes=400, index_interval_bytes=150)
FIRST = "/log/00000000000000000000.log"


def open_log(filesystem: MemoryFileSystem, *, create: bool = False, ran_on: bool = False) -> Log:
    return Log.open(filesystem, "/log", CONFIG, create=create, ran_on=ran_on)


def sync(log: Log) -> None:
    pending = log.unsynced()
    pending.sync()
    log.synced(pending)


def small_log(appends: int = 4, *, synced: bool, segment_bytes: int = 10**6) -> MemoryFileSystem:
    filesystem = MemoryFileSystem()
    log = Log.open(filesystem, "/log", LogConfig(segment_bytes=segment_bytes, index_interval_bytes=150))
    for i in range(appends):
        log.append([i + 1], [0], [b"payload %d" % i], [b"effect %d" % i], now_ms=i)
    if synced:
        log.write_snapshot(b"the state", log.end_offset)
        sync(log)
        log.close()
    return filesystem.killed()


def everything(log: Log) -> tuple[object, ...]:
    first, end = log.first_ordinal, log.end_ordinal
    return log.read_each(first, end), log.ids(first, end), list(log.controls()), log.newest_snapshot(), log.end_offset


def bits_of(filesystem: MemoryFileSystem, path: str) -> range:
    return range(0, 8 * len(filesystem.content(path)), 5)


def refused_or_equal(broken: MemoryFileSystem, path: str, expected: tuple[object, ...]) -> str:
    before = {name: bytes(inode.current) for name, inode in broken.names.items() if inode}
    refusal = None
    try:
        found = everything(open_log(broken))
    except CorruptLog as error:
        refusal = error
    if refusal:
        assert refusal.file == path
        assert refusal.position is not None
        kept = {name: bytes(inode.current) for name, inode in broken.names.items() if inode}
        assert kept == before  # nothing is repaired by deleting
        return "refused"
    assert found == expected
    return "equal"


def test_a_flipped_bit_anywhere_in_the_synced_log_is_refused_with_its_place() -> None:
    filesystem = small_log(synced=True)
    expected = everything(open_log(filesystem.killed()))
    for bit in bits_of(filesystem, FIRST):
        broken = filesystem.killed()
        broken.flip(FIRST, bit)
        assert refused_or_equal(broken, FIRST, expected) == "refused", bit


def test_a_flipped_bit_behind_the_recovery_point_is_damage_if_a_batch_follows_and_else_a_torn_tail() -> None:
    filesystem = small_log(synced=False)
    expected = everything(open_log(filesystem.killed()))
    last = len(small_log(3, synced=False).content(FIRST))
    last_batch = bytes(filesystem.content(FIRST)).rindex(b"SBL\x01")
    for bit in bits_of(filesystem, FIRST):
        broken = filesystem.killed()
        broken.flip(FIRST, bit)
        size_field = last_batch + 4 <= bit // 8 < last_batch + 8  # it lies, for the CRC holds without it
        if bit // 8 < last_batch or size_field:
            assert refused_or_equal(broken, FIRST, expected) == "refused", bit
        else:
            log = open_log(broken)
            assert log.end_offset == 6
            assert log.report.cut == (FIRST, 6, last)
            assert log.report.dropped_bytes == len(filesystem.content(FIRST)) - last


def test_where_the_machine_ran_on_a_flipped_bit_is_damage_in_the_last_append_as_well() -> None:
    filesystem = small_log(synced=False)
    last_batch = bytes(filesystem.content(FIRST)).rindex(b"SBL\x01")
    for bit in bits_of(filesystem, FIRST):
        broken = filesystem.killed()
        broken.flip(FIRST, bit)
        with pytest.raises(CorruptLog) as caught:
            open_log(broken, ran_on=True)
        assert caught.value.file == FIRST
        if bit // 8 >= last_batch:
            assert caught.value.position == last_batch


def test_where_the_machine_ran_on_a_write_cut_short_anywhere_is_a_torn_tail() -> None:
    filesystem = small_log(synced=False)
    expected = everything(open_log(filesystem.killed()))
    whole = len(filesystem.content(FIRST))
    before = len(small_log(3, synced=False).content(FIRST))
    for size in range(before + 1, whole):
        torn = filesystem.killed()
        del torn.content(FIRST)[size:]
        assert open_log(torn, ran_on=True).report.dropped_bytes == size - before
    assert everything(open_log(filesystem.killed(), ran_on=True)) == expected


@pytest.mark.parametrize("name", ["checkpoint", "00000000000000000008.snapshot"])
def test_a_flipped_bit_in_a_checkpoint_or_snapshot_is_made_good_from_the_log(name: str) -> None:
    filesystem = small_log(synced=True)
    expected = everything(open_log(filesystem.killed()))
    for bit in bits_of(filesystem, f"/log/{name}"):
        broken = filesystem.killed()
        broken.flip(f"/log/{name}", bit)
        found = everything(open_log(broken))
        assert found[:3] == expected[:3]
        assert found[3] in (expected[3], None)  # without the snapshot all effects are replayed


def test_a_flipped_bit_in_an_index_is_made_good_from_the_log() -> None:
    filesystem = small_log(9, synced=True, segment_bytes=700)
    index = "/log/00000000000000000000.index"
    expected = everything(open_log(filesystem.killed()))
    for bit in bits_of(filesystem, index):
        broken = filesystem.killed()
        broken.flip(index, bit)
        assert everything(open_log(broken)) == expected


def test_an_index_of_another_segment_with_good_checksums_is_found_out() -> None:
    filesystem = small_log(12, synced=True, segment_bytes=700)
    indexes = [path for path in filesystem.names if path.endswith(".index")]
    expected = everything(open_log(filesystem.killed()))
    filesystem.content(indexes[0])[:] = filesystem.content(indexes[1])
    assert everything(open_log(filesystem)) == expected


def test_a_damaged_snapshot_whose_records_are_dropped_is_an_error() -> None:
    filesystem = small_log(12, synced=True, segment_bytes=700)
    log = open_log(filesystem)
    assert log.drop_before(log.end_ordinal) > 0
    log.close()
    snapshot = next(path for path in filesystem.names if path.endswith(".snapshot"))
    filesystem.flip(snapshot, 200)
    with pytest.raises(CorruptLog, match="snapshot"):
        open_log(filesystem).newest_snapshot()


def test_damage_in_one_place_leaves_the_rest_readable() -> None:
    filesystem = small_log(12, synced=True, segment_bytes=700)
    filesystem.flip(FIRST, 8 * 90)
    log = open_log(filesystem)
    with pytest.raises(CorruptLog) as caught:
        log.read(0, 1)
    assert (caught.value.file, caught.value.offset, caught.value.position) == (FIRST, 0, 0)
    assert log.read_each(11, 12) == [b"payload 11"]
    log.append([99], [0], [b"more"], now_ms=99)


def torn_bytes() -> bytes:
    buffers = encode_entries([50, 51], [0, 0], [b"a" * 20, b"b" * 20], 8, 4, 9, 0, MORE)
    return b"".join((*buffers, *encode_effects([b"effect"], (51, 0), 10, 6, 9, 0)))


@pytest.mark.parametrize("fill", [lambda n: b"", lambda n: b"\0" * n, lambda n: b"\0" * 5000])
def test_a_tail_torn_at_any_byte_is_cut_and_reported(fill: Callable[[int], bytes]) -> None:
    filesystem = small_log(synced=False)
    expected = everything(open_log(filesystem.killed()))
    size = len(filesystem.content(FIRST))
    tail = torn_bytes()
    for torn_at in range(1, len(tail)):
        torn = filesystem.killed()
        torn.content(FIRST)[size:] = tail[:torn_at] + fill(len(tail) - torn_at)
        dropped = len(torn.content(FIRST)) - size
        log = open_log(torn)
        assert log.report.cut == (FIRST, 8, size)
        assert log.report.dropped_bytes == dropped
        assert everything(log) == expected


def test_a_synced_file_that_became_shorter_is_an_error() -> None:
    filesystem = small_log(synced=True)
    del filesystem.content(FIRST)[-1:]
    with pytest.raises(CorruptLog, match="shorter"):
        open_log(filesystem)


def test_a_missing_segment_is_named() -> None:
    filesystem = small_log(16, synced=True, segment_bytes=700)
    segments = sorted(path for path in filesystem.names if path.endswith(".log"))
    assert len(segments) > 3
    for path in segments:
        broken = filesystem.killed()
        broken.remove(path)
        with pytest.raises(MissingSegment) as caught:
            open_log(broken)
        assert caught.value.file == path


def test_a_directory_without_its_segments_is_not_an_empty_log() -> None:
    filesystem = small_log(synced=True)
    filesystem.remove(FIRST)
    with pytest.raises(MissingSegment):
        open_log(filesystem, create=True)


def test_a_log_that_is_not_there_is_made_only_if_asked_for() -> None:
    filesystem = MemoryFileSystem()
    with pytest.raises(MissingLog):
        open_log(filesystem)
    filesystem.mkdir("/log")
    with pytest.raises(MissingLog):
        open_log(filesystem)
    assert open_log(filesystem, create=True).report.created


def test_foreign_files_are_reported_and_left_alone() -> None:
    filesystem = small_log(synced=True)
    for name in ("notes.txt", "1.log", "00000000000000000000.log~", "checkpoint.old"):
        filesystem.open(f"/log/{name}", create=True)
    log = open_log(filesystem)
    assert log.report.foreign == ("00000000000000000000.log~", "1.log", "checkpoint.old", "notes.txt")
    assert "/log/notes.txt" in filesystem.names
