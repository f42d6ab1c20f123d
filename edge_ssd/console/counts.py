"""Numbers in messages: with a noun in the right form, and with a sign."""

from __future__ import annotations

__all__ = ["count", "count_of", "signed"]

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


def count_of(part: int, total: int, noun: str, singular: str = "", plural: str = "") -> str:
    """Return how many of all, with the verb of the part.

    ``count_of(1, 40, "image", "is", "are")`` gives "1 of 40 images is", with 3 "3 of 40 images are".
    """
    verb = singular if part == 1 else plural
    return f"{part} of {count(total, noun)} {verb}".rstrip()


def signed(value: float, digits: int) -> str:
    """Return a number with its sign and ``digits`` decimals; what rounds to zero is "+0.0", not "-0.0"."""
    text = f"{value:+.{digits}f}"
    return f"+{text[1:]}" if not float(text) else text
