"""A command as COMMAND INFO and COMMAND DOCS tell it, derived from its row."""

from __future__ import annotations

from typing import Final

from respbroker.commands.syntax import Argument, parse_syntax
from respbroker.commands.table import Command, Flag, Keys
from respbroker.resp import replies
from respbroker.resp.replies import Wire

#: Flags in the order in which Redis lists them.
FLAG_NAMES: Final = {
    Flag.WRITE: "write",
    Flag.READONLY: "readonly",
    Flag.DENYOOM: "denyoom",
    Flag.ADMIN: "admin",
    Flag.PUBSUB: "pubsub",
    Flag.NOSCRIPT: "noscript",
    Flag.BLOCKING: "blocking",
    Flag.LOADING: "loading",
    Flag.STALE: "stale",
    Flag.SKIP_MONITOR: "skip_monitor",
    Flag.SKIP_SLOWLOG: "skip_slowlog",
    Flag.FAST: "fast",
    Flag.NO_AUTH: "no_auth",
    Flag.NO_MANDATORY_KEYS: "no_mandatory_keys",
    Flag.NO_ASYNC_LOADING: "no_async_loading",
    Flag.NO_MULTI: "no_multi",
    Flag.MOVABLEKEYS: "movablekeys",
    Flag.ALLOW_BUSY: "allow_busy",
}

#: ACL categories in the order in which Redis lists them.
CATEGORIES: Final = (
    "keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog", "geo", "stream",
    "pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting",
)  # fmt: skip

_CATEGORIES_OF_FLAGS: Final = {
    Flag.WRITE: ("write",),
    Flag.READONLY: ("read",),
    Flag.ADMIN: ("admin", "dangerous"),
    Flag.PUBSUB: ("pubsub",),
    Flag.FAST: ("fast",),
    Flag.BLOCKING: ("blocking",),
}
_CATEGORIES_OF_GROUPS: Final = {"scripting": "scripting", "stream": "stream", "transactions": "transaction"}

#: What commands do to their keys where "update" (writing) and "access" (reading) is not the word; one tuple for all
#: keys, or one for each.
_ACCESS_AND_UPDATE: Final = (("RW", "access", "update"),)
_KEY_FLAGS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "append": (("RW", "insert"),),
    "copy": (("RO", "access"), ("OW", "update")),
    "decr": _ACCESS_AND_UPDATE,
    "decrby": _ACCESS_AND_UPDATE,
    "del": (("RM", "delete"),),
    "eval": _ACCESS_AND_UPDATE,
    "evalsha": _ACCESS_AND_UPDATE,
    "exists": (("RO",),),
    "expiretime": (("RO", "access"),),
    "getdel": (("RW", "access", "delete"),),
    "getex": _ACCESS_AND_UPDATE,
    "getset": _ACCESS_AND_UPDATE,
    "hdel": (("RW", "delete"),),
    "hexists": (("RO",),),
    "hincrby": _ACCESS_AND_UPDATE,
    "hlen": (("RO",),),
    "hsetnx": (("RW", "insert"),),
    "incr": _ACCESS_AND_UPDATE,
    "incrby": _ACCESS_AND_UPDATE,
    "memory|usage": (("RO",),),
    "move": _ACCESS_AND_UPDATE,
    "mset": (("OW", "update"),),
    "msetnx": (("OW", "insert"),),
    "object|encoding": (("RO",),),
    "object|freq": (("RO",),),
    "object|idletime": (("RO",),),
    "object|refcount": (("RO",),),
    "psetex": (("OW", "update"),),
    "rename": (("RW", "access", "delete"), ("OW", "update")),
    "renamenx": (("RW", "access", "delete"), ("OW", "insert")),
    "set": (("RW", "access", "update", "variable_flags"),),
    "setex": (("OW", "update"),),
    "setnx": (("OW", "insert"),),
    "spublish": (("not_key",),),
    "ssubscribe": (("not_key",),),
    "strlen": (("RO",),),
    "sunsubscribe": (("not_key",),),
    "touch": (("RO",),),
    "type": (("RO",),),
    "unlink": (("RM", "delete"),),
    "watch": (("RO",),),
    "xackdel": (("RW", "update", "delete"),),
    "xautoclaim": (("RW", "delete"),),
    "xdel": (("RW", "delete"),),
    "xdelex": (("RW", "delete"),),
    "xgroup|create": (("RW", "insert"),),
    "xgroup|createconsumer": (("RW", "insert"),),
    "xgroup|delconsumer": (("RW", "delete"),),
    "xgroup|destroy": (("RW", "delete"),),
    "xlen": (("RO",),),
    "xreadgroup": (("RO", "access"),),
    "xtrim": (("RW", "delete"),),
    "zcard": (("RO",),),
    "zpopmin": (("RW", "access", "delete"),),
    "zrem": (("RW", "delete"),),
}

#: What Redis remarks on where a command's keys are.
_KEY_NOTES: Final = {
    "eval": "We cannot tell how the keys will be used so we assume the worst, RW and UPDATE",
    "getex": "RW and UPDATE because it changes the TTL",
    "set": "RW and ACCESS due to the optional `GET` argument",
    "xadd": "UPDATE instead of INSERT because of the optional trimming feature",
}


def flag_names(command: Command) -> list[str]:
    return [name for flag, name in FLAG_NAMES.items() if flag in command.flags]


