"""What must hold, looked at with the eyes of one who sees everything: after each tick, and at the end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from respbroker.broker.clock import Now
from respbroker.broker.node import Node
from respbroker.model.settings import Settings
from respbroker.resp.reply_decoder import ErrorReply, ReplyDecoder
from tests.crash.state import state_of
from tests.simulation.replicas.broken import Broken
from tests.simulation.replicas.history import FREE, Id, Write, parse_id
from tests.simulation.replicas.offsets import Ends, Offsets, ends_of
from tests.simulation.replicas.tables import entries_of
from tests.simulation.replicas.topics import AGED, AGED_MS, SIZED, TABLE, TRIMMED
from tests.support.nodes import _flat
from tests.support.values import content_of

if TYPE_CHECKING:
    from tests.simulation.replicas.server import Server
    from tests.simulation.replicas.world import World

Entries = dict[Id, bytes]


class Checker:
    """Owns the leaderships that there were, and who was in sync in each.

    With ``min.insync.replicas`` 1 nothing is promised once one leads that was not in sync with the leader before it
    (``excused``), nor by a leader that is not the newest, or leads in an epoch below another's, whom it will follow.

    Who leads though it was ``catching_up`` has all that was acknowledged, and of the rest what it happened to be sent:
    an EXEC that nobody was told of may be there in half.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.excused = False
        self.leaders: dict[int, str] = {}
        self._leaderships: set[tuple[int, str]] = set()
        self.offsets = Offsets()
        self._begun: dict[tuple[int, str], Ends] = {}  # where the logs ended when a leader began
        self._newest: tuple[int, str] = (0, "")
        self._in_sync: frozenset[str] = frozenset()
        self._watermarks: dict[tuple[int, str], int] = {}
        self._catching_up: set[int] = set()  # servers that were sent some of what they lacked, and are not level since

    # -- after each tick -------------------------------------------------------------------------------------------

    def after_tick(self, server: Server) -> None:
        """Look at what a server has become."""
        node = server.node
        assert node is not None
        replication = node.replication
        if replication.following is not None and replication.following.is_up:
            (self._catching_up.discard if replication.following.level else self._catching_up.add)(server.port)
        if self._world.verbose and server.reports:
            for _, sentence in server.reports:
                self._world.say(f"{server.port}   {sentence}")
        server.reports.clear()
        if replication.leading is None:
            return
        for database, values in zip(node.keyspace.visible, node.keyspace.values, strict=False):
            if not database.keys.keys().isdisjoint(values.keys.keys()):
                raise Broken(f"{server.port}: {database.keys.keys() & values.keys.keys()} are streams and values")
        last = replication.state.history.last
        assert last is not None
        leadership = last.epoch, last.leader
        if leadership not in self._leaderships:
            self._leaderships.add(leadership)
            self._began(server, leadership)
        elif leadership == max(self._leaderships) and not self._is_led(self._newest):
            self._newest = leadership  # the newest was below it, and has given up
        if leadership == self._newest:
            self._in_sync = replication.leading.in_sync.nodes
        if replication.high_watermark < self._watermarks.get(leadership, 0):
            raise Broken(f"{server.port}: the high watermark went back in epoch {last.epoch}")
        self._watermarks[leadership] = replication.high_watermark
        ends = self._begun.get(leadership)
        if ends is not None and replication.high_watermark >= replication.begun_at:  # all of it is for good now
            del self._begun[leadership]
            if not self.excused:
                self.offsets.learn(f"{server.port} in epoch {last.epoch}", server.disk, ends)

    def _is_led(self, leadership: tuple[int, str]) -> bool:
        """Whether somebody leads by that epoch and name."""
        replications = [server.node.replication for server in self._world.servers.values() if server.node is not None]
        return any(
            each.leading is not None and each.state.history.last is not None
            and (each.state.history.last.epoch, each.state.history.last.leader) == leadership
            for each in replications
        )  # fmt: skip

    def _began(self, server: Server, leadership: tuple[int, str]) -> None:
        epoch, name = leadership
        self._world.note("leads", server)
        if server.port in self._catching_up:
            self._catching_up.discard(server.port)
            self._world.note("one leads that was catching up", server)
            self._world.history.may_halve()
        if self.excused:
            return
        self._begun[leadership] = ends_of(server.disk)
        if self._world.plan.minimum > 1:
            other = self.leaders.setdefault(epoch, name)
            if other != name and not self._may_lead_alone(server):
                raise Broken(f"two lead in epoch {epoch}: {other} and {name}")
            is_newest = leadership == max(self._leaderships)  # else those who must agree have left it before it begins
            if is_newest and server.port not in self._world.faults.damaged:  # else some of it cannot be read
                self._check_promised(server, "begins to lead without")
                self._check_kept(server, seen=False)
        elif self._newest[1] not in ("", name) and name not in self._in_sync:
            self.excused = True
            self._world.note("one leads that was not in sync", server)
        if leadership > self._newest or self._world.plan.minimum == 1:
            self._newest = leadership

    def _may_lead_alone(self, server: Server) -> bool:
        """Whether so few are left that each has everything: then two may lead, of which neither can acknowledge."""
        assert server.node is not None
        return len(server.node.replication.state.membership.members) <= self._world.plan.minimum

    def promises_of(self, server: Server) -> bool:
        """Whether what this server said just now is promised to stay."""
        if self.excused or server.node is None:
            return self._world.plan.minimum > 1 and not self.excused
        if self._world.plan.minimum > 1:
            return True
        last = server.node.replication.state.history.last
        return last is not None and (last.epoch, last.leader) == self._newest == max(self._leaderships)

    # -- what a server has -----------------------------------------------------------------------------------------

    def ask(self, server: Server, *words: bytes | str | int) -> Any:
        """Have a server run a command between its turns, whatever it waits for."""
        node = server.node
        assert node is not None
        client = node.connect(server.clock())
        request = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        node.dispatcher.run_all([(client, [request])])
        out = b"".join(_flat(client.out))
        client.out = []
        node.disconnect(client)
        reply = ReplyDecoder().feed(out)
        if not reply or isinstance(reply[0], ErrorReply):
            raise Broken(f"{server.port} answers {words} with {reply}")
        server.pause(0.0)
        return reply[0]

    def entries(self, server: Server) -> dict[str, Entries]:
        """All that can be read there."""
        found = {}
        for key in self._world.history.keys:
            rows = self.ask(server, "XRANGE", key, "-", "+")
            found[key] = {parse_id(entry_id): fields[1] for entry_id, fields in rows}
        return found

    def _check_promised(self, server: Server, what: str) -> dict[str, Entries]:
        found = self.entries(server)
        for write, entry_id in self._world.history.promised():
            if not self._has(found, write, entry_id):
                raise Broken(
                    f"{server.port} {what} {entry_id} of {write.stream}, {write.value[:24]!r}, which was acknowledged"
                    f" at {write.ended - 1000:.3f}"
                )
        return found

    def _check_kept(self, server: Server, *, seen: bool) -> None:
        assert server.node is not None
        when = "in the end" if seen else "when it begins to lead"
        self._world.history.spaces.check(f"{server.port} {when}", server.node.keyspace, seen=seen)
        if self._world.topics:
            self._world.table.check(f"{server.port} {when}", entries_of(self.ask(server, "XRANGE", TABLE, "-", "+")))

    def _has(self, found: dict[str, Entries], write: Write, entry_id: Id) -> bool:
        keys = [key for key in found if key.partition("/")[0] == write.stream]
        if write.stream in TRIMMED:
            entries = found[write.stream]
            if entry_id in entries:
                return entries[entry_id] == write.value
            if write.stream == AGED and self._world.is_young(entry_id, AGED_MS):
                return False
            return entry_id < min(entries) if entries else write.stream != SIZED
        return any(found[key].get(entry_id) == write.value for key in keys)

    # -- the end ---------------------------------------------------------------------------------------------------

    def are_level(self) -> bool:
        """Whether one leads and all others have everything."""
        nodes = [server.node for server in self._world.servers.values()]
        leaders = [node for node in nodes if node is not None and node.replication.leading is not None]
        if len(leaders) != 1 or any(node is None for node in nodes):
            return False
        chief = leaders[0].replication
        if chief.high_watermark != chief.position or chief.canvass is not None or chief.leading is None:
            return False
        if len(chief.leading.in_sync.nodes) != len(nodes) - 1:
            return False
        for node in nodes:
            assert node is not None
            replication, following = node.replication, node.replication.following
            if replication is chief:
                continue
            if following is None or not (following.level and following.in_sync) or replication.canvass is not None:
                return False
            if replication.position != chief.position or replication.state.history != chief.state.history:
                return False
        return True

    def check_writes(self) -> None:
        """Whoever leads takes writes now, whatever befell its disk."""
        (leader,) = [each for each in self._world.servers.values() if each.node and each.node.replication.leading]
        history, now = self._world.history, self._world.events.now
        for stream in (*("s0", "work", "orders", "fast"), *((AGED, SIZED) if self._world.topics else ())):
            write = history.began(Write(stream, f"last of {stream}".encode(), now))
            history.added(write, parse_id(self.ask(leader, "XADD", stream, "*", "v", write.value)), now, counts=True)

    def picture(self) -> str:
        """How things are, in one line."""
        parts = []
        for server in self._world.servers.values():
            node = server.node
            if node is None:
                parts.append(f"{server.port} is down{f' ({server.broken})' if server.broken else ''}")
                continue
            replication = node.replication
            following, leading = replication.following, replication.leading
            role = (
                f"follows {following.port} ({following.stage.name}, level {following.level})" if following
                else f"leads with {len(leading.in_sync.nodes)} in sync" if leading else "waits"
            )  # fmt: skip
            state = replication.state
            epoch = state.history.last.epoch if state.history.last else 0
            parts.append(
                f"{server.port} {role}, epoch {epoch}, promised {state.promised} to {state.promised_to[:4]}, position"
                f" {replication.position}, high watermark {replication.high_watermark}, complete {state.complete},"
                f" level {state.level}, canvass {replication.canvass is not None}"
            )
        return "; ".join(parts)

    def end(self) -> None:
        """Everything that was promised is there, everywhere, and on the disks."""
        servers = list(self._world.servers.values())
        states = [state_of(server.node) for server in servers if server.node is not None]
        for server, state in zip(servers[1:], states[1:], strict=True):
            if state != states[0]:
                raise Broken(f"{server.port} is not as {servers[0].port}: {_difference(states[0], state)}")
        kept = [content_of(server.node.keyspace) for server in servers if server.node is not None]
        for server, content in zip(servers[1:], kept[1:], strict=True):
            if content != kept[0]:
                raise Broken(f"{server.port} has not the keys of {servers[0].port}: {_difference(kept[0], content)}")
        found = self.entries(servers[0]) if self.excused else self._check_promised(servers[0], "has lost")
        self._check_seen(found)
        self._check_values(found)
        if not self.excused:
            for server in servers:
                self.offsets.learn(f"{server.port} in the end", server.disk, ends_of(server.disk))
            self._check_kept(servers[0], seen=True)
            self._check_twins(found)
            self._check_group(servers[0], found)
        self._check_disks(servers, states)

    def _check_seen(self, found: dict[str, Entries]) -> None:
        if self.excused:
            return
        for (key, entry_id), value in self._world.history.seen.items():
            entries = found[key]
            if key in TRIMMED:
                if entry_id in entries and entries[entry_id] != value:
                    raise Broken(f"{key}: {entry_id} was read, and is another entry now")
            elif entries.get(entry_id) != value:
                raise Broken(f"{key}: {entry_id}, {value[:24]!r} was read, and is gone")

    def _check_values(self, found: dict[str, Entries]) -> None:
        """No value twice, none that was refused, and none that nobody added."""
        history = self._world.history
        where: dict[bytes, tuple[str, Id]] = {}
        for key, entries in found.items():
            history.read(key, sorted(entries.items()), counts=False)
            for entry_id, value in entries.items():
                if value in where:
                    raise Broken(f"{value[:24]!r} is there twice: {where[value]} and {(key, entry_id)}")
                where[value] = key, entry_id

    def _check_twins(self, found: dict[str, Entries]) -> None:
        there = {value for entries in found.values() for value in entries.values()}
        for write in self._world.history.writes:
            is_half = write.twin is not None and write.value in there and write.twin.value not in there
            if is_half and not write.may_be_half:
                raise Broken(f"of an EXEC {write.value[:24]!r} is there and its other entry is not")

    def _check_group(self, server: Server, found: dict[str, Entries]) -> None:
        rows = self.ask(server, "XPENDING", "work", "g", "-", "+", 1_000_000)
        pending = {parse_id(row[0]) for row in rows}
        if len(pending) != len(rows):
            raise Broken("work: an entry is pending twice")
        history = self._world.history
        for entry_id in history.acknowledged:
            if entry_id in pending:
                raise Broken(f"work: {entry_id} was acknowledged, and is pending")
        (group,) = self.ask(server, "XINFO", "GROUPS", "work")
        last = parse_id(dict(zip(group[::2], group[1::2], strict=True))[b"last-delivered-id"])
        for entry_id in history.delivered:
            if entry_id > last:
                raise Broken(f"work: {entry_id} was given to somebody, and the group has not come so far")
        for entry_id in found["work"]:
            if entry_id <= last and entry_id not in pending and entry_id not in history.let_go:
                raise Broken(f"work: {entry_id} is behind the group, and neither pending nor acknowledged")
        for entry_id in pending:
            if entry_id > last or entry_id not in found["work"]:
                raise Broken(f"work: {entry_id} is pending, and was never given to anybody")

    def _check_disks(self, servers: list[Server], states: list[Any]) -> None:
        """What is on the disks is that, too: read by nodes of their own."""
        files = [_log_files(server) for server in servers]
        for server, state in zip(servers, states, strict=True):
            settings = Settings.load("", [("port", str(server.port)), *server.settings.items()])
            now: Now = server.clock()
            node = Node(server.disk.killed(), "/data", settings, now, clock=time.perf_counter, seed=1)
            if state_of(node) != state:
                raise Broken(f"the disk of {server.port} has another state: {_difference(state, state_of(node))}")
        if not self._world.plan.merges:
            rewritten = _rewritten(servers[0], files[0])
            for name in set.intersection(*(set(each) for each in files)) - rewritten:
                if any(each[name] != files[0][name] for each in files):
                    raise Broken(f"{name} is not the same on all servers")


