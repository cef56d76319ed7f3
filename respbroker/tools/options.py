"""What all the tools' commands have in common: where the server is, and how to print."""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Callable
from typing import Any

import click

from respbroker.tools.connection import DEFAULT_URL, Failed, Refusal, Server


def raw_name(value: str) -> bytes:
    """The name of a key or a group: any bytes that a shell can give."""
    return os.fsencode(value)


as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def asks_server(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the option ``--url``, and the server there as its first argument.

    A refusal that the command did not expect is told in the server's words.
    """

    @click.option(
        "--url",
        default=DEFAULT_URL,
        envvar="RESPBROKER_URL",
        show_default=True,
        show_envvar=True,
        help="The server: redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], rediss:// with TLS, unix://PATH.",
    )
    @functools.wraps(function)
    def command(url: str, **arguments: Any) -> None:
        with Server(url) as server:
            try:
                function(server, **arguments)
            except Refusal as refusal:
                raise Failed(in_words(refusal)) from None
            except OSError as error:
                if error.errno == errno.EPIPE:
                    raise  # click ends quietly: the reader has seen enough
                raise Failed(f"the output cannot be written: {error.strerror}") from None

    return command


def in_words(refusal: Refusal) -> str:
    """What the server said, or what to make of it where it is no respbroker at all."""
    if refusal.text.lower().startswith("unknown command 'xtopic'"):
        return "the server is no respbroker: it does not know XTOPIC"
    return f"the server refuses: {refusal.text}"
