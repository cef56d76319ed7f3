"""The options that XADD and XTRIM share: MAXLEN, MINID, LIMIT and what becomes of references."""

from __future__ import annotations

import attrs

from respbroker.commands.arguments import Arguments, parse_int
from respbroker.errors import ReplyError, SyntaxRefused
from respbroker.model.stream_id import ZERO, StreamId, parse_id
from respbroker.streams.references import POLICIES, Policy
from respbroker.streams.trimming import Trim


@attrs.define(slots=True)
class TrimOptions:
    """What was given so far; `finish` checks that it fits together."""

    maxlen: int | None = None
    minid: StreamId | None = None
    approximate: bool = False
    limit: int | None = None
    policy: Policy | None = None

    def take(self, option: bytes, arguments: Arguments) -> bool:
        """Read the option just taken; False if it is not one of these (or has no value and so cannot be)."""
        if option in (b"MAXLEN", b"MINID") and arguments.more:
            self._take_threshold(option, arguments)
        elif option == b"LIMIT" and arguments.more:
            self.limit = parse_int(arguments.value())
            if self.limit < 0:
                raise ReplyError("The LIMIT argument must be >= 0.")
        elif option in POLICIES and self.policy is None:
            self.policy = POLICIES[option]
        else:
            return False
        return True

    def _take_threshold(self, option: bytes, arguments: Arguments) -> None:
        if self.maxlen is not None or self.minid is not None:
            raise ReplyError("syntax error, MAXLEN and MINID options at the same time are not compatible")
        word = arguments.value()
        self.approximate = False
        if word in (b"~", b"=") and arguments.more:
            self.approximate = word == b"~"
            word = arguments.value()
        if option == b"MINID":
            self.minid = parse_id(word)
            return
        self.maxlen = parse_int(word)
        if self.maxlen < 0:
            raise ReplyError("The MAXLEN argument must be >= 0.")

    def finish(self, node_entries: int) -> Trim | None:
        """The trim asked for, if any; ``node_entries`` gives the default limit of an approximate one."""
        if self.maxlen is None and self.minid is None:
            if self.limit:
                raise ReplyError("syntax error, LIMIT cannot be used without specifying a trimming strategy")
            if self.limit is None:
                return None
        if self.limit is not None and not self.approximate:
            raise ReplyError("syntax error, LIMIT cannot be used without the special ~ option")
        limit = self.limit
        if limit is None:
            limit = min(100 * node_entries if node_entries > 0 else 10_000, 1_000_000)
        return Trim(self.maxlen, self.minid or ZERO, self.approximate, limit, self.policy or Policy.KEEPREF)


def parse_trim(words: list[bytes], node_entries: int) -> Trim:
    """What XTRIM asks for."""
    arguments = Arguments(words, 2)
    options = TrimOptions()
    while arguments.more:
        if not options.take(arguments.option(), arguments):
            raise SyntaxRefused
    trim = options.finish(node_entries)
    if trim is None:
        raise SyntaxRefused
    return trim
