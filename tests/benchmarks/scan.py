"""A client that reads whole streams from their beginning, over and over, until it is killed.

python -m tests.benchmarks.scan PORT STREAMS
"""

from __future__ import annotations

import re
import sys

from tests.support.servers import HOST
from tests.support.wire import Wire

_LAST_ID = re.compile(rb"(\d+)-0\r\n\*2\r\n\$1\r\nf\r\n\$\d+\r\nx+\r\n$")


def scan(port: int, streams: int) -> None:
    """Pages of 100 entries of each stream."""
    with Wire(HOST, port, timeout=60) as wire:
        while True:
            for number in range(streams):
                start = b"-"
                while (page := wire.call("XRANGE", f"s{number}", start, "+", "COUNT", 100)) != b"*0\r\n":
                    found = _LAST_ID.search(page, page.rindex(b"*2\r\n$1\r\nf\r\n") - 20)
                    assert found, page[:200]
                    start = b"%d-0" % (int(found[1]) + 1)


if __name__ == "__main__":
    scan(*map(int, sys.argv[1:]))
