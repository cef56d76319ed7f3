"""Settings of one topic, by Kafka's names where Kafka has them: the table, and one topic's values.

The class body *is* the table, as in `respbroker.model.settings`: XTOPIC CREATE, ALTER and HELP and docs/topics.md read
it. A setting left alone has the default; ``default`` as a value brings it back. Where the default is the server's, the
setting of that name in `respbroker.model.settings` holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from respbroker.errors import ReplyError
from respbroker.model.config_file import decode, encode
from respbroker.model.setting_kinds import I64_MAX, Choice, Integer, Kind, Memory, Text
from respbroker.model.setting_rows import Setting, setting

DAY_MS: Final = 24 * 60 * 60 * 1000
PARTITIONS_MAX: Final = 4096  # an ID's sequence number tells its partition, see `respbroker.streams.topic`
DEFAULT: Final = "default"  # as a value: what the setting is when nobody sets it


@attrs.frozen
class Policies(Kind):
    """``delete``, ``compact``, or both with a comma between them."""

    def parse(self, text: str, old: Any) -> frozenset[str]:
        words = frozenset(word.strip().lower() for word in text.split(","))
        if not words <= {"delete", "compact"}:
            raise ValueError("argument must be 'delete', 'compact' or 'compact,delete'")
        return words

    def format(self, value: frozenset[str]) -> str:
        return ",".join(sorted(value))

    def describe(self) -> str:
        return "`delete`, `compact`, `compact,delete`"


@attrs.frozen
class Ratio(Kind):
    """A number from 0 to 1."""

    def parse(self, text: str, old: Any) -> float:
        try:
            number = float(text)
        except ValueError:
            raise ValueError("argument must be a number between 0 and 1") from None
        if not 0 <= number <= 1:
            raise ValueError("argument must be a number between 0 and 1")
        return number

    def format(self, value: float) -> str:
        return f"{value:g}"

    def describe(self) -> str:
        return "0 to 1"


@attrs.frozen
class Inherited(Kind):
    """A kind whose default, None, is the server's setting of the same name."""

    kind: Kind

    def parse(self, text: str, old: Any) -> Any:
        return self.kind.parse(text, old)

    def format(self, value: Any) -> str:
        return "" if value is None else self.kind.format(value)

    def describe(self) -> str:
        return f"{self.kind.describe()}; the server's if not set"


@attrs.frozen
class JsonText(Kind):
    """A JSON document, kept as it was given."""

    def parse(self, text: str, old: Any) -> str:
        if text:
            try:
                json.loads(text)
            except ValueError as error:
                raise ValueError(f"argument must be JSON: {error}") from None
            except RecursionError:
                raise ValueError("argument must be JSON: it is nested too deeply") from None
        return text

    def describe(self) -> str:
        return "JSON"


