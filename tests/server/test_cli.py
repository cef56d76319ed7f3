"""The words of a command line: the configuration file, and settings by name."""

from __future__ import annotations

import pytest

from respbroker.cli import split_words
from respbroker.model.settings import SettingsError


@pytest.mark.parametrize(
    ("line", "file", "settings"),
    [
        ("", "", []),
        ("a.conf", "a.conf", []),
        ("a.conf --port 1 --dir D", "a.conf", [("port", "1"), ("dir", "D")]),
        ("--port 1 --dir D a.conf", "a.conf", [("port", "1"), ("dir", "D")]),
        ("--port=1 a.conf", "a.conf", [("port", "1")]),
        ("--save 60 100 --port 1", "", [("save", "60 100"), ("port", "1")]),
        ("--replicaof 127.0.0.1 7000 --port 1", "", [("replicaof", "127.0.0.1 7000"), ("port", "1")]),
        ("a.conf --slaveof no one", "a.conf", [("slaveof", "no one")]),
        ("--bind 127.0.0.1 127.0.0.2", "", [("bind", "127.0.0.1 127.0.0.2")]),
    ],
)
def test_a_value_takes_as_many_words_as_its_setting_has_and_what_is_left_is_the_file(line, file, settings):
    assert split_words(line.split()) == (file, settings)


@pytest.mark.parametrize("line", ["--port", "a.conf b.conf", "--port 1 a.conf b.conf", "--dir --port 1"])
def test_a_word_too_many_or_too_few_is_refused(line):
    with pytest.raises(SettingsError):
        split_words(line.split())
