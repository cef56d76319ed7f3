"""EVAL, EVALSHA and SCRIPT: the scripts of locks, and no others; there is no Lua here.

A script runs within its request, so nothing comes between its steps. What it changes goes through the same checks as
the commands of a client do: a follower and a disk that refuses take no change from a script either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from respbroker.commands.arguments import parse_int
from respbroker.commands.help import help_reply, never_run
from respbroker.commands.lock_scripts import Body, recognise
from respbroker.commands.table import CommandSpec, Flag, Handler, Keys
from respbroker.commands.tips import ALL_SUCCEED, ALL_TRUE, TO_ALL_NODES, TO_ALL_SHARDS
from respbroker.commands.values import read
from respbroker.errors import NoScript, ReplyError
from respbroker.resp.replies import OK, bulk, integer_array
from respbroker.sessions.scripts import DIGEST_SIZE

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.sessions.client import Reply

UNKNOWN_SCRIPT: Final = (
    "there is no Lua here: of scripts, only those by which client libraries release and extend locks are carried out"
)
NIL_ARGUMENT: Final = "Lua redis lib command arguments must be strings or integers"


@attrs.define(eq=False)
class Run:
    """A script at work, see `respbroker.commands.lock_scripts.ScriptRun`. ``step`` is the place it has come to."""

    ctx: Context
    text: bytes
    keys: list[bytes]
    arguments: list[bytes]
    step: bytes = b""

    def key(self, number: int) -> bytes | None:
        return self.keys[number - 1] if number <= len(self.keys) else None

    def argument(self, number: int) -> bytes | None:
        return self.arguments[number - 1] if number <= len(self.arguments) else None

    def get(self, key: bytes | None) -> bytes | None:
        self.step = b"get"
        return read(self.ctx, self.ctx.text, _given(key))

    def pttl(self, key: bytes | None) -> int:
        """-1 where the key has no expiry; it is there, or the script would have ended."""
        self.step = b"pttl"
        expires_ms = self.ctx.keyspace.expiry(self.ctx.client.db, _given(key))
        return expires_ms - self.ctx.now_ms if expires_ms else -1

    def call(self, *words: bytes | None) -> Reply:
        self.step = words[0] or b""
        return self.ctx.call([_given(word) for word in words])

    def mistake(self, at: bytes, trouble: str) -> ReplyError:
        self.step = at
        return ReplyError(f"user_script:{self.line}: {trouble}")

    @property
    def line(self) -> int:
        """The line of the text that the script has come to, counted from 1; every step stands there once."""
        return 1 + self.text[: max(0, self.text.lower().find(self.step))].count(b"\n")


def _given(word: bytes | None) -> bytes:
    if word is None:
        raise ReplyError(NIL_ARGUMENT)
    return word


# -- running ---------------------------------------------------------------------------------------------------


def eval_(ctx: Context, words: list[bytes]) -> Reply:
    text = words[1]
    count = _count_keys(words)
    body = recognise(text)
    if body is None:
        raise ReplyError(UNKNOWN_SCRIPT)
    return _run(ctx, body, ctx.scripts.load(text), text, words, count)


def evalsha(ctx: Context, words: list[bytes]) -> Reply:
    if len(words[1]) != DIGEST_SIZE:
        raise NoScript
    count = _count_keys(words)
    text = ctx.scripts.find(words[1])
    if text is None:
        raise NoScript
    body = recognise(text)
    assert body is not None, "only what is recognised is kept"
    return _run(ctx, body, words[1].lower(), text, words, count)


def _count_keys(words: list[bytes]) -> int:
    count = parse_int(words[2])
    if count > len(words) - 3:
        raise ReplyError("Number of keys can't be greater than number of args")
    if count < 0:
        raise ReplyError("Number of keys can't be negative")
    return count


def _run(ctx: Context, body: Body, digest: bytes, text: bytes, words: list[bytes], count: int) -> Reply:
    """Carry a script out. What it is refused is told with its name and line, as Redis does."""
    run = Run(ctx, text, words[3 : 3 + count], words[3 + count :])
    try:
        return body(run)
    except ReplyError as refusal:
        refusal.text = f"{refusal.text} script: {digest.decode()}, on @user_script:{run.line}."
        raise


# -- the scripts that are known ----------------------------------------------------------------------------------


def load(ctx: Context, words: list[bytes]) -> Reply:
    if recognise(words[2]) is None:
        raise ReplyError(UNKNOWN_SCRIPT)
    return bulk(ctx.scripts.load(words[2]))


def exists(ctx: Context, words: list[bytes]) -> Reply:
    return integer_array([ctx.scripts.find(digest) is not None for digest in words[2:]])


def flush(ctx: Context, words: list[bytes]) -> Reply:
    if len(words) > 3 or (len(words) == 3 and words[2].upper() not in (b"SYNC", b"ASYNC")):
        raise ReplyError("SCRIPT FLUSH only support SYNC|ASYNC option")
    ctx.scripts.flush()
    return OK


HELP: Final = """\
EXISTS <sha1> [<sha1> ...]
    Return information about the existence of the scripts in the script cache.
