"""Writers of a small dataset in every label format, for tests of what is read back."""

from __future__ import annotations

import csv
import io
import json
import struct
import xml.etree.ElementTree as ElementTree
import xml.sax.saxutils
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from PIL import Image
from tfrecord_writer import Values, write_records

__all__ = [
    "D2L_HEADER",
    "TF_HEADER",
    "WRITERS",
    "LabeledImage",
    "orientation_exif",
    "record_features",
    "write_d2l_split",
    "write_image",
    "write_voc_xml",
]

D2L_HEADER = "img_name,label,xmin,ymin,xmax,ymax"
TF_HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax"

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class LabeledImage:
    """An image to write: ``size`` is (width, height), ``objects`` are (label, xyxy in pixels)."""

    name: str
    split: str = "train"
    size: tuple[int, int] = (60, 40)
    objects: Sequence[tuple[str, Box]] = ()


def orientation_exif(value: int) -> bytes:
    """Return EXIF with an orientation as a 32-bit number, which may be impossible."""
    return b"Exif\0\0" + struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 0x0112, 4, 1, value, 0)


def write_image(path: Path, size: tuple[int, int] = (60, 40), orientation: int | None = None) -> None:
    """Write a uniform image of (width, height) pixels before rotation by the EXIF orientation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = b"" if orientation is None else orientation_exif(orientation)
    Image.new("RGB", size, (200, 180, 40)).save(path, exif=exif)


def write_d2l_split(
    folder: Path, rows: Iterable[str], images: Iterable[str] = ("0.png", "1.png"), size: tuple[int, int] = (60, 40)
) -> Path:
    """Write ``label.csv`` with these rows and images of (width, height) pixels; return the folder."""
    for name in images:
        write_image(folder / "images" / name, size)
    _write(folder / "label.csv", "\n".join([D2L_HEADER, *rows]) + "\n")
    return folder


def write_voc_xml(path: Path, image_name: str, objects: Iterable[tuple[str, Box]], size: str = "") -> None:
    """Write a label file; ``size`` is its <size> element."""
    items = "".join(
        f"<object><name>{xml.sax.saxutils.escape(label)}</name><bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin>"
        f"<xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
        for label, box in objects
    )
    name = xml.sax.saxutils.escape(image_name)
    _write(path, f"<annotation><filename>{name}</filename>{size}{items}</annotation>")


def write_d2l(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    for split, own in _by_split(images).items():
        rows = [[image.name, labels.index(label), *box] for image in own for label, box in image.objects]
        for image in own:
            write_image(root / f"set_{split}" / "images" / image.name, image.size)
        _write_csv(root / f"set_{split}" / "label.csv", D2L_HEADER, rows)
    _write(root / "classes.txt", "\n".join(labels) + "\n")


def write_tf_csv(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    for split, own in _by_split(images).items():
        rows = [[image.name, *image.size, label, *box] for image in own for label, box in image.objects]
        for image in own:
            write_image(root / "images" / split / image.name, image.size)
        _write_csv(root / "images" / f"{split}_labels.csv", TF_HEADER, rows)


def write_voc(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    for split, own in _by_split(images).items():
        stems = [PurePath(image.name).stem for image in own]
        for image, stem in zip(own, stems, strict=True):
            write_image(root / "JPEGImages" / image.name, image.size)
            write_voc_xml(root / "Annotations" / f"{stem}.xml", image.name, image.objects)
        _write(root / "ImageSets" / "Main" / f"{split}.txt", "\n".join(stems) + "\n")


def write_coco(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    for split, own in _by_split(images).items():
        for image in own:
            write_image(root / split / image.name, image.size)
        data = {
            "images": [
                {"id": number, "file_name": image.name, "width": image.size[0], "height": image.size[1]}
                for number, image in enumerate(own)
            ],
            "annotations": [
                {
                    "image_id": number,
                    "category_id": 3 * labels.index(label) + 1,
                    "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                }
                for number, image in enumerate(own)
                for label, box in image.objects
            ],
            # Ids with gaps.
            "categories": [{"id": 3 * number + 1, "name": label} for number, label in enumerate(labels)],
        }
        _write(root / "annotations" / f"instances_{split}.json", json.dumps(data))


def write_yolo(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    for image in images:
        width, height = image.size
        write_image(root / "images" / image.split / image.name, image.size)
        lines = [
            f"{labels.index(label)} {(box[0] + box[2]) / 2 / width!r} {(box[1] + box[3]) / 2 / height!r} "
            f"{(box[2] - box[0]) / width!r} {(box[3] - box[1]) / height!r}\n"
            for label, box in image.objects
        ]
        _write(root / "labels" / image.split / f"{PurePath(image.name).stem}.txt", "".join(lines))
    splits = "".join(f"{split}: images/{split}\n" for split in _by_split(images))
    # JSON is YAML: it quotes what needs quoting.
    _write(root / "data.yaml", f"path: /home/user/datasets/x\n{splits}names: {json.dumps(list(labels))}\n")


def write_createml(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    for split, own in _by_split(images).items():
        data = []
        for image in own:
            write_image(root / split / image.name, image.size)
            annotations = [{"label": label, "coordinates": _to_center(box)} for label, box in image.objects]
            data.append({"image": image.name, "annotations": annotations})
        _write_json(root / split / "_annotations.createml.json", data)


def write_datumaro(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    categories = {"label": {"labels": [{"name": label, "parent": "", "attributes": []} for label in labels]}}
    for split, own in _by_split(images).items():
        items = []
        for image in own:
            write_image(root / "images" / split / image.name, image.size)
            annotations = [
                {"type": "bbox", "label_id": labels.index(label), "bbox": _to_xywh(box), "attributes": {}}
                for label, box in image.objects
            ]
            stated = {"path": image.name, "size": list(image.size[::-1])}
            items.append({"id": PurePath(image.name).stem, "annotations": annotations, "image": stated})
        data = {"dm_format_version": "1.0", "media_type": 2, "infos": {}, "categories": categories, "items": items}
        _write_json(root / "annotations" / f"{split}.json", data)


def write_label_studio(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    for split, own in _by_split(images).items():
        tasks = []
        for number, image in enumerate(own, 1):
            write_image(root / split / image.name, image.size)
            width, height = image.size
            result = []
            for label, box in image.objects:
                scales = (100 / width, 100 / height) * 2
                x, y, box_width, box_height = (side * scale for side, scale in zip(_to_xywh(box), scales, strict=True))
                value = {"x": x, "y": y, "width": box_width, "height": box_height, "rotation": 0}
                result.append(
                    {
                        "id": "a1",
                        "type": "rectanglelabels",
                        "from_name": "label",
                        "to_name": "image",
                        "original_width": width,
                        "original_height": height,
                        "value": {**value, "rectanglelabels": [label]},
                    }
                )
            annotations = [{"id": number, "was_cancelled": False, "result": result}]
            tasks.append({"id": number, "annotations": annotations, "data": {"image": image.name}})
        _write_json(root / split / "project-1-at-2024-05-01-10-00.json", tasks)


def write_labelme(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    for image in images:
        write_image(root / image.split / image.name, image.size)
        shapes = [
            {"label": label, "points": [box[:2], box[2:]], "group_id": None, "shape_type": "rectangle", "flags": {}}
            for label, box in image.objects
        ]
        data = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": image.name, "imageData": None}
        data |= {"imageHeight": image.size[1], "imageWidth": image.size[0]}
        _write_json(root / image.split / f"{PurePath(image.name).stem}.json", data)


def write_via(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    for split, own in _by_split(images).items():
        entries = {}
        for image in own:
            write_image(root / split / image.name, image.size)
            regions = []
            for label, box in image.objects:
                x, y, width, height = _to_xywh(box)
                shape = {"name": "rect", "x": x, "y": y, "width": width, "height": height}
                regions.append({"shape_attributes": shape, "region_attributes": {"kind": label}})
            entries[f"{image.name}123"] = {"filename": image.name, "size": 123, "regions": regions}
        attributes = {"region": {"kind": {"type": "dropdown", "options": dict.fromkeys(labels, "")}}, "file": {}}
        data = {"_via_settings": {}, "_via_img_metadata": entries, "_via_attributes": attributes}
        _write_json(root / f"via_{split}.json", data)


def write_open_images(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    header = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction"
    for split, own in _by_split(images).items():
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
    _write(root / "annotations.xml", ElementTree.tostring(annotations, encoding="unicode"))


def write_kitti(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    for image in images:
        write_image(root / image.split / "image_2" / image.name, image.size)
        lines = [
            f"{label} 0.00 0 -1.57 {' '.join(map(repr, box))} 1.5 1.6 3.7 0.1 1.7 25.0 -1.6\n"
            for label, box in image.objects
        ]
        _write(root / image.split / "label_2" / f"{PurePath(image.name).stem}.txt", "".join(lines))


def write_dota(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    for image in images:
        write_image(root / image.split / "images" / image.name, image.size)
        lines = ["imagesource:GoogleEarth\n", "gsd:0.146\n"]
        for label, (xmin, ymin, xmax, ymax) in image.objects:
            lines.append(f"{xmin!r} {ymin!r} {xmax!r} {ymin!r} {xmax!r} {ymax!r} {xmin!r} {ymax!r} {label} 0\n")
        _write(root / image.split / "labelTxt" / f"{PurePath(image.name).stem}.txt", "".join(lines))


def write_tfrecord(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    for split, own in _by_split(images).items():
        write_records(root / f"{split}.record", [record_features(image, labels) for image in own])
    items = "".join(
        f"item {{\n  id: {number}\n  name: {json.dumps(label, ensure_ascii=False)}\n}}\n"
        for number, label in enumerate(labels, 1)
    )
    _write(root / "label_map.pbtxt", items)


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
    for split, own in _by_split(images).items():
        lines = []
        for image in own:
            write_image(root / split / image.name, image.size)
            boxes = (" " + ",".join(map(repr, (*box, labels.index(label)))) for label, box in image.objects)
            lines.append(f"{image.name}{''.join(boxes)}\n")
        _write(root / split / "_annotations.txt", "".join(lines))
        _write(root / split / "_classes.txt", "\n".join(labels) + "\n")


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


def _to_xywh(box: Box) -> list[float]:
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def _to_center(box: Box) -> dict[str, float]:
    x, y, width, height = _to_xywh(box)
    return {"x": x + width / 2, "y": y + height / 2, "width": width, "height": height}


def _write_json(path: Path, data: object) -> None:
    _write(path, json.dumps(data))


def _by_split(images: Sequence[LabeledImage]) -> dict[str, list[LabeledImage]]:
    splits: dict[str, list[LabeledImage]] = {}
    for image in images:
        splits.setdefault(image.split, []).append(image)
    return splits


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _write_csv(path: Path, header: str, rows: Iterable[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(f"{header}\r\n")
        csv.writer(file).writerows(rows)
