"""Who may import whom. Change the table only together with a file in docs/decisions/."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
E, M, R, S, T = (
    "respbroker.errors",
    "respbroker.model",
    "respbroker.resp",
    "respbroker.sessions",
    "respbroker.streams",
)
V = "respbroker.values"
P = "respbroker.replication"
C, B, O = "respbroker.commands", "respbroker.broker", "respbroker.tools"
LAYERS: dict[str, set[str]] = {  # package: what it may import besides the standard library and itself
    "storage": {"attrs", "crc32c"},
    E: set(),
    M: {"attrs", E},
    R: {"attrs", "hiredis", E, M},
    S: {"attrs", E, M, R, C + ".table"},  # .table only for types: a queue holds commands
    V: {"attrs", "sortedcontainers"},
    T: {"attrs", "msgpack", "pyroaring", "sortedcontainers", "xxhash", "storage", E, M, R, V},
    T + ".schemas": {"jsonschema", "referencing", E, M, T + ".schema_keywords"},
    T + ".schema_keywords": {"jsonschema", "re2"},
    P: {"attrs", E, M},
    C: {"attrs", E, M, P + ".history", P + ".state", R, S, T, V, "storage", "respbroker"},  # of P only the values
    B: {"attrs", "msgpack", "sortedcontainers", "storage", E, M, C, P, R, S, T, V, "respbroker"},
    O: {"attrs", "click", "redis", E, M},
    "respbroker.migration": {"attrs", "click", "redis", E, M, O, R},
    "respbroker.testing": {"attrs", "pytest", "redis"},  # starts the command as a process, as anybody would
    "respbroker.server": {"attrs", "click", "trio", "storage", "respbroker"},
    "respbroker.cli": {"click", "trio", "storage", "respbroker"},
    "respbroker.__main__": {"respbroker"},
    "respbroker": set(),
}
TRIO_ROOM, HIREDIS_ROOM = "respbroker.server", R


def modules() -> Iterator[tuple[str, Path]]:
    for top in ("storage", "respbroker"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path: Path, module: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
                yield ".".join([*base[: len(base) - node.level + 1], node.module or ""]).rstrip(".")
            else:
                assert node.module is not None
                yield from (
                    f"{node.module}.{alias.name}" if node.module == "respbroker" else node.module
                    for alias in node.names
                )


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def home_of(module: str) -> str:
    return max((package for package in LAYERS if is_within(module, package)), key=len)


@pytest.mark.parametrize(("module", "path"), list(modules()), ids=lambda value: value if isinstance(value, str) else "")
def test_every_import_goes_the_one_way(module: str, path: Path) -> None:
    home = home_of(module)
    for name in imports(path, module):
        top = name.split(".")[0]
        if top in sys.stdlib_module_names or (is_within(name, home) and home != "respbroker"):
            continue
        if name == "respbroker.__version__":
            continue
        assert any(is_within(name, allowed) for allowed in LAYERS[home]), f"{module} imports {name}"


def test_trio_and_hiredis_stay_in_their_rooms() -> None:
    for module, path in modules():
        names = {name.split(".")[0] for name in imports(path, module)}
        assert "trio" not in names or is_within(module, TRIO_ROOM) or module == "respbroker.cli", module
        assert "hiredis" not in names or is_within(module, HIREDIS_ROOM), module
