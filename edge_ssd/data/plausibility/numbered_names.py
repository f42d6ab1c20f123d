"""Class names that number objects, and names that are the same to the eye."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

__all__ = ["find_numbered", "looks_like_ids", "mixed_ids", "visible_key"]

# Letters of other alphabets that look like Latin ones.
_LOOK_ALIKES = str.maketrans(
    "аеорсухіјѕԁһԛԝАВЕКМНОРСТУХІЈЅοανρτικΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "aeopcyxijsdhqwABEKMHOPCTYXIJSoavptikABEZHIKMNOPTYX"
)
# From as many classes on, that there are hardly more objects than classes is suspicious.
_MIN_CLASSES, _MAX_BOXES_PER_CLASS = 8, 1.5
_MIN_LETTERS = 2
_NUMBERED_ON_PURPOSE = frozenset({"class", "cls", "type", "category", "kind", "label", "grade", "level", "stage"})


def find_numbered(count_of: Mapping[str, int]) -> dict[str, str]:
    """Return names that differ from others in the number at their end only → the name without it."""
    groups: dict[str, list[str]] = {}
    for name in count_of:
        stem = re.sub(r"[\W_]*\d[\d\W_]*$", "", name)
        if sum(map(str.isalpha, stem)) >= _MIN_LETTERS and stem.lower() not in _NUMBERED_ON_PURPOSE:
            groups.setdefault(stem, []).append(name)
    return {name: stem for stem, names in groups.items() if len(names) > 1 for name in names if name != stem}


def looks_like_ids(count_of: Mapping[str, int]) -> bool:
    """Return whether there are about as many classes as objects, as if every object had a name of its own."""
    used = [boxes for boxes in count_of.values() if boxes]
    return len(used) >= _MIN_CLASSES and sum(used) <= _MAX_BOXES_PER_CLASS * len(used)


def visible_key(name: str) -> str:
    """Return what is visible of a name: without invisible characters, with Latin letters for those that look so."""
    normalized = unicodedata.normalize("NFKC", name)
    return "".join(letter for letter in normalized if unicodedata.category(letter) != "Cf").translate(_LOOK_ALIKES)


def mixed_ids(names: Iterable[str]) -> list[str]:
    """Return the names that are numbers, if the others are words, which are those of the same classes perhaps."""
    names = list(names)
    numbers = [name for name in names if re.fullmatch(r"\d{1,4}", name)]
    words = [name for name in names if sum(map(str.isalpha, name)) > _MIN_LETTERS]
    return numbers if words and len(numbers) + len(words) == len(names) else []
