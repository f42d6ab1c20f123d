"""Label files that are made to take all time or memory, or to never end: one clear line, soon."""

from __future__ import annotations

import gzip
import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from label_writers import WRITERS, LabeledImage, write_image, write_voc_xml
from labeled_images import write_text

from edge_ssd.cli import main
from edge_ssd.data.label_files.file_limits import MAX_LABEL_MEGABYTES_VARIABLE, max_label_bytes
from edge_ssd.data.label_files.json_values import parse_json
from edge_ssd.data.label_files.label_map import read_label_map
from edge_ssd.data.label_files.rle import enclose_rle
from edge_ssd.data.label_files.xml_file import parse_xml
from edge_ssd.data.load import load_dataset
from edge_ssd.errors import DataError

pytestmark = pytest.mark.timeout(60)

OBJECTS = [("fork", (1.0, 2.0, 30.0, 20.0))]
YAML = "train: images\nval: images\nnames: [fork]\n"
SECONDS = 2.0


def write_set(root: Path, name: str) -> list[Path]:
    """Write two images in a format; return the label files, the largest ones first."""
    images = [LabeledImage(f"{stem}.png", "train", objects=OBJECTS) for stem in "ab"]
    WRITERS[name](root, images, ("fork",))
    suffixes = (".json", ".xml", ".csv", ".txt", ".record", ".tfrecord")
    return sorted((path for path in root.rglob("*") if path.suffix in suffixes), key=lambda path: -path.stat().st_size)


def write_yolo(root: Path, yaml: str = YAML) -> Path:
    write_image(root / "images" / "a.png")
    write_text(root / "labels" / "a.txt", "0 0.5 0.5 0.2 0.2\n")
    write_text(root / "data.yaml", yaml)
    return root / "data.yaml"


def message_of(root: Path) -> str:
    """Return the message of a dataset that is refused within a short time, or its first problem."""
    start = time.process_time()
    try:
        message = str(load_dataset(root).problems[0])
    except DataError as error:
        message = str(error)
    assert time.process_time() - start < SECONDS
    assert "\n" not in message
    return message


ALIASES = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{key}: &{key} [{', '.join(f'*{below}' for _ in range(9))}]\n"
    for below, key in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("yaml", "expected"),
    [
        (ALIASES + YAML, "line 2 has the alias .a"),
        ("a: " + "[" * 5000 + "]" * 5000 + "\n" + YAML, "nested more than 20 deep"),
        ("".join("  " * depth + "a:\n" for depth in range(200)) + YAML, "nested more than 20 deep"),
        (YAML + "".join(f"# {number}\n" for number in range(200_000)), "has 2 MB, more than 1"),
        (YAML.replace("[fork]", "{? " + "9" * 5000 + " : fork}"), "names must be a list"),
        (YAML.replace("images", "i" * 5000), "is in 'iiii.*|images are in 'iiii"),
    ],
)
def test_yaml_that_expands_is_refused(tmp_path: Path, yaml: str, expected: str) -> None:
    write_yolo(tmp_path, yaml)
    with pytest.raises(DataError, match=expected):
        load_dataset(tmp_path)


def test_yaml_of_many_classes_is_read_soon(tmp_path: Path) -> None:
    names = "".join(f"  {number}: class {number} of a set\n" for number in range(9_000))
    write_yolo(tmp_path, f"train: images\nnames:\n{names}")
    start = time.process_time()
    assert len(load_dataset(tmp_path).labels) == 9_000
    assert time.process_time() - start < SECONDS


DOCTYPE = '<!DOCTYPE a [<!ENTITY x "aaaa"><!ENTITY y "&x;&x;">]>'


@pytest.mark.parametrize("name", ["voc", "cvat"])
@pytest.mark.parametrize("doctype", [DOCTYPE, '<!DOCTYPE a SYSTEM "file:///etc/hostname">'])
def test_xml_with_a_document_type_is_refused(tmp_path: Path, name: str, doctype: str) -> None:
    for path in write_set(tmp_path, name):
        if path.suffix == ".xml":
            text = path.read_text("utf-8").partition("?>")[2] or path.read_text("utf-8")
            path.write_text(doctype + text, "utf-8")
    with pytest.raises(DataError, match="document type"):
        load_dataset(tmp_path)
    with pytest.raises(ValueError, match="document type"):
        parse_xml((doctype + "<annotation/>").encode("utf-16"))


