"""The classes of a dataset that are used: under their own names, those of ``--classes``, or those of a model."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from edge_ssd.data.annotations import ImageAnnotations, ParsedDataset
from edge_ssd.data.classes import ClassMapping, parse_classes, select_classes
from edge_ssd.data.dataset import Problem
from edge_ssd.data.plausibility.class_names import spelling_key
from edge_ssd.data.source import DataSource
from edge_ssd.errors import DataError
from edge_ssd.network import MAX_LABEL_LENGTH, MAX_LABELS

__all__ = ["map_classes", "refuse_unknown_classes", "refuse_unusable_classes", "report_numbered_classes"]

_NAMED = 20


def map_classes(
    source: DataSource, parsed: ParsedDataset, labels: Sequence[str] | None, problems: Sequence[Problem]
) -> ClassMapping:
    """Return the new name of every class of the label files.

    Args:
        labels: class names that name bare class ids, such as a model's; None for the dataset's own.
        problems: faults of the label files, which may be why they have no classes.

    Raises:
        DataError: the label files have no objects, or the class list of ``source`` does not fit them.
    """
    folder, names = source.folder, parsed.class_names
    if not names and labels is None:
        faults = (Problem(image.label_file, image.fault) for image in parsed.images if image.fault)
        first = next(iter((*problems, *faults)), None)
        if first:
            raise DataError(f"{folder}: no object of its label files can be read; the first problem: {first}")
        raise DataError(f"{folder}: its label files have no objects: label some images first")
    if source.classes is not None:
        try:
            return select_classes(names, parse_classes(source.classes), not parsed.has_class_names)
        except DataError as error:
            raise DataError(f"{folder}: {error}") from None
    if labels is not None and not parsed.has_class_names:
        return ClassMapping((*labels[: len(names)], *names[len(labels) :]), tuple(labels))
    return ClassMapping(names, names)


def report_numbered_classes(source: DataSource, parsed: ParsedDataset, labels: Sequence[str] | None) -> list[Problem]:
    """Return a notice if bare class ids get the names of a model that has another number of classes."""
    names = parsed.class_names
    if labels is None or source.classes is not None or parsed.has_class_names or len(names) in (0, len(labels)):
        return []
    reading = ", ".join(f"{index} is {label!r}" for index, label in enumerate(labels[: min(len(names), 3)]))
    message = (
        f"its labels are numbers, read as the model's classes in their order: {reading}; --classes 0=NAME,… names them"
    )
    return [Problem(source.folder, message, doubt="classes")]


def refuse_unusable_classes(root: Path, labels: Sequence[str]) -> None:
    """Raise DataError for classes that no network can have: too many, or with too long a name."""
    if len(labels) > MAX_LABELS:
        fact = f"{len(labels)} classes, but a detector has at most {MAX_LABELS}"
        raise DataError(f"{root}: {fact}: choose some with --classes, or correct labels that are no classes")
    for label in labels:
        if len(label) > MAX_LABEL_LENGTH:
            fact = f"class name {label:.40} … has {len(label)} characters, at most {MAX_LABEL_LENGTH} are used"
            raise DataError(f"{root}: {fact}: correct the label files")


def refuse_unknown_classes(
    root: Path, images: Sequence[ImageAnnotations], mapping: ClassMapping, labels: Sequence[str]
) -> None:
    """Raise DataError for a box whose class is not in ``labels``; unknown classes of other splits do not matter.

    If the images and ``labels`` have no class in common, that is the error: their labels are right then.
    """
    used = {mapping.new_names[box.class_index] for image in images for box in image.boxes} - {None}
    if used and used.isdisjoint(labels):
        own = [name for name in dict.fromkeys(mapping.new_names) if name is not None and name in used]
        similar = [(name, label) for name in own for label in labels if spelling_key(name) == spelling_key(label)]
        advice = "choose the model or the dataset that fits the other"
        if similar:
            name, label = similar[0]
            advice = f"rename the dataset's classes, as in --classes {shlex.quote(f'{name}={label}')}"
        raise DataError(
            f"the model knows {_names(labels)}, the images of {root} have {_names(own)}: no class in common; {advice}"
        )
    known = frozenset(labels)
    unknown = {index: name for index, name in enumerate(mapping.new_names) if name is not None and name not in known}
    for image in images if unknown else ():
        for box in image.boxes:
            if box.class_index in unknown:
                raise DataError(
                    f"{image.label_file}: {box.location}: unknown class {unknown[box.class_index]!r}; expected one of: "
                    f"{_names(labels)}. Correct the label, use a model trained with this class, or select classes "
                    "with --classes"
                )


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
