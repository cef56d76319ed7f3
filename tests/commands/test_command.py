"""COMMAND, the parser of syntax lines, and docs/commands.md, all of them from one table."""

from __future__ import annotations

from pathlib import Path

import pytest

from respbroker.commands.catalogue import ALL_COMMANDS
from respbroker.commands.command_info import CATEGORIES, categories_of
from respbroker.commands.reference import page
from respbroker.commands.syntax import Argument, SyntaxMistake, parse_syntax
from respbroker.commands.table import Command, CommandTable
from tests.support.nodes import NodeUnderTest
from tests.support.servers import Server
from tests.support.wire import Frame, parse

ROOT = Path(__file__).resolve().parents[2]
EVERY = list(CommandTable(ALL_COMMANDS).each())


# -- syntax ---------------------------------------------------------------------------------------------------


def outline(argument: Argument) -> str:
    """An argument in a line: ``TOKEN name:kind?+``, members in braces."""
    marks = ("?" if argument.optional else "") + ("+" if argument.multiple else "")
    marks += "t" if argument.multiple_token else ""
    members = "{" + ", ".join(map(outline, argument.arguments)) + "}" if argument.arguments else ""
    name = argument.kind if members else f"{argument.name}:{argument.kind}"
    return f"{argument.token} {name}{marks}{members}".strip()


OUTLINES = [
    ("key", "key:key"),
    ("key [key ...]", "key:key+"),
    ("[channel [channel ...]]", "channel:string?+"),
    ("<* | id>", "oneof{* auto-id:pure-token, id:string}"),
    ("[NX | XX]", "oneof?{NX nx:pure-token, XX xx:pure-token}"),
    ("[COUNT count]", "COUNT count:integer?"),
    ("GROUP group consumer", "GROUP block{group:string, consumer:string}"),
    ("STREAMS key [key ...] id [id ...]", "STREAMS block{key:key+, id:string+}"),
    ("field value [field value ...]", "block+{field:string, value:string}"),
    ("[PREFIX prefix [PREFIX prefix ...]]", "PREFIX prefix:string?+t"),
    ("[TYPE <A | B>]", "TYPE oneof?{A a:pure-token, B b:pure-token}"),
    (
        "[<MAXLEN | MINID> [= | ~] threshold [LIMIT count]]",
        "block?{oneof{MAXLEN maxlen:pure-token, MINID minid:pure-token}, "
        "oneof?{= equal:pure-token, ~ approximately:pure-token}, threshold:string, LIMIT count:integer?}",
    ),
    ("MAXLEN|MINID", "oneof{MAXLEN maxlen:pure-token, MINID minid:pure-token}"),
    ("<old | [ID count] [MAXAGE maxage]>", "oneof{old:string, block{ID count:integer?, MAXAGE maxage:integer?}}"),
]  # fmt: skip


@pytest.mark.parametrize(("notation", "outlines"), OUTLINES)
def test_a_syntax_line_becomes_arguments(notation: str, outlines: str) -> None:
    (argument,) = parse_syntax(notation)
    assert outline(argument) == outlines


@pytest.mark.parametrize("notation", ["[a", "a]", "<a | b", "[b ...]", "a [b ...]", "[]", "<>"])
def test_a_broken_syntax_line_is_a_mistake(notation: str) -> None:
    with pytest.raises(SyntaxMistake):
        parse_syntax(notation)


@pytest.mark.parametrize("command", EVERY, ids=lambda command: command.name)
def test_every_row_is_whole(command: Command) -> None:
    spec = command.spec
    assert spec.summary.endswith(".")
    assert spec.name == spec.name.upper()
    assert set(spec.categories) <= set(CATEGORIES)
    assert categories_of(command)
    parse_syntax(spec.syntax)
    if spec.syntax:
        words_needed = abs(spec.arity) - (2 if "|" in command.name else 1)
        required = [one for one in parse_syntax(spec.syntax) if not one.optional]
        assert bool(required) == (words_needed > 0), "syntax and arity disagree on whether there are arguments"


# -- COMMAND --------------------------------------------------------------------------------------------------

