"""Interface of a label format."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path
from typing import Protocol

from edge_ssd.data.annotations import ParsedDataset

__all__ = ["LabelFormat", "Match"]


class Match(IntEnum):
    """How certainly a folder has a label format; the format with the highest match is parsed."""

    NONE = 0
    WEAK = 1  # text files that may be labels
    LIKELY = 2  # label files, but no splits
    SURE = 3  # a label table, a description of the dataset, or label files divided into splits


class LabelFormat(Protocol):
    """What a module of :mod:`edge_ssd.data.formats` provides to read one label format.

    Attributes:
        TITLE: the format's name in messages.
        FILES: the files that identify it, for messages.
    """

    TITLE: str
    FILES: str

    def sniff(self, folder: Path) -> Match:
        """Return how certainly ``folder`` has this format, without parsing all of its label files."""

    def parse(self, folder: Path) -> ParsedDataset:
        """Return the annotations of every split.

        Faulty label files and objects are reported as problems of their split, unusable labels raise DataError. Images
        are neither opened nor required to exist.
        """
