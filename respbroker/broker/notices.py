"""What happens often and is told to the operator in sums: the first time at once, then once a minute for each kind."""

from __future__ import annotations

from typing import Final

import attrs

SECONDS: Final = 60.0
KINDS_MAX: Final = 1000  # names of topics and groups are the clients' choice; more kinds are not told


_ONCE: Final = "\0"  # before the words of a sentence that stands without its number


@attrs.define
class _Kind:
    count: int = 0
    detail: str = ""
    next_at: float = 0.0
    level: str = "warning"
    was_told: bool = False


def _sentence(kind: _Kind, words: str) -> str:
    if not words.startswith(_ONCE):
        return f"{kind.count} {words}{kind.detail}"
    times = f" ({kind.count} times)" if kind.count > 1 else ""
    if kind.was_told:  # it may be over
        times = f" ({kind.count} more in the minute since)"
    return f"{words.removeprefix(_ONCE)}{kind.detail}{times}"


class Notices:
    """Counts by sentence. ``words`` are what stands behind the number."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}

    def happened(self, words: str, detail: str = "") -> None:
        """Something that is told in a sentence of its own; how often it happened only if it did more than once."""
        self.add(1, _ONCE + words, detail)

    def add(self, count: int, words: str, detail: str = "") -> None:
        """``count`` more of a kind; of ``detail``, which ends the sentence, the last one is told."""
        kind = self._kinds.get(words)
        if kind is None:
            if len(self._kinds) >= KINDS_MAX:
                return
            kind = self._kinds[words] = _Kind()
        kind.count += count
        kind.detail = detail

    def is_new(self, level: str, sentence: str, now: float) -> bool:
        """Whether it is to be told at once; else it is counted, and told with how often it happened."""
        kind = self._kinds.get(_ONCE + sentence)
        if kind is not None:
            kind.count += 1
        elif len(self._kinds) < KINDS_MAX:
            self._kinds[_ONCE + sentence] = _Kind(next_at=now + SECONDS, level=level, was_told=True)
        return kind is None

    def due(self, now: float) -> list[tuple[str, str]]:
        """What is to be told now, with its level; ``now`` in monotonic seconds."""
        sentences = []
        for words, kind in list(self._kinds.items()):
            if kind.next_at > now:
                continue
            if not kind.count:
                del self._kinds[words]
                continue
            sentences.append((kind.level, _sentence(kind, words)))
            kind.count, kind.next_at, kind.was_told = 0, now + SECONDS, True
        return sentences
