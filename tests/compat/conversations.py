"""Hand-written conversations with a server, told to two servers and compared byte for byte.

The files in ``conversations/`` hold no replies: the peer says what is right. A line is one act of one connection:

    == caption                  a new conversation: all keys gone, all connections new
    @protocols 2                only in RESP2 (default: once in each)
    A> XLEN s                   send words, read one reply
    A~ XREAD BLOCK 0 STREAMS s $   send words; go on when the server counts one more blocked client
    A~~ PING                    send words, read nothing
    A<                          read one more reply, or push
    A! "PI" "NG\\r\\n"            send these bytes as they are
    A<<                         read until the server closes the connection
    A-                          close the connection
    A?> CLIENT ID               compare the kind of the reply only
    A?id,version> HELLO         compare all but the values under these names
    A?=name,resp> CLIENT INFO   compare only these name=value pairs of a text
    A?*> COMMAND INFO xgroup    compare without regard to order, at any depth

Words are separated by blanks; double quotes with \\x00-like escapes hold anything else; ``{A.id}`` and ``{A.addr}``
stand for the ID and the address of connection A on that server, ``{A.entry}`` for the ID of the last entry in the last
reply to it that had one with a time of now.
"""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import pytest

from tests.compat import same_reply
from tests.support.servers import Server
from tests.support.wire import ConnectionEnded, Frame, NoReply, Wire, parse, render

DIRECTORY = Path(__file__).parent / "conversations"
ACT = re.compile(r"([A-Z])(?:\?(?P<mask>[^>~<!]*))?(?P<verb>>|~~|~|<<|<|!|-)\s*(?P<rest>.*)")
WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')
CLOCK_ID = re.compile(rb"\b\d{13}-\d+\b")
BOTH: tuple[int, ...] = (2, 3)
BLOCKED_SECONDS = 10.0
SILENT_SECONDS = 4.0  # a reply that has not come by then does not come


@attrs.frozen
class Act:
    """One line: what connection ``who`` does; ``mask`` says what of the reply is not compared (None: nothing)."""

    line: int
    text: str
    who: str
    verb: str
    words: tuple[bytes, ...]
    mask: str | None


@attrs.frozen
class Conversation:
    name: str  # file:caption
    protocols: tuple[int, ...]
    acts: tuple[Act, ...]


def load(directory: Path = DIRECTORY) -> list[Conversation]:
    """Every conversation of every file, in order."""
    return [conversation for path in sorted(directory.glob("*.txt")) for conversation in _parse_file(path)]


def in_each_protocol(conversations: Sequence[Conversation]) -> pytest.MarkDecorator:
    """For a test with the arguments ``conversation`` and ``protocol``."""
    cases = [(conversation, protocol) for conversation in conversations for protocol in conversation.protocols]
    ids = [f"{conversation.name} RESP{protocol}" for conversation, protocol in cases]
    return pytest.mark.parametrize(("conversation", "protocol"), cases, ids=ids)


def _parse_file(path: Path) -> Iterator[Conversation]:
    name, protocols = "", BOTH
    acts: list[Act] = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("=="):
            if acts:
                yield Conversation(f"{path.stem}:{name}", protocols, tuple(acts))
            name, protocols, acts = line[2:].strip(), BOTH, []
        elif line.startswith("@protocols"):
            protocols = tuple(int(word) for word in line.split()[1:])
        elif line.strip() and not line.startswith("#"):
            acts.append(_parse_act(path, number, line))
    yield Conversation(f"{path.stem}:{name}", protocols, tuple(acts))


def _parse_act(path: Path, number: int, line: str) -> Act:
    match = ACT.fullmatch(line)
    assert match, f"{path.name}:{number}: cannot read {line!r}"
    words = tuple(_unquote(word) for word in WORD.findall(match["rest"]))
    return Act(number, line, match[1], match["verb"], words, match["mask"])


def _unquote(word: str) -> bytes:
    if not word.startswith('"'):
        return word.encode()
    value = ast.literal_eval("b" + word)
    assert isinstance(value, bytes)
    return value


