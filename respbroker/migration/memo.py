"""The file that ``--resume`` names: which streams of the target a migration has brought there.

How far each has come is not in it: the target's last ID says so, and says it exactly whenever the migration ended. What
the file knows is that these streams may be gone on with, where others of the same name would be refused.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import attrs

from respbroker.tools.connection import Failed

FORM: Final = "respbroker migrate 1"


@attrs.frozen
class Memo:
    """What is remembered: servers without passwords, the pattern, and names of streams."""

    source: str
    target: str
    match: bytes
    streams: frozenset[bytes] = frozenset()

    def with_streams(self, names: Iterable[bytes]) -> Memo:
        return attrs.evolve(self, streams=self.streams.union(names))

    def write(self) -> str:
        told = {
            "form": FORM,
            "from": self.source,
            "to": self.target,
            "match": _name(self.match),
            "streams": [_name(name) for name in sorted(self.streams)],
        }
        return json.dumps(told, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, text: str) -> Memo:
        """Raises ValueError where the text is no memo."""
        told = json.loads(text)
        if not isinstance(told, dict) or told.get("form") != FORM:
            raise ValueError
        try:
            names = frozenset(map(_raw, told["streams"]))
            return cls(told["from"], told["to"], _raw(told["match"]), names)
        except (KeyError, TypeError) as error:
            raise ValueError from error


def _name(raw: bytes) -> Any:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode()}


def _raw(name: Any) -> bytes:
    return name.encode() if isinstance(name, str) else base64.b64decode(name["base64"], validate=True)


class MemoFile:
    """A memo, and the file in which it is, if there is one: replaced whole, and synced before anything is built on it.

    Raises:
        Failed: the file cannot be read or written, or belongs to another migration.
    """

    def __init__(self, path: Path | None, memo: Memo) -> None:
        self._path = path
        self.memo = memo
        if path is not None and path.exists():
            self.memo = _read(path)
            if attrs.evolve(self.memo, streams=frozenset()) != memo:
                before = self.memo
                raise Failed(
                    f"{path} is of a migration from {before.source} to {before.target}"
                    f" of the streams {before.match.decode(errors='backslashreplace')}"
                )

    def add(self, names: Iterable[bytes]) -> None:
        memo = self.memo.with_streams(names)
        if memo == self.memo:
            return
        if self._path is not None:
            _replace(self._path, memo.write())
        self.memo = memo


def _read(path: Path) -> Memo:
    try:
        return Memo.read(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Failed(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise Failed(f"{path} is no file of a migration") from None


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(path.name + ".new")
    try:
        with fresh.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise Failed(f"{path} cannot be written: {error.strerror}") from None
