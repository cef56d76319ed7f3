"""The syntax of a command, from the notation of the command pages to the arguments of COMMAND DOCS.

The notation, as in ``key [NOMKSTREAM] <MAXLEN | MINID> [= | ~] threshold [LIMIT count] field value [field value ...]``:

* words in lower case are values, words in upper case (and ``*``, ``$``, ``=``, ``~``) are tokens;
* a token takes the values that follow it: ``COUNT count``, ``GROUP group consumer``;
* ``<A | B>`` is a choice, ``[ ]`` may be left out, and may hold a choice; ``A|B`` without blanks is a choice of words;
* ``x [x ...]`` is one or more ``x``, ``[x [x ...]]`` none or more; ``x`` may be several words.
"""

from __future__ import annotations

import re
from typing import Final

import attrs

_WORD: Final = r"[^\s\[\]<>|]+"
#: Dots, brackets, bars, and words; a bar without blanks around it is a part of its word.
_LEXEMES: Final = re.compile(rf"\.\.\.|[\[\]<>]|{_WORD}(?:\|{_WORD})*|\|")


class SyntaxMistake(Exception):
    """The notation is broken; it is ours, so nobody but a test should ever see this."""


@attrs.frozen
class Argument:
    """One node of the tree of arguments. ``kind`` is Redis' word for it (``string``, ``oneof``, ``block`` …)."""

    name: str
    kind: str
    token: str = ""
    optional: bool = False
    multiple: bool = False
    multiple_token: bool = False
    arguments: tuple[Argument, ...] = ()


#: What values are, by their names; all others are strings.
_KINDS: Final = {
    "key": {"key", "newkey", "source", "destination"},
    "pattern": {"pattern"},
    "unix-time": {"unix-time-seconds", "unix-time-milliseconds", "unix-time-ms"},
    "integer": {
        "client-id", "clientid", "count", "cursor", "db", "decrement", "destination-db", "duration", "entries-added",
        "entries-read", "hours", "increment", "index", "index1", "index2", "len", "limit", "maxage", "maxcount",
        "maxsize", "milliseconds", "ms", "numids", "numkeys", "numlocal", "numreplicas", "offset", "protover",
        "samples", "seconds", "timeout", "version",
    },
    "double": {"max", "min", "score", "weight"},
}  # fmt: skip
KIND_OF_VALUE: Final = {name: kind for kind, names in _KINDS.items() for name in names}

_TOKEN_NAMES: Final = {"*": "auto-id", "$": "new-id", "=": "equal", "~": "approximately"}


def parse_syntax(notation: str) -> tuple[Argument, ...]:
    """The arguments that ``notation`` describes, in order."""
    parser = _Parser(_LEXEMES.findall(notation))
    arguments = parser.sequence()
    if parser.next is not None:
        raise SyntaxMistake(f"{parser.next!r} too many in {notation!r}")
    return arguments


class _Parser:
    """A reader of lexemes. Every method takes what it is about and leaves the rest."""

    def __init__(self, lexemes: list[str]) -> None:
        self._lexemes = lexemes
        self._position = 0

    @property
    def next(self) -> str | None:
        return self._lexemes[self._position] if self._position < len(self._lexemes) else None

    def _take(self) -> str:
        lexeme = self._lexemes[self._position]
        self._position += 1
        return lexeme

    def _close(self, bracket: str) -> None:
        if self.next != bracket:
            raise SyntaxMistake(f"{bracket!r} missing before {self.next!r}")
        self._take()

    def sequence(self) -> tuple[Argument, ...]:
        """Arguments up to a closing bracket, a bar, dots or the end."""
        found: list[Argument] = []
        while self.next not in (None, "]", ">", "|", "..."):
            lexeme = self._take()
            if lexeme == "[":
                self._optional(found)
            elif lexeme == "<":
                found.append(choice(self._alternatives()))
                self._close(">")
            elif "|" in lexeme:
                found.append(choice([(word_alone(word),) for word in lexeme.split("|")]))
            elif is_token(lexeme):
                found.append(self._token(lexeme))
            else:
                found.append(value(lexeme))
        return tuple(found)

    def _alternatives(self) -> list[tuple[Argument, ...]]:
        found = [self.sequence()]
        while self.next == "|":
            self._take()
            found.append(self.sequence())
        return found

    def _optional(self, before: list[Argument]) -> None:
        """What stands in brackets: a repetition of what came before, or something that may be left out."""
        alternatives = self._alternatives()
        repeats = self.next == "..."
        if repeats:
            self._take()
        self._close("]")
        repeated = alternatives[0]
        if repeats:
            if tuple(before[-len(repeated) :]) != repeated:
                raise SyntaxMistake(f"{repeated} does not repeat {before}")
            del before[-len(repeated) :]
            before.append(several(repeated))
        else:
            before.append(attrs.evolve(choice(alternatives), optional=True))

    def _token(self, token: str) -> Argument:
        """A token, with the values or the choice behind it."""
        values: list[Argument] = []
        while self.next is not None and (self._at_value() or self._at_repetition(values)):
            if self.next == "[":
                self._take()
                self._optional(values)
            else:
                values.append(value(self._take()))
        if not values and self.next == "<":
            self._take()
            chosen = choice(self._alternatives())
            self._close(">")
            return attrs.evolve(chosen, token=token, name=token.lower())
        if not values:
            return pure_token(token)
        if len(values) == 1:
            return attrs.evolve(values[0], token=token)
        return Argument(token.lower(), "block", token=token, arguments=tuple(values))

    def _at_value(self) -> bool:
        return self.next not in (None, "[", "]", "<", ">", "|", "...") and not is_token(self.next or "")

    def _at_repetition(self, values: list[Argument]) -> bool:
        """Whether ``[x ...]`` comes next, with ``x`` the value just taken."""
        ahead = self._lexemes[self._position : self._position + 3]
        return (
            bool(values) and len(ahead) == 3 and ahead[0] == "[" and ahead[1] == values[-1].name and ahead[2] == "..."
        )


def is_token(word: str) -> bool:
    return word in _TOKEN_NAMES or (word.upper() == word and any(letter.isalpha() for letter in word))


def word_alone(word: str) -> Argument:
    return pure_token(word) if is_token(word) else value(word)


def pure_token(token: str) -> Argument:
    return Argument(_TOKEN_NAMES.get(token, token.lower()), "pure-token", token=token)


def value(name: str) -> Argument:
    return Argument(name, KIND_OF_VALUE.get(name, "string"))


def choice(alternatives: list[tuple[Argument, ...]]) -> Argument:
    """One of several; a single alternative is no choice."""
    members = tuple(block(alternative) for alternative in alternatives)
    if len(members) == 1:
        return members[0]
    return Argument("-or-".join(member.name for member in members[:3]), "oneof", arguments=members)


def block(arguments: tuple[Argument, ...]) -> Argument:
    """Several arguments as one; a single one is itself."""
    if len(arguments) == 1:
        return arguments[0]
    if not arguments:
        raise SyntaxMistake("nothing between brackets")
    return Argument("-".join(argument.name for argument in arguments[:3]), "block", arguments=arguments)


def several(arguments: tuple[Argument, ...]) -> Argument:
    """One or more of them; a token in front is repeated with each."""
    repeated = block(arguments)
    return attrs.evolve(repeated, multiple=True, multiple_token=bool(repeated.token))