def test_voc_in_an_encoding_that_decodes_slowly_is_dropped(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    write_image(tmp_path / "b.png")
    write_voc_xml(tmp_path / "b.xml", "b.png", OBJECTS)
    declaration = '<?xml version="1.0" encoding="punycode"?><annotation>'
    write_text(tmp_path / "a.xml", declaration + "a" * 200_000 + "-" + "b99" * 200_000)
    assert "its encoding punycode is that of no text" in message_of(tmp_path)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "[" * 300 + "]" * 300, '{"a":' * 5000 + "1" + "}" * 5000, '[0,"]",' * 200 + "0" + "]" * 200]
)
def test_json_that_is_nested_too_deeply_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(text.encode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('["' + '\\"' * 200_000, "Unterminated string"),
        ('["[", ' * 20, "Expecting value"),
        ('{"width": ' + "9" * 5000 + "}", "a number of thousands of digits"),
    ],
)
def test_json_that_ends_too_early_is_refused_soon(text: str, expected: str) -> None:
    start = time.process_time()
    with pytest.raises(ValueError, match=expected):
        parse_json(text.encode())
    assert time.process_time() - start < SECONDS


def test_brackets_in_texts_of_json_are_no_nesting() -> None:
    data = [{"text": '[[[{"' * 50, "points": [[1, 2], [3, 4]]}] * 3
    assert parse_json(json.dumps(data).encode()) == data
    assert parse_json(json.dumps(data).encode("utf-16")) == data


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_label_file_of_a_terabyte_is_refused(tmp_path: Path, name: str) -> None:
    for path in write_set(tmp_path, name):
        if path.name not in ("classes.txt", "_classes.txt"):
            if path.suffix == ".csv":  # a binary file is no table
                *_, last = path.read_bytes().splitlines(keepends=True)
                path.write_bytes(path.read_bytes() + last * 10_000)
            os.truncate(path, 1 << 40)  # sparse
    if name == "tfrecord":
        assert "has no valid length" in message_of(tmp_path)  # mapped into memory, not read
    else:
        assert "1099512 MB, more than" in message_of(tmp_path)


def test_limit_of_label_files_is_set_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_set(tmp_path, "coco")[0]
    path.write_text(path.read_text("utf-8") + " " * 3_000_000)
    monkeypatch.setenv(MAX_LABEL_MEGABYTES_VARIABLE, "2.5")
    advice = (
        f"has 3 MB, more than 2: divide it, or allow more with the environment variable {MAX_LABEL_MEGABYTES_VARIABLE}"
    )
    with pytest.raises(DataError, match=f"{path.name}: {advice}, such as 4$"):
        load_dataset(tmp_path)
    monkeypatch.setenv(MAX_LABEL_MEGABYTES_VARIABLE, "4")
    assert len(load_dataset(tmp_path)) == 2
    for value in ("no", "-1", "nan", "inf", "0"):
        monkeypatch.setenv(MAX_LABEL_MEGABYTES_VARIABLE, value)
        with pytest.raises(DataError, match=f"must be a positive number, is '{value}'"):
            load_dataset(tmp_path)
    monkeypatch.delenv(MAX_LABEL_MEGABYTES_VARIABLE)
    assert max_label_bytes() >= 64 << 20


def test_gzip_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = next(path for path in write_set(tmp_path, "tfrecord") if "record" in path.name)
    Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes() + bytes(5_000_000)))
    path.unlink()
    monkeypatch.setenv(MAX_LABEL_MEGABYTES_VARIABLE, "2")
    with pytest.raises(DataError):
        load_dataset(tmp_path)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        working_folder = Path.cwd()
        os.chdir(path.parent)  # the path of a socket is short
        server.bind(path.name)
        os.chdir(working_folder)


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


def make_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [make_pipe, make_socket, make_loop, make_device])
@pytest.mark.parametrize("suffix", [".png", ".txt", ".xml", ".json", ".yaml", ".csv"])
def test_no_reader_waits_for_what_is_no_regular_file(tmp_path: Path, make: Callable[[Path], None], suffix: str) -> None:
    write_yolo(tmp_path)
    make(tmp_path / f"z{suffix}")
    message = message_of(tmp_path)
    assert "1 entry of the folder is a" in message
    assert "not read" in message


