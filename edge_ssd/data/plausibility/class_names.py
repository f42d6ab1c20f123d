"""Class names that are spelled in several ways, made up, or missing in one of the splits."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge_ssd.data.annotations import ParsedDataset
from edge_ssd.data.classes import ALL_OTHERS, ClassMapping, parse_classes
from edge_ssd.data.dataset import Problem

__all__ = ["check_classes"]

# Images that a split has to have, or boxes of a class that it should have, before a class that it lacks is reported.
_MIN_IMAGES, _MIN_EXPECTED = 5, 2
_MAX_NAMED = 5


def check_classes(
    root: Path,
    parsed: ParsedDataset,
    mapping: ClassMapping,
    counts_of: Mapping[str, Mapping[int, int]],
    num_images: Mapping[str, int],
    classes: str | None,
) -> tuple[list[Problem], list[Problem]]:
    """Return the problems and the notices about class names, each with the option that mends it.

    Args:
        mapping: the new name of each class.
        counts_of: split → class index → number of boxes, of all splits.
        num_images: split → number of images.
        classes: the value of ``--classes`` that gave ``mapping``, or None.
    """
    renamed: dict[str, Counter[str]] = {}
    for split, counts in counts_of.items():
        own = renamed.setdefault(split, Counter())
        for index, count in counts.items():
            name = mapping.new_names[index]
            if name is not None:
                own[name] += count
    problems, notices = _check_splits(root, renamed, num_images)
    if parsed.has_class_names or classes is not None:
        total = sum(renamed.values(), Counter())
        return _check_spelling(root, parsed.class_names, mapping, total, classes) + problems, notices
    ids = sorted({index for counts in counts_of.values() for index, count in counts.items() if count})
    more_problems, more_notices = _check_ids(root, parsed.class_names, ids)
    return more_problems + problems, more_notices + notices


def _check_spelling(
    root: Path, names: Sequence[str], mapping: ClassMapping, count_of: Mapping[str, int], classes: str | None
) -> list[Problem]:
    """Return a problem if names differ in case, spaces or punctuation only, with the option that merges them.

    Args:
        names: the dataset's own class names.
        count_of: new name → number of boxes.
    """
    spellings: dict[str, list[str]] = {}
    for name in sorted(count_of, key=lambda name: (-count_of[name], name != name.lower(), name)):
        spellings.setdefault(_spelling_key(name), []).append(name)
    several = [group for key, group in spellings.items() if key and len(group) > 1]
    if not several:
        return []
    target_of = {name: group[0] for group in several for name in group[1:]}
    stated = {} if classes is None else dict(parse_classes(classes))
    merges = [
        f"{_escape(name)}={_escape(target_of[new_name])}"
        for name, new_name in zip(names, mapping.new_names, strict=True)
        if new_name in target_of and name not in stated
    ]
    groups = [" and ".join(f"{name!r} ({_count(count_of[name])})" for name in group) for group in several[:_MAX_NAMED]]
    more = f" and {len(several) - _MAX_NAMED} more" if len(several) > _MAX_NAMED else ""
    message = f"class names differ in case, spaces or punctuation only: {', '.join(groups)}{more}"
    if merges and (classes is None or ALL_OTHERS in stated):
        option = shlex.quote(",".join((classes or ALL_OTHERS, *merges)))
        return [Problem(root, f"{message}; merge them with --classes {option}")]
    return [Problem(root, f"{message}; merge them with --classes OLD=NEW")]


def _check_ids(root: Path, names: Sequence[str], ids: Sequence[int]) -> tuple[list[Problem], list[Problem]]:
    """Return the problems and the notices about names that were generated for ``ids``: "class_0", "class_1"."""
    if not ids or names[ids[0]] != f"class_{ids[0]}":
        return [], []
    shown = [f"{class_id}=NAME" for class_id in ids[:_MAX_NAMED]] + (["…"] if len(ids) > _MAX_NAMED else [])
    option = f"--classes {','.join(shown)}"
    if ids[0] == 1:
        message = (
            f"no object has class id 0, so ids seem to count from 1: name the classes, without class_0, by {option}"
        )
        return [Problem(root, message)], []
    made_up = f"class ids have no names and are called {names[ids[0]]}{', …' if len(ids) > 1 else ''}"
    advice = f"state them in classes.txt, one a line in the order of the ids, or by {option}"
    return [], [Problem(root, f"{made_up}: {advice}")]


def _check_splits(
    root: Path, counts: Mapping[str, Counter[str]], num_images: Mapping[str, int]
) -> tuple[list[Problem], list[Problem]]:
    """Return the problems and the notices about classes that only some splits have."""
    train = counts.get("train", Counter())
    if num_images.get("train", 0) < _MIN_IMAGES or not train.total():
        return [], []
    problems, notices = [], []
    for split, own in counts.items():
        if split == "train":
            continue
        untrained = [name for name in own if own[name] and not train[name]]
        if untrained:
            kept = ",".join(_escape(name) for name in train if train[name])
            option = f"--classes {shlex.quote(kept)}" if len(kept) <= 200 else "--classes"
            message = f"no object in train, but in {split}, of class {_list(untrained, own)}: it cannot be learned"
            problems.append(Problem(root, f"{message}; label it in train, or leave it out with {option}"))
        share = own.total() / train.total()
        min_boxes = 0 if num_images[split] >= _MIN_IMAGES else _MIN_EXPECTED
        unmeasured = [name for name in train if train[name] and not own[name] and train[name] * share >= min_boxes]
        if unmeasured and share:
            message = f"no object in {split}, but in train, of class {_list(unmeasured, train)}"
            notices.append(Problem(root, f"{message}: its AP is not measured there"))
    return problems, notices


def _spelling_key(name: str) -> str:
    """Return what is common to the spellings of a name: "Traffic light." and "traffic_light" have the same."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return re.sub(r"[\s_\-]+", "", folded).strip(".,;:'\"")


def _escape(name: str) -> str:
    return re.sub(r"([,=])", r"\\\1", name)


def _list(names: Sequence[str], counts: Mapping[str, int]) -> str:
    shown = [f"{name!r} ({_count(counts[name])})" for name in names[:_MAX_NAMED]]
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(shown) + more


def _count(boxes: int) -> str:
    return "1 box" if boxes == 1 else f"{boxes} boxes"
