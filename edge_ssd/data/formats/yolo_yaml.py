"""``data.yaml``, the file that describes a set of YOLO's: where its parts are and what its classes are called.

    path: ../cutlery            # the set's folder; often a path on another machine
    train: images/train         # a folder of pictures, a text file that lists them, or several of these
    val: images/val
    names: [fork, knife]        # or {0: fork, 1: knife}

Source: https://docs.ultralytics.com/datasets/detect/. Places are looked for where the file says, then in the file's own
folder. Reading it takes PyYAML, which a workstation has (the extra ``train``) and a board need not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from edge_ssd.data.dataset import Problem
from edge_ssd.errors import DataError

__all__ = ["Description", "find_description", "read_description"]

_SPLIT_KEYS = (("train", "train"), ("val", "val"), ("valid", "val"), ("validation", "val"), ("test", "test"))
_NAMES, _PART = re.compile(r"^names\s*:", re.MULTILINE), re.compile(r"^(train|val|valid|test)\s*:", re.MULTILINE)
_MAX_BYTES = 16 << 20


@dataclass(frozen=True)
class Description:
    """What a ``data.yaml`` says.

    Attributes:
        names: class id → name, in ascending order.
        parts: split → folders of pictures and lists of pictures. A place that is stated but absent is left out.
        absent: split → a place that is stated but not there.
        keypoints: whether boxes are followed by keypoints.
    """

    path: Path
    names: dict[int, str]
    parts: dict[str, tuple[Path, ...]]
    absent: dict[str, str]
    keypoints: bool
    problems: tuple[Problem, ...]


def find_description(folder: Path) -> Path | None:
    """The YAML file in ``folder`` that has names and a part; PyYAML is not needed to know."""
    if not folder.is_dir():
        return None
    paths = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in (".yaml", ".yml")]
    # data.yaml first: a training tool may have left its settings beside it.
    for path in sorted(paths, key=lambda path: path.stem.lower() not in ("data", "dataset")):
        try:
            text = path.read_bytes()[:_MAX_BYTES].decode("utf-8-sig")
        except (OSError, UnicodeDecodeError):
            continue
        if _NAMES.search(text) and _PART.search(text):
            return path
    return None


def read_description(path: Path) -> Description:
    """Read a ``data.yaml``; raises DataError for one that names no class, and ModuleNotFoundError without PyYAML."""
    import yaml

    try:
        # The base loader leaves all values the text that they are: a class called "no" is not False.
        data = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=yaml.BaseLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read as YAML ({reason}): correct it, or export the set again") from None
    if not isinstance(data, dict):
        raise DataError(f"{path}: expected path, train, val and names, got {str(data)[:80]!r}")
    names = _names(path, data.get("names"))
    parts: dict[str, tuple[Path, ...]] = {}
    absent: dict[str, str] = {}
    for key, split in _SPLIT_KEYS:
        stated = data.get(key)
        entries = [entry for entry in (stated if isinstance(stated, list) else [stated]) if isinstance(entry, str)]
        for entry in filter(None, entries):
            place = _place(path.parent, data.get("path"), entry)
            if place is None:
                absent.setdefault(split, entry)
            else:
                parts[split] = (*parts.get(split, ()), place)
    problems: tuple[Problem, ...] = ()
    count = data.get("nc")
    if count is not None and str(count).strip() != str(len(names)):
        problems = (Problem(path, f"says nc: {count}, but names {len(names)} classes; the names are used"),)
    return Description(path, names, parts, absent, "kpt_shape" in data, problems)


def _names(path: Path, stated: Any) -> dict[int, str]:
    try:
        pairs = stated.items() if isinstance(stated, dict) else enumerate(stated if isinstance(stated, list) else [])
        names = {int(number): name.strip() for number, name in pairs}
    except (ValueError, AttributeError):
        names = {}
    if not names or min(names) < 0 or not all(names.values()) or len(set(names.values())) != len(names):
        raise DataError(
            f"{path}: names must be a list of different class names, or a mapping from numbers to them; got "
            f"{str(stated)[:80]!r}"
        )
    return dict(sorted(names.items()))


def _place(folder: Path, base: Any, entry: str) -> Path | None:
    """Where a stated place is: as stated, else by its name in the file's own folder."""
    entry = entry.strip().replace("\\", "/")
    candidates = [folder / entry]
    if isinstance(base, str) and base.strip():
        candidates.insert(0, folder / base.strip().replace("\\", "/") / entry)
    # Roboflow writes ../train/images for train/images, others a path on the machine where the set was made.
    parts = [part for part in PurePosixPath(entry).parts if part not in ("/", "..", ".")]
    candidates += [folder.joinpath(*parts[start:]) for start in range(len(parts))]
    return next((path for path in candidates if path.exists()), None)
