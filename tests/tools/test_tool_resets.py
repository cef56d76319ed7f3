"""`respbroker groups reset`, on a running server."""

from __future__ import annotations

import datetime

import pytest

NEVER_READ = "0-0"
DAYS_MS = [int(datetime.datetime(2026, 1, day, tzinfo=datetime.UTC).timestamp() * 1000) for day in range(1, 7)]


@pytest.fixture
def mails(tools, client):
    """Six entries, one a day from 1 January 2026; the group has been given the first three, and nobody is in it."""
    for ms in DAYS_MS:
        client.xadd("mails", {"a": "b"}, id=f"{ms}-0")
    client.xgroup_create("mails", "g", id=f"{DAYS_MS[2]}-0")
    return tools


def cursor_of(client, key="mails"):
    [group] = client.xinfo_groups(key)
    return group["last-delivered-id"]


TARGETS = [
    ("--to-earliest", NEVER_READ, "3 again"),
    ("--to-latest", f"{DAYS_MS[5]}-0", "3 skipped"),
    (f"--to-id {DAYS_MS[0]}", f"{DAYS_MS[0]}-0", "2 again"),
    (f"--to-id {DAYS_MS[3]}-7", f"{DAYS_MS[3]}-7", "1 skipped"),
    ("--to-datetime 2026-01-02", f"{DAYS_MS[0]}-0", "2 again"),
    ("--to-datetime 2026-01-02T00:00:00.001", f"{DAYS_MS[1]}-0", "1 again"),
    ("--to-datetime 2026-01-05T01:00:00+02:00", f"{DAYS_MS[3]}-0", "1 skipped"),
    ("--to-datetime 1969-12-31", NEVER_READ, "3 again"),
    ("--to-datetime 2400-01-01T00:00:00Z", f"{DAYS_MS[5]}-0", "3 skipped"),
    ("--shift-by 2", f"{DAYS_MS[4]}-0", "2 skipped"),
    ("--shift-by -1", f"{DAYS_MS[1]}-0", "1 again"),
    ("--shift-by -1000", NEVER_READ, "3 again"),
    ("--shift-by 1000", f"{DAYS_MS[5]}-0", "3 skipped"),
    ("--shift-by 0", f"{DAYS_MS[2]}-0", "none"),
]


@pytest.mark.parametrize(("target", "to", "entries"), TARGETS)
def test_a_dry_run_says_what_execute_does(mails, client, target, to, entries):
    words = ("groups", "reset", "mails", "g", *target.split())
    before = f"{DAYS_MS[2]}-0"
    dry = mails.done(*words)
    assert dry.row("mails") == ["mails", before, to, "3", dry.column("NEW-LAG")[0], entries]
    assert dry.out.endswith("Nothing has been changed: --execute does it.\n")
    assert cursor_of(client) == before
    done = mails.done(*words, "--execute")
    assert done.rows[:2] == dry.rows[:2]
    assert done.out.endswith("Moved g of mails.\n")
    [group] = client.xinfo_groups("mails")
    assert (group["last-delivered-id"], group["lag"]) == (to, int(done.column("NEW-LAG")[0]))


def test_a_program_reads_the_same(mails, client):
    words = ("groups", "reset", "mails", "g", "--shift-by", "-2")
    told = mails.json(*words)
    assert told == {
        "topic": "mails",
        "group": "g",
        "executed": False,
        "pending": 0,
        "active_consumers": [],
        "partitions": [
            {
                "key": "mails",
                "from": f"{DAYS_MS[2]}-0",
                "to": f"{DAYS_MS[0]}-0",
                "lag": 3,
                "new_lag": 5,
                "entries": 2,
            }
        ],
    }
    assert mails.json(*words, "--execute") == told | {"executed": True}
    assert cursor_of(client) == f"{DAYS_MS[0]}-0"


