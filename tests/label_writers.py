"""Writers of a small dataset in every label format, for tests of what is read back."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ElementTree
import xml.sax.saxutils
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

from json_label_writers import (
    write_coco,
    write_createml,
    write_datumaro,
    write_label_studio,
    write_labelme,
    write_via,
)
from labeled_images import Box, LabeledImage, by_split, orientation_exif, write_image, write_text
from PIL import Image
from tfrecord_writer import Values, write_records

__all__ = [
    "D2L_HEADER",
    "TF_HEADER",
    "WRITERS",
    "Box",
    "LabeledImage",
    "orientation_exif",
    "record_features",
    "write_coco",
    "write_d2l_split",
    "write_image",
    "write_voc_xml",
]

D2L_HEADER = "img_name,label,xmin,ymin,xmax,ymax"
TF_HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax"


def write_d2l_split(
    folder: Path, rows: Iterable[str], images: Iterable[str] = ("0.png", "1.png"), size: tuple[int, int] = (60, 40)
) -> Path:
    """Write ``label.csv`` with these rows and images of (width, height) pixels; return the folder."""
    for name in images:
        write_image(folder / "images" / name, size)
    write_text(folder / "label.csv", "\n".join([D2L_HEADER, *rows]) + "\n")
    return folder


def write_voc_xml(path: Path, image_name: str, objects: Iterable[tuple[str, Box]], size: str = "") -> None:
    """Write a label file; ``size`` is its <size> element."""
    items = "".join(
        f"<object><name>{xml.sax.saxutils.escape(label)}</name><bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin>"
        f"<xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
        for label, box in objects
    )
    name = xml.sax.saxutils.escape(image_name)
    write_text(path, f"<annotation><filename>{name}</filename>{size}{items}</annotation>")


def write_d2l(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    for split, own in by_split(images).items():
        rows = [[image.name, labels.index(label), *box] for image in own for label, box in image.objects]
        for image in own:
            write_image(root / f"set_{split}" / "images" / image.name, image.size)
        _write_csv(root / f"set_{split}" / "label.csv", D2L_HEADER, rows)
    write_text(root / "classes.txt", "\n".join(labels) + "\n")


def write_tf_csv(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    for split, own in by_split(images).items():
        rows = [[image.name, *image.size, label, *box] for image in own for label, box in image.objects]
        for image in own:
            write_image(root / "images" / split / image.name, image.size)
        _write_csv(root / "images" / f"{split}_labels.csv", TF_HEADER, rows)


def write_voc(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    for split, own in by_split(images).items():
        stems = [PurePath(image.name).stem for image in own]
        for image, stem in zip(own, stems, strict=True):
            write_image(root / "JPEGImages" / image.name, image.size)
            write_voc_xml(root / "Annotations" / f"{stem}.xml", image.name, image.objects)
        write_text(root / "ImageSets" / "Main" / f"{split}.txt", "\n".join(stems) + "\n")


def write_yolo(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    for image in images:
        width, height = image.size
        write_image(root / "images" / image.split / image.name, image.size)
        lines = [
            f"{labels.index(label)} {(box[0] + box[2]) / 2 / width!r} {(box[1] + box[3]) / 2 / height!r} "
            f"{(box[2] - box[0]) / width!r} {(box[3] - box[1]) / height!r}\n"
            for label, box in image.objects
        ]
        write_text(root / "labels" / image.split / f"{PurePath(image.name).stem}.txt", "".join(lines))
    splits = "".join(f"{split}: images/{split}\n" for split in by_split(images))
    # JSON is YAML: it quotes what needs quoting.
    write_text(root / "data.yaml", f"path: /home/user/datasets/x\n{splits}names: {json.dumps(list(labels))}\n")


def write_open_images(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    header = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction"
    for split, own in by_split(images).items():
        for image in own:
            write_image(root / split / image.name, image.size)
        rows = []
        for image in own:
            width, height = image.size
            for label, (xmin, ymin, xmax, ymax) in image.objects:
                sides = (xmin / width, xmax / width, ymin / height, ymax / height)
                stem = PurePath(image.name).stem
                rows.append([stem, "xclick", f"/m/0{labels.index(label)}", 1, *sides, 0, 0, 0, 0])
        name = {"val": "validation"}.get(split, split)
        _write_csv(root / f"{name}-annotations-bbox.csv", header, rows)
    descriptions = [[f"/m/0{number}", label] for number, label in enumerate(labels)]
    _write_csv(root / "class-descriptions-boxable.csv", "LabelName,DisplayName", descriptions)


def write_cvat(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    annotations = ElementTree.Element("annotations")
    ElementTree.SubElement(annotations, "version").text = "1.1"
    stated = ElementTree.SubElement(ElementTree.SubElement(annotations, "meta"), "task")
    for label in labels:
        ElementTree.SubElement(ElementTree.SubElement(stated, "label"), "name").text = label
    for number, image in enumerate(images):
        write_image(root / "images" / image.split / image.name, image.size)
        width, height = map(str, image.size)
        subset = {"train": "Train", "val": "Validation", "test": "Test"}[image.split]
        stated_image = {"id": str(number), "name": image.name, "subset": subset, "width": width, "height": height}
        element = ElementTree.SubElement(annotations, "image", stated_image)
        for label, box in image.objects:
            sides = dict(zip(("xtl", "ytl", "xbr", "ybr"), map(str, box), strict=True))
            ElementTree.SubElement(element, "box", {"label": label, "occluded": "0", **sides})
    write_text(root / "annotations.xml", ElementTree.tostring(annotations, encoding="unicode"))


def write_kitti(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    for image in images:
        write_image(root / image.split / "image_2" / image.name, image.size)
        lines = [
            f"{label} 0.00 0 -1.57 {' '.join(map(repr, box))} 1.5 1.6 3.7 0.1 1.7 25.0 -1.6\n"
            for label, box in image.objects
        ]
        write_text(root / image.split / "label_2" / f"{PurePath(image.name).stem}.txt", "".join(lines))


def write_dota(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    for image in images:
        write_image(root / image.split / "images" / image.name, image.size)
        lines = ["imagesource:GoogleEarth\n", "gsd:0.146\n"]
        for label, (xmin, ymin, xmax, ymax) in image.objects:
            lines.append(f"{xmin!r} {ymin!r} {xmax!r} {ymin!r} {xmax!r} {ymax!r} {xmin!r} {ymax!r} {label} 0\n")
        write_text(root / image.split / "labelTxt" / f"{PurePath(image.name).stem}.txt", "".join(lines))


def write_tfrecord(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    for split, own in by_split(images).items():
        write_records(root / f"{split}.record", [record_features(image, labels) for image in own])
    items = "".join(
        f"item {{\n  id: {number}\n  name: {json.dumps(label, ensure_ascii=False)}\n}}\n"
        for number, label in enumerate(labels, 1)
    )
    write_text(root / "label_map.pbtxt", items)


def record_features(image: LabeledImage, labels: Sequence[str]) -> dict[str, Values]:
    """Return the features of a record of TensorFlow's object detection API, with a uniform image."""
    width, height = image.size
    encoded = io.BytesIO()
    Image.new("RGB", image.size, (200, 180, 40)).save(encoded, "PNG")
    boxes = [box for _, box in image.objects]
    return {
        "image/height": [height],
        "image/width": [width],
        "image/filename": [image.name.encode()],
        "image/encoded": [encoded.getvalue()],
        "image/format": [b"png"],
        "image/object/bbox/xmin": [box[0] / width for box in boxes],
        "image/object/bbox/xmax": [box[2] / width for box in boxes],
        "image/object/bbox/ymin": [box[1] / height for box in boxes],
        "image/object/bbox/ymax": [box[3] / height for box in boxes],
        "image/object/class/text": [label.encode() for label, _ in image.objects],
        "image/object/class/label": [labels.index(label) + 1 for label, _ in image.objects],
    }


def write_yolo_keras(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    for split, own in by_split(images).items():
        lines = []
        for image in own:
            write_image(root / split / image.name, image.size)
            boxes = (" " + ",".join(map(repr, (*box, labels.index(label)))) for label, box in image.objects)
            lines.append(f"{image.name}{''.join(boxes)}\n")
        write_text(root / split / "_annotations.txt", "".join(lines))
        write_text(root / split / "_classes.txt", "\n".join(labels) + "\n")


WRITERS = {
    "d2l_csv": write_d2l,
    "tf_csv": write_tf_csv,
    "voc": write_voc,
    "coco": write_coco,
    "yolo": write_yolo,
    "createml": write_createml,
    "datumaro": write_datumaro,
    "label_studio": write_label_studio,
    "labelme": write_labelme,
    "via": write_via,
    "open_images": write_open_images,
    "cvat": write_cvat,
    "kitti": write_kitti,
    "dota": write_dota,
    "tfrecord": write_tfrecord,
    "yolo_keras": write_yolo_keras,
}


def _write_csv(path: Path, header: str, rows: Iterable[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(f"{header}\r\n")
        csv.writer(file).writerows(rows)
