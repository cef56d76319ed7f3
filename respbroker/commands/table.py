"""The command table: name, arity, flags, keys, syntax and handler of every command, as data."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

import attrs

from respbroker.errors import UnknownSubcommand, WrongArity
from respbroker.sessions.client import Reply

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.streams.topic import Topic

Handler = Callable[["Context", list[bytes]], Reply]
TopicHandler = Callable[["Context", "Topic", list[bytes]], Reply]
#: Serves neighbouring requests at once, of one client or of several: takes requests, where to start, and where replies
#: go, one for each; gives back how many it served, 0 if the handler is to serve the first. The arity of the first is
#: right. It looks at nothing of a client but its database and protocol, and raises nothing once it has served one.
RunHandler = Callable[["Context", list[list[bytes]], int, list[Reply]], int]


class Flag(enum.Flag):
    """What COMMAND INFO says about a command, and what the dispatcher checks. Names as Redis'."""

    NONE = 0
    WRITE = enum.auto()
    READONLY = enum.auto()
    DENYOOM = enum.auto()
    ADMIN = enum.auto()
    PUBSUB = enum.auto()
    NOSCRIPT = enum.auto()
    BLOCKING = enum.auto()
    LOADING = enum.auto()
    STALE = enum.auto()
    FAST = enum.auto()
    NO_AUTH = enum.auto()  #: may run before authentication
    NO_MULTI = enum.auto()  #: refused between MULTI and EXEC
    SKIP_MONITOR = enum.auto()
    SKIP_SLOWLOG = enum.auto()
    MOVABLEKEYS = enum.auto()
    ALLOW_BUSY = enum.auto()
    NO_ASYNC_LOADING = enum.auto()
    NO_MANDATORY_KEYS = enum.auto()


@attrs.frozen
class Keys:
    """Where a command's keys stand: from word ``first`` to ``last`` (-1: the last word) by ``step``.

    ``find`` overrides the range for commands whose keys move (XREAD, XREADGROUP). Where they are ``counted``, word
    ``first`` says how many keys follow it (EVAL).
    """

    first: int = 1
    last: int = 1
    step: int = 1
    find: Callable[[list[bytes]], list[bytes]] | None = None
    counted: bool = False

    @property
    def move(self) -> bool:
        """Whether the keys are not always at the same places."""
        return self.find is not None or self.counted

    def of(self, words: list[bytes]) -> list[bytes]:
        """The keys in ``words``."""
        if self.find is not None:
            return self.find(words)
        if self.counted:
            return self._counted_in(words)
        last = self.last if self.last >= 0 else len(words) + self.last
        return words[self.first : last + 1 : self.step]

    def _counted_in(self, words: list[bytes]) -> list[bytes]:
        """The keys behind their count; none where it is no number, or there are fewer."""
        count, start = words[self.first], self.first + 1
        keys = words[start : start + int(count)] if count.isdigit() else []
        return keys if count.isdigit() and len(keys) == int(count) else []


@attrs.frozen
class CommandSpec:
    """One row. ``arity`` counts words as Redis does: exact if positive, at least ``-arity`` if negative.

    ``syntax`` is what follows the name, in the notation of the command pages: ``[A | B]`` is a choice,
    ``[ ]`` is optional, ``...`` repeats, lower case names values, upper case are tokens. COMMAND DOCS and
    docs/commands.md are derived from it.
    """

    name: str
    arity: int
    flags: Flag
    handler: Handler
    summary: str
    syntax: str = ""
    since: str = "1.0.0"
    group: str = "stream"
    complexity: str = "O(1)"
    categories: tuple[str, ...] = ()  #: ACL categories beyond those that follow from flags and group
    keys: Keys | None = None
    tips: tuple[str, ...] = ()  #: for proxies of a cluster, see `respbroker.commands.tips`
    subcommands: tuple[CommandSpec, ...] = ()
    #: What the command does with a topic of several partitions, where the handler's look-up of the key found one;
    #: without it the command refuses such topics.
    on_topic: TopicHandler | None = None
    run: RunHandler | None = None  #: for plain clients; does what the handler would, sooner


@attrs.define(eq=False, slots=True)
class Command:
    """A row at work: the spec, what the dispatcher reads of it, and its counters (commandstats)."""

    spec: CommandSpec
    name: str  #: full name in lower case, ``xgroup|create`` for a subcommand
    handler: Handler
    run: RunHandler | None
    words_min: int
    words_max: int
    is_write: bool
    is_fast: bool
    flags: Flag
    subcommands: dict[bytes, Command]
    calls: int = 0
    seconds: float = 0.0
    rejected_calls: int = 0
    failed_calls: int = 0

    @classmethod
    def from_spec(cls, spec: CommandSpec, parent: str = "") -> Command:
        name = f"{parent}|{spec.name}".lower() if parent else spec.name.lower()
        exact = spec.arity >= 0
        return cls(
            spec=spec,
            name=name,
            handler=spec.handler,
            run=spec.run,
            words_min=abs(spec.arity),
            words_max=spec.arity if exact else 1 << 62,
            is_write=Flag.WRITE in spec.flags,
            is_fast=Flag.FAST in spec.flags,
            flags=spec.flags,
            subcommands={s.name.lower().encode(): cls.from_spec(s, spec.name) for s in spec.subcommands},
        )

    def resolve(self, words: list[bytes]) -> Command:
        """The command to run for ``words``: this one, or its subcommand; arity is checked.

        Raises:
            WrongArity, UnknownSubcommand: in that order of precedence as in Redis.
        """
        if self.subcommands and len(words) > 1:
            subcommand = self.subcommands.get(words[1].lower())
            if subcommand is None:
                raise UnknownSubcommand(self.name, words[1])
            return subcommand.resolve(words) if not subcommand.subcommands else subcommand
        if not self.words_min <= len(words) <= self.words_max:
            raise WrongArity(self.name)
        return self


class CommandTable:
    """All commands of a node by name; counters live here, so each node has its own."""

    def __init__(self, specs: Iterable[CommandSpec]) -> None:
        self.commands: Final[dict[str, Command]] = {}
        #: Raw name as usually sent (all lower or all upper case) to command: the dispatcher's first look.
        self.by_raw_name: Final[dict[bytes, Command]] = {}
        for spec in specs:
            command = Command.from_spec(spec)
            assert command.name not in self.commands, command.name
            self.commands[command.name] = command
            self.by_raw_name[command.name.encode()] = command
            self.by_raw_name[command.name.upper().encode()] = command

    def find(self, name: bytes) -> Command | None:
        """The command of that name in any case, or None."""
        return self.by_raw_name.get(name) or self.by_raw_name.get(name.lower())

    def each(self) -> Iterable[Command]:
        """Every command and subcommand."""
        for command in self.commands.values():
            yield command
            yield from command.subcommands.values()
