"""What happens often and is told to the operator in sums: the first time at once, then once a minute for each kind."""

from __future__ import annotations

from typing import Final

import attrs

SECONDS: Final = 60.0
KINDS_MAX: Final = 1000  # names of topics and groups are the clients' choice; more kinds are not told


@attrs.define
class _Kind:
    count: int = 0
    detail: str = ""
    next_at: float = 0.0


class Notices:
    """Counts by sentence. ``words`` are what stands behind the number."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}

    def add(self, count: int, words: str, detail: str = "") -> None:
        """``count`` more of a kind; of ``detail``, which ends the sentence, the last one is told."""
        kind = self._kinds.get(words)
        if kind is None:
            if len(self._kinds) >= KINDS_MAX:
                return
            kind = self._kinds[words] = _Kind()
        kind.count += count
        kind.detail = detail

    def due(self, now: float) -> list[str]:
        """The sentences to be told now; ``now`` in monotonic seconds."""
        sentences = []
        for words, kind in list(self._kinds.items()):
            if kind.next_at > now:
                continue
            if not kind.count:
                del self._kinds[words]
                continue
            sentences.append(f"{kind.count} {words}{kind.detail}")
            kind.count, kind.next_at = 0, now + SECONDS
        return sentences
