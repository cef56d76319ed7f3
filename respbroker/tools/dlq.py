"""`respbroker dlq`: which dead letters a topic has, and sending them back to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import attrs
import click

from respbroker.model.letters import FIELDS, SUFFIX, Origin, open_letter
from respbroker.model.stream_id import StreamId, parse_id
from respbroker.tools import output
from respbroker.tools.connection import Failed, Refusal, Server, Word
from respbroker.tools.group_facts import age, now_ms
from respbroker.tools.options import as_json_option, asks_server, in_words, raw_name
from respbroker.tools.output import count, duration, named, shown
from respbroker.tools.resets import entry_id
from respbroker.tools.topics import no_such_topic

PAGE: Final = 1000
#: Letters sent back before they are removed: no more than a server remembers of one producer.
AT_ONCE: Final = 100


@attrs.frozen
class Letter:
    """A dead letter: ``key`` is its ID in the dead-letter topic, ``words`` are those of its entry."""

    key: StreamId
    words: list[bytes]
    origin: Origin


@click.group()
def dlq() -> None:
    """List the dead letters of a topic, and send them back."""


from_option = click.option(
    "--dlq",
    "dlq_name",
    type=raw_name,
    metavar="NAME",
    help="Where the letters are, if not where the topic's settings say.",
)


@dlq.command("list")
@click.argument("topic", type=raw_name)
@from_option
@click.option("--count", "limit", type=click.IntRange(0), default=100, show_default=True, help="How many; 0 for all.")
@as_json_option
@asks_server
def list_letters(server: Server, topic: bytes, dlq_name: bytes | None, limit: int, as_json: bool) -> None:
    """List the entries of TOPIC that became dead letters, oldest first.

    \b
    LETTER     its ID in the dead-letter topic
    ENTRY      the ID of its entry, which was in that PARTITION of TOPIC
    GROUP      that could not handle it
    CONSUMER   who held it last
    TIMES      how often it was given out
    AGE        of the letter, as far as its ID tells
    """
    where = dlq_name or place_of_letters(server, topic)
    found: list[Letter] = []
    more = False
    for letter in letters_of(server, topic, where):
        if limit and len(found) == limit:
            more = True
            break
        found.append(letter)
    if as_json:
        output.print_json([_as_json(letter) for letter in found])
    elif not found:
        click.echo(f"There are no dead letters of {shown(topic)} in {shown(where)}.")
    else:
        _print(found, now_ms(server))
        if more:
            click.echo(f"\nThere are more than these {limit}: --count tells how many to list.")


@dlq.command()
@click.argument("topic", type=raw_name)
@click.option("--id", "ids", type=entry_id, multiple=True, metavar="ID", help="A letter; may be given several times.")
@click.option("--all", "everything", is_flag=True, help="All letters of the topic.")
@from_option
@click.option("--to", type=raw_name, metavar="NAME", help="Send them there, if the topic has another name now.")
@click.option("--execute", is_flag=True, help="Do it. Without this, it is only shown.")
@as_json_option
@asks_server
def replay(
    server: Server,
    topic: bytes,
    ids: Sequence[StreamId],
    everything: bool,
    dlq_name: bytes | None,
    to: bytes | None,
    execute: bool,
    as_json: bool,
) -> None:
    """Send dead letters back to TOPIC as new entries with their original fields, and remove the letters.

    All groups of the topic are given them, not only the one that could not handle them. An entry with a key goes to the
    partition of its key.

    A letter is removed once its entry has been added. If the command is cut off in between, call it again: within
    stream-idmp-duration (100 s) the server knows an entry that it has taken already, and does not add it twice.
    """
    if bool(ids) == everything:
        raise click.UsageError("give either --id or --all")
    where, target = dlq_name or place_of_letters(server, topic), to or topic
    if not server.ask("EXISTS", target):
        raise no_such_topic(target)
    if everything:
        found = list(letters_of(server, topic, where))
    else:
        found = [_letter(server, topic, where, each) for each in dict.fromkeys(ids)]
    failures = perform(server, where, target, found) if execute else {}
    if as_json:
        sent = [letter for letter in found if letter.key not in failures] if execute else found
        told = {"executed": execute, "letters": [_as_json(letter) for letter in sent]}
        output.print_json(told | {"failed": [_failure(key, text) for key, text in failures.items()]})
    elif not found:
        click.echo(f"There are no dead letters of {shown(topic)} in {shown(where)}.")
    elif execute:
        click.echo(f"Sent {count(len(found) - len(failures), 'entry')} to {shown(target)}.")
    else:
        _print(found, now_ms(server))
        click.echo(f"\n{count(len(found), 'entry')} would be sent to {shown(target)}.")
        click.echo("Nothing has been changed: --execute does it.")
    if failures:
        key, text = next(iter(failures.items()))
        raise Failed(
            f"{count(len(failures), 'letter')} could not be sent and stayed, the first is {_text(key)}: {text}"
        )


# -- letters -------------------------------------------------------------------------------------------------


def place_of_letters(server: Server, topic: bytes) -> bytes:
    """Where the letters of a topic go; the default name for one that is not there any more."""
    try:
        config: dict[bytes, bytes] = server.ask("XTOPIC", "INFO", topic)[b"config"]
    except Refusal as refusal:
        if not refusal.is_missing_key:
            raise Failed(in_words(refusal)) from None
        config = {}
    return config.get(b"dead.letter.topic") or topic + SUFFIX


def letters_of(server: Server, topic: bytes, where: bytes) -> Iterator[Letter]:
    """The letters of one topic, oldest first; other entries that are there are passed over."""
    start = b"-"
    while True:
        entries = server.ask("XRANGE", where, start, "+", "COUNT", PAGE)
        yield from (letter for each in entries if (letter := _opened(each)) and letter.origin.topic == topic)
        if len(entries) < PAGE:
            return
        start = b"(" + entries[-1][0]


def _opened(entry: list[Any]) -> Letter | None:
    found = open_letter(entry[1])
    return None if found is None else Letter(parse_id(entry[0]), *found)


def _letter(server: Server, topic: bytes, where: bytes, key: StreamId) -> Letter:
    """The letter with that ID. Raises Failed where there is none, or one of another topic."""
    entries = server.ask("XRANGE", where, bytes(key), bytes(key))
    letter = _opened(entries[0]) if entries else None
    if letter is None:
        raise Failed(f"there is no dead letter {_text(key)} in {shown(where)}")
    if letter.origin.topic != topic:
        raise Failed(f"the dead letter {_text(key)} is one of {shown(letter.origin.topic)}, not of {shown(topic)}")
    return letter


def perform(server: Server, where: bytes, target: bytes, letters: Sequence[Letter]) -> dict[StreamId, str]:
    """Add the entries, then remove the letters; which ones were not taken, and why."""
    failures: dict[StreamId, str] = {}
    for start in range(0, len(letters), AT_ONCE):
        some = letters[start : start + AT_ONCE]
        adding: list[list[Word]] = [
            ["XADD", target, "NOMKSTREAM", "IDMP", b"dlq " + where, bytes(letter.key), "*", *letter.words]
            for letter in some
        ]
        removing = []
        for letter, reply in zip(some, server.ask_each(adding), strict=True):
            if isinstance(reply, Refusal):
                failures[letter.key] = in_words(reply)
            elif reply is None:
                failures[letter.key] = f"{shown(target)} is gone"
            else:
                removing.append(bytes(letter.key))
        if removing:
            server.ask("XDEL", where, *removing)
    return failures


# -- telling -------------------------------------------------------------------------------------------------


def _print(letters: Sequence[Letter], now: int) -> None:
    heads = ("LETTER", ">PARTITION", "ENTRY", "GROUP", "CONSUMER", ">TIMES", "REASON", ">AGE")
    rows = [
        (
            _text(letter.key),
            shown(letter.origin.partition),
            shown(letter.origin.entry_id),
            shown(letter.origin.group),
            shown(letter.origin.consumer) if letter.origin.consumer else None,
            shown(letter.origin.deliveries),
            shown(letter.origin.reason),
            duration(age(letter.key, now)),
        )
        for letter in letters
    ]
    output.print_table(heads, rows)


def _text(key: StreamId) -> str:
    return bytes(key).decode()


def _as_json(letter: Letter) -> dict[str, Any]:
    origin, words = letter.origin, letter.words
    told: dict[str, Any] = {"letter": _text(letter.key)}
    for field, value in zip(FIELDS, attrs.astuple(origin), strict=True):
        told |= named(field.decode().removeprefix("dlq."), value)
    pairs = zip(words[::2], words[1::2], strict=True)
    return told | {"fields": [{**named("name", name), **named("value", value)} for name, value in pairs]}


def _failure(key: StreamId, text: str) -> dict[str, str]:
    return {"letter": _text(key), "reason": text}
