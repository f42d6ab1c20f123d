"""Class names that are spelled in several ways, made up, or missing in one of the splits."""

from __future__ import annotations

import difflib
import re
import shlex
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_ssd.console.counts import count
from edge_ssd.data.annotations import ParsedDataset
from edge_ssd.data.classes import ALL_OTHERS, ClassMapping, parse_classes
from edge_ssd.data.dataset import Problem
from edge_ssd.data.plausibility.numbered_names import find_numbered, looks_like_ids, mixed_ids, visible_key

__all__ = ["check_classes", "spelling_key"]

# Images that a split has to have, or boxes of a class that it should have, before a class that it lacks is reported.
_MIN_IMAGES, _MIN_EXPECTED = 5, 2
_MAX_NAMED = 5
# A misspelled class has few boxes, and its name is similar to that of a class with many times as many.
_RARE, _FREQUENT, _MIN_LETTERS, _SIMILARITY = 5, 50, 5, 0.85
_MAX_NAMES = 1000
_MAX_MERGES = 20  # in a printed option
# Spelling key of a class that detectors have for what is no object.
_BACKGROUND = frozenset({"background", "bg", "nothing", "noobject"})


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
        for index, boxes in counts.items():
            name = mapping.new_names[index]
            if name is not None:
                own[name] += boxes
    problems, notices = _check_splits(root, renamed, num_images)
    problems += _check_background(root, renamed)
    if parsed.has_class_names or classes is not None:
        spelling = _Spelling(root, parsed.class_names, mapping, sum(renamed.values(), Counter()), classes)
        return spelling.problems() + problems, spelling.notices() + notices
    ids = sorted({index for counts in counts_of.values() for index, boxes in counts.items() if boxes})
    more_problems, more_notices = _check_ids(root, parsed.class_names, ids)
    return more_problems + problems, more_notices + notices


