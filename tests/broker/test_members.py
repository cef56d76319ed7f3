"""Members come, go and are replaced: what waits for whose agreement, and what is said of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import attrs
import pytest

from tests.support.cluster import Cluster, Member, follower_of

SAFE = {"acks": "all", "min.insync.replicas": 2}


@pytest.fixture
def three(cluster: Cluster) -> list[Member]:
    """A leader and two followers that are in sync."""
    leader = cluster.add(7001, **SAFE)
    return [leader, *(follower_of(cluster, leader, port, **SAFE) for port in (7002, 7003))]


def info(cluster: Cluster, member: Member) -> dict[str, str]:
    text = cluster.ask(member, member.client(), "INFO", "replication").decode()
    return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)


def states(cluster: Cluster, member: Member) -> dict[int, str]:
    """What a server says that each is, by its port."""
    rows = [value for name, value in info(cluster, member).items() if name[:6] == "member" and name[6:].isdigit()]
    fields = [dict(pair.split("=") for pair in row.split(",")) for row in rows]
    return {int(each["port"]): each["state"] for each in fields}


def empty_the_disk(member: Member) -> None:
    shutil.rmtree(member.directory)
    Path(member.directory).mkdir()


def come_back_empty(cluster: Cluster, member: Member) -> None:
    cluster.kill(member)
    empty_the_disk(member)
    cluster.start(member)
    pass_time(cluster, 4)


def cut_off(cluster: Cluster, one: Member, *others: Member) -> None:
    for other in others:
        cluster.unreachable |= {(one.port, other.port), (other.port, one.port)}
    cluster.settle()


def pass_time(cluster: Cluster, seconds: int) -> None:
    for _ in range(seconds):
        cluster.advance(1000)


def forget(cluster: Cluster, leader: Member, port: int) -> bytes:
    return cluster.ask(leader, leader.client(), "REPLICATE", "FORGET", "127.0.0.1", port)


def follow_a_replaced_leader_from_an_empty_disk(cluster: Cluster, old: Member, new: Member, third: Member) -> None:
    """Another leads and acknowledges; the third, which has agreed to that, loses its disk and is told to follow the old
    one, which has not heard of it.
    """
    cut_off(cluster, old, new, third)
    cluster.ask(new, new.client(), "REPLICAOF", "NO", "ONE")
    pass_time(cluster, 4)
    assert cluster.ask(new, new.client(), "XADD", "s", "1-1", "by", "the new leader") == b"$3\r\n1-1\r\n"
    cluster.kill(third)
    empty_the_disk(third)
    cluster.unreachable -= {(old.port, third.port), (third.port, old.port)}
    third.settings["replicaof"] = "127.0.0.1 7001"
    cluster.start(third)


# -- an empty disk ---------------------------------------------------------------------------------------------------


def test_an_empty_server_does_not_count_for_a_leader_that_was_replaced(cluster: Cluster, three: list[Member]) -> None:
    old, new, third = three
    follow_a_replaced_leader_from_an_empty_disk(cluster, *three)
    pass_time(cluster, 5)
    assert states(cluster, old)[third.port] == "joining"
    assert "1 of 127.0.0.1:7002 must agree" in info(cluster, old)["member_change"]
    assert any("7003 does not count yet" in sentence for sentence in old.reports)
    refused = cluster.ask(old, old.client(), "XADD", "s", "1-1", "by", "the old leader")
    assert refused.startswith(b"-NOREPLICAS")
    cluster.unreachable.clear()
    pass_time(cluster, 15)
    assert info(cluster, new)["in_sync_replicas"] == "3"
    for member in three:
        assert b"the new leader" in cluster.ask(member, member.client(), "XRANGE", "s", "-", "+")


def test_a_server_with_an_empty_disk_does_not_vote_for_the_one_that_was_there(
    cluster: Cluster, three: list[Member]
) -> None:
    old, *_ = three
    follow_a_replaced_leader_from_an_empty_disk(cluster, *three)
    pass_time(cluster, 2)
    cluster.kill(old)
    cluster.start(old)  # it asks whether it still leads
    pass_time(cluster, 4)
    assert info(cluster, old)["leader_epoch"] == "1"
    assert any("another server is found there now" in sentence for sentence in old.reports)


def test_an_empty_server_counts_when_one_that_stays_knows_of_it(cluster: Cluster, three: list[Member]) -> None:
    leader, one, two = three
    cluster.kill(one)
    come_back_empty(cluster, two)
    assert info(cluster, leader)["in_sync_replicas"] == "1"
    cluster.start(one)
    pass_time(cluster, 2)
    assert states(cluster, leader) == {7001: "leader", 7002: "in_sync", 7003: "in_sync"}
    assert info(cluster, leader)["members"] == "3"
    assert "member_change" not in info(cluster, leader)
    assert any("127.0.0.1:7003 takes the place of a member" in sentence for sentence in leader.reports)


def test_with_a_minimum_of_one_an_empty_server_counts_without_the_others(cluster: Cluster, three: list[Member]) -> None:
    leader, one, two = three
    cluster.kill(one)
    come_back_empty(cluster, two)
    for minimum in (1, 2):
        cluster.ask(leader, leader.client(), "CONFIG", "SET", "min.insync.replicas", minimum)
        pass_time(cluster, 1)
    assert cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v") == b"$3\r\n1-1\r\n"


def test_where_the_minimum_is_all_of_them_nobody_is_replaced(cluster: Cluster) -> None:
    """Each of the two may lead alone, so neither can know that the other has not put somebody in its place."""
    leader = cluster.add(7001, **SAFE)
    other = follower_of(cluster, leader, **SAFE)
    come_back_empty(cluster, other)
    assert "1 more must agree, and there is none" in info(cluster, leader)["member_change"]
    assert cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v").startswith(b"-NOREPLICAS")


def test_a_server_that_drops_its_data_for_anothers_is_another_node(cluster: Cluster, three: list[Member]) -> None:
    leader, _, two = three
    stranger = cluster.add(7004)
    cluster.ask(stranger, stranger.client(), "XADD", "other", "1-1", "f", "v")
    assert two.node is not None
    before = two.node.replication.state.node
    cluster.ask(two, two.client(), "REPLICAOF", "127.0.0.1", "7004")
    pass_time(cluster, 2)
    assert cluster.ask(two, two.client(), "XLEN", "other") == b":1\r\n"
    assert two.node.replication.state.node != before
    cluster.ask(two, two.client(), "REPLICAOF", "127.0.0.1", "7001")
    pass_time(cluster, 2)
    assert states(cluster, leader) == {7001: "leader", 7002: "in_sync", 7003: "in_sync"}


# -- who joins -------------------------------------------------------------------------------------------------------


def test_one_that_joins_counts_when_it_has_everything(cluster: Cluster, three: list[Member]) -> None:
    leader = three[0]
    cluster.held.add((leader.port, 7004))
    cluster.add(7004, replicaof="127.0.0.1 7001", **SAFE)
    pass_time(cluster, 1)
    assert states(cluster, leader)[7004] == "learner"
    assert info(cluster, leader)["members"] == "3"
    cluster.held.clear()
    pass_time(cluster, 1)
    assert states(cluster, leader)[7004] == "in_sync"
    assert all(info(cluster, member)["members"] == "4" for member in three)


def test_a_candidate_that_has_not_heard_who_joined_is_told_and_asks_again(
    cluster: Cluster, three: list[Member]
) -> None:
    leader, one, two = three
    cluster.kill(two)
    follower_of(cluster, leader, 7004, **SAFE)
    cluster.kill(leader)
    cluster.start(two)
    cut_off(cluster, two, cluster.members[7004])
    cluster.ask(two, two.client(), "REPLICAOF", "NO", "ONE")
    pass_time(cluster, 4)
    assert any("the members have changed since" in sentence for sentence in two.reports)
    assert info(cluster, two)["members"] == "4"
    assert info(cluster, two)["role"] == "slave"  # it needs two more of the four
    cluster.unreachable.clear()
    pass_time(cluster, 4)
    assert info(cluster, two)["role"] == "master"
    assert info(cluster, one)["slave_in_sync"] == "1"


def test_a_leader_does_not_hand_over_to_one_that_is_no_member_yet(cluster: Cluster, three: list[Member]) -> None:
    leader, one, two = three
    for member in (one, two):
        cut_off(cluster, leader, member)
    late = cluster.add(7004, replicaof="127.0.0.1 7001", **SAFE)
    pass_time(cluster, 1)
    assert states(cluster, leader)[7004] == "joining"
    cluster.ask(leader, leader.client(), "FAILOVER", "TO", "127.0.0.1", "7004", "TIMEOUT", "2000")
    pass_time(cluster, 3)
    assert info(cluster, late)["role"] == "slave"
    assert any("was given up" in sentence for sentence in leader.reports)


def test_a_new_leader_goes_on_with_a_change_that_it_found(cluster: Cluster, three: list[Member]) -> None:
    leader, one, two = three
    cluster.kill(two)
    late = cluster.add(7004, replicaof="127.0.0.1 7001", **SAFE)
    cluster.held.add((one.port, leader.port))  # it hears of the change, and is not heard
    pass_time(cluster, 1)
    assert states(cluster, one)[7004] == "joining"
    cluster.kill(leader)
    cluster.held.clear()
    cluster.start(two)
    cluster.ask(one, one.client(), "REPLICAOF", "NO", "ONE")
    cluster.ask(late, late.client(), "REPLICAOF", "127.0.0.1", "7002")
    pass_time(cluster, 8)
    assert states(cluster, one) == {7001: "away", 7002: "leader", 7003: "in_sync", 7004: "in_sync"}


# -- who leaves ------------------------------------------------------------------------------------------------------


def test_a_member_that_is_gone_for_good_is_taken_out(cluster: Cluster, three: list[Member]) -> None:
    leader, one, two = three
    cluster.kill(two)
    pass_time(cluster, 4)
    assert states(cluster, leader)[7003] == "away"
    assert forget(cluster, leader, 7003) == b"+OK\r\n"
    assert states(cluster, leader) == {7001: "leader", 7002: "in_sync"}
    assert info(cluster, one)["members"] == "2"
    cluster.kill(leader)  # of two with a minimum of two each has everything
    cluster.ask(one, one.client(), "REPLICAOF", "NO", "ONE")
    pass_time(cluster, 2)
    assert info(cluster, one)["role"] == "master"


def test_a_member_is_named_by_its_id_too(cluster: Cluster, three: list[Member]) -> None:
    leader, _, two = three
    assert two.node is not None
    name = two.node.replication.state.node
    cluster.kill(two)
    assert cluster.ask(leader, leader.client(), "REPLICATE", "FORGET", name) == b"+OK\r\n"
    assert (
        cluster.ask(leader, leader.client(), "REPLICATE", "FORGET", name) == b"-ERR Unknown node %b\r\n" % name.encode()
    )


def test_who_shares_its_address_with_another_is_named_by_its_id(cluster: Cluster, three: list[Member]) -> None:
    leader, one, two = three
    assert two.node is not None
    gone = two.node.replication.state.node
    cluster.kill(one)  # so nobody agrees that the empty server takes the place of the one that is gone
    come_back_empty(cluster, two)
    assert two.node is not None
    ids = f"{gone} and {two.node.replication.state.node}"
    assert forget(cluster, leader, 7003) == (
        f"-ERR Ambiguous: 127.0.0.1:7003 is the address of {ids}. Name one of these instead\r\n".encode()
    )
    operator = leader.client()
    assert cluster.ask(leader, operator, "REPLICATE", "FORGET", gone) == b""  # it waits for the other
    cluster.start(one)
    pass_time(cluster, 4)
    assert states(cluster, leader) == {7001: "leader", 7002: "in_sync", 7003: "in_sync"}
    assert cluster.take(operator) == b"+OK\r\n"


def test_one_that_was_taken_out_joins_again_when_it_comes_back(cluster: Cluster, three: list[Member]) -> None:
    leader, _, two = three
    cluster.kill(two)
    assert forget(cluster, leader, 7003) == b"+OK\r\n"
    cluster.start(two)
    pass_time(cluster, 2)
    assert states(cluster, leader)[7003] == "in_sync"


def test_one_that_was_taken_out_does_not_lead(cluster: Cluster, three: list[Member]) -> None:
    leader, one, two = three
    cluster.kill(leader)
    cluster.ask(one, one.client(), "REPLICAOF", "NO", "ONE")
    pass_time(cluster, 4)
    assert forget(cluster, one, 7001) == b"+OK\r\n"
    cluster.start(leader)  # it led, and asks whether it still does
    cut_off(cluster, leader, one)
    pass_time(cluster, 4)
    assert any("no member any more" in sentence for sentence in leader.reports)
    cluster.ask(leader, leader.client(), "REPLICAOF", "NO", "ONE")
    pass_time(cluster, 4)
    assert cluster.ask(leader, leader.client(), "XADD", "s", "*", "f", "v").startswith(b"-READONLY")
    cluster.unreachable.clear()
    cluster.ask(leader, leader.client(), "REPLICAOF", "127.0.0.1", "7002")
    pass_time(cluster, 4)
    assert states(cluster, one)[7001] == "in_sync"
    assert info(cluster, two)["members"] == "3"


def test_one_that_hears_from_a_voter_that_it_was_taken_out_is_told_no_more(
    cluster: Cluster, three: list[Member]
) -> None:
    leader, _, two = three
    cut_off(cluster, two, leader)
    pass_time(cluster, 4)
    assert forget(cluster, leader, 7003) == b"+OK\r\n"
    cluster.ask(two, two.client(), "REPLICAOF", "NO", "ONE")
    pass_time(cluster, 4)
    assert any("no member any more" in sentence for sentence in two.reports)
    assert not any("too few agree" in sentence for sentence in two.reports)  # nobody was asked then


def test_one_that_was_taken_out_by_the_last_that_is_left_does_not_lead_when_it_starts(
    cluster: Cluster, leader: Member
) -> None:
    follower_of(cluster, leader)
    assert leader.node is not None
    state = leader.node.replication.state
    cluster.kill(leader)
    without = attrs.evolve(state.membership, members=state.others)
    path = Path(f"{leader.directory}/replication")
    path.write_bytes(attrs.evolve(state, membership=without, in_sync=()).encode())
    cluster.unreachable |= {(7001, 7002), (7002, 7001)}
    leader.settings |= {"min-insync-replicas": "2"}
    cluster.start(leader)
    pass_time(cluster, 3)
    assert info(cluster, leader)["leader_epoch"] == "1"
    assert cluster.ask(leader, leader.client(), "XADD", "s", "*", "f", "v").startswith(b"-READONLY")


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (["127.0.0.1", 7009], b"-ERR Unknown node 127.0.0.1:7009\r\n"),
        (["f" * 16], b"-ERR Unknown node ffffffffffffffff\r\n"),
        (["127.0.0.1", 7001], b"-ERR I tried hard but I can't forget myself...\r\n"),
        (["127.0.0.1", 7002], b"-ERR 127.0.0.1:7002 follows this server, and would join again: stop it first\r\n"),
        (["127.0.0.1", "x"], b"-ERR value is not an integer or out of range\r\n"),
        (["127.0.0.1", 7002, "now"], b"-ERR wrong number of arguments for 'replicate|forget' command\r\n"),
    ],
)
def test_what_cannot_be_forgotten_is_refused(
    cluster: Cluster, three: list[Member], words: list[object], refusal: bytes
) -> None:
    leader = three[0]
    assert cluster.ask(leader, leader.client(), "REPLICATE", "FORGET", *map(str, words)) == refusal


def test_a_follower_forgets_nobody(cluster: Cluster, three: list[Member]) -> None:
    answer = forget(cluster, three[1], 7003)
    assert answer == b"-NOTLEADER 127.0.0.1:7001 is followed here\r\n"


def test_nobody_is_taken_out_where_too_few_are_there_to_agree(cluster: Cluster, three: list[Member]) -> None:
    leader, one, two = three
    for member in (one, two):
        cluster.kill(member)
    pass_time(cluster, 4)
    refusal = b"-NOREPLICAS 1 more of the members that stay must be in sync, to agree to it\r\n"
    assert forget(cluster, leader, 7003) == refusal
    cluster.ask(leader, leader.client(), "CONFIG", "SET", "min.insync.replicas", "1")
    assert forget(cluster, leader, 7003) == b"+OK\r\n"


def test_no_fewer_are_left_than_the_minimum(cluster: Cluster) -> None:
    leader = cluster.add(7001, **SAFE)
    other = follower_of(cluster, leader, **SAFE)
    cluster.kill(other)
    refusal = b"-ERR 1 would be left, less than min.insync.replicas asks for: lower that first\r\n"
    assert forget(cluster, leader, 7002) == refusal


def test_what_a_change_waits_for_is_said_when_it_takes_too_long(cluster: Cluster, three: list[Member]) -> None:
    leader, one, two = three
    cluster.kill(two)
    cluster.held.add((one.port, leader.port))  # in sync as far as the leader knows, and not heard any more
    operator = leader.client()
    assert cluster.ask(leader, operator, "REPLICATE", "FORGET", "127.0.0.1", 7003) == b""
    pass_time(cluster, 10)
    assert cluster.take(operator) == (
        b"-ERR not yet: 127.0.0.1:7003 still counts as a member: 1 of 127.0.0.1:7002 must agree. min.insync.replicas 1"
        b" on this server lets it pass without them. It is done when that is so\r\n"
    )
    cluster.held.clear()
    pass_time(cluster, 2)
    assert info(cluster, leader)["members"] == "2"


def test_one_that_comes_back_before_it_is_taken_out_stays(cluster: Cluster, three: list[Member]) -> None:
    leader, one, two = three
    cluster.kill(two)
    cluster.held.add((one.port, leader.port))
    operator = leader.client()
    assert cluster.ask(leader, operator, "REPLICATE", "FORGET", "127.0.0.1", 7003) == b""
    cluster.start(two)
    pass_time(cluster, 2)
    assert cluster.take(operator) == b"-ERR 127.0.0.1:7003 has come back, and stays a member\r\n"
    cluster.held.clear()
    pass_time(cluster, 2)
    assert states(cluster, leader) == {7001: "leader", 7002: "in_sync", 7003: "in_sync"}
