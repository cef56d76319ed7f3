"""What a node that wants to lead says to the others, and what they answer, as values and as words."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from respbroker.replication.history import History
from respbroker.replication.membership import Membership
from respbroker.replication.messages import membership_words, parse_membership
from respbroker.replication.words import (
    Reading,
    read_count,
    read_dataset,
    read_epoch,
    read_host,
    read_node,
    read_port,
)


@attrs.frozen
class Candidacy:
    """A node asks to lead in ``epoch``. ``ends`` are the ends of all its logs, the catalog's under 0.

    ``known`` is of the list of members that it knows: epoch, number, and whether that is agreed to.
    """

    dataset: str
    epoch: int
    node: str
    host: str
    port: int
    last_epoch: int
    known: tuple[int, int, bool]
    ends: dict[int, int]

    def words(self) -> list[bytes]:
        words = [
            b"REPLICATE", b"VOTE", self.dataset.encode(), b"%d" % self.epoch, self.node.encode(), self.host.encode(),
            b"%d" % self.port, b"%d" % self.last_epoch, *(b"%d" % part for part in self.known),
        ]  # fmt: skip
        for number, end in self.ends.items():
            words += b"%d" % number, b"%d" % end
        return words

    @classmethod
    def parse(cls, words: Sequence[bytes]) -> Candidacy:
        """From the words behind ``REPLICATE VOTE``. Raises BadMessage."""
        with Reading("a candidacy"):
            dataset, epoch, node, host, port, last_epoch, since, number, agreed, *ends = words
            pairs = zip(map(read_count, ends[::2]), map(read_count, ends[1::2]), strict=True)
            return cls(
                read_dataset(dataset), read_epoch(epoch), read_node(node), read_host(host), read_port(port),
                read_epoch(last_epoch),
                (read_epoch(since), read_count(number), agreed == b"1"), dict(pairs),
            )  # fmt: skip


@attrs.frozen
class Verdict:
    """What a node answers to a candidacy. ``node`` is who answers: another one may be found at a member's address.

    ``promised`` is the highest epoch that is known there; ``membership`` who takes part, if the candidate knew less.
    """

    granted: bool
    reason: str
    promised: int
    node: str
    membership: Membership | None = None

    def words(self) -> list[bytes]:
        words = [b"%d" % self.granted, self.reason.encode(), b"%d" % self.promised, self.node.encode()]
        return words if self.membership is None else words + membership_words(self.membership, self.node)

    @classmethod
    def parse(cls, words: Sequence[bytes], host_there: str) -> Verdict:
        """Raises BadMessage."""
        with Reading("an answer to a candidacy"):
            granted, reason, promised, node, *rest = words
            membership = parse_membership(rest, host_there) if rest else None
            return cls(
                granted == b"1", reason.decode("utf-8", "replace"), read_epoch(promised), read_node(node), membership
            )


@attrs.frozen
class Leads:
    """A node tells that it leads, so that older leaders step down and followers follow it."""

    dataset: str
    node: str
    host: str
    port: int
    history: History

    def words(self) -> list[bytes]:
        return [
            b"REPLICATE", b"LEADS", self.dataset.encode(), self.node.encode(), self.host.encode(), b"%d" % self.port,
            self.history.format(),
        ]  # fmt: skip

    @classmethod
    def parse(cls, words: Sequence[bytes]) -> Leads:
        """From the words behind ``REPLICATE LEADS``. Raises BadMessage."""
        with Reading("news of a leader"):
            dataset, node, host, port, history = words
            return cls(read_dataset(dataset), read_node(node), read_host(host), read_port(port), History.parse(history))
