"""The C library's allocator, told to keep what it gets back.

By default glibc maps every block of 128 kB and more anew and gives memory at the top of the heap back at once. A tick
of large values then pays for the same pages, cleared by the kernel, again and again: of the time of XADD with 10 kB
values that was a third.
"""

from __future__ import annotations

import ctypes
from typing import Final

KEPT_BYTES: Final = 32 << 20  # the most that glibc allows for the second
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def keep_freed_memory() -> bool:
    """Ask for it; False where the C library knows no such thing (not glibc)."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES) and mallopt(_M_MMAP_THRESHOLD, KEPT_BYTES))
