"""Folders without a known label format: edge_ssd.data.unknown_labels."""

from __future__ import annotations

from pathlib import Path

import pytest
from label_writers import write_image

from edge_ssd.data.load import open_dataset
from edge_ssd.errors import DataError

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 1\n"


@pytest.mark.parametrize(
    ("name", "text", "cause"),
    [
        ("labels/a.txt", LFS, r"labels/a\.txt is a pointer of Git LFS.*git lfs pull"),
        ("set.json", LFS, r"set\.json is a pointer of Git LFS"),
        ("labels/a.txt", "0,0.5,0.5,0.2,0.2\n", "starts with '0,0.5,0.5,0.2,0.2': YOLO's numbers have spaces"),
        ("labels/a.txt", "bolt 0.5 0.5 0.2 0.2\n", "the first of them a class id, which classes.txt names"),
        ("labels/a.txt", "0 0.5 0.5 0.2 0.2 # ok\n", "have no comments"),
        ("labels/a.txt", "", r"labels/a\.txt is empty"),
        (
            "set.csv",
            "Bild,Klasse,links,oben,rechts,unten\na,b,1,2,3,4\n",
            "starts with 'Bild,.*missing: image, label, xmin",
        ),
        ("set.csv", "<!DOCTYPE html><html>", "is a web page, not the file: download it again"),
        ("set.csv.gz", "x", r"set\.csv\.gz is compressed: unpack it"),
        ("set.parquet", "x", "holds columns of a program: export the labels as COCO JSON"),
        ("set.json", '{"metainfo": {}, "data_list": []}', "unknown kind, with the keys metainfo, data_list: export"),
        ("set.json", '{"images": [', r"set\.json is no valid JSON .*: export the labels again"),
        ("set.json", "[" * 60_000, "nested too deeply"),
        ("set.jsonl", '{"a": 1}\n', r"set\.jsonl has a JSON object a line"),
        ("set.xml", "<dataset><images/></dataset>", "XML of another kind, with <dataset>, <images>"),
        ("set.geojson", "{}", "is no label file of a known kind"),
        ("readme.txt", "hello", "it has no label file: label images with a tool"),
    ],
)
def test_most_likely_label_file_is_named(tmp_path: Path, name: str, text: str, cause: str) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(
        DataError, match=f"no labels in a known format: .*{cause}.*known are .*: see docs/data.md"
    ) as raised:
        open_dataset(tmp_path)
    assert len(str(raised.value)) < 600 + len(str(tmp_path))
