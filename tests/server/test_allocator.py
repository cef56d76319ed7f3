"""The allocator takes what it is told, where it is one that can be told."""

from __future__ import annotations

import platform
import subprocess
import sys

FAULTS = """
import resource
from respbroker.server.allocator import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def tick():
    return [bytes(100_000) for _ in range(60)]

kept = keep_freed_memory()
tick()
before = faults()
for _ in range(20):
    tick()
print(kept, faults() - before)
"""


def test_a_tick_of_large_values_uses_the_pages_of_the_tick_before() -> None:
    """In a process of its own: what is asked for holds for the whole process."""
    kept, faults = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True
    ).stdout.split()
    if platform.libc_ver()[0] == "glibc":
        assert kept == "True"
        assert int(faults) < 1000  # otherwise 29,000
    else:
        assert kept == "False"
