"""Ids that annotations of a COCO JSON file state and its categories or images lack."""

from __future__ import annotations

from collections.abc import Iterable

from edge_ssd.data.label_files.coco_file import CocoFile, get_id

__all__ = ["explain_unknown_category", "find_shift"]

_MAX_NAMED = 5


def explain_unknown_category(file: CocoFile) -> str:
    """Return why an annotation's category is unknown, after its id: "is not in the file, whose ids are 1, 2: …".

    That ids are counted from another number is only said if all of them show it.
    """
    known = set(file.categories)
    used: set[object] = {get_id(item, "category_id") for item in file.annotations or ()}
    used.discard(None)
    message = f"is not in the file, whose ids are {_list(known)}"
    if shift := find_shift(used, known):
        fact = f"the annotations seem to count from {shift[0]}, the categories from {shift[1]}"
        return f"{message}: {fact}: correct category_id"
    missing = used - known
    others = f"; {len(missing)} ids of annotations are missing there: {_list(missing)}" if len(missing) > 1 else ""
    return f"{message}{others}: add the category, or correct category_id"


def find_shift(used: Iterable[object], known: Iterable[object]) -> tuple[int, int] | None:
    """Return from which numbers annotations and entries count, if all ids show that these differ, or None."""
    used, known = set(used), set(known)
    if used <= known:
        return None
    for first, other in ((0, 1), (1, 0)):
        shifted = {_shift(key, other - first) for key in used}
        if _starts_at(used, first) and _starts_at(known, other) and shifted <= known:
            return first, other
    return None


def _starts_at(ids: Iterable[object], first: int) -> bool:
    numbers = [number for number in ids if isinstance(number, int)]
    return len(numbers) == len(list(ids)) > 1 and min(numbers) == first


def _shift(category_id: object, by: int) -> object:
    return category_id + by if isinstance(category_id, int) else category_id


def _list(ids: Iterable[object]) -> str:
    shown = [*sorted(key for key in ids if isinstance(key, int)), *sorted(key for key in ids if isinstance(key, str))]
    return ", ".join(map(repr, shown[:_MAX_NAMED])) + (" …" if len(shown) > _MAX_NAMED else "")
