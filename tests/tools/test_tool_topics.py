"""`respbroker topics`, on a running server."""

from __future__ import annotations

import pytest


def test_a_server_without_topics_says_so(tools, client):
    client.xadd("plain", {"a": "b"})
    assert tools.done("topics", "list").out == "There are no topics.\n"
    assert tools.json("topics", "list") == []


def test_a_topic_from_its_making_to_its_end(tools, client):
    made = tools.done("topics", "create", "orders", "--partitions", "4", "--config", "key.field=customer")
    assert made.out == "Created orders with 4 partitions.\n"
    assert tools.done("topics", "list").rows == [
        ["TOPIC", "PARTITIONS", "SETTINGS"],
        ["orders", "4", "key.field=customer"],
    ]
    assert tools.done("topics", "alter", "orders", "--config", "retention.ms=60000").out == "Altered orders.\n"
    assert tools.done("topics", "alter", "orders", "--partitions", "6").out == (
        "Altered orders.\nKeys may move: new entries of a key can be in another partition than its old ones.\n"
    )
    assert tools.json("topics", "list") == [
        {"name": "orders", "partitions": 6, "config": {"key.field": "customer", "retention.ms": "60000"}}
    ]
    tools.done("topics", "alter", "orders", "--config", "retention.ms=default")
    assert tools.done("topics", "list").row("orders") == ["orders", "6", "key.field=customer"]
    assert tools.done("topics", "delete", "orders", "--yes").out == "Deleted orders.\n"
    assert client.keys() == []


def test_one_partition_is_the_default(tools, client):
    assert tools.done("topics", "create", "single").out == "Created single with 1 partition.\n"
    client.xadd("single", {"a": "b"})
    assert client.xlen("single") == 1


def test_info_tells_settings_and_partitions(tools, client):
    tools.done("topics", "create", "orders", "--partitions", "2", "--config", "key.field=customer")
    client.xadd("orders/1", {"a": "b"}, id="5-1")
    client.xadd("orders/1", {"a": "b"}, id="6-1")
    said = tools.done("topics", "info", "orders")
    assert said.rows[0][0].startswith("orders: 2 partitions, 2 entries, ")
    assert said.rows[0][0].endswith(" B, last ID 6-1")
    assert said.row("key.field") == ["key.field", "customer"]
    assert said.row("cleanup.policy") == ["cleanup.policy", "delete", "default"]
    assert said.row("retention.ms") == ["retention.ms", "-", "the server's"]
    assert (said.column("ENTRIES"), said.column("FIRST-ID"), said.column("LAST-ID")) == (
        ["0", "2"],
        ["-", "5-1"],
        ["-", "6-1"],
    )


def test_info_as_json_is_all_that_the_server_tells(tools, client):
    tools.done("topics", "create", "orders", "--partitions", "2", "--config", "key.field=customer")
    client.xadd("orders/1", {"a": "b"}, id="5-1")
    told = tools.json("topics", "info", "orders")
    assert (told["name"], told["partitions"], told["entries"]) == ("orders", 2, 1)
    assert told["last_generated_id"] == "5-1"
    assert told["config"]["key.field"] == "customer"
    assert [part["entries"] for part in told["partition_list"]] == [0, 1]
    assert told["partition_list"][0]["first_id"] is None


def test_info_tells_which_groups_there_are(tools, client):
    tools.done("topics", "create", "orders", "--partitions", "2")
    client.xadd("orders/1", {"a": "b"})
    client.xgroup_create("orders", "billing", id="0")
    assert tools.done("topics", "info", "orders").row("billing") == ["billing", "ordered", "0", "0", "1"]
    assert tools.json("topics", "info", "orders")["groups"] == [
        {"name": "billing", "mode": "ordered", "pending": 0, "lag": 1}
    ]


def test_info_tells_what_went_elsewhere(tools, client):
    tools.done("topics", "create", "orders", "--config", "max.deliveries=3")
    assert "letter" not in tools.done("topics", "info", "orders").rows[1][0]
    client.xadd("orders", {"a": "b"}, id="5-0")
    client.xgroup_create("orders", "billing", id="0")
    client.xreadgroup("billing", "anna", {"orders": ">"})
    client.execute_command("XNACK", "orders", "billing", "FATAL", "IDS", 1, "5-0")
    said = tools.done("topics", "info", "orders")
    assert said.rows[1] == ["1 dead letter; 0 entries went by retention before a group had read them"]
    assert tools.json("topics", "info", "orders")["dead_letters"] == 1


