"""Every command there is: the rows of all families."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from respbroker.commands.table import CommandSpec

_FAMILIES: Final = (
    "append",
    "reads",
)


def _rows() -> tuple[CommandSpec, ...]:
    modules = (import_module(f"respbroker.commands.{family}") for family in _FAMILIES)
    return tuple(spec for module in modules for spec in module.COMMANDS)


ALL_COMMANDS: Final = _rows()
