"""`respbroker topics`: making, changing, listing and deleting topics, as XTOPIC does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import click

from respbroker.model.topic_settings import TOPIC_SETTINGS
from respbroker.tools import output
from respbroker.tools.connection import Failed, Refusal, Server
from respbroker.tools.options import as_json_option, asks_server, in_words, raw_name
from respbroker.tools.output import count, named, shown

#: What XTOPIC INFO tells of a partition, as columns.
PARTITION_COLUMNS = {
    "partition": ">PARTITION",
    "leader": "LEADER",
    "log-start-offset": ">LOG-START",
    "log-end-offset": ">LOG-END",
    "entries": ">ENTRIES",
    "bytes": ">BYTES",
    "segments": ">SEGMENTS",
    "first-id": "FIRST-ID",
    "last-id": "LAST-ID",
}


def setting(value: str) -> tuple[bytes, bytes]:
    """``name=value``."""
    name, equals, text = os.fsencode(value).partition(b"=")
    if not equals or not name:
        raise click.BadParameter(f"{shown(os.fsencode(value))} is not SETTING=VALUE")
    return name, text


config_option = click.option(
    "--config",
    multiple=True,
    type=setting,
    metavar="SETTING=VALUE",
    help="A setting, as in key.field=customer; may be given several times.",
)


@click.group()
def topics() -> None:
    """Make, change, list and delete topics of a running server.

    Each command does what XTOPIC does. The settings are in `redis-cli XTOPIC HELP`.
    """


@topics.command("list")
@as_json_option
@asks_server
def list_topics(server: Server, as_json: bool) -> None:
    """List topics, their partitions and what was set.

    These are the topics that were made or altered by XTOPIC or this command; a plain stream is not one of them.
    """
    listed = [{key.decode(): value for key, value in topic.items()} for topic in server.ask("XTOPIC", "LIST")]
    if as_json:
        output.print_json(
            [
                {**named("name", topic["name"]), "partitions": topic["partitions"], "config": _config(topic)}
                for topic in listed
            ]
        )
    elif not listed:
        click.echo("There are no topics.")
    else:
        rows = [
            (shown(topic["name"]), topic["partitions"], " ".join(_settings(topic["config"])) or None)
            for topic in listed
        ]
        output.print_table(("TOPIC", ">PARTITIONS", "SETTINGS"), rows)


@topics.command()
@click.argument("name", type=raw_name)
@as_json_option
@asks_server
def info(server: Server, name: bytes, as_json: bool) -> None:
    """Tell a topic's settings, and where each of its partitions begins and ends."""
    told = topic_info(server, name)
    if as_json:
        output.print_json(_as_json(told))
        return
    click.echo(
        f"{shown(name)}: {count(told['partitions'], 'partition')}, {count(told['entries'], 'entry')},"
        f" {output.size(told['bytes'])}, last ID {_text(told['last-generated-id'])}"
    )
    if told["dead-letters"] or told["unread-lost"]:  # since the topic was opened
        them = "it" if told["unread-lost"] == 1 else "them"
        lost = f"{count(told['unread-lost'], 'entry')} went by retention before a group had read {them}"
        click.echo(f"{count(told['dead-letters'], 'dead letter')}; {lost}")
    click.echo()
    output.print_table(("SETTING", "VALUE", ""), [_setting_row(*pair) for pair in _config(told).items()])
    click.echo()
    parts = told["partition-list"]
    columns = {**PARTITION_COLUMNS, **{each: f">{each.upper()}" for each in parts[0] if each not in PARTITION_COLUMNS}}
    output.print_table(list(columns.values()), [[_text(part.get(each)) for each in columns] for part in parts])
    if told["groups"]:
        click.echo()
        rows = [
            (shown(group[b"name"]), group[b"mode"].decode(), len(group[b"members"]), group[b"pending"], group[b"lag"])
            for group in told["groups"]
        ]
        output.print_table(("GROUP", "MODE", ">MEMBERS", ">PENDING", ">LAG"), rows)


@topics.command()
@click.argument("name", type=raw_name)
@click.option("--partitions", type=int, default=1, show_default=True, help="How many; it can only grow later.")
@config_option
@asks_server
def create(server: Server, name: bytes, partitions: int, config: Sequence[tuple[bytes, bytes]]) -> None:
    """Make a topic. With one partition it is an ordinary stream with settings of its own."""
    try:
        server.ask("XTOPIC", "CREATE", name, "PARTITIONS", partitions, *_config_words(config))
    except Refusal as refusal:
        raise Failed(_about(refusal, name)) from None
    click.echo(f"Created {shown(name)} with {count(partitions, 'partition')}.")


