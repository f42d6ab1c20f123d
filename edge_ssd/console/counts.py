"""Numbers with a noun in the right form, for messages."""

from __future__ import annotations

__all__ = ["count"]

_PLURALS = {"box": "boxes", "class": "classes", "entry": "entries"}


def count(number: int, noun: str, singular: str = "", plural: str = "") -> str:
    """Return a number with its noun, and a verb where its two forms are given.

    ``count(1, "image")`` gives "1 image", ``count(2, "new box")`` "2 new boxes" and ``count(1, "image", "is", "are")``
    "1 image is".
    """
    *adjectives, last = noun.split(" ")
    if number == 1:
        return f"{number} {noun} {singular}".rstrip()
    nouns = " ".join([*adjectives, _PLURALS.get(last, f"{last}s")])
    return f"{number} {nouns} {plural}".rstrip()
