"""The commands that write a dataset: ``data convert``, ``data split`` and ``data merge``."""

from __future__ import annotations

import resource
import signal
import time
from functools import partial
from pathlib import Path

import pytest
from label_writers import WRITERS, LabeledImage, write_image, write_voc_xml
from PIL import Image
from processes import run_python, start_python

from edge_ssd.cli import main
from edge_ssd.data.load import load_dataset, open_dataset

BOX = (1.0, 2.0, 30.0, 20.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Undivided dataset of 12 images of three classes."""
    root = tmp_path / "photos"
    for number in range(12):
        write_image(root / f"{number}.png", (60 + number, 40))
        write_voc_xml(root / f"{number}.xml", f"{number}.png", [(("bolt", "nut", "washer")[number % 3], BOX)])
    return root


def files(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_data_convert_writes_a_dataset(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(folder)
    out = tmp_path / "new" / "coco"
    arguments = ["data", "convert", str(folder), str(out), "--to", "coco", "--classes", "nut,bolt=screw"]
    assert main([*arguments, "-q"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{out}: COCO JSON, 12 images, 8 boxes"
    assert [line.split() for line in lines[1:]] == [
        ["all"],
        ["images", "12"],
        ["without", "a", "box", "4"],
        ["nut", "4"],
        ["screw", "4"],
    ]
    assert load_dataset(out, strict=True).labels == ("nut", "screw")
    assert files(folder) == before
    assert main(arguments) == 2
    assert "is not an empty folder: choose another" in capsys.readouterr().err


def test_data_split_writes_lists_or_a_divided_copy(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "divided"
    assert main(["data", "split", str(folder), str(out), "--val", "0.25", "--test", "0.25", "--no-near"]) == 0
    assert f"{out}: COCO JSON, 12 images, 12 boxes" in capsys.readouterr().out
    assert {split: len(load_dataset(out, split)) for split in ("train", "val", "test")} == {  # type: ignore[arg-type]
        "train": 6,
        "val": 3,
        "test": 3,
    }
    assert main(["data", "split", str(folder), "--val", "0.25", "--no-near"]) == 0
    printed = capsys.readouterr().out
    assert f"{folder}: divided by train.txt, val.txt; delete these to undo it" in printed
    assert [line.split() for line in printed.splitlines()[1:]] == [
        ["train", "val"],
        ["images", "9", "3"],
        ["bolt", "3", "1"],
        ["nut", "3", "1"],
        ["washer", "3", "1"],
    ]
    assert open_dataset(folder).splits == ("train", "val")
    for arguments, words in (
        ([], "it is divided into train, val: --again divides all of its images"),
        (["--to", "yolo"], "--to and --images are for a divided copy"),
        (["--val", "1"], "--val must be between 0 and 1"),
        (["--seed", "-1"], "--seed must be at least 0"),
    ):
        assert main(["data", "split", str(folder), *arguments]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("error:") == 1
    again = tmp_path / "again"
    assert main(["data", "split", str(folder), str(again), "--again", "--no-near", "--to", "voc", "--seed", "9"]) == 0
    before, after = ({s.path.name for s in load_dataset(root, "val").samples} for root in (folder, again))
    assert before != after


def test_data_split_of_yolo_names_the_yaml_file_of_other_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [LabeledImage(f"{number}.png", "", (60 + number, 40), [("bolt", BOX)]) for number in range(6)]
    for image in images:
        write_image(tmp_path / "images" / image.name, image.size)
        label = tmp_path / "labels" / f"{Path(image.name).stem}.txt"
        label.parent.mkdir(exist_ok=True)
        label.write_text("0 0.5 0.5 0.4 0.4\n")
    yaml = tmp_path / "data.yaml"
    yaml.write_text("train: images\nval: images\nnames: [bolt]\n")
    assert main(["data", "split", str(tmp_path), "--no-near"]) == 0
    err = capsys.readouterr().err
    assert f"{yaml} is unchanged: to train with Ultralytics by these lists, write 'train: train.txt' and 'val: " in err
    # What the line advises is read in the same way.
    yaml.write_text("train: train.txt\nval: val.txt\nnames: [bolt]\n")
    folder = open_dataset(tmp_path)
    assert [len(folder.load(split)) for split in folder.splits] == [5, 1]


def test_data_split_again_replaces_its_own_lists_only(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = ["data", "split", str(folder), "--no-near"]
    assert main([*split, "--val", "0.25", "--test", "0.25"]) == 0
    write_image(folder / "new.png", (99, 40))
    write_voc_xml(folder / "new.xml", "new.png", [("nut", BOX)])
    capsys.readouterr()
    assert main([*split, "--again", "--seed", "3"]) == 0
    captured = capsys.readouterr()
    earlier = "train.txt (6 images), val.txt (3 images), test.txt (3 images)"
    assert f"{folder}: replaced the lists of an earlier division: {earlier}" in captured.err
    assert captured.err.count("Pascal VOC: ") == 1
    # The image that was added since is divided too, and no list remains of the split that is not asked for any more.
    assert sorted(path.name for path in folder.glob("*.txt")) == ["train.txt", "val.txt"]
    assert len(load_dataset(folder).samples) == 13
    assert open_dataset(folder).splits == ("train", "val")
    # A list that a user changed is his: it is not lost.
    (folder / "val.txt").write_text((folder / "val.txt").read_text().replace("./", ""))
    before = files(folder)
    assert main([*split, "--again"]) == 2
    assert "val.txt: this list was not written by data split, or was changed" in capsys.readouterr().err
    assert files(folder) == before
    out = tmp_path / "out"
    assert main([*split[:3], str(out), "--again", "--no-near"]) == 0  # as the message advises
    assert len(load_dataset(out).samples) == 13


def test_data_split_takes_validation_images_from_training_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [LabeledImage(f"{n}.png", "train" if n < 8 else "test", (60 + n, 40), [("nut", BOX)]) for n in range(10)]
    WRITERS["coco"](tmp_path / "in", images, ("nut",))
    arguments = ["data", "split", str(tmp_path / "in"), str(tmp_path / "out"), "--val", "0.25", "--no-near"]
    assert main([*arguments, "--test", "0.2"]) == 2
    assert "it has a test split: omit --test to keep it" in capsys.readouterr().err
    assert main(arguments) == 0
    names = {
        split: {sample.path.name for sample in load_dataset(tmp_path / "out", split).samples}  # type: ignore[arg-type]
        for split in ("train", "val", "test")
    }
    assert names["test"] == {"8.png", "9.png"}
    assert (len(names["train"]), len(names["val"])) == (6, 2)


def test_data_split_replaces_a_split_without_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = [LabeledImage(f"{n}.png", size=(60 + n, 40), objects=[("nut", BOX)]) for n in range(8)]
    WRITERS["yolo"](tmp_path / "in", images, ("nut",))
    with (tmp_path / "in" / "data.yaml").open("a") as file:
        file.write("\nval: images/valid\n")
    out = tmp_path / "out"
    assert main(["data", "split", str(tmp_path / "in"), str(out), "--val", "0.25", "--no-near", "--to", "yolo"]) == 0
    assert "edge-ssd: warning: val is left out: " in capsys.readouterr().err
    assert {split: len(load_dataset(out, split)) for split in ("train", "val")} == {"train": 6, "val": 2}  # type: ignore[arg-type]


def test_data_merge_writes_one_dataset(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(tmp_path / "more" / "0.png", (99, 40))
    write_voc_xml(tmp_path / "more" / "0.xml", "0.png", [("nut", BOX)])
    roots, out = [str(folder), str(tmp_path / "more")], str(tmp_path / "all")
    assert main(["data", "merge", *roots, out, "--to", "yolo", "--images", "link"]) == 0
    printed = capsys.readouterr()
    assert f"{out}: YOLO, 13 images, 13 boxes" in printed.out
    assert "more: it has no class bolt or washer" in printed.err
    names = {sample.path.name for sample in load_dataset(out, strict=True).samples}
    assert {"photos_0.png", "more_0.png", "1.png"} <= names
    assert main(["data", "merge", *roots, "--to", "yolo"]) == 2
    usage = f"edge-ssd data merge {' '.join(roots)} OUT --to yolo"
    assert f"needs two datasets or more, and last the new folder, as in: {usage}" in capsys.readouterr().err
    assert main(["data", "merge", *roots, out, "--to", "yolo"]) == 2
    assert f"{out}: is not an empty folder: the last path is the new folder, as in: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["convert", "{folder}/nothing", "{out}", "--to", "coco"], "no such folder"),
        (["convert", "{folder}", "{folder}/new", "--to", "coco"], "is inside the dataset"),
        (["convert", "{folder}", "{out}"], "--to"),
        (["convert", "{folder}", "{out}", "--to", "coco", "--classes", "screw"], "there is no class 'screw'"),
        (["convert", "{faulty}", "{out}", "--to", "coco", "--strict"], "damaged.png: not a readable image"),
        (["split", "{faulty}", "{out}", "--strict"], "damaged.png: not a readable image"),
        (["merge", "{folder}", "{faulty}", "{out}", "--to", "coco", "--strict"], "damaged.png: not a readable image"),
        (["merge", "{folder}", "{folder}/nothing", "{out}", "--to", "coco"], "no such folder"),
    ],
)
def test_invalid_input_is_one_line_and_nothing_is_written(
    folder: Path, tmp_path: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    faulty, out = tmp_path / "faulty", tmp_path / "out"
    write_image(faulty / "good.png")
    for name in ("good", "damaged"):
        write_voc_xml(faulty / f"{name}.xml", f"{name}.png", [("nut", BOX)])
    (faulty / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    given = [argument.format(folder=folder, faulty=faulty, out=out) for argument in arguments]
    before = files(tmp_path)
    assert main(["data", *given, "-q"]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1
    assert files(tmp_path) == before
    assert not out.exists()


def test_fault_is_dropped_with_a_warning(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "3.png").write_bytes(b"damaged")
    assert main(["data", "convert", str(folder), str(tmp_path / "out"), "--to", "voc"]) == 0
    captured = capsys.readouterr()
    assert "11 images, 11 boxes" in captured.out
    assert "edge-ssd: warning: " in captured.err
    assert "3.png: not a readable image" in captured.err


def test_full_disk_is_one_line_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    """A limit of the file size simulates the full disk: for an image, then for a label file."""
    pixels = Image.effect_noise((200, 200), 80)
    pixels.save(folder / "0.png")
    for limit, to in ((20_000, "yolo"), (300, "coco")):
        set_limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit))
        arguments = ["-m", "edge_ssd", "data", "convert", folder, tmp_path / "out", "--to", to, "-q"]
        done = run_python(*arguments, preexec_fn=set_limit)
        assert done.returncode == 2
        assert done.stderr.startswith(f"edge-ssd: error: {tmp_path / 'out'}: File too large")
        assert len(done.stderr.splitlines()) == 1
        assert [path.name for path in tmp_path.iterdir()] == ["photos"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_process_leaves_the_whole_dataset_or_nothing(tmp_path: Path, number: int) -> None:
    images = [LabeledImage(f"{n}.png", "val" if n % 4 else "train", (60, 40), [("nut", BOX)]) for n in range(200)]
    WRITERS["yolo"](tmp_path / "in", images, ("nut",))
    out = tmp_path / "out"
    arguments = ["-m", "edge_ssd", "data", "convert", tmp_path / "in", out, "--to", "voc", "-q"]
    interrupted = 0
    for attempt in range(4):
        process = start_python(*arguments)
        while not list(tmp_path.glob(".out.*")) and process.poll() is None:  # until it begins to write
            time.sleep(0.002)
        time.sleep(0.01 * attempt)
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
        assert "Traceback" not in error
        if out.exists():
            assert {split: len(load_dataset(out, split, strict=True)) for split in ("train", "val")} == {  # type: ignore[arg-type]
                "train": 50,
                "val": 150,
            }
            break
        interrupted += 1
        if number == signal.SIGINT:
            assert process.returncode in (130, -signal.SIGINT)
            assert [path.name for path in tmp_path.iterdir()] == ["in"]
        for leftover in tmp_path.glob(".out.*"):
            leftover.rename(tmp_path / "in" / leftover.name)  # hidden: left out when the dataset is read
    assert interrupted
    if not out.exists():
        assert run_python(*arguments).returncode == 0
        assert len(load_dataset(out, strict=True)) == 200
