"""Keywords of JSON Schema that no value can make slow: linear patterns, and a bound on the steps.

jsonschema searches patterns with Python's `re`, which may take time exponential in the text, and compares all pairs of
an array's items for ``uniqueItems``. Here patterns are RE2's and items are hashed; every keyword that is applied is
counted, for a schema that refers to itself can multiply them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final

import re2
from jsonschema import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

Keyword = Callable[[Any, Any, Any, Any], Any]

_BYTES_A_STEP: Final = 256
_MESSAGE_MAX: Final = 400


class TooManySteps(Exception):
    """The value takes more steps than are allowed."""


class Steps:
    """How many keywords may still be applied to the present value."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = 0


def bounded(dialect: type[Validator], steps: Steps) -> type[Validator]:
    """The dialect with keywords that count down ``steps``; they raise TooManySteps."""
    known = {name: _OURS.get(name, keyword) for name, keyword in dialect.VALIDATORS.items()}
    return extend(dialect, {name: _counted(keyword, steps) for name, keyword in known.items()})  # type: ignore[no-any-return]


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> Any:
    """Raises re2.error, UnicodeEncodeError."""
    return re2.compile(pattern, _OPTIONS)


def _counted(keyword: Keyword, steps: Steps) -> Keyword:
    def counted(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        steps.left -= 1
        if steps.left < 0:
            raise TooManySteps
        for error in keyword(validator, value, instance, schema) or ():
            steps.left -= len(error.message) // _BYTES_A_STEP  # most quote the instance, and a branch may not matter
            error.message = error.message[:_MESSAGE_MAX]
            yield error

    return counted


def _found(pattern: str, text: str) -> bool:
    """Whether the pattern occurs in the text. A lone surrogate is in no pattern."""
    try:
        return compile_pattern(pattern).search(text) is not None
    except UnicodeEncodeError:
        return False


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _found(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: dict[str, Any], instance: Any, schema: Any) -> Iterator[Any]:
    if isinstance(instance, dict):
        for pattern, inner in patterns.items():
            for name, value in instance.items():
                if _found(pattern, name):
                    yield from validator.descend(value, inner, path=name, schema_path=pattern)


def _additional_properties(validator: Any, inner: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if not isinstance(instance, dict) or inner is True:
        return
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, value in instance.items():
        if name in named or any(_found(pattern, name) for pattern in patterns):
            continue
        if inner is False:
            yield ValidationError(f"{name!r} is not one of the properties that are allowed")
        else:
            yield from validator.descend(value, inner, path=name)


def _unique_items(validator: Any, wanted: bool, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if wanted and isinstance(instance, list) and len(set(map(_hashable, instance))) < len(instance):
        yield ValidationError("items are not unique")


def _hashable(value: Any) -> Any:
    """Equal where JSON Schema calls values equal: 1 is 1.0, but not true.

    Numbers go by their digits: one can choose numbers whose own hashes are all the same.
    """
    if isinstance(value, dict):
        return frozenset((name, _hashable(each)) for name, each in value.items())
    if isinstance(value, list):
        return tuple(map(_hashable, value))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else (type(value), repr(value))


_OURS: Final[dict[str, Keyword]] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "uniqueItems": _unique_items,
}

_OPTIONS: Final = re2.Options()
_OPTIONS.log_errors = False