def test_info_tells_of_plain_streams_too(tools, client):
    client.xadd("plain", {"a": "b"}, id="5-1")
    assert tools.done("topics", "info", "plain").rows[0][0].startswith("plain: 1 partition, 1 entry, ")


def test_deleting_asks_first(tools, client):
    tools.done("topics", "create", "orders", "--partitions", "2")
    client.xadd("orders/1", {"a": "b"})
    asked = "Delete orders with 2 partitions and 1 entry? [y/N]: "
    for answer in ("n\n", "\n", ""):
        said = tools("topics", "delete", "orders", answer=answer)
        assert said.status == 1
        assert said.out.startswith(asked)
        assert client.exists("orders") == 1
    assert tools.done("topics", "delete", "orders", answer="y\n").out == f"{asked}y\nDeleted orders.\n"
    assert client.exists("orders") == 0


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("create orders", "there is a key orders already"),
        ("create t --partitions 0", "the server refuses: PARTITIONS must be between 1 and 4096"),
        ("create t --config colour=red", "the server refuses: unknown topic setting 'colour'. Try XTOPIC HELP."),
        (
            "create t --config retention.ms=soon",
            "the server refuses: topic setting 'retention.ms': argument couldn't be parsed into an integer",
        ),
        ("alter none --partitions 3", "there is no topic or stream none"),
        ("alter orders --partitions 1", "the server refuses: a topic's partitions only grow: it has 2"),
        ("info none", "there is no topic or stream none"),
        ("delete none", "there is no topic or stream none"),
        ("delete none --yes", "there is no topic or stream none"),
        (
            "delete orders/1 --yes",
            "the server refuses: 'orders/1' is a partition of 'orders' and cannot go or be moved by itself",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence(tools, line, refusal):
    tools.done("topics", "create", "orders", "--partitions", "2")
    assert tools.refusal("topics", *line.split()) == refusal


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("create", "Missing argument 'NAME'."),
        ("create t --partitions many", "Invalid value for '--partitions': 'many' is not a valid integer."),
        ("create t --config colour", "Invalid value for '--config': colour is not SETTING=VALUE"),
        ("create t --config =red", "Invalid value for '--config': =red is not SETTING=VALUE"),
        ("alter t", "there is nothing to alter: give --partitions or --config"),
        ("list --colour", "No such option"),
    ],
)
def test_a_command_that_is_called_wrongly_says_how(tools, line, complaint):
    assert tools.usage("topics", *line.split()).startswith(complaint)


def test_names_may_be_any_bytes(tools):
    with tools.client as client:
        client.connection_pool.connection_kwargs["decode_responses"] = False
        for name in (b"caf\xe9", b"two words", "日本".encode(), b"line\nbreak", b"", b"it's"):
            client.execute_command("XTOPIC", "CREATE", name)
    assert tools.done("topics", "list").column("TOPIC") == [
        "''",
        "$'caf\\xe9'",
        """'it'"'"'s'""",
        "$'line\\x0abreak'",
        "'two words'",
        "日本",
    ]
    listed = tools.json("topics", "list")
    assert [each["name"] for each in listed] == ["", "$'caf\\xe9'", "it's", "line\nbreak", "two words", "日本"]
    assert [each.get("name_base64") for each in listed] == [None, "Y2Fm6Q==", None, None, None, None]
    assert tools.done("topics", "info", "caf\udce9").rows[0][0].startswith("$'caf\\xe9': 1 partition, ")
    assert tools.done("topics", "delete", "caf\udce9", "--yes").out == "Deleted $'caf\\xe9'.\n"


def test_values_of_settings_may_hold_anything(tools):
    schema = '{"type": "object", "required": ["a=b"]}'
    tools.done("topics", "create", "t", "--config", f"schema={schema}", "--config", "schema.field=caf\udce9")
    [listed] = tools.json("topics", "list")
    assert listed["config"] == {"schema": schema, "schema.field": "$'caf\\xe9'"}
    assert tools.done("topics", "info", "t").row("schema") == ["schema", schema]
