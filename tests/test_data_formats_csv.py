"""Label tables: edge_ssd.data.formats.d2l_csv, tf_csv and what they share."""

from __future__ import annotations

from pathlib import Path

import pytest
from label_writers import D2L_HEADER, TF_HEADER, write_d2l_split, write_image

from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.errors import DataError


def test_d2l_csv_reads_splits_boxes_and_the_class_banana(tmp_path: Path) -> None:
    write_d2l_split(tmp_path / "bananas_train", ["0.png,0,1,2,30,20", "1.png,0,5,5,60,40", "0.png,0,40,1,50,9"])
    write_d2l_split(tmp_path / "bananas_val", ["0.png,0,3,3,9,9"], ["0.png"])
    assert open_dataset(tmp_path).splits == ("train", "val")
    train = load_dataset(tmp_path, "train")
    assert train.labels == ("banana",)
    assert train.format == "d2l_csv"
    assert train.problems == ()
    assert [sample.path.name for sample in train.samples] == ["0.png", "1.png"]
    assert train.samples[0].boxes_xyxy.tolist() == [[1, 2, 30, 20], [40, 1, 50, 9]]
    assert train.samples[0].class_ids.tolist() == [0, 0]
    assert train.samples[0].size == (40, 60)
    assert len(load_dataset(tmp_path, "val")) == 1
    assert len(load_dataset(tmp_path)) == 3
    assert len(load_dataset(tmp_path / "bananas_val", "val")) == 1
    with pytest.raises(DataError, match="no split 'test', only train, val"):
        load_dataset(tmp_path, "test")


def test_d2l_csv_class_ids_are_named_by_classes_txt_or_generated(tmp_path: Path) -> None:
    folder = write_d2l_split(tmp_path / "tools", ["0.png,2,1,2,3,4", "1.png,0,1,2,3,4"])
    assert load_dataset(folder).labels == ("class_0", "class_1", "class_2")
    assert load_dataset(folder, labels=["saw", "axe", "awl"]).labels == ("saw", "axe", "awl")
    assert load_dataset(folder, labels=["saw", "axe", "awl"]).samples[0].class_ids.tolist() == [2]
    (folder / "classes.txt").write_text("hammer\nnail\npliers\n", encoding="utf-8")
    assert load_dataset(folder).labels == ("hammer", "nail", "pliers")
    # Named classes are matched by name with the labels of a model.
    assert load_dataset(folder, labels=["pliers", "hammer"]).samples[0].class_ids.tolist() == [0]


def test_d2l_csv_labels_may_be_names(tmp_path: Path) -> None:
    folder = write_d2l_split(tmp_path / "cutlery", ["0.png,knife,1,2,3,4", "1.png,fork,1,2,3,4"])
    dataset = load_dataset(folder)
    assert dataset.labels == ("fork", "knife")
    assert [sample.class_ids.tolist() for sample in dataset.samples] == [[1], [0]]


def test_d2l_csv_single_class_of_another_dataset_is_not_banana(tmp_path: Path) -> None:
    assert load_dataset(write_d2l_split(tmp_path / "cups", ["0.png,0,1,2,3,4"])).labels == ("class_0",)


