"""Open Images: edge_ssd.data.formats.open_images."""

from __future__ import annotations

from pathlib import Path

import pytest
from label_writers import write_image

from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.errors import DataError

HEADER = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf"


def row(image: str, label: str = "/m/01yrx", box: str = "0.25,0.75,0.5,1", group: int = 0) -> str:
    return f"{image},xclick,{label},1,{box},0,0,{group}"


def write_table(root: Path, *rows: str, name: str = "train-annotations-bbox.csv", images: str = "ab") -> None:
    for image in images:
        write_image(root / name.split("-")[0] / f"{image}.jpg")
    (root / name).write_text("\n".join([HEADER, *rows]) + "\n")


@pytest.mark.parametrize("header", ["", "LabelName,DisplayName\n"])
def test_class_descriptions_name_the_labels(tmp_path: Path, header: str) -> None:
    write_table(tmp_path, row("a"), row("b", "/m/0bt9lr"))
    descriptions = tmp_path / "metadata" / "class-descriptions-boxable.csv"
    descriptions.parent.mkdir()
    descriptions.write_text(f'{header}/m/01yrx,Cat\n/m/0bt9lr,Dog\n/m/0zzz,"Tree, tall"\n')
    dataset = load_dataset(tmp_path, strict=True)
    assert (dataset.labels, dataset.notices) == (("Cat", "Dog"), ())
    assert dataset.samples[0].boxes_xyxy.tolist() == [[15, 20, 45, 40]]
    assert open_dataset(tmp_path).other_formats == ()


def test_labels_without_description_are_class_names(tmp_path: Path) -> None:
    write_table(tmp_path, row("a"), row("b", "/m/0bt9lr"))
    dataset = load_dataset(tmp_path, strict=True)
    assert dataset.labels == ("/m/01yrx", "/m/0bt9lr")
    assert "no file of class descriptions names /m/01yrx, /m/0bt9lr: used as class names" in dataset.notices[0].message


def test_groups_are_ignored_and_never_make_background(tmp_path: Path) -> None:
    write_table(tmp_path, row("a"), row("a", group=1), row("b", group=1))
    dataset = load_dataset(tmp_path, strict=True)
    assert [(sample.path.name, len(sample.class_ids)) for sample in dataset.samples] == [("a.jpg", 1)]
    assert "regions marked to be ignored (2 × group): not used, nor 1 image with only such" in str(dataset.notices)


def test_images_that_were_not_downloaded_are_counted(tmp_path: Path) -> None:
    write_table(tmp_path, row("a"), *(row(f"far{number}") for number in range(50)))
    write_table(tmp_path, row("lost"), name="validation-annotations-bbox.csv", images="")
    dataset = load_dataset(tmp_path, strict=True)
    assert [sample.path.name for sample in dataset.samples] == ["a.jpg"]
    assert "50 of its 51 images are not in the folder; their boxes are not used" in str(dataset.notices)
    assert open_dataset(tmp_path).splits == ("train",)


@pytest.mark.parametrize("stated", ["a.jpg", "sub/a", "sub/a.jpg"])
def test_image_ids_of_other_tools_are_paths(tmp_path: Path, stated: str) -> None:
    write_table(tmp_path, row(stated), row("b"))
    assert [sample.path.name for sample in load_dataset(tmp_path, strict=True).samples] == ["a.jpg", "b.jpg"]


def test_table_without_any_of_its_images_raises(tmp_path: Path) -> None:
    write_table(tmp_path, row("x"), row("y"))
    with pytest.raises(DataError, match=r"annotations-bbox\.csv: none of its 2 images is in .*, such as x: put"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("bad", [row("a", box="0.1,0.2,0.3,x"), "a,xclick,/m/01yrx,1,0.1", row("a", label="")])
def test_row_that_cannot_be_read_drops_its_image(tmp_path: Path, bad: str) -> None:
    write_table(tmp_path, row("b"), bad, row("a"))
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["b.jpg"]
    assert "train-annotations-bbox.csv: line 3: " in str(dataset.problems[0])


def test_table_of_image_labels_is_ignored(tmp_path: Path) -> None:
    write_table(tmp_path, row("a"))
    text = "ImageID,Source,LabelName,Confidence\na,verification,/m/01yrx,1\n"
    (tmp_path / "train-annotations-human-imagelabels.csv").write_text(text)
    assert len(load_dataset(tmp_path, strict=True)) == 1


@pytest.mark.parametrize("bad", [row("b") + ",1", row("")])
def test_row_with_more_cells_or_without_an_image_drops_the_image(tmp_path: Path, bad: str) -> None:
    write_table(tmp_path, row("a"), row("b"), bad)
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["a.jpg"]
    assert len(dataset.problems) == 1
