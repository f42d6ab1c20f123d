"""Images of the sources, read from git directories: scaled down, without look-alikes, and without held-out images.

    python tests/benchmarks/pretraining/pool.py --repositories DIR --held-out DIR [DIR ...] --out POOL [--only NAME ...]

An image is left out if it cannot be decoded, has a side below 120 pixels, is longer than four times its width, is
nearly of one color, or looks like an image of the pool or of a held-out folder, also mirrored. A source that is in the
pool is skipped. The files are described in pool_index.py.
"""

from __future__ import annotations

import argparse
import collections
import io
import shutil
import sys
from pathlib import Path

import numpy as np
from git_folder import GitFolder
from look_alikes import SAME, SIMILAR, LookAlikes, thumbnail_of, thumbnails_of_folder
from PIL import Image, ImageOps
from PIL.Image import Resampling
from pool_index import PoolImage, read_index, write_index
from sources import Source, add_repository_arguments, candidates, open_sources

from edge_ssd.data.check_images import THUMBNAIL_SIZE, ignore_pillow_warnings

_MAX_SIDE, _MIN_SIDE, _MAX_ASPECT = 384, 120, 4
_MIN_CONTRAST = 4  # standard deviation of the thumbnail's gray levels
_QUALITY, _TRIMMED_QUALITY = 90, 92
# Bars are gray, (128, 128, 128) with the noise of JPEG, in nearly all pixels of a row or column.
_GRAY, _GRAY_TOLERANCE, _GRAY_SHARE = 128, 8, 0.97


class RefusedError(Exception):
    """The image is left out, for the reason that is the message."""


class Pool:
    """The pool's folder, and the thumbnails of what is in it and of what is held out."""

    def __init__(self, folder: Path, held_out: list[Path]) -> None:
        self.folder = folder
        self._held_out, self._taken = LookAlikes(), LookAlikes()
        for root in held_out:
            images = list(thumbnails_of_folder(root))
            if not images:
                sys.exit(f"--held-out {root}: has no image")
            for name, thumbnail in images:
                self._held_out.add(name, thumbnail)

    def is_complete(self, name: str) -> bool:
        return (self.folder / f"{name}.jsonl").is_file()

    def remember(self, name: str) -> None:
        """Compare later images with those of a source that is in the pool."""
        for image in read_index(self.folder, name):
            thumbnail = np.frombuffer(bytes.fromhex(image.thumbnail), np.uint8).reshape(THUMBNAIL_SIZE)
            self._taken.add(image.file, thumbnail)

    def add_source(self, source: Source, repository: GitFolder) -> None:
        """Write the images of a source and its index, and print how many were left out and why."""
        shutil.rmtree(self.folder / source.name, ignore_errors=True)
        (self.folder / source.name).mkdir(parents=True)
        images: list[PoolImage] = []
        refused: list[tuple[str, str]] = []
        for position, (path, sha) in enumerate(candidates(repository.list_files(), source.selections)):
            origin = f"{source.repository}:{path}"
            file = f"{source.name}/{len(images):05d}.jpg"
            try:
                images.append(self._add(repository.read(sha), file, origin, position, source.trim_gray))
            except RefusedError as reason:
                refused.append((origin, str(reason)))
        lines = "".join(f"{origin}\t{reason}\n" for origin, reason in refused)
        (self.folder / f"{source.name}.refused.txt").write_text(lines, encoding="utf-8")
        write_index(self.folder, source.name, images)
        reasons = collections.Counter(reason.partition(":")[0] for _, reason in refused)
        print(
            f"{source.name}: {len(images)} images",
            *(f"{count} {reason}" for reason, count in reasons.items()),
            sep=", ",
        )

    def _add(self, content: bytes | None, file: str, origin: str, position: int, trim: bool) -> PoolImage:
        if content is None:
            raise RefusedError("not in the repository's folder")
        image, original_width = decode(content)
        thumbnail = thumbnail_of(image)
        if thumbnail.std() < _MIN_CONTRAST:
            raise RefusedError("nearly of one color")
        if found := self._held_out.find(thumbnail, SIMILAR):
            raise RefusedError(f"held out: {found}")
        if found := self._taken.find(thumbnail, SAME):
            raise RefusedError(f"in the pool: {found}")
        path = self.folder / file
        image.save(path, quality=_QUALITY)
        self._taken.add(file, thumbnail)
        scale, (x, y), (width, height) = image.width / original_width, (0, 0), image.size
        if trim:
            (x, y), (width, height) = trim_gray(path)
        return PoolImage(file, origin, position, width, height, scale, (x, y), thumbnail.tobytes().hex())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_repository_arguments(parser)
    parser.add_argument(
        "--held-out", type=Path, nargs="+", default=[], metavar="DIR", help="folders of images to avoid"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="POOL")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with ignore_pillow_warnings():
        pool = Pool(args.out, args.held_out)
        waiting = {path.stem for path in args.out.glob("*.jsonl") if pool.is_complete(path.stem)}
        for name in sorted(waiting):
            pool.remember(name)
        for source, repository in open_sources(args):
            if pool.is_complete(source.name):
                print(f"{source.name}: is in the pool")
            else:
                pool.add_source(source, repository)


def decode(content: bytes) -> tuple[Image.Image, int]:
    """Return an image in RGB, upright, scaled down to at most 384 pixels, and the width of the original.

    Transparent pixels become white. A large JPEG is decoded at a reduced size.

    Raises:
        RefusedError: it cannot be decoded, or is too small or too narrow.
    """
    try:
        image: Image.Image = Image.open(io.BytesIO(content))
        width, height = image.size
        if image.getexif().get(0x0112, 1) >= 5:  # orientations that swap the sides
            width, height = height, width
        if image.format == "JPEG" and max(image.size) > 1000:
            image.draft("RGB", (500, 500))
        image = ImageOps.exif_transpose(image)
        if image.mode in ("P", "RGBA", "LA", "PA"):
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
        image = image.convert("RGB")
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        raise RefusedError("cannot be decoded") from error
    if min(width, height) < _MIN_SIDE:
        raise RefusedError("too small")
    if max(width, height) / min(width, height) > _MAX_ASPECT:
        raise RefusedError("too narrow")
    if (longer := max(image.size)) > _MAX_SIDE:
        scale = _MAX_SIDE / longer
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Resampling.BOX if scale < 0.5 else Resampling.LANCZOS)
    return image, width


def trim_gray(path: Path) -> tuple[tuple[int, int], tuple[int, int]]:
    """Cut gray bars off an image file; return (x, y) of what remains in it and its (width, height)."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    distance = np.abs(np.asarray(image).astype(int) - _GRAY).max(axis=2)
    gray = distance <= _GRAY_TOLERANCE
    rows, columns = (np.flatnonzero(gray.mean(axis=axis) < _GRAY_SHARE) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return (0, 0), image.size
    # One more pixel at each cut, since JPEG mixes the colors there.
    left, right = _inner(columns, image.width)
    top, bottom = _inner(rows, image.height)
    if (left, top, right, bottom) != (0, 0, *image.size):
        image = image.crop((left, top, right, bottom))
        image.save(path, quality=_TRIMMED_QUALITY)
    return (left, top), image.size


def _inner(kept: np.ndarray, side: int) -> tuple[int, int]:
    """Return the first and one past the last index of what is kept, a pixel less on each side that is cut."""
    first, last = int(kept[0]), int(kept[-1])
    return first + (first > 0), last + 1 - (last < side - 1)


if __name__ == "__main__":
    main()
