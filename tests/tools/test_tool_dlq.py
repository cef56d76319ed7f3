"""`respbroker dlq`, on a running server."""

from __future__ import annotations

import pytest

NOTHING_DONE = "Nothing has been changed: --execute does it.\n"


def dead(client, topic, count, group="billing"):
    """Add entries to a topic that exists, and give them up."""
    client.xgroup_create(topic, group, id="$", mkstream=True)
    for number in range(count):
        client.xadd(topic, {"k": f"k{number % 3}", "n": str(number)})
    reply = client.execute_command("XREADGROUP", "GROUP", group, "anna", "STREAMS", topic, ">")
    ids = [entry_id for _, entries in reply for entry_id, _ in entries]
    client.execute_command("XNACK", topic, group, "FATAL", "IDS", len(ids), *ids)
    return sorted(ids, key=lambda entry_id: tuple(map(int, entry_id.split("-"))))


@pytest.fixture
def orders(tools, client):
    """A topic with three letters; the IDs of their entries."""
    client.execute_command("XTOPIC", "CREATE", "orders", "CONFIG", "max.deliveries", "3")
    return dead(client, "orders", 3)


def letters(client, key="orders.dlq"):
    return [entry_id for entry_id, _ in client.xrange(key)]


def numbers(client, key):
    return [fields["n"] for _, fields in client.xrange(key)]


def test_letters_are_listed_with_where_they_are_from(tools, client, orders):
    said = tools.done("dlq", "list", "orders")
    assert said.rows[0] == ["LETTER", "PARTITION", "ENTRY", "GROUP", "CONSUMER", "TIMES", "REASON", "AGE"]
    assert said.column("ENTRY") == orders
    assert said.column("LETTER") == letters(client)
    assert said.row(letters(client)[0])[1:-1] == ["0", orders[0], "billing", "anna", "1", "fatal"]


def test_a_program_reads_the_fields_too(tools, client, orders):
    first = tools.json("dlq", "list", "orders")[0]
    assert first["fields"] == [{"name": "k", "value": "k0"}, {"name": "n", "value": "0"}]
    assert (first["letter"], first["id"], first["topic"]) == (letters(client)[0], orders[0], "orders")


def test_a_long_list_says_that_there_is_more(tools, orders):
    said = tools.done("dlq", "list", "orders", "--count", "2")
    assert said.column("ENTRY") == orders[:2]
    assert said.out.endswith("There are more than these 2: --count tells how many to list.\n")
    assert len(tools.json("dlq", "list", "orders", "--count", "0")) == 3


def test_without_letters_it_says_so(tools, client):
    client.xadd("quiet", {"a": "b"})
    nothing = "There are no dead letters of quiet in quiet.dlq.\n"
    assert tools.done("dlq", "list", "quiet").out == nothing
    assert tools.done("dlq", "replay", "quiet", "--all", "--execute").out == nothing


def test_a_replay_is_only_shown_without_execute(tools, client, orders):
    said = tools.done("dlq", "replay", "orders", "--all")
    assert said.column("ENTRY") == orders
    assert said.out.endswith("3 entries would be sent to orders.\n" + NOTHING_DONE)
    assert client.xlen("orders") == client.xlen("orders.dlq") == 3


def test_a_replay_sends_the_entries_as_they_were_and_removes_the_letters(tools, client, orders):
    before = client.xrange("orders")
    assert tools.done("dlq", "replay", "orders", "--all", "--execute").out == "Sent 3 entries to orders.\n"
    after = client.xrange("orders")
    assert after[:3] == before
    assert [fields for _, fields in after[3:]] == [fields for _, fields in before]
    assert client.xlen("orders.dlq") == 0
    assert tools.done("dlq", "list", "orders").out == "There are no dead letters of orders in orders.dlq.\n"


def test_some_letters_are_sent_and_the_others_stay(tools, client, orders):
    first, second, third = letters(client)
    tools.done("dlq", "replay", "orders", "--id", first, "--id", third, "--execute")
    assert numbers(client, "orders")[3:] == ["0", "2"]
    assert letters(client) == [second]