def test_what_was_deleted_does_not_count(mails, client):
    client.xdel("mails", f"{DAYS_MS[1]}-0", f"{DAYS_MS[4]}-0", f"{DAYS_MS[5]}-0")
    reset = ("groups", "reset", "mails", "g")
    assert mails.done(*reset, "--to-earliest").row("mails")[3:] == ["1", "3", "2 again"]
    assert mails.done(*reset, "--shift-by", "-2").row("mails")[2:] == [NEVER_READ, "1", "3", "2 again"]
    assert mails.done(*reset, "--to-latest").row("mails")[2:] == [f"{DAYS_MS[5]}-0", "1", "0", "1 skipped"]
    assert mails.done(*reset, "--shift-by", "5").row("mails")[2:] == [f"{DAYS_MS[3]}-0", "1", "0", "1 skipped"]


def test_an_id_behind_the_end_is_refused(mails, client):
    last, beyond = f"{DAYS_MS[5]}-0", f"{DAYS_MS[5] * 10}-0"
    assert mails.refusal("groups", "reset", "mails", "g", "--to-id", beyond, "--execute") == (
        f"the ID {beyond} is behind the last one, {last}: what is added up to there would never be given out."
        " --to-latest moves the group behind the last entry"
    )
    mails.done("groups", "reset", "mails", "g", "--to-id", last, "--execute")
    assert cursor_of(client) == last


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", "give one of --to-earliest, --to-latest, --to-id, --to-datetime, --shift-by"),
        ("--to-earliest --to-latest", "give one of --to-earliest, --to-latest, --to-id, --to-datetime, --shift-by"),
        ("--to-id 5-x", "Invalid value for '--to-id': '5-x' is no ID such as 1764093600000-0"),
        ("--to-id 5-5-5", "Invalid value for '--to-id': '5-5-5' is no ID such as 1764093600000-0"),
        ("--to-datetime noon", "Invalid value for '--to-datetime': 'noon' is no time such as 2026-11-25T18:00:00Z"),
        ("--shift-by far", "Invalid value for '--shift-by': 'far' is not a valid integer."),
    ],
)
def test_a_command_that_is_called_wrongly_says_how(mails, client, line, complaint):
    assert mails.usage("groups", "reset", "mails", "g", *line.split(), "--execute") == complaint
    assert cursor_of(client) == f"{DAYS_MS[2]}-0"


@pytest.mark.parametrize(
    ("names", "refusal"),
    [
        ("none g", "there is no topic or stream none"),
        ("mails h", "mails has no group h: it has g"),
    ],
)
def test_what_is_not_there_is_named(mails, names, refusal):
    assert mails.refusal("groups", "reset", *names.split(), "--to-latest", "--execute") == refusal


def test_a_shift_too_far_for_a_number_is_one_sentence(mails):
    assert mails.refusal("groups", "reset", "mails", "g", "--shift-by", "9" * 30) == (
        "the server refuses: value is not an integer or out of range"
    )


# -- members and what they hold ------------------------------------------------------------------------------


def test_active_consumers_keep_a_group_where_it_is(mails, client):
    client.xreadgroup("g", "anna", {"mails": ">"}, count=1)
    before = cursor_of(client)
    words = ("groups", "reset", "mails", "g", "--to-earliest")
    why = "1 consumer is active: anna (idle for 0."
    dry = mails.done(*words)
    assert f"--execute would be refused: {why}" in dry.out
    assert mails.json(*words)["active_consumers"] == [{"name": "anna"}]
    refusal = mails.refusal(*words, "--execute")
    assert refusal.startswith(f"group g can only be reset while it is inactive, but {why}")
    assert refusal.endswith("Stop them, or give --force")
    assert cursor_of(client) == before
    assert mails.done(*words, "--execute", "--force").out.endswith("Moved g of mails.\n")
    assert cursor_of(client) == NEVER_READ