@dataclass(frozen=True)
class _Spelling:
    """Class names that may be meant as one.

    Attributes:
        names, mapping, classes: the dataset's own names, and as of :func:`check_classes`.
        count_of: new name → number of boxes.
    """

    root: Path
    names: Sequence[str]
    mapping: ClassMapping
    count_of: Mapping[str, int]
    classes: str | None

    def problems(self) -> list[Problem]:
        """Return a problem if names differ in case, spaces or punctuation only, unless the user named each of them."""
        spellings: dict[str, list[str]] = {}
        for name in sorted(self.count_of, key=lambda name: (-self.count_of[name], name != name.lower(), name)):
            spellings.setdefault(spelling_key(name), []).append(name)
        several = [group for key, group in spellings.items() if key and len(group) > 1]
        fact = "class names differ in case, spaces or punctuation only"
        problems = self._report(fact, {name: group[0] for group in several for name in group[1:]})
        return problems + self._look_alikes({name for group in several for name in group})

    def _look_alikes(self, reported: Collection[str]) -> list[Problem]:
        """Return a problem if names differ in invisible characters, or in letters that look alike, only."""
        groups: dict[str, list[str]] = {}
        for name in sorted(self.count_of, key=lambda name: (not name.isascii(), -self.count_of[name])):
            if name not in reported:
                groups.setdefault(visible_key(name), []).append(name)
        fact = "class names differ in invisible characters, or letters that look alike, only"
        return self._report(fact, {name: group[0] for group in groups.values() for name in group[1:]})

    def _ids(self) -> list[Problem]:
        """Return a notice if about every object has a class of its own."""
        if not looks_like_ids(self.count_of):
            return []
        names = [name for name, boxes in self.count_of.items() if boxes]
        total = sum(self.count_of.values())
        message = f"{count(len(names), 'class')} for {count(total, 'box')}, such as {_list(names[:2], self.count_of)}"
        numbered = find_numbered(self.count_of)
        merges = f", or merge them with --classes {self._option(numbered)}" if numbered else ""
        return [Problem(self.root, f"{message}: if these are names of objects, state their classes instead{merges}")]

    def _numbered(self) -> list[Problem]:
        """Return a notice if names differ in a number only, or are numbers beside words."""
        notices = []
        numbered = {} if looks_like_ids(self.count_of) else find_numbered(self.count_of)
        if numbered:
            message = f"class names differ in a number only, such as {_list(list(numbered)[:2], self.count_of)}"
            option = self._option(numbered)
            notices.append(Problem(self.root, f"{message}: if they are one class, merge them with --classes {option}"))
        if numbers := mixed_ids(name for name, boxes in self.count_of.items() if boxes):
            message = f"some classes are named by numbers, others by words: {_list(numbers, self.count_of)}"
            option = shlex.quote(",".join((self.classes or ALL_OTHERS, f"{_escape(numbers[0])}=NAME")))
            notices.append(Problem(self.root, f"{message}; name them with --classes {option}"))
        return notices

    def _option(self, target_of: Mapping[str, str]) -> str:
        """Return the value of ``--classes`` that renames new names, cut off if it is long."""
        merges = [
            f"{_escape(name)}={_escape(target_of[new_name])}"
            for name, new_name in zip(self.names, self.mapping.new_names, strict=True)
            if new_name is not None and new_name in target_of
        ]
        more = ",…" if len(merges) > _MAX_MERGES else ""
        return shlex.quote(",".join((self.classes or ALL_OTHERS, *merges[:_MAX_MERGES])) + more)

    def notices(self) -> list[Problem]:
        """Return a notice if a rare class is named nearly as a frequent one."""
        rare = [name for name, count in self.count_of.items() if count <= _RARE and len(name) >= _MIN_LETTERS]
        target_of: dict[str, str] = {}
        for name in rare if len(self.count_of) <= _MAX_NAMES else ():
            frequent = [
                other
                for other, count in self.count_of.items()
                if count >= _FREQUENT * self.count_of[name] and re.sub(r"\D", "", other) == re.sub(r"\D", "", name)
            ]
            similar = difflib.get_close_matches(name, frequent, n=1, cutoff=_SIMILARITY)
            if similar and spelling_key(similar[0]) != spelling_key(name):
                target_of[name] = similar[0]
        return self._report("rare classes may be misspelled", target_of) + self._ids() + self._numbered()

    def _report(self, fact: str, target_of: Mapping[str, str]) -> list[Problem]:
        """Return a line about names and those that they may be meant as, with the option that merges them."""
        stated = {} if self.classes is None else dict(parse_classes(self.classes))
        merges = [
            f"{_escape(name)}={_escape(target_of[new_name])}"
            for name, new_name in zip(self.names, self.mapping.new_names, strict=True)
            if new_name is not None and new_name in target_of and name not in stated
        ]
        if not merges:
            return []
        groups: dict[str, list[str]] = {}
        for name, target in target_of.items():
            groups.setdefault(target, [target]).append(name)
        shown = [" and ".join(map(self._describe, group)) for group in list(groups.values())[:_MAX_NAMED]]
        more = f" and {len(groups) - _MAX_NAMED} more" if len(groups) > _MAX_NAMED else ""
        option = shlex.quote(",".join((self.classes or ALL_OTHERS, *merges)))
        return [Problem(self.root, f"{fact}: {', '.join(shown)}{more}; merge them with --classes {option}")]

    def _describe(self, name: str) -> str:
        same = [other for other in self.count_of if visible_key(other) == visible_key(name)]
        return f"{(ascii if len(same) > 1 else repr)(name)} ({count(self.count_of[name], 'box')})"


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


def _check_background(root: Path, counts: Mapping[str, Counter[str]]) -> list[Problem]:
    """Return a problem if objects have a class that is called as what is no object."""
    total = sum(counts.values(), Counter())
    found = [name for name in total if total[name] and spelling_key(name) in _BACKGROUND]
    if not found or len(found) == len(total):
        return []
    others = ",".join(_escape(name) for name in sorted(total) if total[name] and name not in found)
    option = f"--classes {shlex.quote(others)}" if len(others) <= 200 else "--classes"
    message = f"objects are labeled as {_list(found, total)}: correct the class ids if they are off by one, or leave"
    return [Problem(root, f"{message} them out with {option}")]


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


def spelling_key(name: str) -> str:
    """Return what is common to the spellings of a name: "Traffic light." and "traffic_light" have the same."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return re.sub(r"[\s_\-]+", "", folded).strip(".,;:'\"")


def _escape(name: str) -> str:
    return re.sub(r"([,=])", r"\\\1", name)


def _list(names: Sequence[str], counts: Mapping[str, int]) -> str:
    shown = [f"{name!r} ({count(counts[name], 'box')})" for name in names[:_MAX_NAMED]]
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(shown) + more
