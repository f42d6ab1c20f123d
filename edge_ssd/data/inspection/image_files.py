"""Findings about a dataset's image files beyond those of the loader: from headers, folders and decoding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from edge_ssd.data.check_images import ImageCheck
from edge_ssd.data.dataset import Sample
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.image_header import ImageHeader, read_image_header

__all__ = ["FileFinding", "check_files"]

# Pillow's name of a format → its suffixes. MPO is a JPEG of a phone with a second image in it.
_JPEG = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")
_SUFFIXES = {"JPEG": _JPEG, "MPO": _JPEG, "TIFF": (".tif", ".tiff")}
_SUFFIXES |= {name: (f".{name.lower()}",) for name in ("WEBP", "GIF")}
_SUFFIXES |= {"PNG": (".png", ".apng"), "BMP": (".bmp", ".dib")}


@dataclass(frozen=True)
class FileFinding:
    """A finding about an image file.

    ``kind`` is "mislabelled" (its suffix is of another format), "exif_rotated", "case" (another name differs in letter
    case only), "twins" (two images share a label file), "unlabelled" (in no label file or list), "uniform" (nearly of
    one color) or "depth" (its values of more than 8 bits were scaled by their range).
    """

    kind: str
    path: Path
    message: str


def check_files(
    tree: FileTree,
    samples: Iterable[Sample],
    labeled: Iterable[Path],
    by_stem: bool,
    read_header: Callable[[Path], ImageHeader] = read_image_header,
    checks: Mapping[Path, ImageCheck] = MappingProxyType({}),
) -> tuple[FileFinding, ...]:
    """Return the findings about the image files of all splits of a dataset.

    Args:
        tree: the dataset's files.
        samples: the images in use.
        labeled: images with labels that are not in use because of a fault.
        by_stem: whether labels name their image without its suffix.
        checks: results of decoding the images.
    """
    paths = sorted({sample.path for sample in samples})
    findings: list[FileFinding] = []
    for path in paths:
        findings.extend(_header_findings(path, read_header))
        findings.extend(_pixel_findings(path, checks.get(path, ImageCheck())))
    known = {*paths, *labeled}
    images_of: dict[Path, list[Path]] = {path.parent: [] for path in paths}
    for path in tree.images():
        if path.parent in images_of:
            images_of[path.parent].append(path)
    for images in images_of.values():
        findings.extend(_folder_findings(images, known, by_stem))
    return tuple(findings)


def _header_findings(path: Path, read_header: Callable[[Path], ImageHeader]) -> Iterator[FileFinding]:
    try:
        header = read_header(path)
    except (OSError, ValueError):
        return  # gone since it was loaded
    expected = _SUFFIXES.get(header.format)
    if expected is not None and path.suffix.lower() not in expected:
        message = f"is a {header.format} by its content, which its suffix does not match: rename it"
        yield FileFinding("mislabelled", path, message)
    if header.orientation != 1:
        height, width = header.size
        rotation = f"is rotated by EXIF orientation {header.orientation} to {width}×{height}"
        yield FileFinding("exif_rotated", path, f"{rotation}: --sheet shows whether its boxes fit")


def _pixel_findings(path: Path, check: ImageCheck) -> Iterator[FileFinding]:
    if check.scaling:
        yield FileFinding("depth", path, f"has {check.scaling}: scaled to 8 bits")
    if check.uniform:
        yield FileFinding("uniform", path, "is nearly of one color: check that it shows what its labels state")


def _folder_findings(images: Iterable[Path], known: set[Path], by_stem: bool) -> Iterator[FileFinding]:
    first_of: dict[str, str] = {}
    first_stem: dict[str, str] = {}
    for path in images:
        name = path.name
        other = first_of.setdefault(name.casefold(), name)
        twin = first_stem.setdefault(path.stem, name)
        if other != name:
            message = f"differs from {other} in upper and lower case only: on Windows and macOS one would overwrite it"
            yield FileFinding("case", path, message)
        elif twin != name and by_stem:
            message = f"shares the label file {path.stem}.* with {twin}: rename one"
            yield FileFinding("twins", path, message)
        if path not in known:
            yield FileFinding("unlabelled", path, "is in no label file or list: not used")
