"""`respbroker migrate` between real servers: everything arrives as it was."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.migration.cutting import door_to
from tests.migration.moving import BINARY, assert_alike, build, client_of, fill, migrated, portrait, refusal
from tests.support import needs, servers
from tests.support.servers import Server


def test_everything_arrives_as_it_was(source: Server, target: Server) -> None:
    build(client_of(source.url))
    before = portrait(client_of(source.url), idempotency=False)
    out = migrated(source.url, target.url, "--verify")
    assert_alike(before, portrait(client_of(target.url), idempotency=False))
    assert_alike(before, portrait(client_of(source.url), idempotency=False))
    entries = sum(stream[b"length"] for stream in before.values())
    assert f"Copied {entries} entries of {len(before)} streams in " in out
    assert f"Both sides are alike: {len(before)} streams, {entries} entries, " in out
    assert client_of(target.url).execute_command("EXISTS", "a string") == 0


def test_and_back_again(source: Server, target: Server) -> None:
    client = client_of(source.url)
    build(client)
    before = portrait(client, idempotency=False)
    migrated(source.url, target.url)
    client.flushall()
    migrated(target.url, source.url, "--verify")
    assert_alike(before, portrait(client, idempotency=False))


def test_what_nobody_holds_goes_from_respbroker_to_respbroker(target: Server) -> None:
    client = client_of(target.url)
    fill(client, "s", 1, 9)
    client.execute_command("XGROUP", "CREATE", "s", "g", "0")
    client.execute_command("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">")
    client.execute_command("XNACK", "s", "g", "FAIL", "IDS", 2, "2-2", "4-1")
    client.execute_command("XNACK", "s", "g", "FATAL", "IDS", 1, "5-2")
    client.execute_command("XDEL", "s", "4-1")
    client.execute_command("XCFGSET", "s", "IDMP-DURATION", 7, "IDMP-MAXSIZE", 9)
    before = portrait(client)
    with servers.respbroker_server() as other:
        migrated(target.url, other.url, "--verify")
        assert_alike(before, portrait(client_of(other.url)))


def test_a_server_without_xnack_gives_what_nobody_holds_to_a_consumer_without_a_name(
    redis_source: Server, target: Server
) -> None:
    client, other = client_of(target.url), client_of(redis_source.url)
    fill(client, "s", 1, 3)
    client.execute_command("XGROUP", "CREATE", "s", "g", "0")
    client.execute_command("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">")
    client.execute_command("XNACK", "s", "g", "FAIL", "IDS", 1, "2-2", "RETRYCOUNT", 5)
    migrated(target.url, redis_source.url, "--verify")
    _, claimed, _ = other.execute_command("XAUTOCLAIM", "s", "g", "new", 86_400_000, "-")
    assert [entry_id for entry_id, _ in claimed] == [b"2-2"]
    assert other.execute_command("XPENDING", "s", "g", "2-2", "2-2", 1)[0][3] == 6


@pytest.mark.timeout(300)
def test_ten_thousand_small_streams(redis_source: Server) -> None:
    client = client_of(redis_source.url)
    pipeline = client.pipeline(transaction=False)
    for number in range(10_000):
        for entry in range(1, 1 + number % 4):
            pipeline.execute_command("XADD", f"small:{number}", f"{entry}-1", "n", str(number))
        if number % 10 == 0:
            pipeline.execute_command("XGROUP", "CREATE", f"small:{number}", "g", "1-1", "MKSTREAM")
    pipeline.execute()
    with servers.respbroker_server() as target:
        out = migrated(redis_source.url, target.url)
        streams = 10_000 - 2_500 + 500  # of those without an entry, one in five has a group
        assert f"Copied 15000 entries of {streams} streams in " in out
        assert_alike(portrait(client, idempotency=False), portrait(client_of(target.url), idempotency=False))
        target.kill()  # closing so many files in good order takes its time


# -- what is moved ---------------------------------------------------------------------------------------------


def test_only_what_matches_is_moved(redis_source: Server, target: Server) -> None:
    for name in ("orders:1", "orders:2", "logs:1"):
        fill(client_of(redis_source.url), name, 1, 2)
    migrated(redis_source.url, target.url, "--match", "orders:*")
    assert sorted(portrait(client_of(target.url))) == [b"orders:1", b"orders:2"]


def test_the_database_of_the_url_is_moved_or_the_one_that_is_named(redis_source: Server, target: Server) -> None:
    client = client_of(redis_source.url)
    fill(client, "zero", 1, 1)
    client.execute_command("SELECT", 0)
    third = client_of(redis_source.url.replace("/0", "/3"))
    fill(third, "three", 1, 1)
    migrated(redis_source.url.replace("/0", "/3"), target.url)
    assert sorted(portrait(client_of(target.url))) == [b"three"]
    migrated(redis_source.url, target.url, "--db", "3")
    assert sorted(portrait(client_of(target.url.replace("/0", "/3")))) == [b"three"]


def test_topics_of_several_partitions_are_left_out_and_named(redis_source: Server, target: Server) -> None:
    client = client_of(target.url)
    client.execute_command("XTOPIC", "CREATE", "many", "PARTITIONS", 3)
    fill(client, "one", 1, 2)
    out = migrated(target.url, redis_source.url)
    assert "Left out, for they are topics of several partitions: many." in out
    assert sorted(portrait(client_of(redis_source.url))) == [b"one"]


# -- what is refused -------------------------------------------------------------------------------------------


def test_nothing_is_overwritten_unless_told_to(redis_source: Server, target: Server) -> None:
    client = client_of(target.url)
    fill(client_of(redis_source.url), "a", 1, 2)
    fill(client_of(redis_source.url), "b", 1, 2)
    fill(client, "b", 5, 9)
    said = refusal(redis_source.url, target.url)
    assert said == "the target has b already: --replace overwrites, --resume goes on with an earlier migration"
    assert sorted(portrait(client)) == [b"b"]
    migrated(redis_source.url, target.url, "--replace", "--verify")
    assert client.execute_command("XLEN", "b") == 2


def test_a_database_is_not_moved_onto_itself(redis_source: Server) -> None:
    url = redis_source.url.replace("127.0.0.1", "localhost")
    assert refusal(redis_source.url, url) == "the source and the target are the same database"


def test_servers_that_are_not_there_are_named_without_passwords(redis_source: Server) -> None:
    said = refusal(redis_source.url, "redis://anna:secret@127.0.0.1:1/0")
    assert said == "no server can be reached at redis://127.0.0.1:1/0: Connection refused"


def test_users_and_passwords_are_taken_from_the_urls(redis_source: Server, target: Server) -> None:
    client = client_of(redis_source.url)
    fill(client, "s", 1, 2)
    client.execute_command(
        "ACL", "SETUSER", "mover", "on", ">pa/ss", "~*", "+@read", "+@connection", "+info", "+command|info", "+time"
    )
    try:
        port = redis_source.port
        assert "does not take this user and password" in refusal(f"redis://mover:no@127.0.0.1:{port}", target.url)
        migrated(f"redis://mover:pa%2Fss@127.0.0.1:{port}", target.url, "--verify")
    finally:
        client.execute_command("ACL", "DELUSER", "mover")


def test_tls_is_spoken_where_the_url_says_so(redis_source: Server, target: Server, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        needs.missing("openssl")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, "-out", certificate, "-keyout", key]
    subprocess.run(made, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    fill(client_of(redis_source.url), "s", 1, 5000)
    with door_to(redis_source.port, tls) as door:
        url = f"rediss://127.0.0.1:{door.port}/0?ssl_ca_certs={certificate}"
        migrated(url, target.url, "--verify")
    assert client_of(target.url).execute_command("XLEN", "s") == 5000


def test_a_target_that_does_not_take_an_entry_is_told_in_its_words(redis_source: Server, target: Server) -> None:
    client = client_of(target.url)
    fill(client, "s", 1, 3000)
    other = client_of(redis_source.url)
    before = other.execute_command("CONFIG", "GET", "maxmemory")[1]
    other.execute_command("CONFIG", "SET", "maxmemory", 1)
    try:
        said = refusal(target.url, redis_source.url)
    finally:
        other.execute_command("CONFIG", "SET", "maxmemory", before)
    assert re.fullmatch(r"redis://\S+ does not take the entry 1-1 of s: OOM command not allowed .*", said)


# -- comparing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["XADD", "holes", "9999-0", "f", "v"], "holes: length: 1569 in the source, 1570 in the target"),
        (["XSETID", "holes", "4000-0"], "holes: last-generated-id: 3000-0 in the source, 4000-0 in the target"),
        (["XSETID", "set", "100-7", "ENTRIESADDED", "56"], "set: entries-added: 55 in the source, 56 in the target"),
        (["PERSIST", "expiring"], "expiring: time of expiry: "),
        (
            ["XGROUP", "DESTROY", "holes", "audit"],
            "holes: groups: (audit, workers) in the source, (workers) in the target",
        ),
        (["XGROUP", "SETID", "holes", "audit", "8-0"], "holes: last-delivered-id of audit: "),
        (["XGROUP", "DELCONSUMER", "holes", "workers", "idle"], "holes: consumers of workers: "),
        (
            ["XCLAIM", "holes", "workers", "anna", "0", "1240-1", "RETRYCOUNT", "8"],
            "holes: 1240-1 of workers is pending with anna, 1 delivery, the last at ",
        ),
        (["XDEL", BINARY, "1-1"], r"$'\xff\x00\x0d\x0a *$': length: 2 in the source, 1 in the target"),
        (["DEL", "large"], "large: it is not in the target"),
    ],
    ids=lambda value: " ".join(map(str, value[:2])) if isinstance(value, list) else "",
)
def test_the_first_difference_is_named(redis_source: Server, target: Server, change: list[str], said: str) -> None:
    build(client_of(redis_source.url))
    migrated(redis_source.url, target.url)
    client_of(target.url).execute_command(*change)
    assert refusal(redis_source.url, target.url, "--verify-only").startswith(said)


# -- versions --------------------------------------------------------------------------------------------------


def test_a_server_older_than_7_is_read_and_not_written_to(target: Server) -> None:
    with servers.redis_server("--rename-command", "PEXPIRETIME", "") as old:  # by its want of this it is told
        client = client_of(old.url)
        fill(client, "s", 1, 3)
        client.execute_command("PEXPIRE", "s", 86_400_000)
        migrated(old.url, target.url, "--verify")
        assert 86_000_000 < client_of(target.url).execute_command("PTTL", "s") <= 86_400_000
        said = refusal(target.url, old.url)
        assert said == f"the server at {old.url} is older than Redis 7.0 and takes no counters"
