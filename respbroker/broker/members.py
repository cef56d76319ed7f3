"""Who else takes part in replication, and who of them is in sync, as this node remembers it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import attrs

from respbroker.replication.membership import Membership
from respbroker.replication.state import NODE_BYTES, NOTHING_YET, ReplicationState
from storage import DiskFailed

if TYPE_CHECKING:
    from respbroker.broker.leading import Leading
    from respbroker.broker.node import Node
    from respbroker.broker.replication_store import ReplicationStore
    from respbroker.replication.history import History


class Members:
    """The part of `respbroker.broker.replication.Replication` that remembers: ``state``, changed by `save` alone."""

    _node: Node
    leading: Leading | None
    synced_position: int

    def __init__(self, store: ReplicationStore, state: ReplicationState) -> None:
        self._store = store
        self.state = state
        self._boot = str(self._node.process_facts().get("boot_id", ""))
        #: It may have lost something that it acknowledged, and must not lead, nor agree to others that lack it.
        self.may_lack = False

    def begin_run(self) -> None:
        """The server starts: see whether its machine did so too since replies went out that waited for no sync."""
        if self.is_remembered:
            rebooted = self.state.boot not in ("", self._boot) and self._node.settings.appendfsync != "always"
            self.may_lack = rebooted or self.state.boot == NOTHING_YET
            self.save()

    def end_run(self) -> None:
        """The server stops in order, and everything is synced."""
        if self.is_remembered and not self.may_lack:
            self.save(boot="")

    def remember_position(self) -> None:
        """Write down how far the node has come, so that a restart need not ask for everything."""
        if self.is_remembered and self.state.position != self.synced_position:
            self.save(position=self.synced_position)

    def has_nothing(self, dataset: str, history: History) -> None:
        """All of this server's data is gone; another's will come. With it goes what it acknowledged and to whom it
        agreed, so if it ever took part it is another node from now on: one that no list of members has.
        """
        assert history.last is not None
        self.may_lack = True
        took_part = self.state.history.last is not None or self.state.promised
        self.save(
            dataset=dataset, history=history, promised=history.last.epoch, promised_to=history.last.leader, position=0,
            level=0, complete=False, boot=NOTHING_YET, membership=Membership(),
            node=self._node.random.randbytes(NODE_BYTES).hex() if took_part else self.state.node,
        )  # fmt: skip

    def lacks_some(self) -> None:
        """Something that this server may have acknowledged is about to go, until its leader has sent it again."""
        if not self.may_lack:
            self.save(boot=NOTHING_YET)
            self.may_lack = True

    def has_all(self, **changes: object) -> None:
        """Whatever it may have lacked is there; remembered with these changes."""
        self.save(boot=self._boot, **changes)
        self.may_lack = False

    @property
    def obstacle(self) -> str:
        """Why it must not lead; empty if it may."""
        if self._node.durability.failed:
            return "its disk failed"
        if not self.state.complete:
            return "its copy of the leader's data is not whole"
        if self._node.settings.min_insync_replicas > 1:
            if self.state.history.last is None and self._node.keyspace.numbers() == [0]:
                return "it is empty, and has no copy of its leader's data yet"
            if self.may_lack:
                return "it may lack something that it had acknowledged, until it is level with its leader"
            if not self.state.is_member:
                return "it is no member: it was taken out, or has not been let in yet"
        return ""

    def save(self, **changes: object) -> None:
        """Change what is remembered; it is on the disk when this returns. So come before whatever rests on it.

        Raises:
            StorageError: it is not; ``state`` is what it was.
        """
        if not self.may_lack:
            changes = {"boot": self._boot} | changes
        state = attrs.evolve(self.state, **changes)  # type: ignore[arg-type]  # names and types are the class's
        try:
            self._store.save(state)
        except DiskFailed as error:  # a second try might seem to go well
            self._node.durability.fail(error)
            raise
        self.state = state

    def next_epoch(self) -> int:
        """An epoch that no leadership known here has, and that nobody was promised."""
        return max(self.state.history.next_epoch(), self.state.promised + 1)

    @property
    def is_remembered(self) -> bool:
        """Whether this node ever took part."""
        return self._store.state is not None

    @property
    def announced(self) -> tuple[str, int]:
        """Where others find this node: an address, empty for that from which it calls, and a port."""
        settings = self._node.settings
        port = settings.replica_announce_port or int(self._node.process_facts().get("tcp_port", settings.port))
        return settings.replica_announce_ip, port

    def change_members(self, membership: Membership) -> None:
        """The leader's list is another one, or addresses in it: on the disk before followers are told."""
        if membership != self.state.membership:
            self.save(membership=membership)
            if self.leading is not None:
                self.leading.members_changed()

    def members_told(self, membership: Membership) -> None:
        """The leader told who takes part; it is on the disk when this returns."""
        if membership != self.state.membership:
            self.save(membership=membership)

    def name_of(self, node: str) -> str:
        """Where a member is, for people."""
        member = self.state.membership.find(node)
        return node if member is None else member.address

    def in_sync_changed(self, nodes: Iterable[str]) -> None:
        """The in-sync set is another one: remembered before anything is answered because of it."""
        names, before = set(nodes), {member.node for member in self.state.in_sync}
        self.save(in_sync=tuple(member for member in self.state.others if member.node in names))
        self._tell_in_sync(before)
        self._node.settings_changed()

    def _tell_in_sync(self, before: set[str]) -> None:
        """Tell the operator who has come in, and when writes begin or cease to be refused."""
        report, minimum = self._node.housekeeping.report, self._node.settings.min_insync_replicas
        now = len(self.state.in_sync) + 1
        for member in self.state.in_sync:
            if member.node not in before:
                report("notice", f"replica {member.address} is in sync: {now} are, this one included")
        if now < minimum <= len(before) + 1:
            report("warning", f"writes with acks all are refused: {now} in sync, and min.insync.replicas is {minimum}")
        elif now >= minimum > len(before) + 1:
            report("notice", f"writes with acks all are taken: {now} in sync, and min.insync.replicas is {minimum}")
