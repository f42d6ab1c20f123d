"""What can go wrong while a bundle is written: one line, and the previous file as it was."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from converters.convert import convert_model
from edge_ssd import cli
from edge_ssd.data.load import open_dataset
from edge_ssd.runtime.bundle import read_bundle

pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]

BEFORE = b"the file that was there before"


@pytest.fixture(scope="module")
def flatbuffer(tmp_path_factory, squares_model: Path, squares: Path) -> bytes:
    out = tmp_path_factory.mktemp("out") / "squares.tflite"
    convert_model(squares_model, open_dataset(squares), out, scheme="none", measure=False)
    return read_bundle(out).flatbuffer


@pytest.fixture
def no_worker(monkeypatch, flatbuffer: bytes):
    monkeypatch.setattr("converters.convert.quantize", lambda *_, **__: flatbuffer)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    path = tmp_path / "out" / "squares.tflite"
    path.parent.mkdir()
    path.write_bytes(BEFORE)
    return path


def convert(model: Path, data: Path, out: Path, *words: object) -> int:
    return cli.main(["convert", str(model), "--data", str(data), "--out", str(out), "--no-accuracy", *map(str, words)])


def test_a_full_disk_is_one_line_and_the_old_file_stays(
    no_worker, squares_model: Path, squares: Path, out: Path, monkeypatch, capsys
):
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.parent != out.parent:
            return write(path, data)
        write(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    assert convert(squares_model, squares, out) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("edge-ssd: error:")
    assert "No space left on device" in last
    assert out.read_bytes() == BEFORE
    assert list(out.parent.iterdir()) == [out]


def test_an_interruption_in_mid_write_leaves_the_old_file(
    no_worker, squares_model: Path, squares: Path, out: Path, monkeypatch
):
    write = Path.write_bytes

    def interrupted(path: Path, data: bytes) -> int:
        if path.parent != out.parent:
            return write(path, data)
        write(path, data[: len(data) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    assert convert(squares_model, squares, out) == 130
    assert out.read_bytes() == BEFORE
    assert list(out.parent.iterdir()) == [out]


def test_a_real_ctrl_c_ends_the_conversion_and_its_worker(squares_model: Path, squares: Path, out: Path):
    command = [
        sys.executable,
        "-m",
        "edge_ssd",
        "convert",
        str(squares_model),
        "--data",
        str(squares),
        "--out",
        str(out),
    ]
    process = subprocess.Popen(
        [*command, "--calibration-images", "8"], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("calibrating on"):
            break
    time.sleep(0.5)
    # As a terminal does it: to the whole group, worker and all.
    os.killpg(process.pid, signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait(60) == 130
    assert "Traceback" not in rest
    assert out.read_bytes() == BEFORE
    assert list(out.parent.iterdir()) == [out]
    process.stderr.close()


def test_two_conversions_to_one_path_leave_one_whole_file(no_worker, squares_model: Path, squares: Path, out: Path):
    errors: list[BaseException] = []

    def work(name: str) -> None:
        try:
            convert_model(squares_model, open_dataset(squares), out, scheme="none", measure=False, name=name)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert read_bundle(out).name in ("one", "two")
    assert list(out.parent.iterdir()) == [out]


def test_a_folder_without_pictures_is_one_line(no_worker, squares_model: Path, tmp_path: Path, out: Path, capsys):
    (tmp_path / "empty").mkdir()
    assert convert(squares_model, tmp_path / "empty", out) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"edge-ssd: error: {tmp_path / 'empty'}")
    assert error.count("\n") == 1
    assert out.read_bytes() == BEFORE


def test_a_calibration_picture_that_cannot_be_read_is_named(
    no_worker, squares_model: Path, squares: Path, tmp_path: Path, out: Path, capsys
):
    data = shutil.copytree(squares, tmp_path / "data")
    broken = data / "squares_train" / "images" / "3.png"
    broken.write_bytes(broken.read_bytes()[:60])
    assert convert(squares_model, data, out, "--quantize", "int8") == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"edge-ssd: error: {broken}")
    assert out.read_bytes() == BEFORE


def test_weak_calibration_is_warned_of_where_it_is_used(
    no_worker, squares_model: Path, squares: Path, tmp_path: Path, out: Path, capsys
):
    data = shutil.copytree(squares, tmp_path / "data")
    for path in (data / "squares_train" / "images").iterdir():
        Image.fromarray(np.full((64, 64, 3), 200, np.uint8)).save(path)
    assert convert(squares_model, data, out, "--quantize", "int8") == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    reasons = "\n".join(warnings)
    for reason in ("only 12 calibration pictures", "are of one colour", "only 1 different", "brightness 200 against"):
        assert reason in reasons


def test_keep_without_mixed_is_refused(no_worker, squares_model: Path, squares: Path, out: Path, capsys):
    assert convert(squares_model, squares, out, "--keep", "classes_0") == 2
    assert "--keep and --keep-type choose layers for --quantize mixed" in capsys.readouterr().err