def test_many_letters_are_sent_in_their_order(tools, client):
    client.execute_command("XTOPIC", "CREATE", "many", "CONFIG", "max.deliveries", "3")
    dead(client, "many", 1234)
    assert tools.done("dlq", "replay", "many", "--all", "--execute").out == "Sent 1234 entries to many.\n"
    assert numbers(client, "many")[1234:] == [str(number) for number in range(1234)]
    assert client.xlen("many.dlq") == 0


def test_a_replay_that_was_cut_off_adds_nothing_twice(tools, client, orders):
    first = client.xrange("orders.dlq", count=1)[0]
    fields = [word for pair in list(first[1].items())[:2] for word in pair]
    client.execute_command("XADD", "orders", "IDMP", "dlq orders.dlq", first[0], "*", *fields)
    tools.done("dlq", "replay", "orders", "--all", "--execute")
    assert numbers(client, "orders") == ["0", "1", "2", "0", "1", "2"]


def test_a_topic_of_several_partitions_gets_its_entries_back_by_their_keys(tools, client):
    client.execute_command(
        "XTOPIC", "CREATE", "t", "PARTITIONS", "4", "CONFIG", "key.field", "k", "max.deliveries", "1"
    )
    client.execute_command("XTOPIC", "CREATE", "t.dlq", "PARTITIONS", "2")
    ids = dead(client, "t", 9)
    assert sorted(tools.done("dlq", "list", "t").column("ENTRY")) == sorted(ids)
    tools.done("dlq", "replay", "t", "--all", "--execute")
    homes = {}
    for entry_id, fields in client.xrange("t"):
        homes.setdefault(fields["k"], set()).add(int(entry_id.split("-")[1]) % 4096)
    assert client.xlen("t") == 18
    assert all(len(partitions) == 1 for partitions in homes.values())
    assert client.xlen("t.dlq") == 0


def test_topics_that_share_a_dead_letter_topic_have_their_own_letters(tools, client):
    for name in ("one", "two"):
        client.execute_command("XTOPIC", "CREATE", name, "CONFIG", "dead.letter.topic", "bin")
        dead(client, name, 2)
    client.xadd("bin", {"somebody": "else's"})
    assert len(tools.json("dlq", "list", "one")) == 2
    other = tools.json("dlq", "list", "two")[0]["letter"]
    refusal = tools.refusal("dlq", "replay", "one", "--id", other, "--execute")
    assert refusal == f"the dead letter {other} is one of two, not of one"
    tools.done("dlq", "replay", "one", "--all", "--execute")
    assert client.xlen("bin") == 3


def test_letters_of_a_topic_that_was_renamed_go_where_they_are_told(tools, client, orders):
    client.rename("orders", "bookings")
    assert tools.refusal("dlq", "replay", "orders", "--all") == "there is no topic or stream orders"
    assert tools.done("dlq", "list", "orders").column("ENTRY") == orders
    tools.done("dlq", "replay", "orders", "--all", "--to", "bookings", "--execute")
    assert numbers(client, "bookings") == ["0", "1", "2", "0", "1", "2"]
    assert client.exists("orders") == 0


def test_what_the_topic_does_not_take_stays(tools, client, orders):
    client.execute_command("XTOPIC", "ALTER", "orders", "CONFIG", "schema.field", "n", "schema", '{"minimum": 1}')
    said = tools("dlq", "replay", "orders", "--all", "--execute")
    assert (said.status, said.out) == (1, "Sent 2 entries to orders.\n")
    assert said.err.startswith("Error: 1 letter could not be sent and stayed, the first is ")
    assert len(letters(client)) == 1


@pytest.mark.parametrize("words", [(), ("--all", "--id", "1-1")])
def test_it_must_be_said_which_letters(tools, orders, words):
    assert tools.usage("dlq", "replay", "orders", *words) == "give either --id or --all"


def test_a_letter_that_is_not_there_is_named(tools, orders):
    assert tools.refusal("dlq", "replay", "orders", "--id", "1-1") == "there is no dead letter 1-1 in orders.dlq"
    assert tools.usage("dlq", "replay", "orders", "--id", "x") == (
        "Invalid value for '--id': 'x' is no ID such as 1764093600000-0"
    )
