"""Every refusal a client can see, worded as Redis words it."""

from __future__ import annotations

from typing import Any, ClassVar


class ReplyError(Exception):
    """A refusal the client is meant to see; the wire form is ``-CODE text``.

    ``code`` is the machine-readable first word and never a part of ``text``. The texts are Redis', to the
    byte; ``resp.replies.error`` blanks CR and LF, so words chosen by a client may be quoted in them.
    """

    code: ClassVar[str] = "ERR"
    text: str = ""

    def __init__(self, text: str | None = None) -> None:
        super().__init__(self.text if text is None else text)
        if text is not None:
            self.text = text


def quoted(word: bytes, limit: int = 128) -> str:
    """A client's word inside an error text; bytes are kept one to one (latin-1), long words are cut.

    Redis prints words as C strings, so they end at the first NUL.
    """
    return word[:limit].partition(b"\0")[0].decode("latin-1")


# -- syntax -----------------------------------------------------------------------------------------


class SyntaxRefused(ReplyError):
    text = "syntax error"


class WrongArity(ReplyError):
    """The number of words does not fit the command; ``name`` as in the table, ``xgroup|create`` for subcommands."""

    def __init__(self, name: str) -> None:
        super().__init__(f"wrong number of arguments for '{name.lower()}' command")


class UnknownCommand(ReplyError):
    """No such command. Redis lists the first arguments, up to 128 bytes of them in all."""

    def __init__(self, words: list[bytes]) -> None:
        listed = ""
        for word in words[1:]:
            if len(listed) >= 128:
                break
            listed += f"'{quoted(word, 128 - len(listed))}' "
        super().__init__(f"unknown command '{quoted(words[0])}', with args beginning with: {listed}")


class UnknownSubcommand(ReplyError):
    def __init__(self, command: str, subcommand: bytes) -> None:
        super().__init__(f"unknown subcommand '{quoted(subcommand)}'. Try {command.upper()} HELP.")


class NotAnInteger(ReplyError):
    text = "value is not an integer or out of range"


class NotAFloat(ReplyError):
    text = "value is not a valid float"


class Overflow(ReplyError):
    """INCR and its like beyond what 64 bits hold."""

    text = "increment or decrement would overflow"


class InvalidStreamId(ReplyError):
    text = "Invalid stream ID specified as stream command argument"


class NegativeTimeout(ReplyError):
    text = "timeout is negative"


class TimeoutNotAnInteger(ReplyError):
    text = "timeout is not an integer or out of range"


# -- keys and types ------------------------------------------------------------------------------------


class NoSuchKey(ReplyError):
    text = "no such key"


class WrongType(ReplyError):
    code = "WRONGTYPE"
    text = "Operation against a key holding the wrong kind of value"


class SeveralPartitions(ReplyError):
    """The key is a topic of several partitions, and the command works on one stream; ``topic`` is the topic."""

    def __init__(self, name: bytes = b"", topic: Any = None) -> None:
        Exception.__init__(self)
        self.name, self.topic = name, topic

    @property
    def text(self) -> str:  # type: ignore[override]  # put together when asked for: most commands go on with the topic
        if self.topic is None:
            return ""
        key, last = quoted(self.name), len(self.topic.partitions) - 1
        return f"'{key}' has {last + 1} partitions: name one of them, '{key}/0' to '{key}/{last}'"


class NoSuchPartition(ReplyError):
    @classmethod
    def of(cls, name: bytes, index: bytes, count: int) -> NoSuchPartition:
        key = quoted(name)
        return cls(f"'{key}' has {count} partitions, 0 to {count - 1}: there is no '{key}/{quoted(index)}'")


class PartOfTopic(ReplyError):
    """DEL, RENAME, EXPIRE … of a single partition."""

    @classmethod
    def of(cls, key: bytes) -> PartOfTopic:
        topic = quoted(key.rpartition(b"/")[0])
        return cls(f"'{quoted(key)}' is a partition of '{topic}' and cannot go or be moved by itself")


