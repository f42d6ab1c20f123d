"""Writers of a small dataset in the label formats that are JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePath

from labeled_images import Box, LabeledImage, by_split, write_image, write_text

__all__ = ["write_coco", "write_createml", "write_datumaro", "write_label_studio", "write_labelme", "write_via"]


def write_coco(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    for split, own in by_split(images).items():
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
        write_text(root / "annotations" / f"instances_{split}.json", json.dumps(data))


def write_createml(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    for split, own in by_split(images).items():
        data = []
        for image in own:
            write_image(root / split / image.name, image.size)
            annotations = [{"label": label, "coordinates": _to_center(box)} for label, box in image.objects]
            data.append({"image": image.name, "annotations": annotations})
        _write_json(root / split / "_annotations.createml.json", data)


def write_datumaro(root: Path, images: Sequence[LabeledImage], labels: Sequence[str]) -> None:
    categories = {"label": {"labels": [{"name": label, "parent": "", "attributes": []} for label in labels]}}
    for split, own in by_split(images).items():
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
    for split, own in by_split(images).items():
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
    for split, own in by_split(images).items():
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


def _to_xywh(box: Box) -> list[float]:
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def _to_center(box: Box) -> dict[str, float]:
    x, y, width, height = _to_xywh(box)
    return {"x": x + width / 2, "y": y + height / 2, "width": width, "height": height}


def _write_json(path: Path, data: object) -> None:
    write_text(path, json.dumps(data))
