"""Which classes of a data set are taken, and under which names: the text after ``--classes``.

    fork,scissors                   these two; the boxes of all others are left out
    fork=cutlery,knife=cutlery      two classes become one
    *,RBC=red                       all of them, one by another name

Labels come in the order in which the text first names them, ``*`` standing for the classes that it names nowhere
else, in the data set's own order. Where a data set has bare numbers, an item may start with one: ``0=fork,1=knife``.
A comma or an equals sign that belongs to a name is written ``\\,`` or ``\\=``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from edge_ssd.errors import DataError, SettingError

__all__ = ["REST", "ChosenClasses", "choose_classes", "parse_classes"]

REST = "*"
_COMMA, _EQUALS = re.compile(r"(?<!\\),"), re.compile(r"(?<!\\)=")


@dataclass(frozen=True)
class ChosenClasses:
    """What became of a data set's classes.

    Attributes:
        new_names: for each class of the data set the name that it has now, or None where it is left out.
        labels: the names, each once, in order.
    """

    new_names: tuple[str | None, ...]
    labels: tuple[str, ...]


def parse_classes(text: str) -> tuple[tuple[str, str], ...]:
    """The (old name, new name) pairs of a text; (``REST``, ``REST``) is the asterisk.

    Raises SettingError for an empty item, a class named twice, or an asterisk with another name.
    """
    pairs: list[tuple[str, str]] = []
    for item in _COMMA.split(text):
        old, *new = (re.sub(r"\\([,=])", r"\1", part).strip() for part in _EQUALS.split(item, maxsplit=1))
        if not old or (new and not new[0]) or (old == REST and new):
            raise SettingError(f"classes: {item.strip()!r} is no NAME, OLD=NEW or {REST}; as in fork,knife=cutlery")
        if old in dict(pairs):
            raise SettingError(f"classes: {old!r} is named twice: name each class of the data set once")
        pairs.append((old, new[0] if new else old))
    return tuple(pairs)


def choose_classes(names: Sequence[str], pairs: Sequence[tuple[str, str]], numbers: bool = False) -> ChosenClasses:
    """Apply the pairs of :func:`parse_classes` to a data set's class names.

    Args:
        numbers: whether the class ids themselves ("0", "1") are names too.

    Raises DataError for a name that the data set lacks.
    """
    index_of = {str(index): index for index in range(len(names))} if numbers else {}
    index_of |= {name: index for index, name in enumerate(names)}
    for old, _ in pairs:
        if old != REST and old not in index_of:
            near = difflib.get_close_matches(old, names, n=1)
            remedy = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(names) or 'none'}"
            raise DataError(f"there is no class {old!r} in the data set; {remedy}")
    named = {index_of[old] for old, _ in pairs if old != REST}
    new_names: list[str | None] = [None] * len(names)
    labels: list[str] = []
    for old, new in pairs:
        chosen = (
            [(index, name) for index, name in enumerate(names) if index not in named]
            if old == REST
            else [(index_of[old], names[index_of[old]] if old == new else new)]
        )
        for index, name in chosen:
            new_names[index] = name
            labels.append(name)
    return ChosenClasses(tuple(new_names), tuple(dict.fromkeys(labels)))