FLUSH [ASYNC|SYNC]
    Flush the scripts cache; both modes are one here.
LOAD <script>
    Load a script into the scripts cache without executing it; only those of locks are known."""


# -- rows ------------------------------------------------------------------------------------------------------

_EVAL: Final = Flag.NOSCRIPT | Flag.STALE | Flag.SKIP_MONITOR | Flag.NO_MANDATORY_KEYS | Flag.MOVABLEKEYS


def _eval_row(name: str, handler: Handler, argument: str, summary: str) -> CommandSpec:
    return CommandSpec(
        name=name,
        arity=-3,
        flags=_EVAL,
        handler=handler,
        summary=summary,
        syntax=f"{argument} numkeys [key [key ...]] [arg [arg ...]]",
        since="2.6.0",
        group="scripting",
        keys=Keys(2, counted=True),
    )


def _row(
    name: str,
    arity: int,
    flags: Flag,
    handler: Handler,
    summary: str,
    syntax: str = "",
    since: str = "2.6.0",
    complexity: str = "O(1)",
    tips: tuple[str, ...] = (),
) -> CommandSpec:
    return CommandSpec(
        name=name,
        arity=arity,
        flags=flags,
        handler=handler,
        summary=summary,
        syntax=syntax,
        since=since,
        group="scripting",
        complexity=complexity,
        tips=tips,
    )


COMMANDS: Final = (
    _eval_row("EVAL", eval_, "script", "Executes a script of a lock, known by its text."),
    _eval_row("EVALSHA", evalsha, "sha1", "Executes a script of a lock by SHA1 digest."),
    CommandSpec(
        name="SCRIPT",
        arity=-2,
        flags=Flag.NONE,
        handler=never_run,
        since="2.6.0",
        group="scripting",
        complexity="Depends on subcommand.",
        summary="A container for scripts management commands.",
        subcommands=(
            _row(
                "LOAD",
                3,
                Flag.NOSCRIPT | Flag.STALE,
                load,
                "Loads a script of a lock to the script cache.",
                "script",
                complexity="O(N) with N being the length in bytes of the script body.",
                tips=(TO_ALL_NODES, ALL_SUCCEED),
            ),
            _row(
                "EXISTS",
                -3,
                Flag.NOSCRIPT,
                exists,
                "Determines whether scripts exist in the script cache.",
                "sha1 [sha1 ...]",
                complexity="O(N) with N being the number of scripts to check.",
                tips=(TO_ALL_SHARDS, ALL_TRUE),
            ),
            _row(
                "FLUSH",
                -2,
                Flag.NOSCRIPT,
                flush,
                "Removes all scripts from the script cache.",
                "[ASYNC | SYNC]",
                complexity="O(N) with N being the number of scripts in cache",
                tips=(TO_ALL_NODES, ALL_SUCCEED),
            ),
            _row(
                "HELP",
                2,
                Flag.LOADING | Flag.STALE,
                help_reply("SCRIPT", HELP),
                "Returns helpful text about the different subcommands.",
                since="5.0.0",
            ),
        ),
    ),
)
