"""Prints docs/errors.md: every refusal and every error of a log, with what to do about it.

    python -m tests.tidy.errors_page > docs/errors.md

Codes and texts are taken from the classes and from the commands; what they mean and what to do stands here.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from respbroker import errors
from respbroker.errors import ReplyError
from storage import errors as storage_errors
from storage.errors import StorageError

ROOT: Final = Path(__file__).resolve().parents[2]

HEAD: Final = """\
# Errors

Errors are sorted by who must act: the client (an error reply), the operator (an error of a log), or the authors (a
failed assertion ends the server rather than let it lie). The texts are Redis', to the byte.

This page is printed from `respbroker/errors.py`, `storage/errors.py` and the commands.

## What a client is told

The wire form is `-CODE text`. Client libraries look at the code; redis-py makes an exception of its own for
`NOAUTH`, `WRONGPASS`, `OOM` and `EXECABORT`, and a `ResponseError` of most others. A refused command has changed
nothing.
"""

OTHERS: Final = """
### Before there is a client

| reply | when | what to do |
|---|---|---|
| `-ERR max number of clients reached` | `maxclients` are connected; the connection is closed | raise `maxclients`, or\
 close connections |
| `-DENIED Redis is running in protected mode …` | no password is set, and the peer is not on this machine | set\
 `requirepass`, or `protected-mode no` where the network is trusted |

### Sentences of single commands

All with the code `ERR`; `…` stands for what the client sent or what the command is called.
"""

STORAGE: Final = """
## What the operator is told

Errors of a log are sentences that end in the place: offset, byte position and file, as far as they are known. In the
server they appear in the log, and clients whose command met one are told with `MISCONF`. **Nothing is ever deleted
because of them.** [Operations](operations.md) says what to do first.