@attrs.define
class Stage:
    """One server and the connections of one conversation."""

    server: Server
    protocol: int
    wires: dict[str, Wire] = attrs.field(factory=dict)
    ids: dict[str, str] = attrs.field(factory=dict)
    entries: dict[str, bytes] = attrs.field(factory=dict)

    def close(self) -> None:
        for wire in self.wires.values():
            wire.close()

    def wire(self, who: str) -> Wire:
        if who not in self.wires:
            wire = self.server.connect(self.protocol, timeout=SILENT_SECONDS)
            self.ids[who] = str(parse(wire.call("CLIENT", "ID")).integer)
            self.wires[who] = wire
        return self.wires[who]

    def words(self, act: Act) -> list[bytes]:
        return [re.sub(rb"\{([A-Z])\.(id|addr|entry)\}", self._placeholder, word) for word in act.words]

    def _placeholder(self, match: re.Match[bytes]) -> bytes:
        who = match[1].decode()
        wire = self.wire(who)
        if match[2] == b"entry":
            return self.entries[who]
        return (self.ids[who] if match[2] == b"id" else wire.local_address).encode()

    def act(self, act: Act) -> bytes | None:
        """Do it; the bytes it brought, if it reads."""
        wire, words = self.wire(act.who), self.words(act)
        try:
            reply = self._act(act, wire, words)
            if found := CLOCK_ID.findall(reply or b""):
                self.entries[act.who] = found[-1]
            return reply
        except ConnectionEnded as ended:
            return b"(closed after " + ended.rest + b")"
        except NoReply:
            return b"(silent)"

    def _act(self, act: Act, wire: Wire, words: list[bytes]) -> bytes | None:
        if act.verb == ">":
            return wire.call(*words)
        if act.verb == "<":
            return wire.read()
        if act.verb == "<<":
            return wire.read_to_end()
        if act.verb == "!":
            wire.send_bytes(b"".join(words))
        elif act.verb == "-":
            self.wires.pop(act.who).close()
        elif act.verb == "~":
            before = self._blocked()
            wire.send(*words)
            self._wait_for_blocked(before + 1)
        else:
            wire.send(*words)
        return None

    def count_after(self, key: bytes, entry_id: bytes) -> int:
        """How many entries of ``key`` lie above ``entry_id``, counted one by one."""
        return len(parse(self.server.call("XRANGE", key, b"(" + entry_id, "+")).items or ())

    def _blocked(self) -> int:
        with self.server.connect() as control:
            found = re.search(rb"blocked_clients:(\d+)", control.call("INFO", "clients"))
        assert found, "INFO clients has no blocked_clients"
        return int(found[1])

    def _wait_for_blocked(self, count: int) -> None:
        deadline = time.monotonic() + BLOCKED_SECONDS
        while self._blocked() < count:
            assert time.monotonic() < deadline, f"{self.server.name}: the client does not block"
            time.sleep(0.005)  # between two looks at INFO


def compare(conversation: Conversation, ours: Server, peer: Server, protocol: int) -> None:
    """Tell the conversation to both; the test fails with the first difference."""
    difference = play(conversation, ours, peer, protocol)
    if difference:
        pytest.fail(difference, pytrace=False)


def play(conversation: Conversation, ours: Server, peer: Server, protocol: int) -> str | None:
    """Tell the conversation to both; a description of the first difference, or None."""
    stages = (Stage(ours, protocol), Stage(peer, protocol))
    try:
        for stage in stages:
            stage.server.call("FLUSHALL")
        for act in conversation.acts:
            theirs = stages[1].act(act)
            mine = stages[0].act(act)
            if not _same(act, stages[0].words(act), mine, theirs, stages[1].count_after):
                return _describe(conversation, act, protocol, (peer.name, theirs), (ours.name, mine))
        return None
    finally:
        for stage in stages:
            stage.close()


def _describe(
    conversation: Conversation, act: Act, protocol: int, theirs: tuple[str, object], mine: tuple[str, object]
) -> str:
    said = [f"  {a.text}" for a in conversation.acts if a.line <= act.line]
    replies = [f"{name:>10}: {reply!r}" for name, reply in (theirs, mine)]
    return "\n".join([f"{conversation.name}, RESP{protocol}, line {act.line}", *said, *replies])


def _same(
    act: Act,
    words: Sequence[bytes],
    mine: bytes | None,
    theirs: bytes | None,
    count_after: same_reply.CountAfter,
) -> bool:
    if mine == theirs:
        return True
    if mine is None or theirs is None or act.verb == "<<":
        return False
    if act.mask is not None and not mine.startswith(same_reply.NOTHING):
        ours, peers = parse(mine), parse(theirs)
        return _masked(ours, act.mask) == _masked(peers, act.mask)
    return same_reply.same(words or [b""], mine, theirs, count_after)


def _masked(frame: Frame, mask: str) -> object:
    """What of the reply is compared."""
    if mask == "":
        return frame.kind
    if mask == "*":
        return frame.head, frame.text, sorted(repr(_masked(item, mask)) for item in frame.items or ())
    if mask.startswith("="):
        pairs = (pair.partition(b"=") for pair in (frame.text or b"").split())
        return frame.kind, [(name, value) for name, _, value in pairs if name.decode() in mask[1:].split(",")]
    names = {name.encode() for name in mask.split(",")}
    items = frame.items or ()
    hidden = {place for place in range(1, len(items), 2) if items[place - 1].text in names}
    return frame.head, [b"" if place in hidden else render(item) for place, item in enumerate(items)]