@attrs.frozen
class TopicSettings:
    """The values of one topic. Texts keep any bytes, see `respbroker.model.config_file.decode`."""

    # section: keys
    key_field: str = setting("", Text(), "The field whose value is an entry's key; empty for none.", name="key.field")

    # section: log
    cleanup_policy: frozenset[str] = setting(
        frozenset({"delete"}),
        Policies(),
        "`delete` drops old segments, as `retention.*` says; `compact` keeps the last entry of each key.",
        name="cleanup.policy",
    )
    retention_ms: int | None = setting(
        None, Inherited(Integer(-1, I64_MAX)), "Age at which entries go, in ms; -1 keeps them.", name="retention.ms"
    )
    retention_bytes: int | None = setting(
        None,
        Inherited(Integer(-1, I64_MAX)),
        "Size of a partition above which its oldest segments go; -1 keeps them.",
        name="retention.bytes",
    )
    segment_bytes: int | None = setting(
        None, Inherited(Memory(1 << 10)), "Size at which a partition's active segment is sealed.", name="segment.bytes"
    )
    segment_ms: int | None = setting(
        None, Inherited(Integer(1, I64_MAX)), "Age at which it is sealed, in ms.", name="segment.ms"
    )
    min_cleanable_dirty_ratio: float = setting(
        0.5,
        Ratio(),
        "Compaction begins when this part of the sealed bytes was written since the last one.",
        name="min.cleanable.dirty.ratio",
    )
    delete_retention_ms: int = setting(
        DAY_MS,
        Integer(0, I64_MAX),
        "For how long readers find the tombstone of a removed key, in ms.",
        name="delete.retention.ms",
    )
    linger_ms: int = setting(
        0,
        Integer(0, 60_000),
        "For how long an XADD waits for others to be appended with, in ms.",
        name="linger.ms",
    )

    # section: replicas
    acks: str | None = setting(
        None,
        Inherited(Choice(("1", "all"))),
        "`1`: a write is answered when it is in the leader's log; `all`: when every in-sync replica has it.",
        name="acks",
    )
    min_insync_replicas: int | None = setting(
        None,
        Inherited(Integer(1)),
        "With fewer in-sync replicas, the leader counted, writes with `acks all` are refused.",
        name="min.insync.replicas",
    )

    # section: groups
    group_mode: str = setting(
        "auto",
        Choice(("auto", "ordered", "shared")),
        "Whether a partition belongs to one consumer of a group at a time; `auto`: if there are several partitions.",
        name="group.mode",
    )
    group_session_timeout_ms: int = setting(
        45_000,
        Integer(0, I64_MAX),
        "For how long a consumer keeps its partitions after its last connection was closed, in ms.",
        name="group.session.timeout.ms",
    )
    max_deliveries: int = setting(
        0,
        Integer(0),
        "How often an entry is delivered before it goes to the dead-letter topic; 0: as often as asked for.",
        name="max.deliveries",
    )
    dead_letter_topic: str = setting(
        "", Text(), "Where dead letters go; empty for `<topic>.dlq`.", name="dead.letter.topic"
    )

    # section: schemas
    schema_field: str = setting(
        "", Text(), "The field whose value must be JSON that fits the schema; empty for none.", name="schema.field"
    )
    schema: str = setting("", JsonText(), "The JSON Schema of that field.", name="schema")

    @classmethod
    def load(cls, texts: Mapping[str, str]) -> TopicSettings:
        """From what `dump` gave."""
        rows = ((TOPIC_SETTINGS[name], text) for name, text in texts.items())
        return cls(**{row.attribute: row.kind.parse(text, None) for row, text in rows})

    def dump(self) -> dict[str, str]:
        """The texts of everything that is not the default, by name."""
        return {
            name: row.kind.format(value)
            for name, row in TOPIC_SETTINGS.items()
            if (value := getattr(self, row.attribute)) != row.default
        }

    def changed(self, words: Sequence[bytes]) -> TopicSettings:
        """With other values for some: ``words`` are names and values in turn.

        Raises:
            ReplyError: the first of the names or values that cannot be.
        """
        if len(words) % 2 or not words:
            raise ReplyError("CONFIG needs a setting and a value, or several")
        values: dict[str, Any] = {}
        for word, value in zip(words[::2], words[1::2], strict=True):
            name = decode(word).lower()
            row = TOPIC_SETTINGS.get(name)
            if row is None:
                raise ReplyError(f"unknown topic setting '{name[:128]}'. Try XTOPIC HELP.")
            if row.attribute in values:
                raise ReplyError(f"topic setting '{name}' stands there twice")
            text = decode(value)
            try:
                values[row.attribute] = row.default if text.lower() == DEFAULT else row.kind.parse(text, row.default)
            except ValueError as refusal:
                raise ReplyError(f"topic setting '{name}': {refusal}") from None
        settings = attrs.evolve(self, **values)
        settings.ensure_consistent()
        return settings

    def ensure_consistent(self) -> None:
        """Raise ReplyError where one setting needs another."""
        if "compact" in self.cleanup_policy and not self.key_field:
            raise ReplyError("topic setting 'cleanup.policy': compaction needs key.field")
        if bool(self.schema) != bool(self.schema_field):
            raise ReplyError("topic settings 'schema' and 'schema.field' need each other")

    @property
    def key_field_bytes(self) -> bytes:
        return encode(self.key_field)

    @property
    def guards_appends(self) -> bool:
        """Whether an XADD is not just appended."""
        return bool(self.schema or self.linger_ms)

    @property
    def is_compacted(self) -> bool:
        return "compact" in self.cleanup_policy

    def text_of(self, row: Setting) -> str:
        """The value as XTOPIC INFO tells it; empty where the server's holds."""
        return row.kind.format(getattr(self, row.attribute))


#: The attribute each section of the table begins with.
_SECTIONS: Final = {
    "key_field": "Keys",
    "cleanup_policy": "Log",
    "acks": "Replicas",
    "group_mode": "Groups",
    "schema_field": "Schemas",
}


def _rows() -> list[Setting]:
    rows, section = [], ""
    for field in attrs.fields(TopicSettings):
        section = _SECTIONS.get(field.name, section)
        rows.append(Setting(attribute=field.name, default=field.default, section=section, **field.metadata))
    return rows


#: Every setting by its name.
TOPIC_SETTINGS: Final = {row.name: row for row in _rows()}

#: Those of a stream that nobody said anything about.
DEFAULTS: Final = TopicSettings()
