"""Which connections read for which groups of topics, and when a group must be looked at though nobody calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from respbroker.streams.topic_group import TopicGroup

if TYPE_CHECKING:
    from respbroker.streams.topic import Topic

NEVER: Final = float("inf")


class GroupSessions:
    """The sessions of a node: the way from a connection that goes to the groups that must know.

    A `TopicGroup` belongs to its topic and goes with it; what is left of it here is dropped when it is met.
    """

    __slots__ = ("_by_connection", "_watched", "next_moment")

    def __init__(self) -> None:
        self._by_connection: dict[int, dict[TopicGroup, None]] = {}
        self._watched: dict[TopicGroup, None] = {}
        #: Monotonic seconds; before that `due` finds nobody whose session ended.
        self.next_moment = NEVER

    @property
    def watches_some(self) -> bool:
        """Whether `due` is to be asked now and then: a partition drains by ways that nobody tells of."""
        return bool(self._watched)

    def group(self, topic: Topic, name: bytes, now: float) -> TopicGroup:
        """The group at work, from its first use on."""
        group = topic.groups.get(name)
        if group is None or group.is_ordered != topic.is_ordered:
            group = topic.groups[name] = TopicGroup(topic, name, now)
            self._watch(group)
        elif group.is_ordered and group.is_outgrown:
            group.rebalance()
        return group

    def read(self, group: TopicGroup, consumer: bytes, connection: int) -> bool:
        """A connection reads for a consumer of an ordered group; whether that changed who owns what."""
        if group.membership.reads(consumer, connection):
            return False
        is_new = group.membership.read(consumer, connection)
        groups = self._by_connection.setdefault(connection, {})
        for gone in [each for each in groups if not _is_current(each)]:
            del groups[gone]
        groups[group] = None
        if not is_new:
            return False
        changed = group.rebalance()
        self._watch(group)
        return changed

    def closed(self, connection: int, now: float) -> None:
        """A connection is gone."""
        for group in self._by_connection.pop(connection, ()):
            if group.membership.closed(connection, now):
                self._watch(group)

    def due(self, now: float) -> list[TopicGroup]:
        """The groups in which something changed by itself, and was changed: sessions ended, partitions drained."""
        changed = []
        for group in list(self._watched):
            if not _is_current(group):
                del self._watched[group]
                continue
            if group.expire(now) or group.settle():
                changed.append(group)
            if not group.needs_watching:
                del self._watched[group]
        moments = (group.membership.next_deadline(group.timeout) for group in self._watched)
        self.next_moment = min((each for each in moments if each is not None), default=NEVER)
        return changed

    def _watch(self, group: TopicGroup) -> None:
        if group.needs_watching:
            self._watched[group] = None
            deadline = group.membership.next_deadline(group.timeout)
            if deadline is not None and deadline < self.next_moment:
                self.next_moment = deadline


def _is_current(group: TopicGroup) -> bool:
    return group.topic.groups.get(group.name) is group
