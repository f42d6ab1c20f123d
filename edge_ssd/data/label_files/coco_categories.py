"""Category ids that annotations of a COCO JSON file state and its categories lack."""

from __future__ import annotations

from collections.abc import Iterable

from edge_ssd.data.label_files.coco_file import CocoFile, get_id

__all__ = ["explain_unknown_category"]

_MAX_NAMED = 5


def explain_unknown_category(file: CocoFile) -> str:
    """Return why an annotation's category is unknown, after its id: "is not in the file, whose ids are 1, 2: …".

    That ids are counted from another number is only said if all of them show it.
    """
    known: set[object] = set(file.categories)
    used: set[object] = {get_id(item, "category_id") for item in file.annotations or ()}
    used.discard(None)
    message = f"is not in the file, whose ids are {_list(known)}"
    for first, other in ((0, 1), (1, 0)):
        if (
            _starts_at(used, first)
            and _starts_at(known, other)
            and {_shift(key, other - first) for key in used} <= known
        ):
            fact = f"the annotations seem to count from {first}, the categories from {other}"
            return f"{message}: {fact}: correct category_id"
    missing = used - known
    others = f"; {len(missing)} ids of annotations are missing there: {_list(missing)}" if len(missing) > 1 else ""
    return f"{message}{others}: add the category, or correct category_id"


def _starts_at(ids: Iterable[object], first: int) -> bool:
    numbers = [number for number in ids if isinstance(number, int)]
    return len(numbers) == len(list(ids)) > 1 and min(numbers) == first


def _shift(category_id: object, by: int) -> object:
    return category_id + by if isinstance(category_id, int) else category_id


def _list(ids: Iterable[object]) -> str:
    shown = [*sorted(key for key in ids if isinstance(key, int)), *sorted(key for key in ids if isinstance(key, str))]
    return ", ".join(map(repr, shown[:_MAX_NAMED])) + (" …" if len(shown) > _MAX_NAMED else "")
