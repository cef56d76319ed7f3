"""Who takes part, for INFO: a line for each server, and what a change of members waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from respbroker.broker.replication import Replication
    from respbroker.replication.membership import Member


def member_facts(replication: Replication) -> dict[str, object]:
    """By the names of the fields; nothing of a server that never took part."""
    membership = replication.state.membership
    if not membership.members:
        return {}
    facts: dict[str, object] = {"members": len(membership.members)}
    for index, each in enumerate(membership.everybody):
        facts[f"member{index}"] = f"id={each.node},ip={each.host},port={each.port},state={_state(replication, each)}"
    if replication.leading is not None and (waits_for := replication.leading.changes.waits_for):
        facts["member_change"] = waits_for
    return facts


def _state(replication: Replication, member: Member) -> str:
    """What a server is, as far as this one knows: a follower knows of others only whether they are members."""
    membership, leading, last = replication.state.membership, replication.leading, replication.state.history.last
    if last is not None and member.node == last.leader:
        return "leader"
    if member == membership.comes:
        return "joining"
    if member == membership.goes:
        return "leaving"
    if member.node not in membership.stay:
        return "learner"
    if leading is None:
        return "member"
    if member.node in leading.in_sync.nodes:
        return "in_sync"
    return "lagging" if any(each.node == member.node for each in leading.sessions.values()) else "away"