class SchemaMismatch(ReplyError):
    """XADD to a topic with a schema: what stands in the field does not fit it, or the field is not there."""

    code = "SCHEMA"

    @classmethod
    def of(cls, field: bytes, trouble: str) -> SchemaMismatch:
        """``trouble`` goes on behind the field's name; it may quote what a client sent, so it is cut."""
        words = trouble.encode("utf-8", "backslashreplace")
        return cls(f"field '{quoted(field)}' {quoted(words, 400)}")


class BusyKey(ReplyError):
    code = "BUSYKEY"
    text = "Target key name already exists."


class InvalidDbIndex(ReplyError):
    text = "DB index is out of range"


# -- streams ------------------------------------------------------------------------------------------


class IdNotGreater(ReplyError):
    text = "The ID specified in XADD is equal or smaller than the target stream top item"


class IdIsZero(ReplyError):
    text = "The ID specified in XADD must be greater than 0-0"


class IdsExhausted(ReplyError):
    text = "The stream has exhausted the last possible ID, unable to add more items"


class BusyGroup(ReplyError):
    code = "BUSYGROUP"
    text = "Consumer Group name already exists"


class NoGroup(ReplyError):
    """The group (or the key) does not exist; the sentence differs by command, see the constructors."""

    code = "NOGROUP"

    @classmethod
    def of_reader(cls, key: bytes, group: bytes) -> NoGroup:
        """XREADGROUP's form."""
        name, of = quoted(group, 1 << 30), quoted(key, 1 << 30)
        return cls(f"No such key '{of}' or consumer group '{name}' in XREADGROUP with GROUP option")

    @classmethod
    def of_key(cls, key: bytes, group: bytes) -> NoGroup:
        """The form of XPENDING, XCLAIM and XAUTOCLAIM."""
        return cls(f"No such key '{quoted(key, 1 << 30)}' or consumer group '{quoted(group, 1 << 30)}'")

    @classmethod
    def named(cls, key: bytes, group: bytes) -> NoGroup:
        """The form of XINFO CONSUMERS and XGROUP."""
        return cls(f"No such consumer group '{quoted(group, 1 << 30)}' for key name '{quoted(key, 1 << 30)}'")


# -- connections and transactions ------------------------------------------------------------------------


class NoAuth(ReplyError):
    code = "NOAUTH"
    text = "Authentication required."


class WrongPass(ReplyError):
    code = "WRONGPASS"
    text = "invalid username-password pair or user is disabled."


class NoProto(ReplyError):
    code = "NOPROTO"
    text = "unsupported protocol version"


class Unblocked(ReplyError):
    code = "UNBLOCKED"
    text = "client unblocked via CLIENT UNBLOCK"


class NoScript(ReplyError):
    """EVALSHA of a script that nobody has sent yet; clients answer it by sending the text."""

    code = "NOSCRIPT"
    text = "No matching script. Please use EVAL."


class ExecAbort(ReplyError):
    code = "EXECABORT"
    text = "Transaction discarded because of previous errors."


class ProtocolError(ReplyError):
    """The bytes are not RESP; the connection is closed behind this reply."""

    def __init__(self, text: str) -> None:
        super().__init__(f"Protocol error: {text}")


# -- the server's state ------------------------------------------------------------------------------------


class MisConf(ReplyError):
    """The disk refuses; writes are refused until it recovers, reads go on."""

    code = "MISCONF"


class OutOfMemory(ReplyError):
    code = "OOM"
    text = "command not allowed when used memory > 'maxmemory'."


class NoReplicas(ReplyError):
    """Fewer replicas are in sync than ``min.insync.replicas`` asks for. Debezium takes no refusal for one that does not
    have OOM's words in it, so they stand behind Redis' own.
    """

    code = "NOREPLICAS"
    text = (
        "Not enough good replicas to write. "
        "Nothing was written, as after: OOM command not allowed when used memory > 'maxmemory'."
    )


class ReadOnlyReplica(ReplyError):
    code = "READONLY"
    text = "You can't write against a read only replica."


class Loading(ReplyError):
    """A follower whose first copy of its leader's data is not whole yet."""

    code = "LOADING"
    text = "Redis is loading the dataset in memory"


class NotLeader(ReplyError):
    """Another server asked for what only a leader gives; the text begins with its address where that is known."""

    code = "NOTLEADER"
