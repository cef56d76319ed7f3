"""What the tools print, piece by piece."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respbroker.tools import output


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@settings(max_examples=20, deadline=None)
@given(names=st.lists(st.binary(max_size=12).map(lambda name: name.replace(b"\0", b"0")), min_size=1, max_size=40))
def test_a_shell_takes_back_every_name_that_was_shown(names):
    words = " ".join(map(output.shown, [*names, "日本 é".encode(), b"it's", b"$HOME`x`", b"\\", b"", b"-n"]))
    done = subprocess.run(["bash", "-c", rf"printf '%s\0' {words}"], capture_output=True, check=True)
    assert done.stdout.split(b"\0")[: len(names)] == names
    assert done.stdout.split(b"\0")[len(names) : -1] == [
        "日本 é".encode(), b"it's", b"$HOME`x`", b"\\", b"", b"-n"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, None),
        (0, "0.0s"),
        (9.96, "10.0s"),
        (12.7, "12s"),
        (59.9, "59s"),
        (60, "1m00s"),
        (3599, "59m59s"),
        (7500, "2h05m"),
        (86399, "23h59m"),
        (100_000, "1d03h"),
        (40_000_000, "462d23h"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds, text):
    assert output.duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 30, "5.0 GiB"), (9 << 50, "9216.0 TiB")]
)
def test_a_size_is_in_the_largest_unit_that_fits(number, text):
    assert output.size(number) == text


@pytest.mark.parametrize(
    ("numbers", "text"), [([], None), ([3], "3"), ([0, 1, 2], "0-2"), ([0, 2, 3, 7], "0,2-3,7"), ((0, 1), "0-1")]
)
def test_neighbours_are_a_range(numbers, text):
    assert output.ranges(numbers) == text


def test_tables_line_up_and_leave_out_what_is_empty(capsys):
    output.print_table(("NAME", "OWNER", ">LAG"), [("日本", None, 5), ("é", None, 1234)])
    assert capsys.readouterr().out == "NAME   LAG\n日本     5\né     1234\n"
    output.print_table(("NAME", ">LAG"), [])
    assert capsys.readouterr().out == "NAME  LAG\n"
