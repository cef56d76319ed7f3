"""INFO replication, as operators and programs read it at each moment in which something is under way."""

from __future__ import annotations

from tests.support.cluster import Cluster, Member, follower_of

SAFE = {"acks": "all", "min.insync.replicas": 2}


def info(cluster: Cluster, member: Member, section: str = "replication") -> dict[str, str]:
    """The fields, as the next tick tells them; what is under way goes on by no more than that."""
    client = member.client()
    member.arrived.append((client, [[b"INFO", section.encode()]]))
    cluster.tick(member)
    told = cluster.take(client).decode()
    return dict(line.split(":", 1) for line in told.split("\r\n") if ":" in line)


def test_a_follower_tells_how_much_has_come_as_one_that_copies_without_a_file(cluster: Cluster) -> None:
    leader = cluster.add(7001)
    for _ in range(40):
        cluster.ask(leader, leader.client(), "XADD", "s", "*", "f", "v" * 100_000)
    follower = cluster.add(7002, replicaof="127.0.0.1 7001")
    for _ in range(12):
        for member in (leader, follower):
            cluster.tick(member)
        if (told := info(cluster, follower)).get("master_sync_read_bytes", "0") != "0":
            break
    sync = {name: value for name, value in told.items() if name.startswith("master_sync_")}
    read = int(sync["master_sync_read_bytes"])
    assert info(cluster, follower, "persistence")["loading"] == "1"
    assert 0 < read < 4_000_000
    assert sync == {
        "master_sync_in_progress": "1", "master_sync_total_bytes": "0", "master_sync_read_bytes": f"{read}",
        "master_sync_left_bytes": f"-{read}", "master_sync_perc": "0.00", "master_sync_last_io_seconds_ago": "0",
    }  # fmt: skip
    assert info(cluster, leader)["slave0"].split(",")[2] == "state=send_bulk"
    cluster.settle()
    cluster.advance(100)
    assert info(cluster, follower, "persistence")["loading"] == "0"
    told = info(cluster, follower)
    assert {name for name in told if name.startswith("master_sync_")} == {"master_sync_in_progress"}
    assert info(cluster, leader)["slave0"].split(",")[2] == "state=online"


def test_a_follower_tells_since_when_its_leader_is_there_or_not(cluster: Cluster, leader: Member) -> None:
    follower = follower_of(cluster, leader)
    for _ in range(5):
        cluster.advance(1000)
    told = info(cluster, follower)
    assert (told["master_link_status"], told["master_link_up_since_seconds"]) == ("up", "5")
    assert "master_link_down_since_seconds" not in told
    cluster.kill(leader)
    for _ in range(3):
        cluster.advance(1000)
    told = info(cluster, follower)
    assert (told["master_link_status"], told["master_link_down_since_seconds"]) == ("down", "3")
    assert "master_link_up_since_seconds" not in told


def test_who_wants_to_lead_tells_what_that_waits_for(cluster: Cluster) -> None:
    leader = cluster.add(7001, **SAFE)
    one, two = (follower_of(cluster, leader, port, **SAFE) for port in (7002, 7003))
    assert "role_change" not in info(cluster, one)
    for member in (leader, two):
        cluster.kill(member)
    cluster.ask(one, one.client(), "REPLICAOF", "NO", "ONE")
    assert info(cluster, one)["role_change"] == "asks to lead in epoch 2: 1 must agree"
    cluster.kill(one)
    cluster.start(leader)
    assert info(cluster, leader)["role"] == "master"
    assert info(cluster, leader)["role_change"] == "asks whether it still leads"
    for member in (one, two):
        cluster.start(member)
    for _ in range(5):
        cluster.advance(1000)
    assert "role_change" not in info(cluster, leader)
