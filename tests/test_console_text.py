"""Text of files cannot control the terminal."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from bundle_factory import metadata, write_bundle
from event_factory import event
from hypothesis import given
from hypothesis import strategies as st
from real_model import real_model

from device_apps.events.mqtt.event_payload import event_payload
from device_apps.results import FrameResult
from device_apps.sinks import JsonLinesSink
from device_apps.sources.frames import Frame
from edge_ssd.cli import main
from edge_ssd.console.json_output import json_text, print_json
from edge_ssd.console.logs import log_to_stderr
from edge_ssd.console.text import UNPRINTABLE, print_text, printable
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