def _log_files(server: Server) -> dict[str, bytes]:
    return {
        path: bytes(inode.current)
        for path, inode in server.disk.names.items()
        if inode is not None and path.endswith(".log") and "/journal" not in path
    }


def _rewritten(server: Server, files: dict[str, bytes]) -> set[str]:
    """Sealed segments of what is compacted, records of values among it: each server does so when it comes to it."""
    assert server.node is not None
    keyspace = server.node.keyspace
    found: set[str] = set()
    for _, _, entry in keyspace.compacted():
        for leaf in entry.leaves:
            found.update(sorted(name for name in files if name.startswith(f"{keyspace.path_of(leaf.number)}/"))[:-1])
    return found


def _difference(one: Any, other: Any, where: str = "") -> str:
    """Where two plain values differ first."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys: list[Any] = [key for key in sorted(one.keys() | other.keys()) if one.get(key) != other.get(key)]
        return _difference(one.get(keys[0]), other.get(keys[0]), f"{where}[{keys[0]}]")
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        for index, (left, right) in enumerate(zip(one, other, strict=False)):
            if left != right:
                return _difference(left, right, f"{where}[{index}]")
        ends = " and ".join(str(each[-1:])[:60] for each in (one, other))
        return f"{where} has {len(one)} and {len(other)} parts, the last {ends}"
    return f"{where} is {str(one)[:80]} and {str(other)[:80]}"


__all__ = ["FREE", "Checker"]