def categories_of(command: Command) -> list[str]:
    """ACL categories, each with its ``@``."""
    spec = command.spec
    names = {"fast" if Flag.FAST in command.flags else "slow"}
    for flag, implied in _CATEGORIES_OF_FLAGS.items():
        if flag in command.flags:
            names.update(implied)
    if not command.subcommands:
        names.update(spec.categories)
        if spec.group in _CATEGORIES_OF_GROUPS:
            names.add(_CATEGORIES_OF_GROUPS[spec.group])
    elif spec.name == "COMMAND":
        names.update(spec.categories)  # the one container that is a command too
    return [f"@{name}" for name in CATEGORIES if name in names]


# -- keys ---------------------------------------------------------------------------------------------------


def key_flags(command: Command) -> tuple[tuple[str, ...], ...]:
    """What is done to the keys: a tuple for all of them or for each; empty for a command without keys."""
    if command.spec.keys is None:
        return ()
    usual = ("RW", "update") if Flag.WRITE in command.flags else ("RO", "access")
    return _KEY_FLAGS.get(command.name, (usual,))


def keys_of(command: Command, words: list[bytes]) -> list[tuple[bytes, tuple[str, ...]]]:
    """The keys in a request, each with what is done to it."""
    assert command.spec.keys is not None
    flags = key_flags(command)
    return [(key, flags[min(at, len(flags) - 1)]) for at, key in enumerate(command.spec.keys.of(words))]


def _key_specs(command: Command, protocol: int) -> list[dict[str, object]]:
    """Where the keys are, as Redis' clients want it; one for all keys, or one for each."""
    keys, flags = command.spec.keys, key_flags(command)
    if keys is None:
        return []
    if keys.counted:
        places = [(_index_search(keys.first), _KEYS_BEHIND_COUNT)]
    elif keys.find is not None:
        places = [(_keyword_search(command), _key_range(-1, 1, 2))]
    elif len(flags) == 1:
        last = keys.last - keys.first if keys.last >= 0 else keys.last
        places = [(_index_search(keys.first), _key_range(last, keys.step, 0))]
    else:
        indexes = range(keys.first, keys.last + 1, keys.step)
        places = [(_index_search(index), _key_range(0, 1, 0)) for index in indexes]
    notes: dict[str, object] = {"notes": note} if (note := _KEY_NOTES.get(command.name)) else {}
    return [
        {**notes, "flags": _simple_set(own, protocol), "begin_search": search, "find_keys": find}
        for own, (search, find) in zip(flags, places, strict=True)
    ]


def _index_search(index: int) -> dict[str, object]:
    return {"type": "index", "spec": {"index": index}}


def _keyword_search(command: Command) -> dict[str, object]:
    """Both commands whose keys move have them behind STREAMS; a group's name may be that word too."""
    start = 4 if command.name == "xreadgroup" else 1
    return {"type": "keyword", "spec": {"keyword": "STREAMS", "startfrom": start}}


_KEYS_BEHIND_COUNT: Final[dict[str, object]] = {"type": "keynum", "spec": {"keynumidx": 0, "firstkey": 1, "keystep": 1}}


def _key_range(last: int, step: int, limit: int) -> dict[str, object]:
    return {"type": "range", "spec": {"lastkey": last, "keystep": step, "limit": limit}}


# -- COMMAND INFO -------------------------------------------------------------------------------------------


def _simple_set(names: list[str] | tuple[str, ...], protocol: int) -> Wire:
    return Wire(replies.set_([replies.simple(name.encode()) for name in names], protocol))


def describe(command: Command, protocol: int) -> list[object]:
    """The ten values of COMMAND INFO, ready for `replies.encode`."""
    keys = command.spec.keys
    placed = keys if keys is not None and not keys.move else Keys(0, 0, 0)
    return [
        command.name,
        command.spec.arity,
        _simple_set(flag_names(command), protocol),
        placed.first,
        placed.last,
        placed.step,
        _simple_set(categories_of(command), protocol),
        Wire(replies.set_([replies.bulk(tip.encode()) for tip in command.spec.tips], protocol)),
        Wire(replies.set_([replies.encode(one, protocol) for one in _key_specs(command, protocol)], protocol)),
        [describe(subcommand, protocol) for subcommand in command.subcommands.values()] or _simple_set((), protocol),
    ]


# -- COMMAND DOCS -------------------------------------------------------------------------------------------


def document(command: Command, protocol: int) -> dict[str, object]:
    """The map of COMMAND DOCS."""
    spec = command.spec
    page: dict[str, object] = {
        "summary": spec.summary,
        "since": spec.since,
        "group": spec.group,
        "complexity": spec.complexity,
    }
    if spec.syntax and not command.subcommands:
        page["arguments"] = _Arguments(len(key_flags(command)), protocol).of(parse_syntax(spec.syntax))
    if command.subcommands:
        page["subcommands"] = {one.name: document(one, protocol) for one in command.subcommands.values()}
    return page


class _Arguments:
    """The arguments of one command as maps; counts the keys, to tell each which key spec it belongs to."""

    def __init__(self, keys_known: int, protocol: int) -> None:
        self._keys_known = keys_known
        self._protocol = protocol
        self._keys_met = 0

    def of(self, arguments: tuple[Argument, ...]) -> list[dict[str, object]]:
        return [self._one(argument) for argument in arguments]

    def _one(self, argument: Argument) -> dict[str, object]:
        page: dict[str, object] = {"name": argument.name, "type": argument.kind}
        if not argument.arguments:
            page["display_text"] = argument.name
        if argument.kind == "key" and self._keys_known:
            page["key_spec_index"] = min(self._keys_met, self._keys_known - 1)
            self._keys_met += 1
        if argument.token:
            page["token"] = argument.token
        flags = [name for name in ("optional", "multiple", "multiple_token") if getattr(argument, name)]
        if flags:
            page["flags"] = _simple_set(flags, self._protocol)
        if argument.arguments:
            page["arguments"] = self.of(argument.arguments)
        return page
