"""A topic's JSON Schema: examined when it is given, compiled once, applied to the entries of an XADD.

Whatever an entry holds, checking it ends soon: values are bounded in bytes, the steps of checking are counted, and
nothing is ever fetched for a ``$ref``. What the bounds do not let through is refused, not let in unchecked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from respbroker.errors import ReplyError, SchemaMismatch
from respbroker.model.config_file import encode
from respbroker.model.topic_settings import TopicSettings

VALUE_BYTES_MAX: Final = 1 << 20  # of a value that is checked; reading it as JSON may take 30 MB of memory
STEPS_MAX: Final = 20_000  # keywords applied to one value: about 0.3 s, in which the server does nothing else
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")


def ensure_fits(settings: TopicSettings, words: Sequence[bytes], start: int) -> None:
    """Whether an entry, ``words`` from ``start`` on, may be added. Nothing is asked of a tombstone.

    Raises:
        SchemaMismatch: it may not; the first thing that does not fit is told.
    """
    if not settings.schema:
        return
    if settings.is_compacted and len(words) == start + 2 and words[start] == settings.key_field_bytes:
        return
    schema_of(settings).ensure_fits(words, start)


def count_fitting(settings: TopicSettings, requests: Sequence[Sequence[bytes]], start: int) -> int:
    """How many of the requests have an entry that may be added, up to the first that has not."""
    for count, words in enumerate(requests):
        try:
            ensure_fits(settings, words, start)
        except ReplyError:
            return count
    return len(requests)


def schema_of(settings: TopicSettings) -> Schema:
    """The compiled schema of a topic. Raises ReplyError if it cannot be one."""
    return _compiled(settings.schema_field, settings.schema)


@lru_cache(maxsize=1024)
def _compiled(field: str, text: str) -> Schema:
    return Schema(encode(field), text)


class Schema:
    """One schema, and the field it is about. Used by one thread.

    Raises:
        ReplyError: the text is no schema; the path of what is wrong is told.
    """

    __slots__ = ("_field", "_steps", "_validator")

    def __init__(self, field: bytes, text: str) -> None:
        from respbroker.streams.schema_keywords import Steps  # jsonschema takes 0.1 s to import: only where it is used

        self._field = field
        self._steps = Steps()
        try:
            self._validator = _build(json.loads(text), self._steps)
        except RecursionError:
            raise _invalid("$", "it is nested too deeply") from None

    def ensure_fits(self, words: Sequence[bytes], start: int) -> None:
        """Check each value of the field: readers may take the first or the last. Raises SchemaMismatch."""
        found = False
        for at in range(start, len(words), 2):
            if words[at] == self._field:
                found = True
                trouble = self._trouble(words[at + 1])
                if trouble:
                    raise SchemaMismatch.of(self._field, trouble)
        if not found:
            raise SchemaMismatch.of(self._field, "is missing")

    def _trouble(self, value: bytes) -> str:
        """What is wrong with the value; empty if nothing is."""
        from respbroker.streams.schema_keywords import TooManySteps

        if len(value) > VALUE_BYTES_MAX:
            return f"is larger than {VALUE_BYTES_MAX} bytes"
        self._steps.left = STEPS_MAX
        try:
            document = json.loads(value.decode(), parse_constant=_refuse_constant)
        except ValueError as error:
            return f"is no JSON: {error}"
        except RecursionError:
            return "is nested too deeply"
        try:
            misfit = next(self._validator.iter_errors(document), None)
        except TooManySteps:
            return f"takes more than {STEPS_MAX} steps to check"
        except RecursionError:
            return "is nested too deeply"
        except Exception as failure:  # of a library, over a client's bytes: refused, for it is not known to fit
            return f"cannot be checked: {failure!r}"
        return "" if misfit is None else f"at {misfit.json_path}: {misfit.message}"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is none of its values")


# -- examining ---------------------------------------------------------------------------------------------------


def _invalid(path: str, trouble: str) -> ReplyError:
    words = f"topic setting 'schema': at {path}: {trouble}".encode("utf-8", "backslashreplace")
    return ReplyError(words[:600].decode("latin-1"))


def _build(document: Any, steps: Any) -> Any:
    """The validator for a schema. Raises ReplyError."""
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for
    from referencing import Registry

    from respbroker.streams.schema_keywords import bounded

    if not isinstance(document, dict | bool):
        raise _invalid("$", "a schema is an object, true or false")
    dialect = Draft202012Validator
    if isinstance(document, dict) and "$schema" in document:
        dialect = validator_for({"$schema": str(document["$schema"])}, default=None)
        if dialect is None:
            raise _invalid("$['$schema']", f"{document['$schema']!r} is not a version that is known")
        document = {name: value for name, value in document.items() if name != "$schema"}
    try:
        dialect.check_schema(document)
    except SchemaError as error:
        raise _invalid(error.json_path, error.message) from None
    _examine(document, dialect)
    return bounded(dialect, steps)(document, registry=Registry())


def _examine(document: Any, dialect: Any) -> None:
    """Refuse what a schema may hold but we do not do. Raises ReplyError."""
    objects = list(_objects(document))
    for schema in objects:
        _examine_patterns(schema)
        if isinstance(schema.get("$schema"), str):  # jsonschema would go on with its own, unbounded keywords
            raise _invalid("$schema", "it may stand at the beginning only")
    if all(any(name in schema for schema in objects) for name in ("unevaluatedProperties", "patternProperties")):
        raise _invalid("unevaluatedProperties", "a schema cannot have both this and patternProperties")
    _examine_references(document, dialect)


def _objects(document: Any) -> Iterator[dict[str, Any]]:
    """All objects of a document; also those that are no schemas, for a reference may make them some."""
    left = [document]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            yield value
            left += value.values()
        elif isinstance(value, list):
            left += value


def _examine_patterns(schema: dict[str, Any]) -> None:
    from respbroker.streams.schema_keywords import compile_pattern

    inner = schema.get("patternProperties")
    for pattern in (*(inner if isinstance(inner, dict) else ()), schema.get("pattern")):
        try:
            if isinstance(pattern, str):
                compile_pattern(pattern)
        except Exception as error:  # re2.error is of no family
            raise _invalid("pattern", f"{pattern!r} is not one of RE2's: {error}") from None


def _examine_references(document: Any, dialect: Any) -> None:
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import specification_with

    meta = dialect.META_SCHEMA
    resource = specification_with(meta.get("$id") or meta["id"]).create_resource(document)
    left = [(Registry().with_resource("", resource).resolver_with_root(resource), resource)]
    while left:
        resolver, resource = left.pop()
        contents = resource.contents if isinstance(resource.contents, dict) else {}
        for name in _REFERENCES:
            reference = contents.get(name)
            try:
                if isinstance(reference, str):
                    resolver.lookup(reference)
            except Unresolvable:
                elsewhere = "is not in the schema, and nothing is fetched from elsewhere"
                raise _invalid(name, f"{reference!r} {elsewhere}") from None
        left += [(resolver.in_subresource(each), each) for each in resource.subresources()]
