"""Images a second of ``edge-ssd data inspect``, against Pillow's decoding alone with as many threads.

    python tests/benchmarks/inspect_speed.py --photos FOLDER [--images 20000] [--rounds 3]

The dataset is made in a temporary folder: every image is a crop of a photograph in FOLDER, scaled to one size and
encoded anew, with boxes in a COCO JSON file. Both measurements read the same files from the page cache, alternately, so
that other load affects both. The memory of the inspection is the peak of its process, for a tenth of the images and for
all.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from edge_ssd.cli import main as edge_ssd

_BATCH = 16


def make_dataset(photos: Sequence[Path], root: Path, count: int, size: tuple[int, int]) -> None:
    """Write ``count`` different JPEG images of ``size`` (width, height) and their labels."""
    draw = random.Random(0)
    (root / "images").mkdir(parents=True)
    originals = []
    for path in photos:
        with Image.open(path) as image:
            originals.append(image.convert("RGB").resize((size[0] * 5 // 4, size[1] * 5 // 4)))
    images, annotations = [], []
    for number in range(1, count + 1):
        image = originals[number % len(originals)]
        left, top = draw.randint(0, image.width - size[0]), draw.randint(0, image.height - size[1])
        name = f"{number:06}.jpg"
        image.crop((left, top, left + size[0], top + size[1])).save(
            root / "images" / name, quality=draw.randint(70, 95)
        )
        images.append({"id": number, "file_name": name, "width": size[0], "height": size[1]})
        for _ in range(draw.randint(1, 13)):
            width, height = draw.uniform(5, size[0] / 4), draw.uniform(5, size[1] / 4)
            box = [draw.uniform(0, size[0] - width), draw.uniform(0, size[1] - height), width, height]
            row = {"id": len(annotations) + 1, "image_id": number, "category_id": draw.randint(1, 5), "bbox": box}
            annotations.append(row)
    categories = [{"id": number, "name": f"class {number}"} for number in range(1, 6)]
    labels = {"images": images, "annotations": annotations, "categories": categories}
    (root / "labels.json").write_text(json.dumps(labels), encoding="utf-8")


def decode_all(folder: Path) -> None:
    """Decode every image with Pillow alone, on all cores."""
    paths = sorted(folder.iterdir())
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(_decode, [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]):
            pass


def _decode(paths: Sequence[Path]) -> None:
    for path in paths:
        with Image.open(path) as image:
            image.load()


def inspect(root: Path) -> None:
    """Run ``edge-ssd data inspect`` in this process."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        status = edge_ssd(["data", "inspect", str(root), "--json", "--quiet"])
    assert status == 0


def peak_memory(root: Path) -> int:
    """Return the peak memory of a process that inspects a dataset, in MB."""
    output = subprocess.run([sys.executable, __file__, "--peak", str(root)], capture_output=True, text=True, check=True)
    return int(output.stdout.split()[-1])


def seconds(function: object, argument: Path) -> float:
    start = time.perf_counter()
    function(argument)  # type: ignore[operator]
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="folder of JPEG photographs")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--size", type=int, nargs=2, default=(640, 480), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peak", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peak is not None:
        inspect(args.peak)
        # ru_maxrss would count the memory that the parent had when it started this process.
        (peak,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        print(int(peak.split()[1]) // 1024)
        return
    logging.getLogger("edge_ssd").setLevel(logging.ERROR)
    photos = sorted(path for path in args.photos.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))[:60]
    with tempfile.TemporaryDirectory() as temporary:
        root, part = Path(temporary) / "all", Path(temporary) / "part"
        make_dataset(photos, root, args.images, tuple(args.size))
        make_dataset(photos, part, max(args.images // 10, 1), tuple(args.size))
        decode_all(root / "images")  # fills the page cache
        pairs = []
        for _ in range(args.rounds):
            alone, inspected = seconds(decode_all, root / "images"), seconds(inspect, root)
            pairs.append((alone, inspected))
            print(
                f"Pillow alone {args.images / alone:.0f} images/s, inspect {args.images / inspected:.0f} images/s: "
                f"{alone / inspected:.0%}",
                flush=True,
            )
        share = statistics.median(alone / inspected for alone, inspected in pairs)
        print(f"median {share:.0%} of Pillow alone; {args.images} images of {args.size[0]}×{args.size[1]}")
        print(f"peak memory: {peak_memory(part)} MB for a tenth of the images, {peak_memory(root)} MB for all")
        print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
