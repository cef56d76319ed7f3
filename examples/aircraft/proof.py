"""From the notes of all consumers: were the flights of each aircraft handled in order, all of them?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs

from examples.aircraft.notes import read
from examples.aircraft.producer import rows
from examples.aircraft.topics import KEY_FIELD


@attrs.frozen
class Proof:
    """What the notes show."""

    aircraft_count: int
    handled_count: int
    repeated_count: int  #: handled by the consumer that was killed, not acknowledged, so handled again
    hand_overs_count: int  #: aircraft whose flights went over to another consumer
    out_of_order: list[str]  #: tail numbers
    incomplete: list[str]

    @property
    def is_good(self) -> bool:
        return not (self.out_of_order or self.incomplete)


def prove(paths: Sequence[Path], flights_count: int, victim: int) -> Proof:
    """Compare what was handled with the year, aircraft by aircraft."""
    handled = sorted((when, consumer, row) for consumer, path in enumerate(paths) for when, row in read(path))
    aircraft_of = [fields[KEY_FIELD] for _, fields in rows(flights_count)]
    expected: defaultdict[str, list[int]] = defaultdict(list)
    for row, aircraft in enumerate(aircraft_of):
        expected[aircraft].append(row)
    histories: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for _, consumer, row in handled:
        histories[aircraft_of[row]].append((consumer, row))
    out_of_order = [aircraft for aircraft, history in histories.items() if not in_order(history, victim)]
    incomplete = [aircraft for aircraft, due in expected.items() if {row for _, row in histories[aircraft]} != set(due)]
    return Proof(
        len(expected),
        len(handled),
        len(handled) - len({row for *_, row in handled}),
        sum(1 for history in histories.values() if len({consumer for consumer, _ in history}) > 1),
        out_of_order,
        incomplete,
    )


def in_order(history: Iterable[tuple[int, int]], victim: int) -> bool:
    """Rows only rise. They may go back once: where another consumer begins with what the killed one left pending."""
    last_consumer, last_row = -1, -1
    for consumer, row in history:
        taken_over = last_consumer == victim and consumer != victim
        if row <= last_row and not taken_over:
            return False
        last_consumer, last_row = consumer, row
    return True
