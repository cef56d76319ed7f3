"""How far a migration has come: a line for people, from counts and times."""

from __future__ import annotations

import sys
import time
from typing import Final

import attrs
import click

from respbroker.tools.output import duration

EVERY_SECONDS: Final = 0.5
EVERY_SECONDS_IN_A_LOG: Final = 10.0
BAR: Final = 20


@attrs.frozen
class Progress:
    """So many entries of so many, after so many seconds."""

    done: int
    total: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds, as far as one can tell."""
        return max(self.total - self.done, 0) / self.rate if self.rate else None

    def line(self) -> str:
        share = min(self.done / self.total, 1.0) if self.total else 1.0
        bar = "#" * int(share * BAR)
        left = duration(self.left)
        what = f"{self.done:,} of {max(self.total, self.done):,} entries, {self.rate:,.0f}/s"
        return f"[{bar:<{BAR}}] {share:4.0%}  {what}" + (f", {left} left" if left else "")


class Meter:
    """Shows the line now and then on standard error: over itself on a terminal, one below the other in a file."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._start = self._shown = time.monotonic()
        self._is_terminal = sys.stderr.isatty()
        self._is_over_line = False

    def now(self, done: int) -> Progress:
        return Progress(done, self._total, time.monotonic() - self._start)

    def show(self, done: int) -> None:
        now = time.monotonic()
        if now - self._shown < (EVERY_SECONDS if self._is_terminal else EVERY_SECONDS_IN_A_LOG):
            return
        self._shown = now
        click.echo(
            ("\r\x1b[K" if self._is_terminal else "") + self.now(done).line(), err=True, nl=not self._is_terminal
        )
        self._is_over_line = self._is_terminal

    def clear(self) -> None:
        """Take the line away before something else is printed."""
        if self._is_over_line:
            click.echo("\r\x1b[K", err=True, nl=False)
            self._is_over_line = False
