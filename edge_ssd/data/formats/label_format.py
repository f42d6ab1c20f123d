"""Interface of a label format."""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol

from edge_ssd.data.annotations import ParsedDataset
from edge_ssd.data.file_tree import FileTree

__all__ = ["LabelFormat", "Match"]


class Match(IntEnum):
    """How certainly a folder has a label format; the format with the highest match is parsed."""

    NONE = 0
    UNCLEAR = 1  # label files that cannot be read as they are: parsing them explains why
    WEAK = 2  # text files that may be labels
    LIKELY = 3  # label files, but no splits
    SURE = 4  # a label table, a description of the dataset, or label files divided into splits


class LabelFormat(Protocol):
    """What a module of :mod:`edge_ssd.data.formats` provides to read one label format.

    Attributes:
        TITLE: the format's name in messages.
        FILES: the files that identify it, for messages.
    """

    TITLE: str
    FILES: str

    def sniff(self, tree: FileTree) -> Match:
        """Return how certainly a folder has this format, without parsing all of its label files."""

    def parse(self, tree: FileTree) -> ParsedDataset:
        """Return the annotations of all images.

        Label files are recognized by their content, whatever their folder is called. An image with a label file or an
        object that cannot be read is returned with ``fault``. Unusable labels as a whole raise DataError. Images are
        neither opened nor required to exist.
        """
