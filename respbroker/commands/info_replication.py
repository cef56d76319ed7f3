"""INFO replication: the part this node plays, in the fields that clients and redis-sentinel read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from respbroker.commands.info_fields import View
from respbroker.commands.replicas import LeaderFacts

_NO_ID: Final = "0" * 40


def replication_lines(view: View) -> Iterable[str]:
    """The section's lines, those of the role first, as Redis has them."""
    replicas = view.ctx.replicas
    facts = replicas.facts()
    leader = replicas.leader
    yield f"role:{'master' if leader is None else 'slave'}"
    if leader is not None:
        yield from _of_follower(view, leader, facts)
    followers = replicas.followers
    yield f"connected_slaves:{len(followers)}"
    for index, each in enumerate(followers):
        yield (
            f"slave{index}:ip={each.host},port={each.port},state={each.state},offset={each.position},lag={each.lag},"
            "type=replica"
        )
    yield f"master_failover_state:{replicas.failover_state}"
    yield f"master_replid:{facts.pop('master_replid')}"
    yield f"master_replid2:{_NO_ID}"
    yield f"master_repl_offset:{replicas.position}"
    yield "second_repl_offset:-1"
    yield "repl_backlog_active:0"  # followers that lag are sent what they lack from the logs
    yield "repl_backlog_size:0"
    yield "repl_backlog_first_byte_offset:0"
    yield "repl_backlog_histlen:0"
    for name, value in facts.items():
        yield f"{name}:{value}"


def _of_follower(view: View, leader: LeaderFacts, facts: dict[str, object]) -> Iterable[str]:
    position = view.ctx.replicas.position
    yield f"master_host:{leader.host}"
    yield f"master_port:{leader.port}"
    yield f"master_link_status:{'up' if leader.is_up else 'down'}"
    yield f"master_last_io_seconds_ago:{leader.silent_seconds}"
    yield f"master_sync_in_progress:{int(leader.is_copying)}"
    yield f"slave_read_repl_offset:{position}"
    yield f"slave_repl_offset:{position}"
    if leader.is_copying:  # how much there is to come only the leader knows: as Redis where it copies without a file
        yield "master_sync_total_bytes:0"
        yield f"master_sync_read_bytes:{leader.copied_bytes}"
        yield f"master_sync_left_bytes:{-leader.copied_bytes}"
        yield "master_sync_perc:0.00"
        yield f"master_sync_last_io_seconds_ago:{leader.silent_seconds}"
    yield f"master_link_{'up' if leader.is_up else 'down'}_since_seconds:{leader.link_seconds}"
    yield f"slave_priority:{facts.pop('slave_priority')}"
    yield "slave_read_only:1"
    yield "replica_announced:1"
