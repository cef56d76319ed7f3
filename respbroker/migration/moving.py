"""Moving one stream, from its beginning or from where an earlier pass came to."""

from __future__ import annotations

import attrs

from respbroker.migration import copying, settling
from respbroker.migration.copying import Stretch
from respbroker.migration.facts import Side, StreamFacts, facts_of_both
from respbroker.migration.pages import Pace, following
from respbroker.migration.turns import Request, Steps, Turn, done
from respbroker.model.phrases import few
from respbroker.model.stream_id import ZERO
from respbroker.tools.connection import Failed
from respbroker.tools.output import shown


@attrs.frozen
class Move:
    """What is to be moved, between which servers.

    ``is_new`` says that the target had nothing of this name a moment ago. ``known`` is what the source was like when an
    earlier pass began: if it is the same, there is nothing to do, unless this pass is to be ``thorough``.
    """

    key: bytes
    source: Side
    target: Side
    is_new: bool = False
    known: StreamFacts | None = None
    thorough: bool = False


@attrs.frozen
class Moved:
    """What a pass came to. ``facts`` is None where the source has no such stream (any more).

    ``lost`` counts pending entries that the target did not take.
    """

    key: bytes
    facts: StreamFacts | None
    is_changed: bool
    lost: int = 0


def move(task: Move) -> Steps[Moved]:
    """Bring the target to where the source was when this began.

    Raises:
        Failed: the target has something of others under this name, or entries that the source has not.
    """
    key = task.key
    if task.known is not None and not task.thorough:  # nearly always unchanged, so the source is asked alone
        source, _ = yield from facts_of_both(key, task.source, None)
        if source is not None and source.is_as(task.known):
            return Moved(key, source, is_changed=False)
    source, target = yield from facts_of_both(key, task.source, task.target)
    if target is not None and task.is_new:
        raise Failed(in_the_way([key]))
    if source is None:
        yield from _forget(task, target)
        return Moved(key, None, is_changed=target is not None)
    if target is not None and target.last_id > source.last_id:
        raise Failed(ahead(key))
    lost = yield from _bring(task, source, target)
    return Moved(key, source, is_changed=True, lost=lost)


def _forget(task: Move, target: StreamFacts | None) -> Steps[None]:
    """The source has deleted a stream that this process has seen there. Whoever writes to the target keeps it."""
    if target is not None and task.known is not None:
        if target.last_id > task.known.last_id:
            raise Failed(ahead(task.key))
        yield from _asked(task.key, (b"DEL", task.key))


def _bring(task: Move, source: StreamFacts, target: StreamFacts | None) -> Steps[int]:
    key = task.key
    yield from _asked(key, *settling.creation(key, source, target))
    start = following(target.last_id) if target else ZERO
    if start is not None and start <= source.last_id:
        is_front = source.first_id is None or source.first_id >= start
        if is_front and target is not None:  # what the target has goes on the way, so what is pending of it comes first
            for group in source.groups:
                yield from settling.settle_pending(key, group.name, target.last_id, task.target)
        stretch = Stretch(
            key,
            start,
            source.last_id,
            [group.name for group in source.groups],
            Pace.at(source.entry_bytes),
            is_front=is_front,
            knows_nack=b"xnack" in task.target.commands,
        )
        yield from copying.copy(stretch)
    return (yield from settling.settle(key, source, target, task.target))


def _asked(key: bytes, *requests: Request) -> Steps[None]:
    if requests:
        done((yield Turn(target=requests)).target, key)


def ahead(key: bytes) -> str:
    return f"{shown(key)}: the target has newer entries than the source, so somebody writes to it"


def in_the_way(keys: list[bytes]) -> str:
    """What to say of keys that the target has already."""
    names = few([shown(key) for key in keys])
    return f"the target has {names} already: --replace overwrites, --resume goes on with an earlier migration"
