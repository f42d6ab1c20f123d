"""Reading a folder of labeled images in any supported label format."""

from __future__ import annotations

import functools
import logging
import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

from edge_ssd.console.activity import Activity
from edge_ssd.console.counts import count
from edge_ssd.console.progress import ProgressCallback, no_progress
from edge_ssd.data.annotations import ImageAnnotations, ParsedDataset
from edge_ssd.data.check_annotations import validate_annotations
from edge_ssd.data.check_images import ImageChecks, drop_damaged
from edge_ssd.data.class_selection import (
    map_classes,
    refuse_unknown_classes,
    refuse_unusable_classes,
    report_numbered_classes,
)
from edge_ssd.data.dataset import Dataset, Problem
from edge_ssd.data.detect_format import detect_format, list_files
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats.registry import LABEL_FORMATS
from edge_ssd.data.image_header import ImageHeader, read_image_header
from edge_ssd.data.label_facts import refuse_without_images, report_assumed_background, report_enclosing_boxes
from edge_ssd.data.label_files.file_limits import UnsuitableFileError
from edge_ssd.data.locate_images import LocatedImages, locate_images
from edge_ssd.data.other_formats import (
    find_labeled_images,
    find_more_complete,
    mark_labeled_by_others,
    report_other_formats,
)
from edge_ssd.data.plausibility.box_reading import BoxReader, choose_box_reader
from edge_ssd.data.plausibility.class_names import check_classes
from edge_ssd.data.plausibility.file_copies import check_copies
from edge_ssd.data.plausibility.label_folders import check_label_folders
from edge_ssd.data.plausibility.mixed_units import drop_mixed_units
from edge_ssd.data.plausibility.stated_sizes import SizeAdjuster, choose_size_adjuster
from edge_ssd.data.repeated_labels import join_repeated_labels
from edge_ssd.data.source import DataSource
from edge_ssd.data.special_files import mark_special_files, report_special_files
from edge_ssd.data.split_names import SPLITS
from edge_ssd.errors import DataError

__all__ = ["DatasetFolder", "Split", "load_dataset", "open_dataset"]

_log = logging.getLogger(__name__)

Split = Literal["train", "val", "test"]


