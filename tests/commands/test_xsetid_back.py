"""XSETID to an ID below entries that are gone: what is added next may have lower IDs than they had."""

from __future__ import annotations

from pathlib import Path

from tests.support.asking import asker
from tests.support.nodes import open_node


def test_lower_ids_follow_when_all_above_is_gone_also_after_restarts(tmp_path: Path) -> None:
    node = open_node(tmp_path)
    ask = asker(node)
    assert ask("XADD s 5-0 a b") == "5-0"
    ask("XGROUP CREATE s g 0")
    ask("XTRIM s MAXLEN 0")
    assert ask("XSETID s 3-0") == "OK"
    assert ask("XADD s 3-0 a b").startswith("-ERR The ID specified in XADD is equal or smaller")
    assert ask("XADD s 4-0 a b") == "4-0"
    assert ask("XADD s 4-1 a b") == "4-1"
    node.node.stop()
    ask = asker(open_node(tmp_path))
    assert [entry[0] for entry in ask("XRANGE s - +")] == ["4-0", "4-1"]
    info = ask("XINFO STREAM s")
    assert info[info.index("entries-added") + 1] == 3
    assert [entry[0] for entry in ask("XREADGROUP GROUP g c STREAMS s >")[0][1]] == ["4-0", "4-1"]
    assert ask("XADD s 5-0 a b") == "5-0"


def test_what_stays_below_keeps_its_groups_and_pending_entries(tmp_path: Path) -> None:
    node = open_node(tmp_path)
    ask = asker(node)
    for entry_id in ("1-0", "2-0", "5-0"):
        ask(f"XADD t {entry_id} a b")
    ask("XGROUP CREATE t g 0")
    ask("XREADGROUP GROUP g c COUNT 2 STREAMS t >")
    ask("XDEL t 5-0")
    assert ask("XSETID t 4-0").startswith("-ERR The ID specified in XSETID is smaller than current max_deleted")
    assert ask("XSETID t 5-0 ENTRIESADDED 5 MAXDELETEDID 1-0") == "OK"
    assert ask("XSETID t 3-0") == "OK"
    assert ask("XADD t 4-0 a b") == "4-0"
    node.node.stop()
    ask = asker(open_node(tmp_path))
    assert [entry[0] for entry in ask("XRANGE t - +")] == ["1-0", "2-0", "4-0"]
    assert [entry[:2] for entry in ask("XPENDING t g - + 10")] == [["1-0", "c"], ["2-0", "c"]]
    assert [entry[0] for entry in ask("XREADGROUP GROUP g c STREAMS t >")[0][1]] == ["4-0"]
