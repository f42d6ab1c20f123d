"""Regions that label files mark to be ignored: crowds, groups, deleted objects, and KITTI's "DontCare".

Their objects are not labeled one by one. So an image that has nothing else is neither background nor an example of an
object: it is left out, which is a fact and no fault of the labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edge_ssd.console.counts import count
from edge_ssd.data.dataset import Problem

__all__ = ["ignored_kind", "report_ignored_regions"]

_IGNORED = {
    **dict.fromkeys(("iscrowd", "crowd"), "crowd"),
    **dict.fromkeys(("isgroup", "isgroupof", "groupof"), "group"),
    **dict.fromkeys(("ignore", "ignored", "isignored"), "ignored"),
    **dict.fromkeys(("deleted", "isdeleted", "removed", "isremoved"), "deleted"),
}
_MARKS = frozenset({"1", "1.0", "true", "yes", "y"})


def ignored_kind(key: str, value: object = True) -> str:
    """Return the kind of region that a key, such as "iscrowd", marks to be ignored by its value; "" if it does not."""
    if not value:  # nearly every object of a dataset
        return ""
    kind = _IGNORED.get(key.lower().replace("_", ""), "")
    return kind if kind and str(value).strip().lower() in _MARKS else ""


def report_ignored_regions(path: Path, count_of: Mapping[str, int], only_ignored: int) -> list[Problem]:
    """Return a notice about ignored regions, or none if there are none.

    Args:
        path: the label file or dataset that has them.
        count_of: kind → number of regions.
        only_ignored: number of images that have nothing else.
    """
    total = sum(count_of.values())
    if not total:
        return []
    kinds = ", ".join(f"{number} × {kind}" for kind, number in sorted(count_of.items()))
    fact = f"{count(total, 'region')} marked to be ignored ({kinds}): not used"
    left_out = f", nor {count(only_ignored, 'image')} with only such regions" if only_ignored else ""
    return [Problem(path, f"{fact}{left_out}")]
