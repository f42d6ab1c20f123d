"""``data.yaml``, which describes a YOLO dataset: where its splits are, and the names of its classes.

    path: ../cutlery            # root of the dataset; often a path on another machine
    train: images/train         # a folder of images, a text file that lists images, or a list of both
    val: images/val
    names: [fork, knife]        # or {0: fork, 1: knife}

Source: https://docs.ultralytics.com/datasets/detect/. A path is searched as stated, then beside ``data.yaml``
and in the folders above it.
Reading the file needs PyYAML (in the extra ``train``); finding it does not.
"""

from __future__ import annotations

import codecs
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.label_files.file_limits import UnsuitableFileError
from edge_ssd.data.label_files.text_lines import decode_text
from edge_ssd.data.label_files.yaml_file import YamlError, load_yaml
from edge_ssd.data.split_names import SPLIT_OF_WORD, split_from_folders
from edge_ssd.errors import DataError

__all__ = ["DataYaml", "find_data_yaml", "read_data_yaml"]

# Searched as bytes, with or without a byte-order mark: a file in another encoding is still this dataset's description.
_NAMES_KEY = re.compile(rb"^(\xef\xbb\xbf)?names\s*:", re.MULTILINE)
_SPLIT_KEY = re.compile(rb"^(\xef\xbb\xbf)?(train|val|valid|validation|test)\s*:", re.MULTILINE)
_MAX_SNIFFED_BYTES = 1 << 20


@dataclass(frozen=True)
class DataYaml:
    """Content of a ``data.yaml``.

    Attributes:
        names: class id → name, in ascending order of the ids.
        sources: split → existing folders of images and lists of images.
        missing: split → the first stated path that does not exist.
        keypoints: whether keypoints follow the boxes in label files.
        problems: contradictions in the file, and splits of which a part is missing.
    """

    names: dict[int, str]
    sources: dict[str, tuple[Path, ...]]
    missing: dict[str, str]
    keypoints: bool
    problems: tuple[Problem, ...]


def find_data_yaml(tree: FileTree) -> Path | None:
    """Return the YAML file that has class names and a split, or None; raise DataError for several of them."""
    paths = [path for path in tree.files(".yaml", ".yml") if _describes_dataset(path)]
    # A training tool writes its settings beside data.yaml, or copies it into the folder of a run.
    paths.sort(key=lambda path: (len(path.parts), path.stem.lower() not in ("data", "dataset")))
    if len(paths) > 1 and paths[0].parent != paths[1].parent and len(paths[0].parts) == len(paths[1].parts):
        names = " and ".join(map(tree.relative, paths[:2]))
        raise DataError(f"{tree.root}: {names} describe a dataset each: give the folder of one of them")
    return paths[0] if paths else None


def _describes_dataset(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_SNIFFED_BYTES)
        if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            text = decode_text(text).encode()
    except (OSError, UnicodeDecodeError):
        return False
    return _NAMES_KEY.search(text) is not None and _SPLIT_KEY.search(text) is not None


def read_data_yaml(path: Path, root: Path) -> DataYaml:
    """Read a ``data.yaml`` below a root; raise DataError if it is not YAML or has no valid class names."""
    try:
        data = load_yaml(path)
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text, so its class names cannot be read: save it as UTF-8") from None
    except UnsuitableFileError as error:
        raise DataError(f"{path}: {error}") from None
    except (OSError, YamlError) as error:
        raise DataError(f"{path}: invalid YAML ({error}): correct it, or export the dataset again") from None
    if not isinstance(data, dict):
        raise DataError(f"{path}: expected path, train, val and names, got {str(data)[:80]!r}")
    names = _parse_names(path, data.get("names"))
    sources: dict[str, tuple[Path, ...]] = {}
    missing: dict[str, str] = {}
    for key, split in SPLIT_OF_WORD.items():
        stated = data.get(key)
        for entry in stated if isinstance(stated, list) else [stated]:
            if not isinstance(entry, str) or not entry:
                continue
            folders = [folder for folder in (path.parent, *path.parent.parents) if folder.is_relative_to(root)]
            found = (_resolve(folder, data.get("path"), entry, root) for folder in folders or [path.parent])
            source = next(filter(None, found), None)
            if source is None:
                missing.setdefault(split, entry)
            else:
                sources[split] = (*sources.get(split, ()), source)
    problems = [
        Problem(path, f"some of its {split} images are in {entry!r}, which does not exist in the dataset: complete it")
        for split, entry in missing.items()
        if split in sources
    ]
    count = data.get("nc")
    if count is not None and str(count).strip() != str(len(names)):
        problems.append(Problem(path, f"nc is {count}, but names has {len(names)} classes; names is used"))
    return DataYaml(names, sources, missing, "kpt_shape" in data, tuple(problems))


def _parse_names(path: Path, stated: Any) -> dict[int, str]:
    try:
        pairs = stated.items() if isinstance(stated, dict) else enumerate(stated if isinstance(stated, list) else [])
        names = {int(number): name.strip() for number, name in pairs}
    except (ValueError, AttributeError):
        names = {}
    if not names or min(names) < 0 or not all(names.values()) or len(set(names.values())) != len(names):
        raise DataError(
            f"{path}: names must be a list of different class names, or a mapping from class ids to names; got "
            f"{str(stated)[:80]!r}"
        )
    return dict(sorted(names.items()))


def _resolve(folder: Path, base: Any, entry: str, root: Path) -> Path | None:
    """Return the path that ``entry`` states, relative to ``base`` or ``folder``; None if it does not exist.

    A folder that holds the dataset itself, such as ``/``, is no folder of its images.
    """
    entry = re.sub(r"(/\*[^/]*)+$", "", entry.strip().replace("\\", "/"))  # images/*.jpg: its folder
    candidates = [folder / entry]
    if isinstance(base, str) and base.strip():
        candidates.insert(0, folder / base.strip().replace("\\", "/") / entry)
    # Roboflow writes ../train/images for train/images; other tools write a path on the machine of the export.
    parts = [part for part in PurePosixPath(entry).parts if part not in ("/", "..", ".")]
    # Without the name of its split, "valid/images" would be the images of all splits.
    split = split_from_folders(parts)
    shorter = (parts[start:] for start in range(len(parts)))
    candidates += [folder.joinpath(*rest) for rest in shorter if split_from_folders(rest) == split]
    outside = {os.path.realpath(parent) for parent in root.absolute().parents}
    return next(
        (path for path in candidates if os.path.exists(path) and os.path.realpath(path) not in outside),  # noqa: PTH110 - false, not an error, for a long name
        None,
    )
