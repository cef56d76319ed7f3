"""redis-py's own test-suite, from its sdist, against a server started here.

    python -m tests.compat.redis_py                      sync and asyncio, RESP2 and RESP3, with hiredis and without
    python -m tests.compat.redis_py --sync --protocol 3 --hiredis -k xadd
    python -m tests.compat.redis_py --server redis       the same on redis-server 8.2, to know that a test is sound

The sdist of the installed version, and pytest-asyncio which it needs, are fetched once into a cache directory.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from tests.compat.redis_py import left_out
from tests.support import servers
from tests.support.servers import Server

HERE = Path(__file__).parent
EXTRA = "pytest-asyncio"  # not in the tests extra: it would change how every other test here is run


@attrs.frozen
class Variant:
    """One way of using the library."""

    asyncio: bool
    protocol: int
    hiredis: bool

    def __str__(self) -> str:
        parser = "hiredis" if self.hiredis else "python parser"
        return f"{'asyncio' if self.asyncio else 'sync'}, RESP{self.protocol}, {parser}"


@attrs.define
class Outcome:
    passed: int = 0
    failed: list[str] = attrs.Factory(list)
    left_out: Counter[str] = attrs.Factory(Counter)  # our reasons
    skipped: Counter[str] = attrs.Factory(Counter)  # the suite's own reasons

    def __str__(self) -> str:
        ours, theirs = self.left_out.total(), self.skipped.total()
        return f"{self.passed} passed, {len(self.failed)} failed, {ours} left out, {theirs} skipped by the suite itself"


class NotFetched(Exception):
    """The package index gave no sdist."""


def cache_directory() -> Path:
    version = importlib.metadata.version("redis")
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "respbroker-tests" / f"redis-py-{version}"


def fetch() -> tuple[Path, Path]:
    """Directories of the unpacked sdist and of the packages it needs; fetched when they are not there."""
    version = importlib.metadata.version("redis")
    cache = cache_directory()
    suite, extra = cache / f"redis-{version}", cache / "extra"
    cache.mkdir(parents=True, exist_ok=True)
    if not (suite / "tests" / "conftest.py").exists():
        with tempfile.TemporaryDirectory(dir=cache) as download:
            _pip("download", "--no-deps", "--no-binary", "redis", f"redis=={version}", "-d", download)
            with tarfile.open(next(Path(download).glob("*.tar.gz"))) as archive:
                archive.extractall(cache, filter="data")
    if not (extra / "pytest_asyncio").exists():
        _pip("install", "--no-deps", "--target", str(extra), EXTRA)
    return suite, extra


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments, "-q"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise NotFetched(done.stderr.strip() or done.stdout.strip())


def run(
    server: Server, variant: Variant, options: Sequence[str] = (), files: Sequence[str] = ()
) -> tuple[Outcome, str]:
    """Run the suite in one way; what came of it, and what pytest printed."""
    suite, extra = fetch()
    folder = "tests/test_asyncio/" if variant.asyncio else "tests/"
    paths = [folder + name for name in files or left_out.FILES if (suite / (folder + name)).exists()]
    paths = [path for path in paths if variant.asyncio or "test_asyncio" not in path]
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(scratch) / "results.xml"
        quiet = [
            "-q",
            "--no-header",
            "--tb=native",  # the other styles parse a whole file of the suite for each failure: minutes
            "-p",
            "no:cacheprovider",
            "-W",
            "ignore",
            "-o",
            "xfail_strict=false",
        ]
        where = ["--redis-url", server.url, "--protocol", str(variant.protocol), f"--junitxml={results}"]
        plugin = ["-p", "observer", "-p", "no:xdist", "--timeout=60"]
        command = [sys.executable, "-m", "pytest", *plugin, *quiet, *where, *options, *paths]
        done = subprocess.run(command, cwd=suite, env=_environment(extra, variant), capture_output=True, text=True)
        if not results.exists():
            raise RuntimeError(f"pytest did not run:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return _read(results), done.stdout


def _environment(extra: Path, variant: Variant) -> dict[str, str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(extra), str(HERE)])}
    environment.pop("PYTEST_ADDOPTS", None)
    if not variant.hiredis:
        environment["WITHOUT_HIREDIS"] = "1"
    return environment


def _read(results: Path) -> Outcome:
    outcome = Outcome()
    for case in ElementTree.parse(results).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            outcome.failed.append(name)
        elif skipped is not None:
            message = skipped.get("message") or ""
            ours, reason = message.startswith("left out: "), message.removeprefix("left out: ")
            (outcome.left_out if ours else outcome.skipped)[reason] += 1
        else:
            outcome.passed += 1
    return outcome


def variants(chosen: argparse.Namespace) -> Iterator[Variant]:
    for asyncio in (False, True):
        for protocol in (2, 3):
            for hiredis in (True, False):
                wanted = chosen.asyncio in (None, asyncio) and chosen.hiredis in (None, hiredis)
                if wanted and chosen.protocol in (None, protocol):
                    yield Variant(asyncio, protocol, hiredis)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all variants asked for; exit status 1 when a test failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sync", dest="asyncio", action="store_false", default=None)
    parser.add_argument("--asyncio", dest="asyncio", action="store_true", default=None)
    parser.add_argument("--protocol", type=int, choices=(2, 3))
    parser.add_argument("--hiredis", action=argparse.BooleanOptionalAction, default=None)
    parser.add_argument("--server", choices=servers.PEERS, default="respbroker")
    parser.add_argument("--files", nargs="*", default=(), help="of the suite, instead of all that concern us")
    parser.add_argument("-k", dest="expression", help="as in pytest")
    parser.add_argument("-v", dest="verbose", action="store_true", help="show pytest's output and all reasons")
    chosen = parser.parse_args(arguments)
    options = ["-k", chosen.expression] if chosen.expression else []
    failed = 0
    for variant in variants(chosen):
        with servers.running(chosen.server) as server:
            outcome, output = run(server, variant, options, chosen.files)
        print(f"{variant}: {outcome}", flush=True)
        if chosen.verbose:
            print(output)
            for reason, count in (outcome.left_out + outcome.skipped).most_common():
                print(f"  {count:4} {reason}")
        for name in outcome.failed:
            print(f"  failed: {name}", flush=True)
        failed += len(outcome.failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
