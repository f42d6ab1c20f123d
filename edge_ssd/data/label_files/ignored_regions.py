"""Regions that label files mark to be ignored: crowds, groups, and KITTI's "DontCare".

Their objects are not labeled one by one. So an image that has nothing else is neither background nor an example of an
object: it is left out, which is a fact and no fault of the labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edge_ssd.console.counts import count
from edge_ssd.data.dataset import Problem

__all__ = ["report_ignored_regions"]


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
