"""Topics with a JSON Schema: what does not fit is refused, and nothing of it is written."""

from __future__ import annotations

import json
import time

import pytest

from tests.support.asking import asker, fields
from tests.support.nodes import open_node

ORDER = {
    "type": "object",
    "required": ["items"],
    "properties": {
        "items": {
            "type": "array",
            "items": {"type": "object", "properties": {"price": {"type": "number"}}},
        },
        "code": {"type": "string", "pattern": "^(a+)+$"},
        "tags": {"uniqueItems": True},
        "part": {"$ref": "#/$defs/part"},
    },
    "$defs": {"part": {"properties": {"part": {"$ref": "#/$defs/part"}}, "additionalProperties": False}},
}
GOOD = '{"items":[{"price":1}]}'
BAD = '{"items":[{"price":"x"}]}'
REFUSAL = "-SCHEMA field 'payload' at $.items[0].price: 'x' is not of type 'number'"


@pytest.fixture
def ask(node):
    return asker(node)


def compact(schema):
    return json.dumps(schema, separators=(",", ":"))


def create(ask, name="orders", partitions=4, schema=ORDER, more=""):
    line = f"XTOPIC CREATE {name} PARTITIONS {partitions} CONFIG schema.field payload schema {compact(schema)} {more}"
    return ask(line.strip())


def test_an_entry_that_fits_is_added(ask):
    assert create(ask) == "OK"
    assert "-" in ask(f"XADD orders * payload {GOOD}")


