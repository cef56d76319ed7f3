"""Log lines: plain for people, JSON for programs."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Final

from respbroker.model.settings import Settings

LEVELS: Final = {
    "debug": logging.DEBUG,
    "verbose": logging.INFO,
    "notice": logging.INFO,
    "warning": logging.WARNING,
    "nothing": logging.CRITICAL + 1,
}
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class PlainFormatter(logging.Formatter):
    """``2026-01-31 12:00:00.123 warning  a sentence``, in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_timestamp(record, ' ')} {record.levelname.lower():8} {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, logger, message, and whatever was given as ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": _timestamp(record, "T") + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


def _timestamp(record: logging.LogRecord, between: str) -> str:
    whole = time.strftime(f"%Y-%m-%d{between}%H:%M:%S", time.gmtime(record.created))
    return f"{whole}.{int(record.msecs):03d}"


def configure(settings: Settings) -> None:
    """Send the log where the settings say: standard output, or a file opened for appending."""
    handler: logging.Handler
    if settings.logfile:
        handler = logging.FileHandler(settings.logfile, encoding="utf-8")
    else:
        handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter() if settings.logformat == "json" else PlainFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[settings.loglevel])
