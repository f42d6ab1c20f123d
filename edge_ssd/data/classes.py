"""Selection and renaming of a dataset's classes: the syntax of ``--classes``.

    fork,scissors                   these two classes; boxes of all others are excluded
    fork=cutlery,knife=cutlery      two classes merged into one
    *,RBC=red                       all classes, one of them renamed

Labels are in the order in which the list first names them. ``*`` stands for the classes that the list does not name,
in the dataset's own order. If a dataset has bare class numbers, an item may start with one: ``0=fork,1=knife``. A comma
or an equals sign within a name is escaped with a backslash: ``\\,`` and ``\\=``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from edge_ssd.errors import DataError, SettingError

__all__ = ["ALL_OTHERS", "ClassMapping", "parse_classes", "select_classes"]

ALL_OTHERS = "*"
_COMMA, _EQUALS = re.compile(r"(?<!\\),"), re.compile(r"(?<!\\)=")


@dataclass(frozen=True)
class ClassMapping:
    """New name of each class of a dataset, None if it is excluded; and the labels, which are the different new names.

    ``new_names`` are in the dataset's order, ``labels`` in the order of the class ids.
    """

    new_names: tuple[str | None, ...]
    labels: tuple[str, ...]


def parse_classes(text: str) -> tuple[tuple[str, str], ...]:
    """Return the (old name, new name) pairs of a list like "fork,knife=cutlery"; (``*``, ``*``) is all other classes.

    Raises SettingError if an item is empty, a class is named twice, or ``*`` is renamed.
    """
    pairs: list[tuple[str, str]] = []
    for item in _COMMA.split(text):
        old, *new = (re.sub(r"\\([,=])", r"\1", name).strip() for name in _EQUALS.split(item, maxsplit=1))
        if not old or (new and not new[0]) or (old == ALL_OTHERS and new):
            raise SettingError(
                f"classes: expected NAME, OLD=NEW or {ALL_OTHERS}, as in fork,knife=cutlery; got {item.strip()!r}"
            )
        if old in dict(pairs):
            raise SettingError(f"classes: {old!r} is named twice: name each class of the dataset once")
        pairs.append((old, new[0] if new else old))
    return tuple(pairs)


def select_classes(names: Sequence[str], pairs: Sequence[tuple[str, str]], numbers: bool = False) -> ClassMapping:
    """Apply the pairs of :func:`parse_classes` to the class names of a dataset.

    With ``numbers``, a class may also be named by its id ("0", "1"). Raises DataError for an unknown class.
    """
    index_of = {str(index): index for index in range(len(names))} if numbers else {}
    index_of |= {name: index for index, name in enumerate(names)}
    for old, _ in pairs:
        if old != ALL_OTHERS and old not in index_of:
            parts = [part.strip() for part in re.split(r"[;|\s]+", old)]
            if len(parts) > 1 and set(parts) <= index_of.keys():
                separated = ",".join(parts)
                raise DataError(f"there is no class {old!r} in the dataset; separate classes by commas: {separated}")
            similar = difflib.get_close_matches(old, names, n=1)
            hint = f"did you mean {similar[0]!r}?" if similar else f"it has {', '.join(names) or 'none'}"
            raise DataError(f"there is no class {old!r} in the dataset; {hint}")
    named = {index_of[old] for old, _ in pairs if old != ALL_OTHERS}
    new_names: list[str | None] = [None] * len(names)
    labels: list[str] = []
    for old, new in pairs:
        if old == ALL_OTHERS:
            selected = [(index, name) for index, name in enumerate(names) if index not in named]
        else:
            selected = [(index_of[old], names[index_of[old]] if old == new else new)]
        for index, name in selected:
            new_names[index] = name
            labels.append(name)
    return ClassMapping(tuple(new_names), tuple(dict.fromkeys(labels)))
