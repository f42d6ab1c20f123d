"""Text of files cannot control the terminal."""

from __future__ import annotations

import io
import json
import logging
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from bundle_factory import metadata, write_bundle
from event_factory import event
from hypothesis import given
from hypothesis import strategies as st
from label_writers import WRITERS, LabeledImage
from PIL import Image
from real_model import real_model

from device_apps.events.event_payload import event_payload
from device_apps.results import FrameResult
from device_apps.sinks import JsonLinesSink
from device_apps.sources.frames import Frame
from edge_ssd.cli import main
from edge_ssd.console.json_output import json_text, print_json
from edge_ssd.console.logs import log_to_stderr
from edge_ssd.console.table import format_table
from edge_ssd.console.text import UNPRINTABLE, print_text, printable
from edge_ssd.data.dataset import Problem
from edge_ssd.network import tiny_ssd
from edge_ssd.runtime.bundle import read_bundle
from edge_ssd.runtime.detections import Detections

# Clears the screen, sets the title (C0 and C1), reverses the order, ends the line, is no character.
HOSTILE = ("\x1b[2J", "\x1b]0;title\x07", "\x9b2J", "\u202egnp.exe", "a\rb", "a\u2028b", "\u2066", "\ud800", "\udce4")


def is_safe(text: str) -> bool:
    """Return whether a line has only characters that are shown; line feeds end it."""
    return all(char == "\n" or char.isprintable() or char == "\u200d" for char in text)


@pytest.mark.parametrize("text", HOSTILE)
def test_printable_escapes_what_a_terminal_obeys(text: str) -> None:
    shown = printable(f"é {text} 字")
    assert is_safe(shown)
    assert shown.startswith("é ")
    assert shown.endswith(" 字")
    assert "\\" in shown


@pytest.mark.parametrize("text", ["", "banana", "Gabel – groß", "字 👩‍🌾 שלום", "C:\\new"])
def test_printable_leaves_text(text: str) -> None:
    assert printable(text) == text
    assert printable(f"{text}\n{text}", lines=True) == f"{text}\n{text}"
    assert printable(f"{text}\n{text}") == f"{text}\\x0a{text}"


@pytest.mark.parametrize("text", HOSTILE)
def test_logs_errors_and_json_are_safe(text: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with log_to_stderr(logging.INFO):
        logging.getLogger("edge_ssd.test").warning("read %s", text)
    print_text(f"one {text}\ntwo")
    assert main(["inspect", f"missing {text}.tflite"]) == 2
    assert main(["inspect", "model", f"--{text}"]) == 2
    assert main([text]) == 2
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8")
    print_json({"label": text}, stream)
    captured = capsys.readouterr()
    assert is_safe(captured.out)
    assert is_safe(captured.err)
    line = stream.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert is_safe(line)
    assert json.loads(line) == {"label": text}


@given(
    st.recursive(st.text() | st.integers() | st.booleans(), lambda inner: st.lists(inner), max_leaves=5), st.booleans()
)
def test_json_text_is_safe_and_valid(value: object, ascii_only: bool) -> None:
    text = json_text(value, ascii_only=ascii_only)
    assert UNPRINTABLE.search(text) is None
    assert text.isascii() or not ascii_only
    assert json.loads(text) == value


@pytest.mark.parametrize("text", HOSTILE)
def test_detections_as_json_are_safe(text: str) -> None:
    stream = io.StringIO()
    frame = Frame(np.zeros((4, 4, 3), np.uint8), 1, 0.0, "image")
    box = np.zeros((1, 4), np.float32)
    found = Detections(box, np.ones(1, np.float32), np.zeros(1, np.int64), [text], (4, 4))
    JsonLinesSink(stream).write(FrameResult(frame, found, {}))
    assert is_safe(stream.getvalue())
    assert json.loads(stream.getvalue())["detections"][0]["label"] == text
    assert is_safe(event_payload(event(1, label=text)).decode())


@pytest.mark.parametrize("text", [text for text in HOSTILE if text.isascii() or text[0] < "\ud800"])
def test_inspect_shows_labels_and_names_escaped(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real = read_bundle(real_model())
    network = tiny_ssd([f"label {text}"], input_size=(32, 32), sizes=[(0.3, 0.4)] * 3)
    details = {**metadata(network, real.flatbuffer), "name": f"name {text}", "tools": {text: text}}
    path = write_bundle(
        tmp_path / "hostile.tflite", network, real.flatbuffer, {"edge_ssd.json": json.dumps(details).encode()}
    )
    assert main(["inspect", str(path)]) == 0
    shown = capsys.readouterr().out
    assert is_safe(shown)
    assert "label " in shown
    assert main(["inspect", str(path), "--json"]) == 0
    assert is_safe(capsys.readouterr().out)


OBJECTS = [("fork", (1.0, 2.0, 30.0, 20.0))]
FORGED = "x\nedge-ssd: error: forged\n  self-test  passed"


def test_names_cannot_add_lines_to_logs_tables_and_problems(capsys: pytest.CaptureFixture[str]) -> None:
    with log_to_stderr(logging.INFO):
        logging.getLogger("edge_ssd.test").warning("read %s", FORGED)
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert len(format_table([("label", "AP"), (FORGED, "0.5")]).splitlines()) == 2
    assert len(str(Problem(Path(FORGED), "is damaged")).splitlines()) == 1
    shown = str(Problem(Path("a.json"), f"image {'x/' * 30_000} does not exist: complete the dataset"))
    assert len(shown) < 2100
    assert shown.endswith("does not exist: complete the dataset")


def inspect_lines(root: Path, stem: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the inspection of a dataset of three equal images, one of them named ``stem``."""
    images = [LabeledImage(f"{name}.png", "train", objects=OBJECTS) for name in ("a", "b", stem)]
    WRITERS["coco"](root, images, ("fork",))
    assert main(["data", "inspect", str(root), "--no-near"]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.skipif(os.name == "nt", reason="file names cannot have line feeds on Windows")
def test_file_names_cannot_add_lines_to_an_inspection(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    honest = inspect_lines(tmp_path / "one", "c", capsys)
    forged = inspect_lines(tmp_path / "two", FORGED.replace("/", ""), capsys)
    assert len(forged) == len(honest)
    assert any("forged" in line for line in forged)


def test_class_name_with_a_line_break_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    WRITERS["coco"](tmp_path, [LabeledImage("a.png", "train", objects=OBJECTS)], ("fork",))
    labels = next(tmp_path.rglob("*.json"))
    labels.write_text(labels.read_text("utf-8").replace('"fork"', json.dumps(FORGED)), "utf-8")
    assert main(["data", "inspect", str(tmp_path)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"edge-ssd: error: {tmp_path}: class name ")
    assert error.endswith("has a line break: correct the label files")


def test_warnings_of_pillow_are_not_shown(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "a.jpg")
    image = (tmp_path / "a.jpg").read_bytes()
    entry = struct.pack("<HHII", 0x110, 2, 5000, 5000)  # far behind the end of the EXIF data
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + bytes(4)
    (tmp_path / "a.jpg").write_bytes(image[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + image[2:])
    assert main(["detect", "--source", str(tmp_path / "a.jpg")]) == 0
    assert [str(warning.message) for warning in recwarn if "PIL" in warning.filename] == []
