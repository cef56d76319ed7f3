"""The word for what must not be."""

from __future__ import annotations


class Broken(AssertionError):
    """A promise was not kept."""
