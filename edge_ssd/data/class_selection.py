"""The classes of a dataset that are used: under their own names, those of ``--classes``, or those of a model."""

from __future__ import annotations

from collections.abc import Sequence

from edge_ssd.data.annotations import ImageAnnotations, ParsedDataset
from edge_ssd.data.classes import ClassMapping, parse_classes, select_classes
from edge_ssd.data.dataset import Problem
from edge_ssd.data.source import DataSource
from edge_ssd.errors import DataError

__all__ = ["map_classes", "refuse_unknown_classes"]


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


def refuse_unknown_classes(images: Sequence[ImageAnnotations], mapping: ClassMapping, labels: Sequence[str]) -> None:
    """Raise DataError for a box whose class is not in ``labels``; unknown classes of other splits do not matter."""
    unknown = {index: name for index, name in enumerate(mapping.new_names) if name is not None and name not in labels}
    for image in images if unknown else ():
        for box in image.boxes:
            if box.class_index in unknown:
                raise DataError(
                    f"{image.label_file}: {box.location}: unknown class {unknown[box.class_index]!r}; expected one of: "
                    f"{', '.join(labels)}. Correct the label, use a model trained with this class, or select classes "
                    "with --classes"
                )
