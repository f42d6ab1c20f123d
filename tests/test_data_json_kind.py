"""edge_ssd.data.label_files.json_kind: recognition of JSON files by content, and what is said of unsupported ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from label_writers import write_image

from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.label_files.json_kind import json_files
from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.errors import DataError

COCO: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
LABELME: dict[str, Any] = {"version": "5", "shapes": [], "imagePath": "a.png"}
CASES: dict[str, tuple[str, Any]] = {
    "coco": ("coco", COCO),
    "coco_reversed": ("coco", dict(reversed(COCO.items()))),
    "coco_image_info": ("coco", {"images": [], "categories": []}),
    "captions": ("coco_incomplete", {"images": [], "annotations": [{"image_id": 1, "caption": "a fork"}]}),
    "results": ("coco_results", [{"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.5}]),
    "createml": ("createml", [{"image": "a.png", "annotations": []}]),
    "datumaro": ("datumaro", {"categories": {"label": {"labels": []}}, "items": []}),
    "label_studio": ("label_studio", [{"id": 1, "annotations": [{"result": []}], "data": {"image": "a.png"}}]),
    "label_studio_min": ("label_studio", [{"image": "a.png", "id": 1, "annotator": 1, "annotation_id": 1}]),
    "labelme": ("labelme", LABELME),
    "via": ("via", {"_via_img_metadata": {}, "_via_settings": {}}),
    "via_annotations": ("via", {"a.png1": {"filename": "a.png", "regions": [{"region_attributes": {}}]}}),
    "via_empty_regions": ("via", {"a.png1": {"filename": "a.png", "regions": []}}),
    "via3": ("via3", {"project": {"vid_list": []}, "metadata": {}, "file": {}}),
    "scalabel": ("scalabel", [{"name": "a.png", "labels": [{"category": "fork", "box2d": {"x1": 1}}]}]),
    "supervisely": ("supervisely", {"description": "", "tags": [], "size": {"height": 4, "width": 6}, "objects": []}),
    "darwin": ("darwin", {"version": "2.0", "item": {"name": "a.png"}, "annotations": [{"name": "fork"}]}),
    "labelbox": ("labelbox", [{"data_row": {"id": "c", "external_id": "a.png"}, "projects": {"p": {"labels": []}}}]),
    "package": ("other", {"name": "x", "version": "1", "files": [], "images": 3}),
    "settings": ("other", {"annotations": {"color": "red"}, "categories": ["a"]}),
    "geojson": ("other", {"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}}]}),
    "list": ("other", [1, 2, 3]),
    "empty_list": ("other", []),
    "number": ("invalid", 3),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_kind_is_recognized_by_content(tmp_path: Path, name: str, indent: int | None, encoding: str) -> None:
    kind, content = CASES[name]
    (tmp_path / "x.json").write_text(json.dumps(content, indent=indent), encoding=encoding)
    assert json_files(FileTree(tmp_path), kind) == [tmp_path / "x.json"]  # type: ignore[arg-type]


def test_kind_of_a_large_file_is_recognized(tmp_path: Path) -> None:
    filler = [{"id": number, "file_name": "x" * 100} for number in range(10_000)]
    for name, content in {
        "a": {"images": filler, "annotations": [], "categories": []},
        "b": {"images": filler, "annotations": []},
        "c": {"info": filler},
        "d": {"version": "5", "imageData": "iVBOR" * 200_000, "imagePath": "a.png", "shapes": []},
    }.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    tree = FileTree(tmp_path)
    for name, kind in {"a": "coco", "b": "coco_incomplete", "c": "other", "d": "labelme"}.items():
        assert json_files(tree, kind) == [tmp_path / f"{name}.json"]  # type: ignore[arg-type]


def test_coco_file_that_is_cut_short_is_one_of_coco(tmp_path: Path) -> None:
    """Its categories may have been at its end: that it is damaged must not go unnoticed beside the other files."""
    write_image(tmp_path / "a.png")
    whole = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [], "categories": [{"id": 1, "name": "fork"}]}
    (tmp_path / "val.json").write_text(json.dumps(whole), encoding="utf-8")
    (tmp_path / "train.json").write_text('{"images": [{"id": 1}], "annotations": [{"bbox": [1,', encoding="utf-8")
    with pytest.raises(DataError, match=r"train\.json: invalid JSON"):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("results", r"x\.json is a list of COCO results, which names no images and categories: give the label file"),
        ("scalabel", r"x\.json has labels of Scalabel or BDD100K: convert them"),
        ("supervisely", r"x\.json has labels of Supervisely: export them as COCO JSON"),
        ("darwin", r"x\.json has labels of V7 Darwin: export"),
        ("labelbox", r"x\.json has labels of Labelbox: export"),
        ("captions", r"x\.json: not COCO JSON: expected the lists images, annotations and categories"),
    ],
)
def test_unsupported_kind_is_named(tmp_path: Path, name: str, match: str) -> None:
    write_image(tmp_path / "a.png")
    (tmp_path / "x.json").write_text(json.dumps(CASES[name][1]), encoding="utf-8")
    with pytest.raises(DataError, match=match):
        load_dataset(tmp_path)


@pytest.mark.parametrize("name", ["results", "captions", "package", "settings", "list", "number", "geojson"])
def test_unrelated_json_files_are_ignored(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.2 0.3\n", encoding="utf-8")
    (tmp_path / "x.json").write_text(json.dumps(CASES[name][1]), encoding="utf-8")
    assert load_dataset(tmp_path, strict=True).format == "yolo"
