"""Random programs on two servers at once, compared byte for byte.

    python -m tests.compat.differential --seeds 200
    python -m tests.compat.differential --seeds 200 --mixed
    python -m tests.compat.differential --seeds 1 --seed 17 --protocol 3

Each seed is one program. At the first difference the program is shrunk to the commands that matter, and shown with
both replies and the command that replays it.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType

import attrs

from tests.compat import mixed_programs, programs, same_reply
from tests.compat.programs import Program, Step
from tests.support import servers
from tests.support.servers import Server
from tests.support.wire import ConnectionEnded, NoReply, Wire, parse, render

CLIENTS = 3  # two that run the program, one that asks at the end
SHRINK_SECONDS = 30.0
OK = b"+OK\r\n"
CHOOSE_COUNTERS = {b"ENTRIESADDED", b"ENTRIESREAD"}
REFUSED_AT_START = -1  # position of a difference: what a former program left keeps the server from starting over
ENDING_SECONDS = 5.0  # a server that closed a connection for no reason may be about to end
Connect = Callable[[Server, int], Wire]


def connect_plainly(server: Server, protocol: int) -> Wire:
    return server.connect(protocol)


@attrs.frozen
class Difference:
    """The first step whose replies differ."""

    position: int
    step: Step
    request: tuple[bytes, ...]  # the words answered; inside EXEC those of the queued command
    ours: bytes
    peers: bytes


class Side:
    """One server with the program's connections. Starts empty: every key and setting of a former run is gone."""

    def __init__(self, server: Server, protocol: int, connect: Connect = connect_plainly) -> None:
        self.server = server
        self.wires = [connect(server, protocol) for _ in range(CLIENTS)]

    def __enter__(self) -> Side:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for wire in self.wires:
            wire.close()

    def reset(self, program: Program) -> tuple[Step, bytes] | None:
        """Empty the server and set what the program wants; the step it refuses, if it does."""
        for words in (
            (b"FLUSHALL",),
            (b"SCRIPT", b"FLUSH"),
            (b"CONFIG", b"SET", b"stream-node-max-entries", program.node_entries),
        ):
            step = Step(0, words)
            reply = self.ask(step)
            if reply != OK:
                return step, reply
        return None

    def ask(self, step: Step) -> bytes:
        """The reply to a step, or what stands for none."""
        try:
            return self.wires[step.client].call(*step.words)
        except ConnectionEnded as ended:
            return same_reply.NOTHING + b"connection closed after " + ended.rest + b")"
        except NoReply:
            return same_reply.NOTHING + b"no reply)"

    def count_after(self, key: bytes, entry_id: bytes) -> int:
        """How many entries of ``key`` lie above ``entry_id``, counted one by one."""
        reply = parse(self.wires[programs.QUESTIONS_CLIENT].call("XRANGE", key, b"(" + entry_id, "+"))
        return len(reply.items or ())


