"""edge_ssd.data.formats.yolo and its readers: layouts, data.yaml, kinds of lines and faults."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from label_writers import write_image

from edge_ssd.cli import main
from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.data.source import DataSource
from edge_ssd.errors import DataError

pytest.importorskip("yaml")

BOX = "0 0.5 0.5 0.5 0.25\n"  # of 60×40: 15, 15 to 45, 25
PIXELS = [[15, 15, 45, 25]]


def write_pair(image: Path, labels: Path, text: str = BOX) -> None:
    write_image(image)
    labels.parent.mkdir(parents=True, exist_ok=True)
    labels.write_text(text, encoding="utf-8")


def write_described(root: Path, text: str) -> Path:
    write_pair(root / "images" / "train" / "a.png", root / "labels" / "train" / "a.txt")
    write_pair(root / "images" / "val" / "b.png", root / "labels" / "val" / "b.txt")
    (root / "data.yaml").write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    "text",
    [
        "train: images/train\nval: images/val\nnames: [fork]\n",
        "path: .\ntrain: images/train/\nval: [images/val]\nnames:\n  0: fork\nnc: 1\n",
        "path: ../elsewhere\ntrain: images/train\nval: images/val\nnames:\n- fork\n",
        "train: ../images/train\nval: ../images/val\nnames: ['fork']\n",
        "train: C:\\sets\\cutlery\\images\\train\nvalid: /home/me/cutlery/images/val\nnames: [fork]\n",
        "path: {root}\ntrain: images/train\nval: images/val\nnames: [fork]\nroboflow:\n  url: none\n",
    ],
)
def test_data_yaml_variants_are_read(tmp_path: Path, text: str) -> None:
    root = write_described(tmp_path / "cutlery", text.replace("{root}", str(tmp_path / "cutlery")))
    assert open_dataset(root).splits == ("train", "val")
    for split, name in (("train", "a.png"), ("val", "b.png")):
        dataset = load_dataset(root, split, strict=True)  # type: ignore[arg-type]
        assert [sample.path.name for sample in dataset.samples] == [name]
        assert dataset.samples[0].boxes_xyxy.tolist() == PIXELS
        assert (dataset.labels, dataset.format) == (("fork",), "yolo")


def test_data_yaml_in_a_folder_of_its_own_is_read(tmp_path: Path) -> None:
    root = write_described(tmp_path, "")
    (root / "data.yaml").unlink()
    (root / "cfg").mkdir()
    text = "train: D:\\ds\\images\\train\nval: images/val/*.png\nnames: [fork]\n"
    (root / "cfg" / "forks.yml").write_text(text, encoding="utf-8")
    for split, name in (("train", "a.png"), ("val", "b.png")):
        dataset = load_dataset(root, split, strict=True)  # type: ignore[arg-type]
        assert [sample.path.name for sample in dataset.samples] == [name]


def test_data_yaml_part_of_a_split_that_is_missing_is_reported(tmp_path: Path) -> None:
    root = write_described(tmp_path, "train: [images/train, images/more]\nval: images/val\nnames: [fork]\n")
    dataset = load_dataset(root, "train")
    assert len(dataset) == 1
    assert "some of its train images are in 'images/more', which does not exist" in dataset.problems[0].message


def test_list_beside_label_files_is_none_of_them(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_pair(tmp_path / f"{name}.png", tmp_path / f"{name}.txt")
    (tmp_path / "train_list.txt").write_text("a.png\n", encoding="utf-8")
    (tmp_path / "val_list.txt").write_text("b.png\n", encoding="utf-8")
    assert open_dataset(tmp_path).splits == ("train", "val")
    assert load_dataset(tmp_path, "val", strict=True).samples[0].path.name == "b.png"


def test_data_yaml_class_names_stay_text(tmp_path: Path) -> None:
    root = write_described(tmp_path, "train: images/train\nval: images/val\nnames: {3: no, 0: yes, 5: 1.10}\n")
    (root / "labels" / "train" / "a.txt").write_text("3 0.5 0.5 0.5 0.25\n5 0.5 0.5 0.1 0.1\n", encoding="utf-8")
    dataset = load_dataset(root, "train", strict=True)
    assert dataset.labels == ("yes", "no", "1.10")
    assert dataset.samples[0].class_ids.tolist() == [1, 2]


def test_data_yaml_wrong_class_count_is_reported(tmp_path: Path) -> None:
    root = write_described(tmp_path, "train: images/train\nval: images/val\nnames: [fork]\nnc: 3\n")
    assert "nc is 3, but names has 1 classes" in load_dataset(root, "train").problems[0].message


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("train: images/train\nnames: []\n", "names must be a list of different class names"),
        *((f"train: images/train\nnames: {names}\n", "names must be") for names in ("[a, a]", "{a: b}", "[[a]]")),
        ("train: images/train\nnames: [a\n", "invalid YAML"),
        ("train:\nnames: [a]\n", "no images: state their folders"),
        ("train: photos/train\nnames: [a]\n", "its train images are in 'photos/train', which does not exist"),
    ],
)
def test_invalid_data_yaml_raises_with_its_name(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(DataError, match=rf"data\.yaml.*{match}"):
        load_dataset(write_described(tmp_path, text))


@pytest.mark.parametrize("stated", ["/", ".."])
def test_data_yaml_whose_images_are_in_a_folder_around_the_dataset_raises(tmp_path: Path, stated: str) -> None:
    with pytest.raises(DataError, match=r"its train images are in '[/.]+', which does not exist in the dataset"):
        load_dataset(write_described(tmp_path, f"train: {stated}\nval: {stated}\nnames: [a]\n"))


def test_missing_pyyaml_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    root = write_described(tmp_path, "train: images/train\nval: images/val\nnames: [fork]\n")
    assert main(["data", "inspect", str(root)]) == 2
    assert 'run: pip install "edge-ssd[train]"' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("image", "labels", "split"),
    [
        ("images/train/a.png", "labels/train/a.txt", "train"),
        ("train/images/a.png", "train/labels/a.txt", "train"),
        ("valid/a.png", "valid/a.txt", "val"),
        ("images/a.png", "labels/a.txt", ""),
        ("a.png", "a.txt", ""),
        ("a.b.png", "a.b.txt", ""),
        ("obj_train_data/a b.png", "obj_train_data/a b.txt", "train"),
    ],
)
def test_yolo_layouts_without_data_yaml(tmp_path: Path, image: str, labels: str, split: str) -> None:
    root = tmp_path / "images of cutlery"
    write_pair(root / image, root / labels)
    assert open_dataset(root).splits == ((split,) if split else ())
    dataset = load_dataset(root, strict=True)
    assert dataset.samples[0].path == root / image
    assert dataset.samples[0].boxes_xyxy.tolist() == PIXELS
    assert dataset.labels == ("class_0",)
    assert load_dataset(root, labels=["fork"]).labels == ("fork",)
    (root / "classes.txt").write_text("\ufeffspoon\r\nfork\r\n", encoding="utf-8")
    assert load_dataset(root, strict=True).labels == ("spoon", "fork")


@pytest.mark.parametrize("line", ["images/b.png", "./images/b.png", "data\\images\\b.png", "/home/me/set/images/b.png"])
def test_yolo_lists_are_splits(tmp_path: Path, line: str) -> None:
    for name in "abc":
        write_pair(tmp_path / "images" / f"{name}.png", tmp_path / "labels" / f"{name}.txt")
    (tmp_path / "train.txt").write_text("images/a.png\r\nimages/c.png\r\n", encoding="utf-8")
    (tmp_path / "val.txt").write_text(f"{line}\n", encoding="utf-8")
    assert open_dataset(tmp_path).splits == ("train", "val")
    assert [sample.path.name for sample in load_dataset(tmp_path, "train").samples] == ["a.png", "c.png"]
    assert load_dataset(tmp_path, "val", strict=True).samples[0].path == tmp_path / "images" / "b.png"
    (tmp_path / "data.yaml").write_text("train: train.txt\nval: [val.txt]\nnames: [fork]\n", encoding="utf-8")
    assert [sample.path.name for sample in load_dataset(tmp_path, "train").samples] == ["a.png", "c.png"]
    (tmp_path / "val.txt").write_text("images/lost.png\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"val\.txt: 1 of 1 labeled image does not exist, the first is 'lost\.png'"):
        load_dataset(tmp_path, "val")


@pytest.mark.parametrize(
    ("line", "box"),
    [
        ("0 0.25 0.25 0.5 0.75 0.75 0.5", [15, 10, 45, 30]),  # a triangle
        ("0 .25 .25 .75 .25 .75 .75 .25 .75", [15, 10, 45, 30]),  # a rotated box, by its corners
    ],
)
def test_yolo_polygons_become_boxes_with_a_notice(tmp_path: Path, line: str, box: list[float]) -> None:
    write_pair(tmp_path / "images" / "a.png", tmp_path / "labels" / "a.txt", f"{line}\n{BOX}")
    dataset = load_dataset(tmp_path, strict=True)
    assert dataset.samples[0].boxes_xyxy.tolist() == [box, *PIXELS]
    assert "1 of 2 objects are polygons, masks or rotated boxes" in dataset.notices[0].message


def test_yolo_keypoints_are_recognized_by_data_yaml(tmp_path: Path) -> None:
    text = "train: images/train\nval: images/val\nnames: [fork]\nkpt_shape: [2, 2]\n"
    root = write_described(tmp_path, text)
    (root / "labels" / "train" / "a.txt").write_text("0 0.5 0.5 0.5 0.25 0.1 0.1 0.2 0.2\n", encoding="utf-8")
    assert load_dataset(root, "train").samples[0].boxes_xyxy.tolist() == PIXELS


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("1 0.5 0.5 0.1 0.1", "line 2: class id 1 has no name, only 0 to 0 have"),
        ("-1 0.5 0.5 0.1 0.1", "line 2: -1 is not a class id"),
        ("0.5 0.5 0.5 0.1 0.1", "0.5 is not a class id"),
        ("99999 0.5 0.5 0.1 0.1", "99999 is not a class id"),
        ("nan 0.5 0.5 0.1 0.1", "line 2: no class id"),
        ("fork 0.5 0.5 0.1 0.1", "expected a class id and numbers"),
        ("0 0.5 0.5 0.1", "line 2: 3 numbers after the class id"),
        ("0 0.5 0.5 0.1 0.1 0.9 0.9 0.9", "line 2: 7 numbers after the class id"),
        ("0 0.1 0.1 0.2 0.2 0.3 nan", "two points or more with finite coordinates"),
        ("0 0.5 0.5 nan 0.1", "not finite"),
    ],
)
def test_yolo_unreadable_line_drops_its_image(tmp_path: Path, line: str, word: str) -> None:
    write_pair(tmp_path / "images" / "a.png", tmp_path / "labels" / "a.txt", f"{BOX}{line}\n")
    write_pair(tmp_path / "images" / "b.png", tmp_path / "labels" / "b.txt")
    (tmp_path / "classes.txt").write_text("fork\n", encoding="utf-8")
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["b.png"]
    assert [word in problem.message for problem in dataset.problems] == [True], dataset.problems
    assert dataset.problems[0].path == tmp_path / "labels" / "a.txt"
    assert "a.png is dropped" in dataset.problems[0].message
    with pytest.raises(DataError):
        load_dataset(tmp_path, strict=True)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("0 0.5 0.5 0 0.1", "no area"),
        ("0 0.5 0.5 -0.1 0.1", "reversed"),
        ("0 320 240 100 80", "outside the image of 60×40"),
        ("0 1e300 1e300 1e299 1e299", "outside"),
        ("0 0.99 0.5 0.2 0.1", "clipped"),
        ("0 5e-1 0.5 0.5 2.5e-1", "is the same as line 1"),
    ],
)
def test_yolo_invalid_box_is_dropped_or_clipped_and_reported(tmp_path: Path, line: str, word: str) -> None:
    write_pair(tmp_path / "images" / "a.png", tmp_path / "labels" / "a.txt", f"{BOX}{line}\n")
    dataset = load_dataset(tmp_path)
    assert dataset.samples[0].boxes_xyxy.tolist()[:1] == PIXELS
    assert [word in problem.message for problem in dataset.problems] == [True], dataset.problems
    assert dataset.problems[0].path == tmp_path / "labels" / "a.txt"
    with pytest.raises(DataError):
        load_dataset(tmp_path, strict=True)


def test_yolo_confidence_after_a_box_is_read_over(tmp_path: Path) -> None:
    write_pair(tmp_path / "images" / "a.png", tmp_path / "labels" / "a.txt", BOX.replace("\n", " 0.91\n"))
    assert load_dataset(tmp_path, strict=True).samples[0].boxes_xyxy.tolist() == PIXELS


def test_yolo_class_ids_counted_from_one_are_shifted_and_reported(tmp_path: Path) -> None:
    for name, class_id in (("a", 1), ("b", 2)):
        write_pair(tmp_path / f"{name}.png", tmp_path / f"{name}.txt", BOX.replace("0", str(class_id), 1))
    (tmp_path / "classes.txt").write_text("fork\nknife\n", encoding="utf-8")
    dataset = load_dataset(tmp_path)
    assert [sample.class_ids.tolist() for sample in dataset.samples] == [[0], [1]]
    assert "class ids are 1 to 2, names are for 0 to 1: read as counted from 1" in dataset.problems[0].message
    write_pair(tmp_path / "c.png", tmp_path / "c.txt")  # id 0
    assert [sample.path.name for sample in load_dataset(tmp_path).samples] == ["a.png", "c.png"]


def test_yolo_rounding_beyond_the_image_border_is_accepted(tmp_path: Path) -> None:
    write_pair(tmp_path / "images" / "a.png", tmp_path / "labels" / "a.txt", "0 0.5 0.5 1.000001 1.000001\n")
    assert load_dataset(tmp_path, strict=True).samples[0].boxes_xyxy.tolist() == [[0, 0, 60, 40]]


def test_yolo_empty_and_missing_label_files_are_background(tmp_path: Path) -> None:
    write_pair(tmp_path / "images" / "a.png", tmp_path / "labels" / "a.txt")
    write_pair(tmp_path / "images" / "b.png", tmp_path / "labels" / "b.txt", "\r\n")
    write_image(tmp_path / "images" / "c.png")
    (tmp_path / "classes.txt").write_text("fork\n", encoding="utf-8")
    dataset = load_dataset(tmp_path, strict=True)
    assert [len(sample.class_ids) for sample in dataset.samples] == [1, 0, 0]
    expected = "1 image without a label file: used as background (c.png)"
    assert [notice.message for notice in dataset.notices] == [expected]


def test_yolo_labels_without_image_and_binary_files_are_reported(tmp_path: Path) -> None:
    for name in "ab":
        write_pair(tmp_path / "images" / f"{name}.png", tmp_path / "labels" / f"{name}.txt")
    (tmp_path / "labels" / "lost.txt").write_text(BOX, encoding="utf-8")
    (tmp_path / "labels" / "classes.txt").write_text("fork\n", encoding="utf-8")
    (tmp_path / "labels" / "b.txt").write_bytes(b"\xff0\x80\x00")
    dataset = load_dataset(tmp_path)
    assert dataset.labels == ("fork",)
    problems = [(problem.path.name, problem.message.split()[0]) for problem in dataset.problems]
    assert problems == [("b.txt", "not"), ("lost.txt", "image")]
    assert [sample.path.name for sample in dataset.samples] == ["a.png"]


def test_yolo_image_is_no_background_while_a_label_file_has_no_image(tmp_path: Path) -> None:
    for name in ("p1", "p2"):
        write_pair(tmp_path / "images" / f"{name}.png", tmp_path / "labels" / f"{name}.txt")
    (tmp_path / "labels" / "p2.txt").rename(tmp_path / "labels" / "p02.txt")
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["p1.png"]
    expected = "not used as background: 1 image without a label file, such as p2.png"
    assert any(expected in str(one) for one in dataset.problems)


@pytest.mark.parametrize("folder", ["labels", "images"])
def test_yolo_label_file_may_be_named_after_the_whole_image_name(tmp_path: Path, folder: str) -> None:
    write_pair(tmp_path / "images" / "a.png", tmp_path / folder / "a.png.txt")
    assert load_dataset(tmp_path, strict=True).num_boxes == 1


def test_yolo_label_that_is_no_file_drops_its_image(tmp_path: Path) -> None:
    for name in "abc":
        write_pair(tmp_path / "images" / f"{name}.png", tmp_path / "labels" / f"{name}.txt")
    (tmp_path / "labels" / "b.txt").unlink()
    (tmp_path / "labels" / "b.txt").mkdir()
    (tmp_path / "labels" / "c.txt").unlink()
    (tmp_path / "labels" / "c.txt").symlink_to("lost.txt")
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["a.png"]
    assert [problem.message for problem in dataset.problems] == [
        f"no regular file; {name}.png is dropped" for name in "bc"
    ]


def test_yolo_label_file_that_only_another_folder_has_is_not_used(tmp_path: Path) -> None:
    for name in "ab":
        write_pair(tmp_path / "images" / f"{name}.png", tmp_path / "labels" / f"{name}.txt")
        write_pair(tmp_path / "images" / f"{name}.png", tmp_path / "labels_old" / f"{name}.txt", "0 0.1 0.1 0.1 0.1")
    (tmp_path / "labels" / "b.txt").unlink()
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["a.png"]
    assert dataset.samples[0].boxes_xyxy.tolist() == PIXELS
    assert "not used, since the labels are in labels" in dataset.problems[0].message


def test_yolo_label_file_of_another_split_is_not_used(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_pair(tmp_path / split / "images" / "1.png", tmp_path / split / "labels" / "1.txt")
    write_pair(tmp_path / "val" / "images" / "2.png", tmp_path / "val" / "labels" / "2.txt")
    write_image(tmp_path / "train" / "images" / "2.png")
    train = load_dataset(tmp_path, "train", strict=True)
    assert {sample.path.name: len(sample.class_ids) for sample in train.samples} == {"1.png": 1, "2.png": 0}


@pytest.mark.parametrize("folder", ["{}/labels", "{}"])
def test_yolo_labels_have_the_classes_of_the_nearest_file(tmp_path: Path, folder: str) -> None:
    for split, names in (("train", "fork\nknife\n"), ("val", "knife\nfork\nspoon\n")):
        write_pair(tmp_path / split / "images" / "a.png", tmp_path / split / "labels" / "a.txt")
        write_image(tmp_path / split / "images" / "empty.png")
        (tmp_path / folder.format(split) / "classes.txt").write_text(names, encoding="utf-8")
    opened = open_dataset(tmp_path)
    for split, name in (("train", "fork"), ("val", "knife")):
        dataset = opened.load(split)  # type: ignore[arg-type]
        assert [dataset.labels[i] for sample in dataset.samples for i in sample.class_ids] == [name]
        assert {*dataset.labels} == {"fork", "knife", "spoon"}
        assert re.search(r"class 0 is 'fork' in train/.*, but 'knife' in val/.*: each is used", str(dataset.notices))
    # Of files that agree, the one that names more classes is used.
    (tmp_path / folder.format("val") / "classes.txt").write_text("fork\n", encoding="utf-8")
    assert load_dataset(tmp_path).labels == ("fork", "knife")


@pytest.mark.parametrize(
    ("places", "match"),
    [
        (("labels/classes.txt", "labels/obj.names"), "remove the wrong one"),
        (("old/classes.txt", "new/classes.txt"), r"neither is in a folder of labels/a\.txt: keep one"),
    ],
)
def test_yolo_files_of_class_names_that_contradict_raise(tmp_path: Path, places: tuple[str, str], match: str) -> None:
    write_pair(tmp_path / "images" / "a.png", tmp_path / "labels" / "a.txt")
    for place, names in zip(places, ("fork\nknife\n", "knife\nfork\n"), strict=True):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(names, encoding="utf-8")
    with pytest.raises(DataError, match=rf"class 0 is '\w+' in .*, but '\w+' in .*{match}"):
        load_dataset(tmp_path)


def test_yolo_descriptions_that_contradict_raise_unless_one_has_the_usual_name(tmp_path: Path) -> None:
    write_described(tmp_path, "train: images/train\nval: images/val\nnames: [fork, knife]\n")
    other = "train: images/train\nval: images/val\nnames: [knife, fork]\n"
    (tmp_path / "args.yaml").write_text(other, encoding="utf-8")
    dataset = load_dataset(tmp_path, "train")
    assert dataset.labels == ("fork", "knife")
    assert "class 0 is 'fork' in data.yaml, but 'knife' in args.yaml, which is not used" in str(dataset.notices[0])
    (tmp_path / "data.yaml").rename(tmp_path / "cutlery.yaml")
    with pytest.raises(DataError, match=r"class 0 is 'knife' in args\.yaml, but 'fork' in cutlery\.yaml: remove"):
        load_dataset(tmp_path, "train")


@pytest.mark.parametrize("extra", ["0.91 7", "0.4 0.4 2.0 0.6 0.6 2.0"])
def test_yolo_numbers_after_a_box_that_are_no_points_are_not_used(tmp_path: Path, extra: str) -> None:
    write_pair(tmp_path / "images" / "a.png", tmp_path / "labels" / "a.txt", BOX.replace("\n", f" {extra}\n"))
    (tmp_path / "classes.txt").write_text("fork\n", encoding="utf-8")
    dataset = load_dataset(tmp_path, strict=True)
    assert dataset.samples[0].boxes_xyxy.tolist() == PIXELS
    assert [notice.message for notice in dataset.notices] == [
        f"{len(extra.split())} numbers follow each box, which are no points of a polygon: not used"
    ]


LINES = {  # eight boxes all over the image, with the corners of a triangle in each
    f"{x} {y}": f"{x} {y} 0.2 0.1"
    for x, y in ((0.2, 0.2), (0.8, 0.3), (0.3, 0.8), (0.5, 0.5), (0.9, 0.9), (0.15, 0.6), (0.6, 0.15), (0.7, 0.7))
}


@pytest.mark.parametrize(
    "extra",
    [
        *("0.91 1", "1 0.91", "0.5 0.5 0"),  # confidence and track; a point with its visibility
        "{x} {y} 1 {x} {y} 0",  # keypoints with their visibility, and without
        "{x} {y} {left} {y}",
    ],
)
def test_yolo_numbers_up_to_one_after_a_box_are_recognized_by_the_whole_set(tmp_path: Path, extra: str) -> None:
    for number, (center, box) in enumerate(LINES.items()):
        x, y = map(float, center.split())
        text = f"0 {box} {extra.format(x=x, y=y, left=x - 0.08)}\n"
        write_pair(tmp_path / "images" / f"{number}.png", tmp_path / "labels" / f"{number}.txt", text)
    (tmp_path / "classes.txt").write_text("fork\n", encoding="utf-8")
    dataset = load_dataset(tmp_path)
    assert dataset.samples[1].boxes_xyxy[0].tolist() == pytest.approx([42, 10, 54, 14], abs=1e-3)
    assert len(dataset) == len(LINES)
    assert "numbers follow each box" in dataset.notices[0].message


@pytest.mark.parametrize("corners", [3, 4, 5])
def test_yolo_polygons_of_equally_many_corners_stay_polygons(tmp_path: Path, corners: int) -> None:
    pairs = [(-0.06, -0.05), (0.07, -0.06), (0.06, 0.07), (-0.05, 0.06), (-0.07, 0.01)][:corners]
    for number, center in enumerate(LINES):
        x, y = map(float, center.split())
        text = "0 " + " ".join(f"{x / 2 + a:.4f} {y / 2 + b:.4f}" for a, b in pairs)
        write_pair(tmp_path / "images" / f"{number}.png", tmp_path / "labels" / f"{number}.txt", text)
    (tmp_path / "classes.txt").write_text("fork\n", encoding="utf-8")
    dataset = load_dataset(tmp_path, strict=True)
    assert [notice.message.split(":")[0] for notice in dataset.notices] == [
        "8 of 8 objects are polygons, masks or rotated boxes"
    ]


def test_yolo_polygons_in_one_place_that_may_be_keypoints_are_named(tmp_path: Path) -> None:
    for number in range(10):
        # A camera that never moves: the second corner is as near to the corners of every other line.
        x, y = 0.3 + number % 3 / 300, 0.3 + number % 4 / 300
        text = f"0 {x:.4f} {y:.4f} {0.36 - x / 9:.4f} {0.4 - y / 7:.4f} {x + 0.1:.4f} {y:.4f}\n"
        write_pair(tmp_path / "images" / f"{number}.png", tmp_path / "labels" / f"{number}.txt", text)
    (tmp_path / "classes.txt").write_text("fork\n", encoding="utf-8")
    dataset = load_dataset(tmp_path)
    assert "10 of 10 objects are polygons" in str(dataset.notices)
    with pytest.raises(DataError, match="if they are boxes with keypoints, state these"):
        load_dataset(tmp_path, strict=True)


def test_yolo_split_without_label_files_raises(tmp_path: Path) -> None:
    root = write_described(tmp_path, "train: images/train\nval: images/val\ntest: images/test\nnames: [fork]\n")
    write_image(root / "images" / "test" / "t.png")
    assert len(load_dataset(root, "val")) == 1
    with pytest.raises(DataError, match="no image has a label file"):
        load_dataset(root, "test")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.txt", "0: bolt\n1: nut\n"),
        ("labels/class_names.txt", "bolt\nnut\n"),
        ("train/_darknet.labels", "bolt\nnut\n"),
        ("notes.json", '{"categories": [{"id": 1, "name": "nut"}, {"id": 0, "name": "bolt"}], "info": {}}'),
    ],
)
def test_yolo_class_names_of_other_tools_are_read(tmp_path: Path, name: str, text: str) -> None:
    write_pair(tmp_path / "images" / "a.png", tmp_path / "labels" / "a.txt", "1 0.5 0.5 0.5 0.25\n")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert load_dataset(tmp_path, strict=True).labels == ("bolt", "nut")


def test_yolo_label_files_of_two_folders_that_fit_equally_well_are_named(tmp_path: Path) -> None:
    for name in "ab":
        for folder in ("labels_v1", "labels_v2"):
            write_pair(tmp_path / "images" / f"{name}.png", tmp_path / folder / f"{name}.txt")
    with pytest.raises(DataError, match=r"labels_v1/a\.txt and labels_v2/a\.txt may both be its labels: keep one"):
        load_dataset(tmp_path)


def test_yolo_label_files_named_by_uploads_are_found(tmp_path: Path) -> None:
    for number, name in enumerate("ab"):
        write_pair(tmp_path / "images" / f"{name}.png", tmp_path / "labels" / f"a1b2c3d{number}-{name}.txt")
    dataset = load_dataset(tmp_path, strict=True)
    assert [len(sample.boxes_xyxy) for sample in dataset.samples] == [1, 1]
    assert "named by uploads, such as 'a1b2c3d0-a.txt' for 'a.png': used" in dataset.notices[0].message


def test_yolo_files_in_utf_16_are_read(tmp_path: Path) -> None:
    root = write_described(tmp_path, "")
    (root / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [größe]\n", encoding="utf-16")
    (root / "labels" / "val" / "b.txt").write_text(BOX, encoding="utf-16")
    dataset = load_dataset(root, "val", strict=True)
    assert dataset.labels == ("größe",)
    assert dataset.samples[0].boxes_xyxy.tolist() == PIXELS


def test_corners_and_a_name_in_a_dataset_that_is_read_as_yolo_name_the_format(tmp_path: Path) -> None:
    root = write_described(tmp_path, "train: images/train\nval: images/val\nnames: [bolt]\n")
    for name in ("train/a", "val/b"):
        (root / "labels" / f"{name}.txt").write_text("1 2 30 2 30 20 1 20 bolt 0\n", encoding="utf-8")
    assert load_dataset(root, "train").format == "dota"
    with pytest.raises(DataError, match="--format dota"):
        load_dataset(DataSource(root, format="yolo"), "train")


def test_yolo_label_folder_may_have_any_name(tmp_path: Path) -> None:
    for split in ("Train", "VAL"):
        write_pair(tmp_path / "Pictures" / split / "a.png", tmp_path / "TXT" / split / "a.txt")
    opened = open_dataset(tmp_path)
    assert opened.splits == ("train", "val")
    assert opened.load("val", strict=True).samples[0].path == tmp_path / "Pictures" / "VAL" / "a.png"


def test_data_yaml_in_another_encoding_raises(tmp_path: Path) -> None:
    root = write_described(tmp_path, "")
    (root / "data.yaml").write_bytes("train: images/train\nval: images/val\nnames: [螺栓]\n".encode("gbk"))
    with pytest.raises(DataError, match=r"data\.yaml: not UTF-8 text.*save it as UTF-8"):
        load_dataset(root)


def test_data_yaml_with_the_same_images_for_train_and_val_is_undivided(tmp_path: Path) -> None:
    write_pair(tmp_path / "images" / "a.png", tmp_path / "labels" / "a.txt")
    (tmp_path / "data.yaml").write_text("train: images\nval: images\nnames: [fork]\n", encoding="utf-8")
    assert open_dataset(tmp_path).splits == ()
    assert "train and val are the same images" in load_dataset(tmp_path, strict=True).notices[0].message


def test_data_yaml_missing_split_is_not_taken_for_the_images_of_all_splits(tmp_path: Path) -> None:
    write_pair(tmp_path / "images" / "a.png", tmp_path / "labels" / "a.txt")
    text = "train: images\nval: ../valid/images\nnames: [fork]\n"
    (tmp_path / "data.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"its val images are in '\.\./valid/images', which does not exist"):
        load_dataset(tmp_path, "val")
    assert len(load_dataset(tmp_path, "train", strict=False)) == 1


@pytest.mark.parametrize(
    ("longer", "fact"),
    [
        ("0.91 7", "2 numbers follow each box"),
        ("0.3 0.3 2 0.4 0.4 2", "6 numbers follow each box"),
        (
            "0.3 0.3 0.4 0.4",
            "8 numbers after the class id in 1 line, 4 in the others: read as polygons (0.txt, line 1)",
        ),
        ("1.7", "the fifth number after the class id is no confidence (1.7 in 0.txt, line 1)"),
    ],
)
def test_yolo_numbers_after_the_box_in_one_line_are_named(tmp_path: Path, longer: str, fact: str) -> None:
    for number, box in enumerate(LINES.values()):
        text = f"0 {box} {longer if not number else ''}\n"
        write_pair(tmp_path / "images" / f"{number}.png", tmp_path / "labels" / f"{number}.txt", text)
    (tmp_path / "classes.txt").write_text("fork\n", encoding="utf-8")
    assert fact in str(load_dataset(tmp_path).notices[0])


def test_yolo_polygon_with_a_number_that_is_no_coordinate_drops_its_image(tmp_path: Path) -> None:
    texts = ["0 0.1 0.1 0.2 0.2 0.1 0.3\n", "0 0.1 0.1 0.2 0.2 0.1 0.3 0.5 0.4\n", "0 0.1 0.1 0.2 0.2 0.91 7\n"]
    for number, text in enumerate(texts):
        write_pair(tmp_path / "images" / f"{number}.png", tmp_path / "labels" / f"{number}.txt", text)
    (tmp_path / "classes.txt").write_text("fork\n", encoding="utf-8")
    dataset = load_dataset(tmp_path)
    assert len(dataset) == 2
    assert "no polygon in 0 to 1, with the number 7" in str(dataset.problems[0])


def test_yolo_class_id_beyond_all_numbers_is_one_of_the_named(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("1 0.5 0.5 0.2 0.2", encoding="utf-8")
    (tmp_path / "data.yaml").write_text(f"names: {{0: bolt, {10**20}: nut}}\ntrain: images\n", encoding="utf-8")
    with pytest.raises(DataError, match="class id 1 has no name, only 0, 100000000000000000000 have"):
        load_dataset(tmp_path)