@topics.command()
@click.argument("name", type=raw_name)
@click.option("--partitions", type=int, help="How many from now on: more than before.")
@config_option
@asks_server
def alter(server: Server, name: bytes, partitions: int | None, config: Sequence[tuple[bytes, bytes]]) -> None:
    """Change settings (the value `default` takes one back), or add partitions.

    New partitions move keys: entries of a key that are added from then on can be in another partition than its old
    ones. The command says so when it has happened.
    """
    if partitions is None and not config:
        raise click.UsageError("there is nothing to alter: give --partitions or --config")
    words = [] if partitions is None else [b"PARTITIONS", b"%d" % partitions]
    try:
        reply = server.ask("XTOPIC", "ALTER", name, *words, *_config_words(config))
    except Refusal as refusal:
        raise Failed(_about(refusal, name)) from None
    click.echo(f"Altered {shown(name)}.")
    note = reply.decode().removeprefix("OK").removeprefix(", but ")
    if note:
        click.echo(f"{note[0].upper()}{note[1:]}.")


@topics.command()
@click.argument("name", type=raw_name)
@click.option("--yes", is_flag=True, help="Do not ask.")
@asks_server
def delete(server: Server, name: bytes, yes: bool) -> None:
    """Delete a topic with all its partitions, entries and groups."""
    if not yes:
        told = topic_info(server, name)
        what = f"{count(told['partitions'], 'partition')} and {count(told['entries'], 'entry')}"
        click.confirm(f"Delete {shown(name)} with {what}?", abort=True)
    try:
        deleted = server.ask("XTOPIC", "DELETE", name)
    except Refusal as refusal:
        raise Failed(_about(refusal, name)) from None
    if not deleted:
        raise no_such_topic(name)
    click.echo(f"Deleted {shown(name)}.")


# -- for other tools too -------------------------------------------------------------------------------------


def topic_info(server: Server, name: bytes) -> dict[str, Any]:
    """What XTOPIC INFO tells. Raises Failed where there is no such topic or stream."""
    try:
        reply = server.ask("XTOPIC", "INFO", name)
    except Refusal as refusal:
        raise Failed(_about(refusal, name)) from None
    told = {key.decode(): value for key, value in reply.items()}
    told["partition-list"] = [{key.decode(): value for key, value in part.items()} for part in told["partition-list"]]
    return told


def no_such_topic(name: bytes) -> Failed:
    return Failed(f"there is no topic or stream {shown(name)}")


def _about(refusal: Refusal, name: bytes) -> str:
    """A refusal, in the words of who named the topic."""
    if refusal.is_missing_key:
        return no_such_topic(name).message
    if refusal.text == "BUSYKEY Target key name already exists.":
        return f"there is a key {shown(name)} already"
    return in_words(refusal)


# -- settings and values -------------------------------------------------------------------------------------


def _config_words(config: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    return [b"CONFIG", *(word for pair in config for word in pair)] if config else []


def _settings(config: dict[bytes, bytes]) -> list[str]:
    """As they would be given with ``--config``."""
    return [shown(name + b"=" + value) for name, value in config.items()]


def _config(told: dict[str, Any]) -> dict[str, str]:
    return {output.text(name): output.text(value) for name, value in told["config"].items()}


def _setting_row(name: str, value: str) -> tuple[str, str | None, str]:
    row = TOPIC_SETTINGS.get(name)  # none, if the server is a later one
    default = None if row is None else row.kind.format(row.default)
    if value:
        return name, value, "" if value != default else "default"
    return name, None, "the server's" if row is not None and row.default is None else "default"


def _as_json(told: dict[str, Any]) -> dict[str, Any]:
    return {
        **named("name", told["name"]),
        **{
            _key(key): _text(value)
            for key, value in told.items()
            if not isinstance(value, dict | list) and key != "name"
        },
        "config": _config(told),
        "partition_list": [{_key(key): _text(value) for key, value in part.items()} for part in told["partition-list"]],
        "groups": [
            {
                **named("name", group[b"name"]),
                "mode": group[b"mode"].decode(),
                "pending": group[b"pending"],
                "lag": group[b"lag"],
            }
            for group in told["groups"]
        ],
    }


def _key(name: str) -> str:
    return name.replace("-", "_")


def _text(value: Any) -> Any:
    """Bytes that the server wrote, as text."""
    return value.decode() if isinstance(value, bytes) else value
