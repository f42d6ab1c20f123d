"""Class ids that count from 1 where their names count from 0."""

from __future__ import annotations

from collections.abc import Collection, Sequence

__all__ = ["count_from_one"]


def count_from_one(ids: Collection[int], names: Sequence[str]) -> str:
    """Return a message if ids from 1 to the number of names are used and 0 is not, so that id 1 is the first name.

    Args:
        ids: the class ids of all objects.
        names: the class names, of which the files state that the first one is that of id 0.

    Returns:
        "" if the ids count from 0, as far as is known.
    """
    if not ids or min(ids) != 1 or max(ids) != len(names):
        return ""
    return (
        f"class ids are 1 to {len(names)}, names are for 0 to {len(names) - 1}: read as counted from 1, id 1 is "
        f"{names[0]!r}; correct the labels or add a name for id 0"
    )