def test_d2l_csv_finds_columns_by_name_and_images_beside_the_table(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    text = "ymin,xmin,ymax,xmax,note,label,img_name\n2,1,20,30,x,cup,a.png\n"
    (tmp_path / "label.csv").write_text("\ufeff" + text, encoding="utf-8")
    dataset = load_dataset(tmp_path)
    assert dataset.samples[0].boxes_xyxy.tolist() == [[1, 2, 30, 20]]
    assert dataset.labels == ("cup",)


def test_tf_csv_tables_are_splits_by_name(tmp_path: Path) -> None:
    for split, name in (("train", "a.jpg"), ("test", "b.jpg")):
        write_image(tmp_path / "images" / name)
        table = tmp_path / "data" / f"{split}_labels.csv"
        table.parent.mkdir(exist_ok=True)
        table.write_text(f"{TF_HEADER}\n{name},60,40,cat,1,2,30,20\n", encoding="utf-8")
    (tmp_path / "data" / "all_labels.csv").write_text(f"{TF_HEADER}\nlost.jpg,1,1,cat,0,0,1,1\n", encoding="utf-8")
    assert open_dataset(tmp_path).splits == ("train", "test")
    assert len(load_dataset(tmp_path)) == 2
    assert load_dataset(tmp_path, "test").samples[0].path == tmp_path / "images" / "b.jpg"
    assert load_dataset(tmp_path, "train").format == "tf_csv"
    assert load_dataset(tmp_path, "train").problems == ()


def test_tf_csv_single_table_has_no_splits(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg")
    (tmp_path / "boxes.csv").write_text(f"{TF_HEADER}\na.jpg,60,40,cat,1,2,30,20\n", encoding="utf-8")
    assert open_dataset(tmp_path).splits == ()
    assert len(load_dataset(tmp_path)) == 1
    with pytest.raises(DataError, match="not divided into train and val"):
        load_dataset(tmp_path, "train")


def test_negative_class_id_is_dropped(tmp_path: Path) -> None:
    write_d2l_split(tmp_path, ["0.png,-1,1,2,3,4", "1.png,0,1,2,3,4"])
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["1.png"]
    assert "line 2: class id -1 is negative" in dataset.problems[0].message


ROW = "0.png,0,1,2,3,4"


@pytest.mark.parametrize(
    ("tables", "match"),
    [
        ({".": D2L_HEADER}, "no usable labeled image"),
        (
            {"s_train": f"{D2L_HEADER}\n{ROW}", "s_val": f"{D2L_HEADER}\n0.png,10000,1,2,3,4"},
            r"s_val/label\.csv: class id 10000 exceeds 9999",
        ),
        ({"s_train": f"img_name,label,xmin,ymin,xmax\n{ROW}"}, "missing: ymax"),
        ({"s_train": f"a,b,c\n{ROW}"}, "missing: image, label, xmin"),
        ({"s_train": "\udcff\udcfe\x00\x01"}, r"label\.csv: not UTF-8 text .*save it in UTF-8"),
        ({"s_train": f"{D2L_HEADER}\n0.png,caf\udce9,1,2,3,4"}, r"label\.csv: not UTF-8 text .*CSV UTF-8"),
        (
            dict.fromkeys(("cats_train", "dogs_train"), f"{D2L_HEADER}\n{ROW}"),
            r"cats_train/label\.csv and dogs_train/label\.csv both hold train labels",
        ),
    ],
    ids=["no rows", "high class id", "missing column", "other columns", "not text", "Latin-1", "two tables of a split"],
)
def test_invalid_table_raises(tmp_path: Path, tables: dict[str, str], match: str) -> None:
    for folder, text in tables.items():
        write_d2l_split(tmp_path / folder, [])
        (tmp_path / folder / "label.csv").write_text(f"{text}\n", encoding="utf-8", errors="surrogateescape")
    with pytest.raises(DataError, match=match):
        load_dataset(tmp_path)


@pytest.mark.parametrize("name", ["label.csv", "labels.csv"])
def test_class_ids_from_one_are_shifted_to_the_stated_names(tmp_path: Path, name: str) -> None:
    rows = ["0.png,1,1,2,30,20", "1.png,2,1,2,30,20"]
    write_d2l_split(tmp_path, rows).joinpath("label.csv").rename(tmp_path / name)
    (tmp_path / "classes.txt").write_text("fork\nknife\n", encoding="utf-8")
    dataset = load_dataset(tmp_path)
    assert dataset.labels == ("fork", "knife")
    assert [sample.class_ids.tolist() for sample in dataset.samples] == [[0], [1]]
    (problem,) = dataset.problems
    assert "class ids are 1 to 2, names are for 0 to 1: read as counted from 1, id 1 is 'fork'" in problem.message
    with pytest.raises(DataError, match="counted from 1"):
        load_dataset(tmp_path, strict=True)
