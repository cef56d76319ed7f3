"""One row of a table of settings: how a class body says what each of its attributes is to the outside."""

from __future__ import annotations

from typing import Any

import attrs

from respbroker.model.setting_kinds import Kind


@attrs.frozen
class Setting:
    """One row of the table."""

    name: str  #: as in the file and in CONFIG
    attribute: str
    kind: Kind
    default: Any
    summary: str
    section: str
    mutable: bool  #: whether CONFIG SET may change it
    secret: bool  #: never shown in logs
    protected: bool  #: refused by CONFIG SET in words of its own, as Redis does for paths
    alias: str  #: another name for the file and the command line, or ""
    former: str  #: its name in older versions of Redis, which CONFIG knows as well, or ""

    @property
    def default_text(self) -> str:
        return self.kind.format(self.default)


def setting(
    default: Any,
    kind: Kind,
    summary: str,
    *,
    name: str = "",
    alias: str = "",
    former: str = "",
    fixed: bool = False,
    protected: bool = False,
    secret: bool = False,
) -> Any:
    """A row. ``fixed``: only a restart changes it. The name is the attribute's with dashes unless given."""
    row = {
        "kind": kind,
        "summary": summary,
        "name": name,
        "alias": alias,
        "former": former,
        "mutable": not fixed,
        "protected": protected,
        "secret": secret,
    }
    return attrs.field(default=default, metadata=row, repr=not secret)