@dataclass(frozen=True)
class DatasetFolder:
    """A dataset with parsed label files, whose samples are returned by :meth:`load`.

    Label files are parsed once and the header of an image is read once, however many splits are loaded from it.

    Attributes:
        format: the format that was parsed, a key of :data:`edge_ssd.data.formats.registry.LABEL_FORMATS`.
        tree: the files of the folder.
        annotations: content of the label files.
        located: the annotations by split, with their image files.
        other_formats: other formats that the folder could be parsed as.
        labeled_by_others: the images with objects in each of these, where that was compared.
        image_checks: headers of images, and results of decoding them.
    """

    source: DataSource
    format: str
    tree: FileTree
    annotations: ParsedDataset
    located: LocatedImages
    other_formats: tuple[str, ...] = ()
    labeled_by_others: Mapping[str, frozenset[Path]] = field(default_factory=dict, repr=False)
    image_checks: ImageChecks = field(default_factory=lambda: ImageChecks(read_image_header), repr=False, compare=False)

    @property
    def read_header(self) -> Callable[[Path], ImageHeader]:
        """Function that returns the header of an image file, from a cache."""
        return self.image_checks.read_header

    @property
    def name(self) -> str:
        """Name of the folder, without its parents."""
        return self.source.folder.resolve().name

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits that exist, of "train", "val" and "test"; empty for an undivided dataset."""
        known = {*self.located.splits, *self.annotations.unusable}
        return tuple(cast(Split, split) for split in SPLITS if split in known)

    @property
    def usable_splits(self) -> tuple[Split, ...]:
        """The :attr:`splits` that have images and no fault that prevents their use."""
        unusable = self.annotations.unusable
        return tuple(split for split in self.splits if self.located.splits.get(split) and split not in unusable)

    def describe(self) -> str:
        """Return what was found in one line: "Pascal VOC: 164 label files in annots, images in images"."""
        title, images = LABEL_FORMATS[self.format].TITLE, self._images
        label_files = dict.fromkeys(image.label_file for image in images if image.label_file != image.path)
        paths = [image.path for image in images if image.path is not None]
        names = self.tree.describe_folders(label_files)
        count = f"{len(label_files)} label file{'s' if len(label_files) > 1 else ''} in {names}"
        if len(label_files) == 1:
            count = self.tree.relative(next(iter(label_files)))
        return f"{title}: {count}, images in {self.tree.describe_folders(paths)}" if paths else f"{title}: no images"

    @functools.cached_property
    def evaluation_split(self) -> Split | None:
        """The split to measure on: "val", or "test" (which is logged) if "val" is missing or unusable, or None."""
        if "val" in self.usable_splits:
            return "val"
        if "test" not in self.usable_splits:
            return None
        reason = self.annotations.unusable.get("val")
        if reason is None:
            _log.info("%s: no validation split; using the test split", self.source.folder)
        else:
            _log.warning("%s; using the test split", reason)
        return "test"

    def resolve_split(self, split: Split | None) -> Split | None:
        """Return ``split``, or :attr:`evaluation_split` in place of "val" if there is one."""
        return self.evaluation_split or split if split == "val" else split

    @functools.cached_property
    def copies(self) -> tuple[Problem, ...]:
        """Problems with images of which several splits have a copy. Files of equal size are read."""
        paths = {
            split: [image.path for image in images if image.path is not None]
            for split, images in self.located.splits.items()
        }
        return tuple(check_copies(self.source.folder, paths))

    @property
    def common_problems(self) -> tuple[Problem, ...]:
        """Problems of the boxes or sizes of all images, which are among the problems of every split.

        Raises DataError if the boxes cannot be read as the format says, as :meth:`load` does.
        """
        return tuple(problem for problem in (self._box_reader.problem, self._size_adjuster.problem) if problem)

    @property
    def _images(self) -> list[ImageAnnotations]:
        """The annotations of all splits."""
        return [image for images in self.located.splits.values() for image in images]

    @functools.cached_property
    def _box_reader(self) -> BoxReader:
        return choose_box_reader(self.source, self.annotations, self._images, self.read_header)

    @functools.cached_property
    def _size_adjuster(self) -> SizeAdjuster:
        return choose_size_adjuster(self.source.folder, self._box_reader.apply(self._images), self.read_header)

    @functools.cached_property
    def _other_formats(self) -> list[Problem]:
        others = () if self.source.format else self.other_formats
        return report_other_formats(self.tree, self.format, others, self._images, self.labeled_by_others)

    @functools.cached_property
    def _label_folders(self) -> list[Problem]:
        return check_label_folders(self.tree, self.annotations, self.located.splits)

    @property
    def _num_images(self) -> dict[str, int]:
        return {split: len(images) for split, images in self.located.splits.items()}

    @functools.cached_property
    def _box_counts(self) -> dict[str, Counter[int]]:
        """Split → class index → number of boxes."""
        return {
            split: Counter(box.class_index for image in images for box in image.boxes)
            for split, images in self.located.splits.items()
        }

    def load(
        self,
        split: Split | None = None,
        labels: Sequence[str] | None = None,
        strict: bool = False,
        allow_missing: bool = False,
        progress: ProgressCallback = no_progress,
    ) -> Dataset:
        """Return the samples of a split.

        Args:
            split: one of :attr:`splits`; None for all of them.
            labels: class names in the order of the class ids, such as a model's; they also name the classes of a
                dataset that has bare class ids. None for the dataset's own order.
            strict: raise on the first problem, instead of dropping what is faulty, and on the first notice about labels
                that leave open how they are read; also set by the source.
            allow_missing: report missing images and label files as problems, instead of raising.
            progress: called with (images read, images in total).

        Raises:
            DataError: the split does not exist, an image or label file is missing, a class is not in ``labels``, or
                no usable image remains.
        """
        if not self._images and self.annotations.label_file_per_image:
            refuse_without_images(self.tree)
        root = self.source.folder
        images = self._box_reader.apply(self._select(split, allow_missing))
        images, mixed = drop_mixed_units(self.source, images, self.read_header)
        images, resized = self._size_adjuster.apply(root, images, self.read_header)
        joined = join_repeated_labels(self.tree, images)
        images = joined.images
        strict = strict or self.source.strict
        problems = [*self.common_problems, *report_special_files(self.tree)]
        problems += [*self.annotations.problems, *self.located.problems, *mixed, *resized, *joined.problems]
        problems += [Problem(root, error) for name, error in self.annotations.unusable.items() if split in (None, name)]
        notices = [*self.annotations.notices, *self.located.notices, *joined.notices]
        notices += report_enclosing_boxes(root, images)
        notices += [self._box_reader.notice] if self._box_reader.notice else []
        notices += report_numbered_classes(self.source, self.annotations, labels)
        notices += [*self._other_formats, *self._label_folders, *report_assumed_background(root, images)]
        doubts = [notice for notice in notices if notice.doubt and not self.source.settles(notice.doubt)]
        if strict and (problems or doubts):
            raise DataError(str((problems or doubts)[0]))
        mapping = map_classes(self.source, self.annotations, labels, problems)
        refuse_unusable_classes(root, mapping.labels)
        labels, is_own = (mapping.labels, True) if labels is None else (tuple(labels), False)
        if is_own:
            faults, facts = check_classes(
                root, self.annotations, mapping, self._box_counts, self._num_images, self.source.classes
            )
            problems += faults
            notices += facts
        refuse_unknown_classes(root, images, mapping, labels)
        excluded = sum(mapping.new_names[box.class_index] is None for image in images for box in image.boxes)
        if excluded:
            notices.append(Problem(root, f"{count(excluded, 'box')} of other classes excluded"))
        id_of = {name: class_id for class_id, name in enumerate(labels)}
        class_ids = [id_of.get(name) if name is not None else None for name in mapping.new_names]
        rest = [image for name, part in self.located.splits.items() if name != split for image in part]
        samples, invalid, rotated = validate_annotations(
            images, class_ids, self.read_header, allow_missing, progress, rest if split else ()
        )
        problems.extend(invalid)
        notices.extend(rotated)
        if strict and problems:
            raise DataError(str(problems[0]))
        if not samples:
            first = next(iter([*invalid, *problems]), "")  # what dropped an image, before what did not
            reason = f"; the first of {count(len(problems), 'problem')}: {first}" if problems else ": no labels in it"
            raise DataError(f"{root}: no usable labeled image{f' in split {split!r}' if split else ''}{reason}")
        return Dataset(root, labels, samples, self.format, tuple(problems), tuple(notices))

    def drop_damaged(self, dataset: Dataset, progress: ProgressCallback = no_progress) -> Dataset:
        """Return images of this folder without those that cannot be decoded: see :mod:`edge_ssd.data.check_images`.

        Raises:
            DataError: no image is left, or one is damaged and the source is strict.
        """
        return drop_damaged(dataset, self.image_checks, self.source.strict, progress)

    def _select(self, split: Split | None, allow_missing: bool) -> list[ImageAnnotations]:
        root, splits = self.source.folder, self.located.splits
        if split is not None and split not in SPLITS:
            raise DataError(f"split must be one of {', '.join(SPLITS)} or None, got {split!r}")
        for name, error in self.annotations.unusable.items():
            if split in (None, name) and not allow_missing:
                raise DataError(error)
        if split is None:
            return mark_special_files(self.tree, self._images)
        if split in self.splits:
            return mark_special_files(self.tree, splits.get(split, ()))
        if self.splits:
            raise DataError(f"{root}: it has no split {split!r}, only {', '.join(self.splits)}: choose one of these")
        raise DataError(
            f"{root}: it is not divided into train and val: divide it with edge-ssd data split, or use all of it with "
            "--split all"
        )


def open_dataset(source: str | os.PathLike[str] | DataSource, without: Collection[Path] = ()) -> DatasetFolder:
    """Detect the label format of a dataset and parse its label files; images are not read yet.

    Args:
        source: the dataset's folder, or one that contains it; a :class:`DataSource` also selects the
            format and the classes.
        without: files that are not read, such as lists that are to be replaced.

    Raises:
        DataError: the folder is missing, empty or has no known format, or a label file cannot be parsed.
    """
    if not isinstance(source, DataSource):
        source = DataSource(Path(source))
    try:
        with Activity("reading the labels"):
            folder = _detect_and_parse(source, list_files(source, without))
    except MemoryError:
        raise DataError(f"{source.folder}: its label files do not fit in memory: divide the dataset") from None
    except UnsuitableFileError as error:
        raise DataError(f"{source.folder}: {error}") from None
    _log.info("%s: %s", source.folder, folder.describe())
    return folder


def _detect_and_parse(source: DataSource, tree: FileTree) -> DatasetFolder:
    name, others = detect_format(source, tree)
    folder = _parse(source, tree, name, others)
    better = find_more_complete(folder.located, folder.labeled_by_others)
    if better is not None and source.format is None:
        folder = _parse(source, tree, better, (name, *(other for other in others if other != better)))
    return folder


def _parse(source: DataSource, tree: FileTree, name: str, others: tuple[str, ...]) -> DatasetFolder:
    located = locate_images(tree, annotations := LABEL_FORMATS[name].parse(tree))
    labeled = find_labeled_images(tree, others, located)
    return DatasetFolder(source, name, tree, annotations, mark_labeled_by_others(located, labeled), others, labeled)


def load_dataset(
    source: str | os.PathLike[str] | DataSource,
    split: Split | None = None,
    labels: Sequence[str] | None = None,
    strict: bool = False,
) -> Dataset:
    """Return the samples of a split: :func:`open_dataset` and :meth:`DatasetFolder.load` in one call."""
    return open_dataset(source).load(split, labels, strict)
