"""docs/configuration.md, printed from the table of settings: ``python -m respbroker.model.settings_page``."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from respbroker.model.setting_rows import Setting
from respbroker.model.settings import SETTINGS

HEAD: Final = """\
# Configuration

Every setting can stand in the configuration file, on the command line and, unless it says *at start*, in
`CONFIG SET`:

    respbroker serve respbroker.conf --port 7000 --appendfsync always
    redis-cli config set maxclients 2000 timeout 60
    redis-cli config rewrite

The file has the form of redis.conf: a name and its values on a line, `#` before a comment, quotes around what has
blanks in it. The command line wins over the file, the last line over those before it; lines of `save` add up, and
each line of `client-output-buffer-limit` changes one class. Sizes may have units: `1k` is 1000 bytes, `1kb` is 1024.

Names are those of redis.conf, and Kafka's for the log (`segment.bytes`; on the command line also `--segment-bytes`).
What is here is honoured. A value that cannot be honoured is refused, at the start as in `CONFIG SET`, and so is an
unknown name. One exception makes it easy to start from an existing redis.conf: settings that only tune what is not
here (`hash-max-listpack-entries`, `rdbcompression`, `lua-time-limit`, `repl-backlog-size` …) are passed over with a
warning.

The passwords of `requirepass` and `masterauth` are shown by `CONFIG GET` to those who have given the first, and
nowhere else: not in logs, not in SLOWLOG or MONITOR.

This page is printed from the table in `respbroker/model/settings.py`.
"""


def render() -> str:
    """The whole page."""
    parts = [HEAD]
    for section, rows in groupby(SETTINGS.values(), key=lambda row: row.section):
        parts.append(f"\n## {section}\n\n| setting | default | values | |\n|---|---|---|---|\n")
        parts.extend(_line(row) for row in rows)
    return "".join(parts)


def _line(row: Setting) -> str:
    default = f"`{row.default_text}`" if row.default_text else "none"
    summary = row.summary if row.mutable and not row.protected else f"{row.summary} *At start.*"
    return f"| `{row.name}` | {default} | {row.kind.describe().replace('|', chr(92) + '|')} | {summary} |\n"


if __name__ == "__main__":
    print(render(), end="")