def test_consumers_that_have_not_asked_for_a_session_do_not(mails, client):
    mails.done("topics", "alter", "mails", "--config", "group.session.timeout.ms=0")
    client.xreadgroup("g", "anna", {"mails": ">"}, count=1)
    mails.done("groups", "reset", "mails", "g", "--to-earliest", "--execute")
    assert cursor_of(client) == NEVER_READ


def test_pending_entries_stay_pending(mails, client):
    mails.done("topics", "alter", "mails", "--config", "group.session.timeout.ms=0")
    client.xreadgroup("g", "anna", {"mails": ">"}, count=1)
    reset = ("groups", "reset", "mails", "g", "--to-earliest")
    assert "1 entry is pending and stays so, with the consumer that has it.\n" in mails.done(*reset).out
    client.xreadgroup("g", "anna", {"mails": ">"}, count=1)
    before = client.xpending_range("mails", "g", "-", "+", 10)
    said = mails.done(*reset, "--execute").out
    assert "2 entries are pending and stay so, with the consumers that have them.\n" in said
    after = client.xpending_range("mails", "g", "-", "+", 10)
    assert [each["message_id"] for each in after] == [each["message_id"] for each in before]


# -- topics --------------------------------------------------------------------------------------------------


@pytest.fixture
def orders(tools, client):
    """A topic of three partitions with two entries each; the group has been given one of each."""
    tools.done("topics", "create", "orders", "--partitions", "3", "--config", "group.session.timeout.ms=0")
    for partition in range(3):
        for number in (1, 2):
            client.xadd(f"orders/{partition}", {"a": "b"}, id=f"{10 * partition + number}-{partition}")
    client.xgroup_create("orders", "g", id="0")
    for partition in range(3):
        client.xreadgroup("g", f"c{partition}", {f"orders/{partition}": ">"}, count=1)
        client.xack(f"orders/{partition}", "g", f"{10 * partition + 1}-{partition}")
    return tools


def cursors(client):
    return [cursor_of(client, f"orders/{partition}") for partition in range(3)]


def test_every_partition_of_a_topic_is_moved(orders, client):
    words = ("groups", "reset", "orders", "g")
    assert orders.done(*words, "--to-latest").column("TO") == ["2-0", "12-1", "22-2"]
    assert orders.done(*words, "--shift-by", "-1").column("ENTRIES") == ["1 again"] * 3
    said = orders.done(*words, "--to-id", "12-1", "--execute")
    assert said.column("ENTRIES") == ["1 skipped", "1 skipped", "1 again"]
    assert cursors(client) == ["12-1"] * 3
    assert [each["lag"] for partition in range(3) for each in client.xinfo_groups(f"orders/{partition}")] == [0, 0, 2]


def test_one_partition_is_moved_alone(orders, client):
    before = cursors(client)
    orders.done("groups", "reset", "orders/1", "g", "--to-earliest", "--execute")
    assert cursors(client) == [before[0], NEVER_READ, before[2]]


def test_a_member_of_an_ordered_group_is_active_however_long_ago_it_asked(orders, client):
    words = ("groups", "reset", "orders", "g", "--to-earliest", "--execute")
    with orders.client as member:
        member.xreadgroup("g", "anna", {"orders": ">"}, count=1)
        why = "1 consumer is active: anna (with 1 open connection). Stop them"
        assert why in orders.refusal(*words)
        assert why in orders.refusal("groups", "reset", "orders/2", *words[3:])
    while any(
        each["connections"] is not None for each in orders.json("groups", "describe", "orders", "g")["consumers"]
    ):
        pass  # the connection is closed; the server is about to notice
    orders.done(*words)
    assert cursors(client) == [NEVER_READ] * 3


def test_what_is_given_out_again_is_as_many_as_was_said(orders, client):
    orders.done("groups", "reset", "orders", "g", "--to-earliest", "--execute")
    given = [
        entry
        for partition in range(3)
        for _, entries in client.xreadgroup("g", "late", {f"orders/{partition}": ">"})
        for entry in entries
    ]
    assert len(given) == 6
