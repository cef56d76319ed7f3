"""The command line: `respbroker serve`, with every setting as an option, as redis-server has it, and the tools."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from pathlib import Path

import click

import respbroker
from respbroker.migration.command import migrate
from respbroker.model.config_file import decode
from respbroker.model.settings import ALIASES, SETTINGS, Settings, SettingsError
from respbroker.tools.dlq import dlq
from respbroker.tools.groups import groups
from respbroker.tools.resets import reset
from respbroker.tools.topics import topics

NOTHING = '""'

IF_DAMAGED = """\
Nothing was changed. If another server has a copy of the data: let that one lead (REPLICAOF NO ONE there, unless it
does), move this directory aside, and start this server on an empty one with --replicaof HOST PORT.
If none has: copy the directory first. `python -m storage.inspect --verify DIR` lists all that is damaged in it, and
those files have to come back from a backup. docs/operations.md has more, under "In the night"."""


class Refused(click.ClickException):
    """The server could not start; the message says why and what to do."""


@click.group()
@click.version_option(respbroker.__version__, prog_name="respbroker")
def main() -> None:
    """Kafka's log behind Redis Streams' protocol."""


@main.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[CONFIG FILE] [--NAME VALUE]...")
def serve(words: tuple[str, ...]) -> None:
    """Run a server until SIGTERM, SIGINT or SHUTDOWN.

    \b
    --host ADDRESS   listen there (default 127.0.0.1)
    --port PORT      6379; 0 takes any free port
    --dir DIR        directory of all data
    --replicaof HOST PORT
                     follow that server; --masterauth PASSWORD if it asks for one

    Any other setting can be given the same way (--appendfsync always); `respbroker settings` lists them. Options win
    over the configuration file, which is written as redis.conf is.
    """
    try:
        config_file, overrides = split_words(words)
        text = decode(Path(config_file).read_bytes()) if config_file else ""
        settings = Settings.load(text, overrides)
    except (SettingsError, OSError) as refusal:
        raise Refused(sentence(refusal)) from None
    start(settings, str(Path(config_file).resolve()) if config_file else "")


def start(settings: Settings, config_file: str) -> None:
    """Run the server, telling in one sentence why it cannot if it cannot."""
    from respbroker.server import logs, main  # so that `--help` need not load all of it
    from storage import CorruptLog, MissingLog, StorageError

    try:
        logs.configure(settings)
        main.run(settings, config_file)
    except (CorruptLog, MissingLog) as damage:
        raise Refused(f"{sentence(damage)}\n{IF_DAMAGED}") from None
    except (OSError, StorageError) as refusal:
        raise Refused(sentence(refusal, settings.dir)) from None


@main.command("settings")
def list_settings() -> None:
    """Print every setting with its default and what it means."""
    for name, row in SETTINGS.items():
        click.echo(f"{name} {row.default_text or NOTHING}\n    {row.summary}")


main.add_command(topics)
main.add_command(groups)
main.add_command(dlq)
main.add_command(migrate)
groups.add_command(reset)


def sentence(refusal: Exception, directory: str = "") -> str:
    """What an error says, with its file and without its number. Want of room, of a write, is that of ``directory``."""
    if isinstance(refusal, OSError) and refusal.strerror:
        place = refusal.filename or (directory if refusal.errno == errno.ENOSPC else "")
        return f"{place}: {refusal.strerror}" if place else refusal.strerror
    return str(refusal)


def split_words(words: Sequence[str]) -> tuple[str, list[tuple[str, str]]]:
    """The configuration file (or "") and the settings in a command line; the file may stand anywhere.

    Several words behind a setting that takes several are one value, as in the file.

    Raises:
        SettingsError: a value without a name, or a name without a value.
    """
    config_file = ""
    pairs: list[tuple[str, list[str]]] = []
    for word in [part for given in words for part in _parts(given)]:
        if word.startswith("--") and len(word) > 2:
            pairs.append((word[2:], []))
        elif pairs and (not pairs[-1][1] or _takes_several(pairs[-1][0])):
            pairs[-1][1].append(word)
        elif not config_file:
            config_file = word
        else:
            raise SettingsError(f"unexpected word '{word}'")
    for name, values in pairs:
        if not values:
            raise SettingsError(f"option --{name}: a value is missing")
    return config_file, [(name, " ".join(values)) for name, values in pairs]


def _takes_several(name: str) -> bool:
    """Whether the value of a setting may be several words."""
    row = SETTINGS.get(name.lower()) or ALIASES.get(name.lower())
    return row is not None and row.kind.several


def _parts(word: str) -> list[str]:
    """``--name=value`` is two words."""
    if word.startswith("--") and "=" in word:
        name, _, value = word.partition("=")
        return [name, value]
    return [word]


if __name__ == "__main__":
    sys.exit(main())