@attrs.define
class Comparison:
    """Runs programs on both servers. ``ours`` is the server under test, ``peer`` the one that is right."""

    ours: Server
    peer: Server
    protocol: int = 2
    connect_ours: Connect = connect_plainly
    commands_run: int = 0

    def run(self, program: Program) -> Difference | None:
        """The first difference, or None. A server that a former program ended is started again."""
        if self.ours.has_ended():
            self.ours.start_again()
        found = self._run(program)
        if found and found.ours.startswith(same_reply.NOTHING):
            self.ours.has_ended(within=ENDING_SECONDS)
        elif found and found.position == REFUSED_AT_START:
            self.ours.stop()
        return found

    def _run(self, program: Program) -> Difference | None:
        with Side(self.ours, self.protocol, self.connect_ours) as mine, Side(self.peer, self.protocol) as theirs:
            refused = mine.reset(program)
            if refused:
                return Difference(REFUSED_AT_START, refused[0], refused[0].words, refused[1], OK)
            assert theirs.reset(program) is None
            queues: list[list[tuple[bytes, ...]]] = [[] for _ in range(CLIENTS)]
            counters_chosen = False
            for position, step in enumerate((*program.steps, *program.questions)):
                self.commands_run += 1
                theirs_reply, my_reply = theirs.ask(step), mine.ask(step)
                counters_chosen |= not CHOOSE_COUNTERS.isdisjoint(word.upper() for word in step.words)
                found = _compare(
                    position, step, queues[step.client], my_reply, theirs_reply, theirs.count_after, counters_chosen
                )
                if found:
                    return found
        return None

    def shrink(self, program: Program) -> Program:
        """A program from which no command can be dropped without losing the difference; at most some seconds of it."""
        deadline = time.monotonic() + SHRINK_SECONDS

        def fails(steps: Sequence[Step]) -> bool:
            return self.run(attrs.evolve(program, steps=tuple(steps))) is not None

        found = self.run(program)
        steps = list(program.steps)
        if found and found.position < len(steps):
            steps = steps[: found.position + 1]
        size = max(1, len(steps) // 2)
        while time.monotonic() < deadline:
            shorter = _drop_one(steps, size, fails, deadline)
            if shorter is not None:
                steps = shorter
            elif size == 1:
                break
            size = max(1, min(size, len(steps)) // (1 if shorter is not None else 2))
        return attrs.evolve(program, steps=tuple(steps))


def _compare(
    position: int,
    step: Step,
    queue: list[tuple[bytes, ...]],
    ours: bytes,
    peers: bytes,
    count_after: same_reply.CountAfter,
    counters_chosen: bool,
) -> Difference | None:
    """Compare one step's replies; ``queue`` holds what the connection has queued since MULTI, and is kept up."""
    pairs = [(step.words, ours, peers)]
    name = step.words[0].upper()
    if name == b"EXEC" and not ours.startswith(same_reply.NOTHING):
        pairs = _members_of_exec(queue, ours, peers) or pairs
        count_after = _too_late_to_count
    for words, my_reply, their_reply in pairs:
        if not same_reply.same(words, my_reply, their_reply, count_after, counters_chosen=counters_chosen):
            return Difference(position, step, words, my_reply, their_reply)
    if peers == b"+QUEUED\r\n":
        queue.append(step.words)
    elif name in (b"MULTI", b"EXEC", b"DISCARD") and not peers.startswith(b"-ERR MULTI"):  # that one changes nothing
        queue.clear()
    return None


def _drop_one(
    steps: list[Step], size: int, fails: Callable[[Sequence[Step]], bool], deadline: float
) -> list[Step] | None:
    """Drop pieces of ``size`` steps, from the end, wherever the difference stays; None when nowhere."""
    dropped = False
    start = len(steps) - size
    while start > -size and time.monotonic() < deadline:
        place = max(0, start)
        candidate = steps[:place] + steps[place + size :]
        if candidate != steps and fails(candidate):
            steps, dropped = candidate, True
        start -= size
    return steps if dropped else None


def _too_late_to_count(key: bytes, entry_id: bytes) -> None:
    """Later commands of the same transaction may have changed the key."""


def _members_of_exec(
    queue: list[tuple[bytes, ...]], ours: bytes, peers: bytes
) -> list[tuple[tuple[bytes, ...], bytes, bytes]] | None:
    """Each queued command with its two replies; None when the replies are no arrays of that length."""
    mine, theirs = parse(ours).items, parse(peers).items
    if mine is None or theirs is None or not len(mine) == len(theirs) == len(queue):
        return None
    return [(words, render(a), render(b)) for words, a, b in zip(queue, mine, theirs, strict=True)]


def describe(comparison: Comparison, program: Program, first: Difference, commands: int, options: str = "") -> str:
    """What a person needs: the seed, the few commands, both replies, and how to see it again."""
    log = comparison.ours.log_text()[-3000:]
    small = comparison.shrink(program)
    found = comparison.run(small) or comparison.run(program)
    lines = [f"seed {program.seed}, RESP{comparison.protocol}, stream-node-max-entries {program.node_entries.decode()}"]
    lines += [f"  {step}" for step in small.steps]
    if found is None:
        lines.append(f"{first.step} (step {first.position}), to {first.request}:")
        lines.append(f"{comparison.peer.name:>10}: {first.peers!r}")
        lines.append(f"{comparison.ours.name:>10}: {first.ours!r}")
        lines.append(f"the difference did not show again; it depends on time or on former programs. The log:\n{log}")
    else:
        if found.position >= len(small.steps):
            lines.append(f"  {found.step}    (asked at the end)")
        if found.request != found.step.words:
            lines.append(f"in the reply of EXEC, to {Step(found.step.client, found.request)}")
        lines.append(f"{comparison.peer.name:>10}: {found.peers!r}")
        lines.append(f"{comparison.ours.name:>10}: {found.ours!r}")
        if comparison.ours.has_ended():
            lines.append(f"the server ended:\n{comparison.ours.log_text()[-3000:]}")
    again = f"--seeds 1 --seed {program.seed} --commands {commands} --protocol {comparison.protocol}"
    lines.append(f"replay: python -m tests.compat.differential {again} --peer {comparison.peer.name}{options}")
    return "\n".join(lines)


@contextlib.contextmanager
def both(ours: str, peer: str) -> Iterator[tuple[Server, Server]]:
    with servers.running(ours) as mine, servers.running(peer) as theirs:
        yield mine, theirs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the seeds asked for; exit status 1 when some differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100, help="how many programs")
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--commands", type=int, default=150, help="commands in each")
    parser.add_argument("--protocol", type=int, choices=(2, 3), help="default: seeds take turns")
    parser.add_argument("--peer", choices=servers.PEERS, default="redis")
    parser.add_argument("--ours", choices=servers.PEERS, default="respbroker")
    parser.add_argument("--mixed", action="store_true", help="strings, hashes, sorted sets and locks too")
    parser.add_argument("--no-reload", action="store_true", help="leave DEBUG RELOAD out")
    parser.add_argument("--stop-after", type=int, default=10, help="end after so many differences")
    chosen = parser.parse_args(arguments)
    options = (" --mixed" if chosen.mixed else "") + (" --no-reload" if chosen.no_reload else "")
    if chosen.ours != "respbroker":
        options += f" --ours {chosen.ours}"
    different = 0
    with both(chosen.ours, chosen.peer) as (mine, theirs):
        total = 0
        for seed in range(chosen.seed, chosen.seed + chosen.seeds):
            protocol = chosen.protocol or 2 + seed % 2
            comparison = Comparison(mine, theirs, protocol)
            policies = "valkey" not in (chosen.peer, chosen.ours)
            maker = mixed_programs if chosen.mixed else programs
            program = maker.make_program(seed, chosen.commands, policies=policies, reload=not chosen.no_reload)
            found = comparison.run(program)
            total += comparison.commands_run
            if found:
                different += 1
                print(describe(comparison, program, found, chosen.commands, options), "\n", flush=True)
                if different >= chosen.stop_after:
                    break
    done = seed - chosen.seed + 1
    print(f"{done} seeds, {total} commands on {chosen.ours} and {chosen.peer}: {different} differ")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
