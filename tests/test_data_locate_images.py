"""edge_ssd.data.file_tree, file_index and locate_images: which image file and which split a label belongs to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from label_writers import LabeledImage, write_d2l_split, write_image, write_voc, write_voc_xml

from edge_ssd.data.file_index import FileIndex
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.data.split_names import split_from_words
from edge_ssd.errors import DataError

CAT = ("cat", (1.0, 2.0, 30.0, 20.0))


def write_files(root: Path, *names: str) -> FileTree:
    for name in names:
        write_image(root / name)
    return FileTree(root)


def find(root: Path, stated: str, label_file: str = "labels.csv", split: str = "") -> str | None:
    tree = FileTree(root)
    found = FileIndex(tree, tree.images()).find(stated, root / label_file, split)
    return None if found.path is None else tree.relative(found.path)


def test_hidden_files_and_what_is_no_file_are_left_out(tmp_path: Path) -> None:
    write_files(tmp_path, "a.png", "._a.png", ".ipynb_checkpoints/a-checkpoint.png", "__MACOSX/a.png", "b/c.PNG")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    (tmp_path / "lost.png").symlink_to(tmp_path / "nowhere.png")
    tree = FileTree(tmp_path)
    assert [tree.relative(path) for path in tree.images()] == ["a.png", "b/c.PNG"]
    assert tree.special == [tmp_path / "pipe.png"]


def test_links_to_folders_are_followed_but_not_upwards(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_files(tmp_path, "set/a.png", "disk/images/b.png", "disk/c.png")
    targets = {"up": tmp_path, "top": Path("/"), "all": tmp_path / "disk", "some": root / "all" / "images"}
    for link, target in targets.items():
        (root / link).symlink_to(target)
    # In the linked folder: to what contains it, and to a folder that is listed there.
    (tmp_path / "disk" / "images" / "up").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "twin").symlink_to(tmp_path / "disk" / "images")
    tree = FileTree(root)
    assert [tree.relative(path) for path in tree.images()] == ["a.png", "all/c.png", "all/images/b.png", "some/b.png"]


def test_links_of_folders_to_each_other_end(tmp_path: Path) -> None:
    """Twelve folders have 10⁹ paths by these links."""
    folders = [tmp_path / "disk" / str(number) for number in range(12)]
    for folder in folders:
        write_image(folder / "a.png")
        for other in folders:
            (folder / f"to{other.name}").symlink_to(other)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "link").symlink_to(tmp_path / "disk")
    assert len(FileTree(tmp_path / "set").images()) >= 12


def test_unreadable_folder_raises_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)  # root may list every folder
    with pytest.raises(DataError, match=r"cannot be read \(Permission denied\): check its permissions"):
        FileTree(tmp_path)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("a.png", "images/a.png"),
        ("images/a.png", "images/a.png"),
        ("C:\\Users\\me\\images\\a.png", "images/a.png"),
        ("https://example.com/set/a.png?token=b.png", "images/a.png"),
        ("/data/upload/3/0f3a9bcd-a.png", "images/a.png"),
        ("/data/local-files/?d=set/images/a.png", "images/a.png"),
        ("my%20photo.png", "my photo.png"),
        ("A.PNG", "images/a.png"),
        ("a.jpg", "images/a.png"),
        ("a", "images/a.png"),
        ("img.2024.05", "img.2024.05.jpg"),
        ("b.png", None),
        ("", None),
        ("../..", None),
    ],
)
def test_stated_name_finds_its_image(tmp_path: Path, stated: str, expected: str | None) -> None:
    write_files(tmp_path, "images/a.png", "my photo.png", "img.2024.05.jpg")
    assert find(tmp_path, stated) == expected


@pytest.mark.parametrize(
    ("stated", "label_file", "split", "expected"),
    [
        ("0.png", "one/labels.json", "", "one/images/0.png"),  # the folder of the label file
        ("0.png", "labels/two/0.xml", "", "two/images/0.png"),  # the same folder name elsewhere
        ("two/images/0.png", "one/labels.json", "", "two/images/0.png"),  # the stated folder
        ("0.png", "labels.json", "", None),  # may be either
        ("0.png", "val.json", "val", None),  # the only one of another split, which has a folder of its own
        ("1.png", "val.json", "val", "val/1.png"),
        ("1.png", "labels/train.json", "train", "train/1.png"),
        ("2.png", "val.json", "val", None),
        ("train/2.png", "val.json", "val", "train/2.png"),
        ("2.png", "test.json", "test", "train/2.png"),  # no folder states "test"
    ],
)
def test_images_of_the_same_name_are_distinguished(
    tmp_path: Path, stated: str, label_file: str, split: str, expected: str | None
) -> None:
    write_files(tmp_path, "one/images/0.png", "two/images/0.png", "train/1.png", "val/1.png", "train/2.png")
    assert find(tmp_path, stated, label_file, split) == expected


def test_image_that_may_be_either_is_dropped_with_both_names(tmp_path: Path) -> None:
    write_files(tmp_path, "one/0.png", "two/0.png", "two/1.png")
    for name in ("0", "1"):
        write_voc_xml(tmp_path / "xml" / f"{name}.xml", f"{name}.png", [CAT])
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["1.png"]
    assert "may be any of one/0.png, two/0.png: state its folder" in dataset.problems[0].message


def test_guessed_names_are_said_once_with_their_number(tmp_path: Path) -> None:
    for name in "abc":
        write_image(tmp_path / f"{name}.png")
    rows = [f"/data/upload/1/0123abcd-{name}.png,cat,1,2,3,4" for name in "ab"]
    write_d2l_split(tmp_path, [*rows, "C.PNG,cat,1,2,3,4"], [])
    messages = [notice.message for notice in load_dataset(tmp_path, strict=True).notices]
    assert messages == [
        "2 images are named by upload paths in the label files ('/data/upload/1/0123abcd-a.png' is taken for 'a.png'); "
        "used",
        "1 image is named in other upper and lower case in the label files ('C.PNG' is 'c.png'); used",
    ]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("Valid", "val"),
        ("instances_train2017", "train"),
        ("bananas-test", "test"),
        ("VOC2012_trainval", "train"),
        ("train_val", "train"),
        ("constrain", ""),
        ("train_test_split", ""),
        ("trainset", "train"),
        ("valset", "val"),
        ("TrainImages", "train"),
        ("testData", "test"),
        ("Validierung", "val"),
        ("Trainingsdaten", "train"),
        ("contest", ""),
        ("dataset", ""),
        ("images", ""),
    ],
)
def test_words_of_a_name_state_a_split(name: str, split: str) -> None:
    assert split_from_words(name) == split


@pytest.mark.parametrize(("name", "split"), [("bananas_val", "val"), ("test", "test"), ("test_bench", ""), ("set", "")])
def test_last_word_of_the_root_states_the_split_of_an_undivided_set(tmp_path: Path, name: str, split: str) -> None:
    write_d2l_split(tmp_path / name, ["0.png,cat,1,2,3,4"], ["0.png"])
    assert open_dataset(tmp_path / name).splits == ((split,) if split else ())


def test_folders_of_images_state_splits_of_a_single_label_file(tmp_path: Path) -> None:
    write_files(tmp_path, "train/a.png", "Validation/b.png", "test/c.png")
    rows = "".join(f"{name},cat,1,2,3,4\n" for name in ("train/a.png", "b.png", "c.png"))
    (tmp_path / "boxes.csv").write_text(f"filename,class,xmin,ymin,xmax,ymax\n{rows}", encoding="utf-8")
    assert open_dataset(tmp_path).splits == ("train", "val", "test")
    assert [sample.path.name for sample in load_dataset(tmp_path, "val", strict=True).samples] == ["b.png"]


def test_images_beside_the_folders_of_splits_are_for_training(tmp_path: Path) -> None:
    write_voc_xml(write_files(tmp_path, "images/a.png").root / "images" / "a.xml", "a.png", [CAT])
    write_voc_xml(write_files(tmp_path, "images/test/b.png").root / "images" / "test" / "b.xml", "b.png", [CAT])
    opened = open_dataset(tmp_path)
    assert opened.splits == ("train", "test")
    assert len(opened.load("train")) == 1
    assert "1 image is in no split's folder; used in train" in opened.load("train").notices[0].message


def test_lists_divide_every_format_and_name_what_they_leave_out(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(5)]
    write_voc(tmp_path, [LabeledImage(name, objects=[CAT]) for name in names], ["cat"])
    for path in (tmp_path / "ImageSets" / "Main").iterdir():
        path.unlink()
    (tmp_path / "TrainVal.txt").write_text("0\n1\n2\n", encoding="utf-8")
    (tmp_path / "VALID.txt").write_text("x/y/2.png\n3.png 1\nlost.png\n", encoding="utf-8")
    opened = open_dataset(tmp_path)
    assert opened.splits == ("train", "val")
    stems = {split: [sample.path.stem for sample in opened.load(split).samples] for split in opened.splits}
    assert stems == {"train": ["0", "1"], "val": ["2", "3"]}
    dataset = opened.load("val")
    assert "1 listed image does not exist, such as 'lost.png'" in dataset.problems[0].message
    assert "1 labeled image is in none of VALID.txt, TrainVal.txt; not used" in dataset.notices[0].message


def write_voc_files(root: Path, count: int = 4) -> None:
    for number in range(count):
        write_image(root / "images" / f"{number}.png")
        write_voc_xml(root / "xml" / f"{number}.xml", f"{number}.png", [CAT])


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("train", "val", "line"),
    [
        ("train_list.txt", "val_list.txt", "images/{0}.png xml/{0}.xml\n"),
        ("splits/train_ids.txt", "splits/val_ids.txt", "{0}\n"),
        ("splits/train_ids.csv", "splits/val_ids.csv", "{0}.png\n"),
        ("trainset.csv", "valset.csv", "images/{0}.png,xml/{0}.xml\n"),
        ("ImageSets/Main/cat_train.txt", "ImageSets/Main/cat_val.txt", "{0}  -1\n"),
    ],
)
def test_lists_are_named_by_words(tmp_path: Path, train: str, val: str, line: str) -> None:
    write_voc_files(tmp_path)
    write_text(tmp_path / "test_scores.txt", "0\n1\n1\n0\n1\n")  # numbers, not names of images
    write_text(tmp_path / "train_log.txt", "epoch 0\nepoch 1\n")
    header = "image\n" if train.startswith("splits") and train.endswith(".csv") else ""
    for name, numbers in ((train, "012"), (val, "3")):
        write_text(tmp_path / name, header + "".join(map(line.format, numbers)))
    opened = open_dataset(tmp_path)
    stems = {split: [sample.path.stem for sample in opened.load(split, strict=True).samples] for split in opened.splits}
    assert stems == {"train": ["0", "1", "2"], "val": ["3"]}
    assert "the splits are those of " in opened.load("train").notices[0].message


@pytest.mark.parametrize("other", ["", "spare"])
def test_lists_in_a_folder_for_each_split_are_taken_together(tmp_path: Path, other: str) -> None:
    for number in range(4):
        write_image(tmp_path / "images" / f"{number}.png")
        write_voc_xml(tmp_path / "xml" / f"{number}.xml", f"{number}.png", [("cat", (1, 2, 30, 20))])
    lists = {"a/train.txt": "0\n1\n", "b/val.txt": "2\n3\n"} | ({f"x/{other}/train.txt": "2\n3\n"} if other else {})
    for name, text in lists.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    opened = open_dataset(tmp_path)
    assert {split: len(images) for split, images in opened.located.splits.items()} == {"train": 2, "val": 2}


def test_lists_of_classes_are_read_only_without_those_of_all_classes(tmp_path: Path) -> None:
    write_voc_files(tmp_path, 3)
    folder = tmp_path / "ImageSets" / "Main"
    write_text(folder / "train.txt", "0\n")
    write_text(folder / "val.txt", "1\n2\n")
    write_text(folder / "cat_train.txt", "0 1\n1 1\n2 1\n")
    opened = open_dataset(tmp_path)
    assert [sample.path.stem for sample in opened.load("val").samples] == ["1", "2"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("split.csv", "filename,split\n0.png,train\n1.png,train\n2.png,train\n3.png,val\n"),
        ("images.csv", "id,file,dataset\n9,0,Training\n8,1,Training\n7,2,Training\n6,3,Validation\n"),
        ("meta.csv", "images/0.png,train\nimages/1.png,train\nimages/2.png,train\nimages/3.png,val\n"),
        ("splits.json", '{"train": ["0.png", "1.png", "2.png"], "val": ["3.png"]}'),
    ],
)
def test_table_of_images_states_their_splits(tmp_path: Path, name: str, text: str) -> None:
    write_voc_files(tmp_path)
    write_text(tmp_path / name, text)
    opened = open_dataset(tmp_path)
    stems = {split: [sample.path.stem for sample in opened.load(split, strict=True).samples] for split in opened.splits}
    assert stems == {"train": ["0", "1", "2"], "val": ["3"]}


def test_word_among_others_that_states_the_only_split_is_named(tmp_path: Path) -> None:
    header = "filename,class,xmin,ymin,xmax,ymax\n"
    for folder in ("test_rig", "test", "dev_board", "both"):
        write_image(tmp_path / folder / "images" / "a.png")
    write_text(tmp_path / "test_rig" / "test_rig_export.csv", f"{header}a.png,cat,1,2,3,4\n")
    opened = open_dataset(tmp_path / "test_rig")
    assert opened.splits == ("test",)
    notice = "1 image is the test split, by the name 'test_rig_export': rename it if they are not"
    assert [problem.message for problem in opened.load("test").notices] == [notice]
    write_text(tmp_path / "test" / "test.csv", f"{header}a.png,cat,1,2,3,4\n")
    assert open_dataset(tmp_path / "test").load("test").notices == ()
    write_text(tmp_path / "dev_board" / "dev_board.csv", f"{header}a.png,cat,1,2,3,4\n")
    assert open_dataset(tmp_path / "dev_board").splits == ()
    write_image(tmp_path / "both" / "images" / "b.png")
    write_text(tmp_path / "both" / "dev.csv", f"{header}a.png,cat,1,2,3,4\n")
    write_text(tmp_path / "both" / "train.csv", f"{header}b.png,cat,1,2,3,4\n")
    assert open_dataset(tmp_path / "both").splits == ("train", "val")


def test_folder_of_a_dev_board_is_no_validation_split(tmp_path: Path) -> None:
    write_image(tmp_path / "dev_board" / "a.png")
    write_voc_xml(tmp_path / "dev_board" / "a.xml", "a.png", [CAT])
    assert open_dataset(tmp_path).splits == ()


def test_image_in_two_splits_is_not_trained_on(tmp_path: Path) -> None:
    write_files(tmp_path, "a.png", "b.png")
    header = "filename,class,xmin,ymin,xmax,ymax\n"
    for split, names in (("train", "ab"), ("val", "b")):
        rows = "".join(f"{name}.png,cat,1,2,3,4\n" for name in names)
        (tmp_path / f"{split}.csv").write_text(header + rows, encoding="utf-8")
    opened = open_dataset(tmp_path)
    assert [sample.path.name for sample in opened.load("train").samples] == ["a.png"]
    assert [sample.path.name for sample in opened.load("val").samples] == ["b.png"]
    assert "1 image is in train and also in val, such as b.png: not used in train" in opened.load().problems[0].message


def test_what_was_found_is_logged_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a", "b"):
        write_image(tmp_path / "images" / f"{name}.png")
        write_voc_xml(tmp_path / "annots" / f"{name}.xml", f"{name}.png", [CAT])
    with caplog.at_level("INFO"):
        open_dataset(tmp_path)
    assert caplog.messages == [f"{tmp_path}: Pascal VOC: 2 label files in annots, images in images"]


def test_most_images_missing_raises_and_a_few_are_dropped(tmp_path: Path) -> None:
    write_d2l_split(tmp_path, [f"{number}.png,cat,1,2,3,4" for number in range(4)], ["0.png", "1.png"])
    dataset = load_dataset(tmp_path)
    assert len(dataset) == 2
    assert "image '2.png' does not exist: complete the dataset" in dataset.problems[0].message
    with pytest.raises(DataError, match="does not exist"):
        load_dataset(tmp_path, strict=True)
    (tmp_path / "images" / "1.png").unlink()
    with pytest.raises(DataError, match=r"3 of 4 labeled images do not exist, the first is '1\.png'"):
        load_dataset(tmp_path)


def test_label_files_that_name_another_image_are_one_notice(tmp_path: Path) -> None:
    box = [("fork", (1.0, 2.0, 30.0, 20.0))]
    for name, stated in {"a": "b.png", "b": "c.png", "c": "old 7.png", "d": "d.png"}.items():
        write_image(tmp_path / f"{name}.png")
        write_voc_xml(tmp_path / f"{name}.xml", stated, box)
    dataset = load_dataset(tmp_path)
    assert [notice.message for notice in dataset.notices] == [
        "2 label files name another image than the one of their own name, such as a.xml, which names 'b.png': read as "
        "of a.png; rename the files if that is wrong"
    ]
    with pytest.raises(DataError, match="2 label files name another image"):
        load_dataset(tmp_path, strict=True)