REPLIES = [
    ("FOO", b"-ERR unknown subcommand 'FOO'. Try COMMAND HELP.\r\n"),
    ("LIST FOO", b"-ERR syntax error\r\n"),
    ("LIST FILTERBY FOO a", b"-ERR syntax error\r\n"),
    ("LIST FILTERBY MODULE a", b"*0\r\n"),
    ("LIST FILTERBY ACLCAT nope", b"*0\r\n"),
    ("LIST FILTERBY PATTERN XLE?", b"*1\r\n$4\r\nxlen\r\n"),
    ("INFO nope", b"*1\r\n$-1\r\n"),
    ("INFO xgroup|nope", b"*1\r\n$-1\r\n"),
    ("DOCS nope", b"*0\r\n"),
    ("GETKEYS nope a", b"-ERR Invalid command specified\r\n"),
    ("GETKEYS xgroup nope", b"-ERR Invalid command specified\r\n"),
    ("GETKEYS ping", b"-ERR The command has no key arguments\r\n"),
    ("GETKEYS spublish a b", b"-ERR The command has no key arguments\r\n"),
    ("GETKEYS xgroup", b"-ERR The command has no key arguments\r\n"),
    ("GETKEYS xadd", b"-ERR Invalid number of arguments specified for command\r\n"),
    ("GETKEYS xadd a * f v", b"*1\r\n$1\r\na\r\n"),
    ("GETKEYS del a b", b"*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
    ("GETKEYS xread count 1 streams a b 0 0", b"*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
    ("GETKEYS xread count 1 block 5", b"-ERR Invalid arguments specified for command\r\n"),
    ("GETKEYS xreadgroup group streams c streams a 0", b"*1\r\n$1\r\na\r\n"),
    ("GETKEYS xgroup create a g 0", b"*1\r\n$1\r\na\r\n"),
    ("GETKEYSANDFLAGS xadd a * f v", b"*1\r\n*2\r\n$1\r\na\r\n*2\r\n+RW\r\n+update\r\n"),
    (
        "GETKEYSANDFLAGS rename a b",
        b"*2\r\n*2\r\n$1\r\na\r\n*3\r\n+RW\r\n+access\r\n+delete\r\n*2\r\n$1\r\nb\r\n*2\r\n+OW\r\n+update\r\n",
    ),
]


@pytest.mark.parametrize(("words", "reply"), REPLIES)
def test_command_answers_as_redis_does(node: NodeUnderTest, words: str, reply: bytes) -> None:
    assert node.run(node.client(), "COMMAND", *words.split()) == reply


def test_counts_and_lists_agree(node: NodeUnderTest) -> None:
    client = node.client()
    total = len(ALL_COMMANDS)
    assert node.run(client, "COMMAND", "COUNT") == b":%d\r\n" % total
    assert node.run(client, "COMMAND").startswith(b"*%d\r\n" % total)
    assert node.run(client, "COMMAND", "INFO").startswith(b"*%d\r\n" % total)
    assert node.run(client, "COMMAND", "LIST").startswith(b"*%d\r\n" % len(EVERY))
    assert node.run(client, "COMMAND", "DOCS").startswith(b"*%d\r\n" % (2 * total))


def plain(frame: Frame) -> object:
    """A reply as nested lists, so that replies of different servers can be compared part by part."""
    return frame.text if frame.items is None else [plain(item) for item in frame.items]


def told(reply: bytes) -> list[object]:
    """COMMAND INFO of one command, without what only Redis tells (notes on keys, tips)."""
    description = parse(reply).items
    assert description is not None
    values = plain(description[0])
    assert isinstance(values, list)
    for key_spec in values[8]:
        if key_spec[0] == b"notes":
            del key_spec[:2]
    return [*values[:7], values[8]]


@pytest.mark.parametrize("protocol", [2, 3])
def test_each_command_describes_itself_as_redis_does(node: NodeUnderTest, redis_server: Server, protocol: int) -> None:
    client = node.client(protocol)
    compared = 0
    with redis_server.connect(protocol) as real:
        for command in EVERY:
            theirs = real.call("COMMAND", "INFO", command.name)
            if theirs in (b"*1\r\n$-1\r\n", b"*1\r\n_\r\n"):
                continue  # newer than that server
            assert told(node.run(client, "COMMAND", "INFO", command.name)) == told(theirs), command.name
            compared += 1
    assert compared > 50


def kinds(page: Frame) -> bytes:
    """The types of frames in a reply, so that a client that can read one server's reply can read the other's."""
    if page.items is None:
        return page.kind
    return page.kind + b"".join(sorted({kinds(item) for item in page.items}))


@pytest.mark.parametrize("protocol", [2, 3])
def test_documentation_has_the_shape_of_redis(node: NodeUnderTest, redis_server: Server, protocol: int) -> None:
    client = node.client(protocol)
    with redis_server.connect(protocol) as real:
        for name in ("xlen", "xgroup", "xtrim", "ping", "subscribe"):
            ours = parse(node.run(client, "COMMAND", "DOCS", name))
            theirs = parse(real.call("COMMAND", "DOCS", name))
            assert kinds(ours)[:3] == kinds(theirs)[:3]
            if name in ("xlen", "subscribe"):
                assert arguments(ours) == arguments(theirs)


def arguments(page: Frame) -> object:
    assert page.items is not None
    assert page.items[1].items is not None
    fields = page.items[1].items
    return next(plain(fields[at + 1]) for at in range(0, len(fields), 2) if fields[at].text == b"arguments")


# -- docs/commands.md -----------------------------------------------------------------------------------------


def test_the_page_of_commands_is_printed_from_the_table() -> None:
    printed = page(CommandTable(ALL_COMMANDS))
    assert (ROOT / "docs" / "commands.md").read_text() == printed
