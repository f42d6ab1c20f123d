"""Numbers with a noun in the right form, for messages."""

from __future__ import annotations

__all__ = ["count"]

_PLURALS = {"box": "boxes", "class": "classes", "entry": "entries"}


def count(number: int, noun: str) -> str:
    """Return a number with its noun: ``count(1, "image")`` gives "1 image", ``count(2, "new box")`` "2 new boxes"."""
    *adjectives, last = noun.split(" ")
    plural = " ".join([*adjectives, _PLURALS.get(last, f"{last}s")])
    return f"{number} {noun if number == 1 else plural}"
