"""What only the operating system knows of this process: memory, CPU time, files."""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import respbroker

CACHED_SECONDS: Final = 0.1  # maxmemory asks at every write
_PAGE: Final = resource.getpagesize()
_RSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024


class ProcessFacts:
    """Called by the node for INFO; the numbers are at most `CACHED_SECONDS` old."""

    def __init__(self, port: int, config_file: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = float("-inf")
        self._moving: dict[str, Any] = {}
        self._fixed: dict[str, Any] = {
            "respbroker_version": respbroker.__version__,
            "os": f"{platform.system()} {platform.release()} {platform.machine()}",
            "arch_bits": 64 if sys.maxsize > 2**32 else 32,
            "process_id": os.getpid(),
            "executable": sys.executable,
            "config_file": config_file,
            "tcp_port": port,
            "boot_id": _boot_id(),
            "total_system_memory": os.sysconf("SC_PHYS_PAGES") * _PAGE,
            "used_memory_startup": resident_bytes(),
        }

    def __call__(self) -> dict[str, Any]:
        now = self._clock()
        if now - self._at >= CACHED_SECONDS:
            self._at = now
            self._moving = _measure()
        return self._fixed | self._moving


def resident_bytes() -> int:
    """Memory of this process that is in RAM now; where the system does not say, its peak."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT


def _measure() -> dict[str, Any]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    resident = resident_bytes()
    return {
        "used_memory": resident,
        "used_memory_rss": resident,
        "used_memory_peak": max(resident, usage.ru_maxrss * _RSS_UNIT),
        "used_cpu_user": usage.ru_utime,
        "used_cpu_sys": usage.ru_stime,
        "used_cpu_user_children": children.ru_utime,
        "used_cpu_sys_children": children.ru_stime,
    }


def _boot_id() -> str:
    """Another one after each start of the machine; empty where that is not known."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
