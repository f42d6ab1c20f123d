"""Training set of the fruit detectors as a COCO folder, and photographs without fruit to count false alarms on.

    python tests/benchmarks/pretraining/fruit_set.py --fruit FRUIT --pool POOL --pretrained-on SET --bananas DIR \\
        --out OUT

FRUIT is the folder of cutouts.py, SET that of build_set.py, and DIR a folder of drawn-in bananas in d2l's format
(label.csv and images/). OUT/set has photographs of fruit (three copies of each), 1400 photographs with pasted
cut-outs, 600 without fruit and 200 drawn-in bananas; OUT/alarms has 500 photographs without fruit that neither
the pre-training nor this set uses. With --alarms-choose N, OUT/alarms_choose has N others of that kind, to choose
thresholds on.

The detections that teacher.py writes begin at 0.15. --uncertain DIR has those of a lower --min-score, and of images
that it has not seen before: those that may show fruit by them are in none of the sets but OUT/alarms.
"""

from __future__ import annotations

import argparse
import collections
import csv
import json
import random
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from build_set import image_name
from coco_classes import COCO_CLASSES
from cutouts import FRUIT, FruitPhoto, read_photos
from paste import paste_some
from pool_index import LabeledImage, read_detections, read_index, read_labeled_images, require_files, source_names

Image = npt.NDArray[np.uint8]
LabeledBox = tuple[str, float, float, float, float]

# Sources with fruit, with shelves that may show some, or (canteen) in grayscale.
_WITH_FRUIT = ("grocery_store", "canteen", "groceries_freiburg", "voc_padilla")
_NAMES_OF_FRUIT = ("banana", "orange", "apple", "fruit")
_MIN_SCORE_OF_FRUIT = 0.08  # a detection of it, however uncertain, excludes an image
_UNLABELED = ("caltech101", "clothing_train")  # whose other images may be taken without the teacher's detections

_MAX_SIDE = 480
_COPIES = 3
_QUALITIES = (75, 85, 92, 95)  # of JPEG
_BLURRED = 0.15


class Counts(NamedTuple):
    """Number of images of each kind, and of those without fruit of one source at most."""

    pasted: int = 1400
    without: int = 600
    without_of_source: int = 600
    drawn: int = 200
    alarms: int = 500
    alarms_choose: int = 0
    alarms_of_source: int = 120


