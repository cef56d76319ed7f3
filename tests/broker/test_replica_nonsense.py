"""What a peer says that is none, or a broken one: it is told so, and the server goes on."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from respbroker.resp.reply_decoder import ErrorReply, ReplyDecoder
from tests.support.cluster import Cluster, Member

NODES = [b"%016x" % number for number in range(3)]
#: Words for programmers.
PYTHONS = ("invalid literal", "zip(", "unpack", "codec", "object", "must be <=", "int()", " b'")


def said(rng: random.Random, dataset: bytes, history: bytes) -> list[bytes]:
    """A request of the protocol in which nearly everything may be wrong."""
    numbers = [b"%d" % rng.randrange(-1, 12) for _ in range(6)]
    node, known = rng.choice(NODES), rng.choice([dataset, b"0" * 40])
    requests = [
        [b"HELLO", b"4", known, node, history, numbers[0], b"1", numbers[1], rng.choice([b"", node]), b"", b"7999"],
        [b"LOGS", b"0", *numbers[:2], b"1", *numbers[2:4]],
        [b"ACK", *numbers[:4]],
        [b"KNOWS", *numbers[:2]],
        [b"FORGET", b"127.0.0.1", rng.choice([b"7001", b"7999", b"7998"])],
        [b"VOTE", known, numbers[0], node, b"127.0.0.1", b"7999", numbers[1], *numbers[3:6], b"0", numbers[2]],
        [b"LEADS", b"0" * 40, node, b"127.0.0.1", b"7999", b"%b:%b:0" % (numbers[0], node)],
    ]
    request = rng.choice(requests)
    for _ in range(rng.choice([0, 0, 1, 2])):
        request[rng.randrange(len(request))] = rng.choice(
            [b"", b"x", b"9" * 30, b"\xff\xfe", b"-", b"1:x:2", rng.randbytes(9)]
        )
    if rng.random() < 0.1:
        del request[rng.randrange(len(request))]
    return [b"REPLICATE", *request]


@pytest.mark.parametrize("seed", range(10))
def test_a_leader_survives_whatever_a_peer_says(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    cluster = Cluster(tmp_path)
    leader = cluster.add(7001)
    cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v")
    hello = [b"REPLICATE", b"HELLO", b"4", b"0" * 40, NODES[0], b"-", b"0", b"0", b"0", b"", b"", b"7999"]
    decoder = ReplyDecoder()
    ((_, dataset, _, history, *_),) = decoder.feed(cluster.ask(leader, leader.client(), *hello))
    for _ in range(150):
        client = leader.client()
        for _ in range(rng.randrange(1, 4)):
            answer = cluster.ask(leader, client, *said(rng, dataset, history)).decode("latin-1")
            assert not answer.startswith("-") or not any(word in answer for word in PYTHONS)
            cluster.advance(rng.choice([0, 0, 10, 700]))
    assert_serves(cluster, leader)


def hello(node: bytes, host: str = "") -> list[bytes | str | int]:
    """Of an empty follower."""
    return ["REPLICATE", "HELLO", 4, b"0" * 40, node, "-", 0, 0, 0, "", host, 7999]


def test_a_connection_is_that_of_one_follower(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    leader = cluster.add(7001)
    client = leader.client()
    assert cluster.ask(leader, client, *hello(NODES[0])).startswith(b"*6")
    assert cluster.ask(leader, client, *hello(NODES[1])) == b"-ERR REPLICATE HELLO comes once in a connection\r\n"
    assert b"connected_slaves:1\r\n" in cluster.ask(leader, leader.client(), "INFO", "replication")
    assert NODES[1] not in cluster.ask(leader, leader.client(), "INFO", "replication")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["HELLO", "x", *hello(NODES[0])[3:]], "a hello that cannot be read: no number: 'x'"),
        (["HELLO", 4, b"0" * 40, b"\xff", *hello(NODES[0])[5:]],
         "a hello that cannot be read: no id of a node: '\\xff'"),
        (["HELLO", 4, b"0" * 40, NODES[0], "1:2", *hello(NODES[0])[6:]],
         "a hello that cannot be read: no history of epochs: '1:2'"),
        (["LOGS", 1, 2], "a list of logs that cannot be read: words are missing, too many, or no numbers"),
        (["LOGS", 1, -2, 3], "a list of logs that cannot be read: '-2' is not between -1 and 9223372036854775807"),
        (["ACK", 1, 2, "y", 0], "an acknowledgement that cannot be read: words are missing, too many, or no numbers"),
        (["KNOWS", 1, "z"], "the version of a list that cannot be read: no number: 'z'"),
        (["VOTE", b"0" * 40, 1, NODES[0], "", 7999, 1, 1, 1, 1, 5],
         "a candidacy that cannot be read: words are missing, too many, or no numbers"),
        (["LEADS", b"0" * 40, NODES[0], "", "port", "-"], "news of a leader that cannot be read: no number: 'port'"),
    ],
)  # fmt: skip
def test_a_peer_is_told_in_words_what_of_its_request_cannot_be(
    tmp_path: Path, words: list[bytes | str | int], why: str
) -> None:
    cluster = Cluster(tmp_path)
    leader = cluster.add(7001)
    assert cluster.ask(leader, leader.client(), "REPLICATE", *words) == f"-ERR {why}\r\n".encode()


def test_an_address_in_which_another_line_begins_is_none(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    leader = cluster.add(7001)
    said = cluster.ask(leader, leader.client(), *hello(NODES[0], "x\r\nrole:slave"))
    assert said.startswith(b"-ERR a hello that cannot be read: no address")
    assert b"role:slave" not in cluster.ask(leader, leader.client(), "INFO", "replication")


@pytest.mark.parametrize("words", [["LEAVE"], ["LOGS"], ["ACK", 1, 1, 1, 0], ["KNOWS", 1, 1], ["FORGET", "x", 7002]])
def test_a_server_that_nobody_has_followed_says_so(tmp_path: Path, words: list[str | int]) -> None:
    cluster = Cluster(tmp_path)
    alone = cluster.add(7001)
    said = cluster.ask(alone, alone.client(), "REPLICATE", *words)
    assert said == b"-ERR no other server has ever followed this one\r\n"


@pytest.mark.parametrize("where", ["there:\xb2", "there:99999", "there:x", ":7001", "there", "\xb2:7001"])
def test_a_follower_that_is_sent_to_no_address_asks_the_same_server_again(tmp_path: Path, where: str) -> None:
    cluster = Cluster(tmp_path)
    cluster.add(7001)
    follower = cluster.add(7002, replicaof="127.0.0.1 7001")
    cluster.settle()
    (link,) = cluster.links
    assert follower.node is not None
    follower.node.peer_received(link.peer, [ErrorReply("NOTLEADER", f"{where} is followed here")], cluster.clock.now())
    cluster.tick(follower)
    assert b"\r\nconnect\r\n" in cluster.ask(follower, follower.client(), "ROLE")
    cluster.advance(1100)
    assert b"connected" in cluster.ask(follower, follower.client(), "ROLE")


def assert_serves(cluster: Cluster, member: Member) -> None:
    cluster.ask(member, member.client(), "REPLICAOF", "NO", "ONE")
    cluster.advance(100)
    cluster.advance(3100)
    assert cluster.ask(member, member.client(), "XADD", "s", "*", "f", "v").startswith(b"$")


@pytest.mark.parametrize(
    "frame",
    [
        [b"tick"],
        [b"tick", b"x", b"0", b"4"],
        [b"tick", b"9", b"9", b"4", b"1", b"0"],
        [b"tick", b"9", b"9", b"4", b"1", b"0", b"no batch"],
        [b"chunk", b"0", b"0", b"no batch"],
        [b"chunk", b"x", b"0", b""],
        [b"copy", b"1", b"2", b"3", b"4", b"5"],
        [b"copied", b"1", b"-1", b""],
        [b"members", b"1", b"1", b"x", b"y", b"z", b"3"],
        [b"members", b"1", b"1", NODES[0], b"", b"7001", b"4"],
        [b"members", b"1"],
        [b"members", b"99", b"1", NODES[0], b"", b"7001", b"3"],
        [b"lead", b"x"],
        [b"lead", b"-1"],
        [b"lead", b"9" * 30],
        [b"copy", b"9" * 30, b"0", b"0", b"0", b"0", b"0"],
        [b"copy", b"9", b"0", b"-1", b"0", b"0", b"0"],
        [b"copy", b"9", b"0", b"0", b"0", b"0", b"4294967296"],
        [b"what"],
        [],
    ],
)
def test_a_follower_gives_up_a_leader_that_talks_nonsense_and_tries_again(tmp_path: Path, frame: list[bytes]) -> None:
    cluster = Cluster(tmp_path)
    leader = cluster.add(7001)
    follower = cluster.add(7002, replicaof="127.0.0.1 7001")
    cluster.settle()
    (link,) = cluster.links
    assert follower.node is not None
    follower.node.peer_received(link.peer, [frame], cluster.clock.now())
    cluster.tick(follower)
    assert follower.node.replication.following is not None
    assert not follower.node.replication.following.is_up
    for _ in range(3):
        cluster.advance(1100)
    cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v")
    assert cluster.ask(follower, follower.client(), "XLEN", "s") == b":1\r\n"
    (reason,) = (line for line in follower.reports if "without the leader" in line)
    assert not any(word in reason for word in PYTHONS)


def test_an_epoch_far_ahead_is_refused(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    leader = cluster.add(7001)
    cluster.add(7002, replicaof="127.0.0.1 7001")
    cluster.settle()
    assert leader.node is not None
    dataset = leader.node.replication.state.dataset
    words = ["REPLICATE", "VOTE", dataset, 4_000_000_000, NODES[1], "127.0.0.1", 7999, 4_000_000_000, 1, 1, 1, 0, 99]
    (answer,) = ReplyDecoder().feed(cluster.ask(leader, leader.client(), *words))
    assert isinstance(answer, ErrorReply)
    assert "out of reach" in answer.text
