"""Prints the table of topic settings that stands in docs/topics.md: ``python -m tests.tidy.topic_table``."""

from __future__ import annotations

from itertools import groupby

from respbroker.model.topic_settings import TOPIC_SETTINGS


def render() -> str:
    """One table, a row for each setting, sections as rows of their own name."""
    lines = ["| setting | default | values | |", "|---|---|---|---|"]
    for _, rows in groupby(TOPIC_SETTINGS.values(), key=lambda row: row.section):
        for row in rows:
            default = row.default_text
            shown = f"`{default}`" if default else "the server's" if row.default is None else "none"
            values = row.kind.describe().partition(";")[0]
            lines.append(f"| `{row.name}` | {shown} | {values} | {row.summary} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(render())