class SetWriter:
    """Images and boxes of a COCO folder with the splits train and val."""

    def __init__(self, folder: Path, generator: random.Random) -> None:
        self._folder, self._generator = folder, generator
        self._images: dict[str, list[dict[str, Any]]] = {"train": [], "val": []}
        self._annotations: dict[str, list[dict[str, Any]]] = {"train": [], "val": []}
        (folder / "images").mkdir(parents=True)

    def add(self, split: str, name: str, image: Image, boxes: list[LabeledBox]) -> None:
        quality = self._generator.choice(_QUALITIES)
        cv2.imwrite(str(self._folder / "images" / f"{name}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        number = 1 + sum(map(len, self._images.values()))
        height, width = image.shape[:2]
        self._images[split].append({"id": number, "file_name": f"{name}.jpg", "width": width, "height": height})
        for label, xmin, ymin, xmax, ymax in boxes:
            self._annotations[split].append(
                {
                    "id": 1 + sum(map(len, self._annotations.values())),
                    "image_id": number,
                    "category_id": 1 + FRUIT.index(label),
                    "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
                    "area": (xmax - xmin) * (ymax - ymin),
                    "iscrowd": 0,
                }
            )

    def write_labels(self) -> None:
        categories = [{"id": index, "name": name} for index, name in enumerate(FRUIT, 1)]
        for split, images in self._images.items():
            labels = {"images": images, "annotations": self._annotations[split], "categories": categories}
            (self._folder / f"labels_{split}.json").write_text(json.dumps(labels), encoding="utf-8")
            print(f"{split}: {len(images)} images, {len(self._annotations[split])} boxes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fruit", type=Path, required=True)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--pretrained-on", type=Path, required=True, metavar="SET")
    parser.add_argument("--bananas", type=Path, required=True, metavar="DIR")
    parser.add_argument("--uncertain", type=Path, metavar="DIR", help="folder of NAME.detections.jsonl")
    parser.add_argument("--out", type=Path, required=True)
    for field, number in Counts()._asdict().items():
        option = f"--{field.replace('_', '-')}"
        parser.add_argument(option, type=int, default=number, help="number of images (default: %(default)s)")
    args = parser.parse_args()
    counts = Counts(*(getattr(args, field) for field in Counts._fields))
    splits = [args.pretrained_on / f"labels_{split}.json" for split in ("train", "val")]
    require_files(args.fruit / "photos.json", args.bananas / "label.csv", *splits)
    for folder in (args.out / "set", args.out / "alarms", args.out / "alarms_choose"):
        if folder.exists():
            sys.exit(f"{folder}: exists already")
    cv2.setNumThreads(1)
    generator = random.Random(7)

    used, unused = images_without_fruit(args.pool, args.pretrained_on)
    generator.shuffle(unused)
    generator.shuffle(used)
    alarms = first_of_each_source(unused, counts.alarms, counts.alarms_of_source)
    copy_images(args.out / "alarms", args.pool, alarms)
    taken = set(alarms)
    if args.uncertain is not None:
        taken |= uncertain_images(args.pool, args.uncertain)
    if counts.alarms_choose:
        others = [file for file in unused if file not in taken]
        alarms_choose = first_of_each_source(others, counts.alarms_choose, counts.alarms_of_source)
        copy_images(args.out / "alarms_choose", args.pool, alarms_choose)
        taken.update(alarms_choose)
    backgrounds = [file for file in used + unused if file not in taken]
    generator.shuffle(backgrounds)

    writer = SetWriter(args.out / "set", generator)
    photos = read_photos(args.fruit)
    add_photos(writer, [photo for photo in photos if photo.source == "photos"])
    add_groceries(writer, [photo for photo in photos if photo.source == "groceries"])
    rest = add_pasted(writer, read_cutouts(args.fruit), args.pool, backgrounds, generator, counts.pasted)
    without = first_of_each_source(rest, counts.without, counts.without_of_source)
    if len(without) < counts.without:
        sys.exit(f"{args.pool}: has only {len(without)} photographs for --without {counts.without}")
    print_sources("without fruit", without)
    for index, file in enumerate(without):
        writer.add("train", f"none_{index:04d}", read_image(args.pool / file), [])
    add_drawn(writer, args.bananas, generator, counts.drawn)
    writer.write_labels()


def images_without_fruit(pool: Path, pretrained_on: Path) -> tuple[list[str], list[str]]:
    """Return the files of the pool without fruit that the pre-training used, and those that it did not use."""
    names_in_set = set()
    for split in ("train", "val"):
        labels = json.loads((pretrained_on / f"labels_{split}.json").read_text("utf-8"))
        names_in_set |= {image["file_name"] for image in labels["images"]}
    used: list[str] = []
    unused: list[str] = []
    for name in source_names(pool):
        for labeled in read_labeled_images(pool, name) if name not in _WITH_FRUIT else ():
            if not shows_fruit(labeled):
                file = labeled.image.file
                (used if image_name(file) in names_in_set else unused).append(file)
    for name in _UNLABELED:
        if name in source_names(pool):
            seen = read_detections(pool, name)
            unused.extend(image.file for image in read_index(pool, name) if image.file not in seen)
    return used, unused


def shows_fruit(labeled: LabeledImage) -> bool:
    """Return whether an image may show fruit, by the teacher, its own boxes or its path."""
    if any(
        COCO_CLASSES[found.class_index] in FRUIT and found.score >= _MIN_SCORE_OF_FRUIT for found in labeled.detections
    ):
        return True
    if any(box.label in FRUIT for box in labeled.own or ()):
        return True
    return any(name in labeled.image.origin.lower() for name in _NAMES_OF_FRUIT)


def uncertain_images(pool: Path, detections: Path) -> set[str]:
    """Return the files of the pool that are not in these detections, or show fruit by them."""
    files = set()
    for name in source_names(pool):
        found = read_detections(detections, name)
        for image in read_index(pool, name):
            if image.file not in found or shows_fruit(LabeledImage(image, found[image.file], None)):
                files.add(image.file)
    return files


def first_of_each_source(files: list[str], number: int, of_source: int) -> list[str]:
    """Return the first ``number`` files, at most ``of_source`` of each source."""
    counts: collections.Counter[str] = collections.Counter()
    chosen: list[str] = []
    for file in files:
        name = file.partition("/")[0]
        if len(chosen) < number and counts[name] < of_source:
            counts[name] += 1
            chosen.append(file)
    return chosen


def copy_images(folder: Path, pool: Path, files: list[str]) -> None:
    folder.mkdir(parents=True)
    for file in files:
        shutil.copyfile(pool / file, folder / image_name(file))
    print_sources(folder.name, files)


def print_sources(kind: str, files: list[str]) -> None:
    counts = collections.Counter(file.partition("/")[0] for file in files)
    print(f"{kind}: {len(files)} images:", ", ".join(f"{count} {name}" for name, count in counts.most_common()))


def add_photos(writer: SetWriter, photos: list[FruitPhoto]) -> None:
    """Add photographs, at most 480 pixels long, three times each; those with another label than fruit are left out."""
    for photo in photos:
        image = read_image(Path(photo.path))
        if any(label not in FRUIT for label, *_ in photo.boxes):
            continue
        scale = min(1, _MAX_SIDE / max(image.shape[:2]))
        image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        boxes: list[LabeledBox] = [
            (label, xmin * scale, ymin * scale, xmax * scale, ymax * scale)
            for label, xmin, ymin, xmax, ymax in photo.boxes
        ]
        for copy in range(1 if photo.held_out else _COPIES):
            writer.add("val" if photo.held_out else "train", f"fruit_{Path(photo.path).stem}_{copy}", image, boxes)


def add_groceries(writer: SetWriter, photos: list[FruitPhoto]) -> None:
    for photo in photos:
        writer.add("train", f"grocery_{Path(photo.path).stem}", read_image(Path(photo.path)), list(photo.boxes))


def add_pasted(
    writer: SetWriter,
    cutouts: dict[str, list[Image]],
    pool: Path,
    backgrounds: list[str],
    generator: random.Random,
    number: int,
) -> list[str]:
    """Add photographs with pasted cut-outs, some of them blurred; return the backgrounds that were not used."""
    made = 0
    for index, file in enumerate(backgrounds):
        if made == number:
            return backgrounds[index:]
        image, boxes = paste_some(read_image(pool / file), cutouts, generator)
        if boxes:
            if generator.random() < _BLURRED:
                image = np.asarray(cv2.GaussianBlur(image, (3, 3), 0), np.uint8)
            writer.add("train", f"pasted_{made:04d}", image, boxes)
            made += 1
    return []


def add_drawn(writer: SetWriter, folder: Path, generator: random.Random, number: int) -> None:
    """Add images of a folder in d2l's format, drawn at random."""
    with (folder / "label.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))[1:]
    generator.shuffle(rows)
    for name, _, *box in rows[:number]:
        stem = Path(name).stem
        path = next(iter(sorted((folder / "images").glob(f"{stem}.*"))), None)
        if path is None:
            sys.exit(f"{folder / 'images' / name}: is missing")
        xmin, ymin, xmax, ymax = map(float, box[:4])
        writer.add("train", f"standin_{stem}", read_image(path), [("banana", xmin, ymin, xmax, ymax)])


def read_cutouts(fruit: Path) -> dict[str, list[Image]]:
    """Return the cut-outs of each class, BGRA."""
    cutouts = {
        label: [read_image(path, cv2.IMREAD_UNCHANGED) for path in sorted((fruit / "cutouts").glob(f"{label}_*.png"))]
        for label in FRUIT
    }
    if missing := [label for label, images in cutouts.items() if not images]:
        sys.exit(f"{fruit / 'cutouts'}: has no cut-out of {', '.join(missing)}: run cutouts.py first")
    return cutouts


def read_image(path: Path, flags: int = cv2.IMREAD_COLOR) -> Image:
    image = cv2.imread(str(path), flags)
    if image is None:
        sys.exit(f"{path}: cannot be read")
    return np.asarray(image, np.uint8)


if __name__ == "__main__":
    main()