@pytest.mark.parametrize("make", [make_pipe, make_device])
def test_list_of_data_yaml_that_is_no_regular_file_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    write_yolo(tmp_path / "set", YAML.replace("images", "../list.txt"))
    make(tmp_path / "list.txt")
    with pytest.raises(DataError, match=r"list\.txt: is no regular file"):
        load_dataset(tmp_path / "set")


@pytest.mark.parametrize(
    "text", ["1" * 60_000, "0 0.5 " * 20_000, "a.jpg" + " 1,2,3,4,5" * 20_000 + " x", "\t" * 60_000 + "x"]
)
@pytest.mark.parametrize("name", ["train.txt", "labels/b.txt", "set.csv", "classes.names"])
def test_long_lines_take_no_time(tmp_path: Path, text: str, name: str) -> None:
    write_yolo(tmp_path)
    (tmp_path / "data.yaml").unlink()
    write_image(tmp_path / "images" / "b.png")
    write_text(tmp_path / name, text)
    start = time.process_time()
    assert len(message_of_any(tmp_path)) < 1000
    assert time.process_time() - start < SECONDS


@pytest.mark.parametrize("text", ["item{" * 100_000, "\n" * 500_000, "item" + " " * 500_000, "item{id:" * 50_000 + "}"])
def test_label_map_takes_no_time(tmp_path: Path, text: str) -> None:
    path = tmp_path / "label_map.pbtxt"
    path.write_text(text)
    start = time.process_time()
    assert read_label_map(path) == {}
    assert time.process_time() - start < SECONDS


def test_run_of_a_mask_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="a run of a mask is no number"):
        enclose_rle({"counts": "o" * 500_000, "size": [10, 10]})


def test_more_classes_than_a_detector_has_are_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    rows = "".join(f"a.png,class {number},1,1,20,20\n" for number in range(11_000))
    write_text(tmp_path / "set.csv", "filename,class,xmin,ymin,xmax,ymax\n" + rows)
    with pytest.raises(DataError, match="11000 classes, but a detector has at most 10000: choose some with --classes"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("name", sorted(WRITERS.keys() - {"tfrecord"}))
def test_any_number_may_be_absurd(tmp_path: Path, name: str) -> None:
    for path in write_set(tmp_path, name):
        text = path.read_text("utf-8")
        for stated in filter(text.__contains__, ("30", "0.5", "60")):
            for number in ("1e999", "NaN", "9" * 400, "9" * 5000, "0x10", "١"):
                path.write_text(text.replace(stated, number, 1), "utf-8")
                assert message_of_any(tmp_path)
        path.write_text(text, "utf-8")


def message_of_any(root: Path) -> str:
    try:
        dataset = load_dataset(root)
    except DataError as error:
        return str(error)
    return f"{len(dataset)} images"


@pytest.mark.parametrize("command", ["inspect", "convert", "split", "anchors"])
def test_names_are_escaped_in_every_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    evil = "\x1b[31mfork\x07\u202e"
    root = tmp_path / "set"
    for stem in ("a\x1b[2J", "b\x1b]0;x\x07", "c", "d"):
        write_image(root / f"{stem}.png")
        box = (1.0, 2.0, 300.0 if stem == "c" else 30.0, 20.0)
        write_text(
            root / f"{stem}.json",
            json.dumps(
                {
                    "imagePath": f"{stem}.png",
                    "shapes": [{"label": evil, "points": [box[:2], box[2:]], "shape_type": "rectangle"}],
                }
            ),
        )
    write_text(root / "e\x1b[0m.json", '{"shapes": [{}], "imagePath": "e\\u001b"}')
    write_image(root / "e\x1b[0m.png")
    more = {"convert": [str(tmp_path / "out"), "--to", "coco"]}.get(command, [])
    main(["data", command, str(root), *more])
    shown = "".join(capsys.readouterr())
    assert "fork" in shown or "images" in shown
    for character in ("\x1b", "\x07", "\u202e"):
        assert character not in shown
