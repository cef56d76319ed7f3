"""The program that runs Symfony Messenger, whose packages are Debian's."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.applications.worker import Worker
from tests.support import needs

HERE = Path(__file__).parent
LOADS = "exit(extension_loaded('redis') && @include 'Symfony/Component/Messenger/Bridge/Redis/autoload.php' ? 0 : 1);"


@pytest.fixture(scope="module")
def messenger() -> Iterator[Worker]:
    """messenger.php, running."""
    if not shutil.which("php") or subprocess.run(["php", "-r", LOADS], check=False).returncode:
        needs.missing("PHP with Symfony Messenger (Debian: php-cli php-redis php-symfony-redis-messenger)")
    with Worker(["php", "messenger.php"], HERE) as worker:
        yield worker