| error | when | what to do |
|---|---|---|
"""

#: class: when it is answered, what to do
REPLIES: Final = {
    "SyntaxRefused": ("words stand where the command has no place for them", "see [commands](commands.md)"),
    "WrongArity": ("too few or too many words", "see [commands](commands.md)"),
    "UnknownCommand": ("the command does not exist here", "see [differences](differences.md)"),
    "UnknownSubcommand": ("the same for the second word", "ask the command for HELP"),
    "NotAnInteger": ("a number is none, or too large; no sign, blank or zero may stand before it", "send digits"),
    "NotAFloat": ("a score is no number", "send digits; `inf` is one, `nan` is not"),
    "Overflow": ("INCR, DECRBY, HINCRBY … beyond 64 bits", "begin again at 0"),
    "InvalidStreamId": ("an ID is not `ms`, `ms-seq` or one of the special IDs that the command takes", "send an ID"),
    "NegativeTimeout": ("BLOCK, WAIT or WAITAOF with less than 0", "0 waits for ever"),
    "TimeoutNotAnInteger": ("BLOCK with something else than a number", "send milliseconds"),
    "NoSuchKey": ("the key does not exist, or has expired", "create it with XADD or XGROUP CREATE … MKSTREAM"),
    "WrongType": ("a command of streams on a string, of hashes on a stream …; SET replaces any kind", "see TYPE"),
    "SeveralPartitions": (
        "the command works on one stream, and the key is a topic of several partitions",
        "name the partition: `orders/3`",
    ),
    "NoSuchPartition": ("`orders/9` where the topic has fewer partitions", "see XTOPIC INFO"),
    "PartOfTopic": ("DEL, RENAME, MOVE, EXPIRE or SET of `orders/3`", "do it to the topic; XTRIM empties a partition"),
    "SchemaMismatch": (
        "XADD to a topic with a schema: the field is missing, no JSON, or does not fit; `$.items[0].price` is where",
        "send what fits, or change the schema with XTOPIC ALTER",
    ),
    "BusyKey": (
        "XTOPIC CREATE where a key is, or a new name that would mean a partition as well",
        "choose another name",
    ),
    "InvalidDbIndex": (
        "SELECT, MOVE, COPY or SWAPDB beyond `databases`",
        "raise `databases`, or choose a lower number",
    ),
    "IdNotGreater": ("XADD with an ID that is not above the last one, also when that entry is gone", "use `*`"),
    "IdIsZero": ("XADD with the ID 0-0", "use `*`"),
    "IdsExhausted": ("the stream's last ID is the highest there is", "begin another stream"),
    "BusyGroup": ("XGROUP CREATE of a group that exists", "most programs ignore it"),
    "NoGroup": ("the group or the stream does not exist; also to a blocked reader when it goes", "XGROUP CREATE"),
    "NoAuth": ("`requirepass` is set and the client has not given it", "AUTH, or HELLO with AUTH"),
    "WrongPass": ("AUTH with another password, or a user other than `default`", "check the password"),
    "NoProto": ("HELLO with a version other than 2 or 3", "use 2 or 3"),
    "Unblocked": ("another client sent CLIENT UNBLOCK … ERROR", "ask again"),
    "NoScript": ("EVALSHA of a script that was not sent since the start", "client libraries send it with EVAL then"),
    "ExecAbort": ("EXEC after a command that was refused when it was queued; nothing was run", "look at that reply"),
    "ProtocolError": ("the bytes are not RESP; the connection is closed", "check the client"),
    "MisConf": (
        "the disk refused a write, or a file is damaged; the text says which. Reads go on",
        "see [operations](operations.md)",
    ),
    "OutOfMemory": ("the process has more than `maxmemory`", "raise it; see [operations](operations.md)"),
    "NoReplicas": (
        "fewer replicas are in sync than `min.insync.replicas` asks for, and the topic has `acks all`",
        "see `INFO replication`; bring a replica back, or lower `min.insync.replicas`",
    ),
    "ReadOnlyReplica": (
        "a write to a replica, or to a leader that came back and has not been confirmed yet",
        "write to the leader: `ROLE` and sentinel tell which it is; see [replication](replication.md)",
    ),
    "Loading": ("a replica's first copy of its leader's data is not whole yet", "wait: `INFO replication` tells"),
    "NotLeader": ("another server took this one for its leader", "it goes on by itself"),
    "KeyRequired": ("XGROUP of a stream that does not exist", "create it, or add MKSTREAM to XGROUP CREATE"),
    "SubcommandSyntax": ("a subcommand of XGROUP with options it does not have", "ask XGROUP HELP"),
}

#: class: when it is raised, what to do
LOG_ERRORS: Final = {
    "StorageError": ("the family of all below", "–"),
    "CorruptLog": (
        "bytes that were good are not any more. The range they stand in is refused, everything else is served",
        "copy the directory; `python -m storage.inspect --verify DIR` lists all damage; restore that file from a copy",
    ),
    "MissingLog": ("a directory that should hold a log has no segment", "restore the directory"),
    "MissingSegment": ("a segment between others, or before the recovery point, is gone", "restore the file"),
    "LogLocked": ("another process holds the directory", "stop it, or choose another `dir`"),
    "DiskFull": ("no room for a write; nothing of it is in the log", "make room: writes are tried again each second"),
    "DiskFailed": ("a read, write or sync failed for another reason", "check the disk, then restart"),
    "LogPoisoned": ("an append after a failed write or sync", "check the disk, then restart"),
    "NotABatchBorder": ("for programs that use the library: a cut inside a batch", "cut where a batch begins"),
    "NotContiguous": (
        "for programs that use the library: batches handed in as they are do not continue the log",
        "find where the two logs differ, cut there, and go on from there",
    ),
    "CorruptBatch": (
        "for programs that use the library: what was handed in as batches is not whole or not intact",
        "read it again where it came from",
    ),
    "Outdated": (
        "for programs that use the library: a reader's segment was rewritten, dropped or cut",
        "make another reader",
    ),
    "OutOfRange": ("for programs that use the library: records that are not stored", "ask within the log's bounds"),
}

#: What the constructors of these are given on the page.
_SAMPLES: Final = {
    "WrongArity": ("…",),
    "UnknownCommand": ([b"\x85", b"\x85"],),
    "UnknownSubcommand": ("…", b"\x85"),
    "ProtocolError": ("…",),
    "SchemaMismatch": ("field '…' at …: …",),
    "SubcommandSyntax": ("XGROUP", b"\x85"),
}


def render() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_replies(), *_sentences(), STORAGE.rstrip("\n"), *_log_errors(), ""])


def reply_errors() -> list[type[ReplyError]]:
    """Every class of refusal, in the order of the source; those of one family of commands come last."""
    from respbroker.commands import groups

    found = [
        each
        for module in (errors, groups)
        for each in vars(module).values()
        if inspect.isclass(each) and issubclass(each, ReplyError) and each is not ReplyError
    ]
    return list(dict.fromkeys(found))


def log_errors() -> list[type[StorageError]]:
    """Every class of a log's errors, in the order of the source."""
    return [each for each in vars(storage_errors).values() if inspect.isclass(each) and issubclass(each, StorageError)]


def _replies() -> Iterator[str]:
    yield "| reply | when | what to do |\n|---|---|---|"
    for each in reply_errors():
        when, advice = REPLIES[each.__name__]
        yield f"| `{each.code} {_text_of(each)}` | {when} | {advice} |"


def _text_of(each: type[ReplyError]) -> str:
    if each is errors.NoGroup:
        return "No such key '…' or consumer group '…'"
    arguments = _SAMPLES.get(each.__name__, ())
    text = each(*arguments).text or "…"
    return text.replace("\x85", "…").replace("|", "\\|").strip()


def _sentences() -> Iterator[str]:
    yield OTHERS
    for family, texts in _literals().items():
        yield f"* *{family}*: " + "; ".join(f"`{text}`" for text in texts)


def _literals() -> dict[str, list[str]]:
    """Texts that stand in `ReplyError(...)` of the commands, by the file's name."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "respbroker" / "commands").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ReplyError" and node.args:
                text = _literal(node.args[0])
                if text and text not in found.setdefault(path.stem, []):
                    found[path.stem].append(text)
    return {family: texts for family, texts in found.items() if texts}


def _literal(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value).replace("`", "'")
    if isinstance(node, ast.JoinedStr):
        return "".join(_literal(part) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return ""


def _log_errors() -> Iterator[str]:
    for each in log_errors():
        when, advice = LOG_ERRORS[each.__name__]
        yield f"| `{each.__name__}` | {when} | {advice} |"


if __name__ == "__main__":
    print(render(), end="")