@pytest.mark.parametrize("partitions", [1, 4])
@pytest.mark.parametrize(
    ("payload", "refusal"),
    [
        (f"payload {BAD}", REFUSAL),
        (f"payload {GOOD} payload {BAD}", REFUSAL),
        (f"n 1 payload {BAD}", REFUSAL),
        ("other 1", "-SCHEMA field 'payload' is missing"),
        ("payload {}", "-SCHEMA field 'payload' at $: 'items' is a required property"),
        ("payload {", "-SCHEMA field 'payload' is no JSON: Expecting property name enclosed in double quotes: "),
        ("payload [NaN]", "-SCHEMA field 'payload' is no JSON: NaN is none of its values"),
        ("payload \xff", "-SCHEMA field 'payload' is no JSON: "),
        ('payload {"items":[],"code":"b"}', "-SCHEMA field 'payload' at $.code: 'b' does not match '^(a+)+$'"),
        ('payload {"items":[],"tags":[1,1.0]}', "-SCHEMA field 'payload' at $.tags: items are not unique"),
        ('payload {"items":[],"part":{"a":1}}', "-SCHEMA field 'payload' at $.part: 'a' is not one of the properties"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(ask, partitions, payload, refusal):
    create(ask, partitions=partitions)
    assert ask(f"XADD orders * {payload}").startswith(refusal)
    assert fields(ask("XTOPIC INFO orders"))["entries"] == 0
    assert fields(ask("XTOPIC INFO orders"))["last-generated-id"] == "0-0"


def test_every_way_of_adding_is_checked(ask):
    create(ask)
    create(ask, "single", 1)
    for words in ("orders *", "orders/3 *", "orders 5-1", "single *", "single 5-1", "single MAXLEN ~ 10 *"):
        assert ask(f"XADD {words} payload {BAD}") == REFUSAL, words
    for words in ("orders IDMP p 1 *", "orders/2 IDMPAUTO p *", "single IDMPAUTO p *"):
        assert ask(f"XADD {words} payload {BAD}") == REFUSAL, words
        first = ask(f"XADD {words} payload {GOOD}")
        assert ask(f"XADD {words} payload {GOOD}") == first


def test_what_was_added_before_is_known_again_though_the_schema_changed(ask):
    create(ask)
    first = ask(f"XADD orders IDMP p 1 * payload {GOOD}")
    assert ask("XTOPIC ALTER orders CONFIG schema false") == "OK"
    assert ask(f"XADD orders IDMP p 1 * payload {GOOD}") == first
    assert ask(f"XADD orders IDMP p 2 * payload {GOOD}").startswith("-SCHEMA field 'payload' at $: False schema")


@pytest.mark.parametrize("key", ["orders", "orders/3", "single"])
def test_a_pipeline_is_refused_where_single_requests_are(node, ask, key):
    create(ask)
    create(ask, "single", 1)
    client = node.client()
    values = [GOOD, GOOD, BAD, GOOD, "{", GOOD, GOOD]
    wire = node.pipeline(client, [["XADD", key, "*", "payload", value] for value in values])
    assert [line[:1] for line in wire.split(b"\r\n") if line[:1] in b"$-" and line] == [
        b"$",
        b"$",
        b"-",
        b"$",
        b"-",
        b"$",
        b"$",
    ]
    assert fields(ask(f"XTOPIC INFO {key.partition('/')[0]}"))["entries"] == 5


def test_a_request_without_a_value_in_a_pipeline_is_refused_in_its_place(node, ask):
    create(ask)
    good = ["XADD", "orders", "*", "payload", GOOD]
    wire = node.pipeline(node.client(), [good, [*good, "odd"], good, ["PING"], ["XLEN", "orders/0"]])
    assert wire.count(b"wrong number of arguments") == 1
    assert fields(ask("XTOPIC INFO orders"))["entries"] == 2


def test_an_append_inside_exec_is_refused_by_itself(ask):
    create(ask)
    ask("MULTI")
    for value in (GOOD, BAD, GOOD):
        ask(f"XADD orders * payload {value}")
    replies = ask("EXEC")
    assert replies[1] == REFUSAL
    assert fields(ask("XTOPIC INFO orders"))["entries"] == 2


def test_a_tombstone_of_a_compacted_topic_needs_no_payload(ask):
    create(ask, more="key.field customer cleanup.policy compact")
    assert "-" in ask("XADD orders * customer anna")
    assert ask("XADD orders * customer anna n 1") == "-SCHEMA field 'payload' is missing"


def test_a_schema_is_altered_and_taken_back(ask):
    create(ask)
    assert ask("XTOPIC ALTER orders CONFIG schema true") == "OK"
    assert "-" in ask(f"XADD orders * payload {BAD}")
    assert ask("XTOPIC ALTER orders CONFIG schema default schema.field default") == "OK"
    assert "-" in ask("XADD orders * a b")


def test_a_schema_holds_after_a_restart_and_for_new_partitions(tmp_path, node, ask):
    create(ask)
    create(ask, "single", 1)
    ask("XTOPIC ALTER single PARTITIONS 2")
    node.kill()
    ask = asker(open_node(tmp_path))
    for key in ("orders", "orders/1", "single", "single/0", "single/1"):
        assert ask(f"XADD {key} * payload {BAD}") == REFUSAL


# -- schemas that cannot be ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "refusal"),
    [
        (
            {"properties": {"a": {"type": "x"}}},
            "at $.properties.a.type: 'x' is not valid under any of the given schemas",
        ),
        (5, "at $: a schema is an object, true or false"),
        ({"$schema": "http://example.com/mine"}, "at $['$schema']: 'http://example.com/mine' is not a version"),
        ({"$ref": "http://example.com/a.json"}, "at $ref: 'http://example.com/a.json' is not in the schema"),
        ({"$ref": "file:///etc/passwd"}, "at $ref: 'file:///etc/passwd' is not in the schema"),
        ({"items": {"$ref": "#/$defs/none"}}, "at $ref: '#/$defs/none' is not in the schema"),
        ({"pattern": "(?=a)b"}, "at pattern: '(?=a)b' is not one of RE2's"),
        ({"patternProperties": {"(": {}}}, "at "),
        ({"$defs": {"a": {"$schema": "http://json-schema.org/draft-07/schema#"}}}, "at $schema: it may stand at the"),
        (
            {"allOf": [{"patternProperties": {"a": {}}}], "unevaluatedProperties": False},
            "at unevaluatedProperties: a schema cannot have both this and patternProperties",
        ),
    ],
)
def test_a_schema_that_cannot_be_is_refused_with_its_place(ask, schema, refusal):
    assert create(ask, schema=schema).startswith(f"-ERR topic setting 'schema': {refusal}")
    assert ask("KEYS *") == []
    create(ask)
    altered = ask(f"XTOPIC ALTER orders CONFIG schema {compact(schema)}")
    assert altered.startswith(f"-ERR topic setting 'schema': {refusal}")
    assert "-" in ask(f"XADD orders * payload {GOOD}")


@pytest.mark.parametrize(
    "version",
    [
        "http://json-schema.org/draft-04/schema#",
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2019-09/schema",
        "https://json-schema.org/draft/2020-12/schema",
    ],
)
def test_a_schema_says_its_version_and_may_refer_to_itself(ask, version):
    schema = {"$schema": version, "type": ["object", "number"], "additionalProperties": {"$ref": "#"}}
    assert create(ask, schema=schema) == "OK"
    assert "-" in ask('XADD orders * payload {"a":{"b":1}}')
    refusal = ask('XADD orders * payload {"a":{"b":"c"}}')
    assert refusal == "-SCHEMA field 'payload' at $.a.b: 'c' is not of type 'object', 'number'"


# -- values that are to do harm -----------------------------------------------------------------------------

TWICE = {"$defs": {"t": {"anyOf": [{"items": {"$ref": "#/$defs/t"}, "type": "array"}] * 2}}, "$ref": "#/$defs/t"}
DEEP = {"not": {"anyOf": [{"type": "number"}, {"items": {"$ref": "#"}}]}}


@pytest.mark.parametrize(
    ("schema", "value", "refusal"),
    [
        (True, "[" * 100_000, "is nested too deeply"),
        ({"items": {"$ref": "#"}}, "[" * 400 + "]" * 400, "is nested too deeply"),
        ({"$ref": "#"}, "1", "is nested too deeply"),
        (TWICE, "[" * 30 + "1" + "]" * 30, "takes more than 20000 steps to check"),
        ({"pattern": "^(a+)+$"}, f'"{"a" * 100_000}!"', "at $: 'aaa"),
        ({"patternProperties": {"^(a+)+$": False}, "additionalProperties": False}, f'{{"{"a" * 99}!":1}}', "at $: "),
        ({"uniqueItems": True}, f"[{'{},' * 100_000}1]", "at $: items are not unique"),
        (
            {"uniqueItems": True},
            f"[{','.join(str(n * (2**61 - 1)) for n in range(20_000))},0]",
            "at $: items are not unique",
        ),
        ({"items": {"type": "number"}}, f"[{'1,' * 40_000}1]", "takes more than 20000 steps to check"),
        (DEEP, f'{"[" * 60}"{"x" * 1_000_000}"{"]" * 60}', "takes more than 20000 steps to check"),
        ({"pattern": "."}, '"\\ud800"', "at $: '\\ud800' does not match '.'"),
        ({"multipleOf": 0.5}, "1" * 4000, "cannot be checked: OverflowError"),
        ({"type": "string"}, "1" * 5000, "is no JSON: Exceeds the limit"),
        (True, f'"{"x" * (1 << 20)}"', "is larger than 1048576 bytes"),
        ({"type": "string"}, f'["\\r\\n{"x" * 10_000}"]', "at $: ['\\r\\nxxx"),
    ],
)
def test_no_value_holds_the_server_up(node, ask, schema, value, refusal):
    assert create(ask, schema=schema) == "OK"
    began = time.process_time()
    reply = node.run(ask.client, "XADD", "orders", "*", "payload", value)
    assert reply.decode().startswith(f"-SCHEMA field 'payload' {refusal}")
    assert len(reply) < 600
    assert time.process_time() - began < 5  # exponential and quadratic ways take hours
    assert ask("PING") == "PONG"
