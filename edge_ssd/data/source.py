"""A dataset as a user names it: a folder, and how to read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_ssd.data.box_layouts import LAYOUTS, UNITS
from edge_ssd.data.classes import parse_classes
from edge_ssd.data.formats.registry import LABEL_FORMATS
from edge_ssd.errors import SettingError

__all__ = ["DataSource"]


@dataclass(frozen=True)
class DataSource:
    """A folder of labeled images, its label format and the classes to use.

    Attributes:
        format: a key of :data:`~edge_ssd.data.formats.registry.LABEL_FORMATS`; None to detect it.
        classes: a class list as in :mod:`edge_ssd.data.classes`; None for all classes under their own names.
        boxes: what the four numbers of a box are, a key of :data:`~edge_ssd.data.box_layouts.LAYOUTS`; None for what
            the format says.
        box_units: their units, a key of :data:`~edge_ssd.data.box_layouts.UNITS`; None for those of the format.
        strict: raise on the first fault of the labels or images, instead of dropping what is faulty, and where labels
            leave open how they are read.

    Raises:
        SettingError: the format, the layout or the units are unknown, or the class list is invalid.
    """

    folder: Path
    format: str | None = None
    classes: str | None = None
    boxes: str | None = None
    box_units: str | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in LABEL_FORMATS:
            raise SettingError(f"unknown format {self.format!r}: choose from {', '.join(LABEL_FORMATS)}")
        if self.classes is not None:
            parse_classes(self.classes)
        for name, value, known in (("boxes", self.boxes, LAYOUTS), ("box units", self.box_units, UNITS)):
            if value is not None and value not in known:
                raise SettingError(f"unknown {name} {value!r}: choose from {', '.join(known)}")

    def settles(self, doubt: str) -> bool:
        """Return whether an option decides how labels are read that leave it open, see ``Problem.doubt``."""
        return doubt in ("format", "boxes", "box_units") and self.to_dict()[doubt] is not None

    @property
    def options(self) -> tuple[str, ...]:
        """The options on how labels are read as command-line arguments, if they are set."""
        values = self.to_dict()
        given = {f"--{name.replace('_', '-')}": values[name] for name in values if name not in ("folder", "strict")}
        return tuple(argument for option, value in given.items() if value is not None for argument in (option, value))

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-compatible dict for :meth:`from_dict`."""
        return {
            "folder": str(self.folder),
            "format": self.format,
            "classes": self.classes,
            "boxes": self.boxes,
            "box_units": self.box_units,
            "strict": self.strict,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DataSource:
        """Return the source of a dict from :meth:`to_dict`."""
        # Earlier versions wrote no layout and units of boxes, and were never strict.
        boxes, box_units, strict = data.get("boxes"), data.get("box_units"), data.get("strict", False)
        return cls(Path(data["folder"]), data["format"], data["classes"], boxes, box_units, strict)
