"""Shipped models by name: an existing file takes precedence; every command resolves names alike."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import REPOSITORY
from PIL import Image

from edge_ssd import Detector, cli, read_bundle
from edge_ssd.errors import BundleError
from edge_ssd.runtime import shipped_models as shipped_models_module
from edge_ssd.runtime.shipped_models import default_model, find_model, shipped_models

FOLDER = REPOSITORY / "edge_ssd" / "models"
NAMES = ["banana", "banana-nano", "banana-small", "fruit-book", "fruit-nano", "fruit-small"]


@pytest.fixture
def model_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the model folder of an installation with some models, all of them the banana detector."""
    folder = tmp_path / "installed" / "models"
    folder.mkdir(parents=True)
    for name in NAMES:
        shutil.copy(FOLDER / "banana.tflite", folder / f"{name}.tflite")
    (folder / "banana-other.md").touch()
    monkeypatch.setattr(shipped_models_module, "__file__", str(folder.parent / "runtime" / "models.py"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return folder


def test_find_model_finds_every_shipped_model() -> None:
    shipped = shipped_models()
    # By name: the installation may be outside the working tree.
    assert set(shipped) == {path.stem for path in FOLDER.glob("*.tflite")}
    assert shipped["fruit-small"] == default_model()
    for name, path in shipped.items():
        assert find_model(name) == path
        assert read_bundle(path).labels == (("banana",) if "banana" in name else ("apple", "banana", "orange"))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("banana", "banana"),
        ("banana-book", "banana"),
        ("banana-small", "banana-small"),
        ("small", "fruit-small"),
        ("banana-nano", "banana-nano"),
        ("nano", "fruit-nano"),
        ("book", "fruit-book"),
    ],
)
def test_find_model_accepts_short_and_full_names(model_folder: Path, given: str, name: str) -> None:
    assert list(shipped_models()) == NAMES
    assert find_model(given) == read_bundle(given).path == model_folder / f"{name}.tflite"
    with Detector(given) as detector:
        assert detector.bundle.path == model_folder / f"{name}.tflite"


def test_find_model_prefers_existing_file(model_folder: Path) -> None:
    Path("small").mkdir()  # such as a training run
    assert find_model("small") == model_folder / "fruit-small.tflite"
    Path("nano").write_bytes(b"no model")
    assert find_model("nano") == Path("nano")
    with pytest.raises(BundleError, match=r"^nano: is not a \.tflite file"):
        Detector("nano")
    assert find_model("./small/../nano") == Path("small/../nano")


@pytest.mark.parametrize("given", ["medium", "mine.tflite", "small.tflite", "banana-", "models/small", "a b"])
def test_find_model_error_lists_shipped_names(model_folder: Path, given: str) -> None:
    for find in (find_model, Detector):
        with pytest.raises(BundleError) as caught:
            find(given)
        remedy = f"check the path, or name a shipped model: {', '.join(NAMES)}"
        hint = {
            "banana-": " (did you mean banana?)",
            "small.tflite": " (did you mean the shipped model small?)",
            "models/small": " (did you mean the shipped model small?)",
        }.get(given, "")
        assert str(caught.value) in (f"{given}: no such file{hint}; {remedy}", f"{given}: is not a file; {remedy}")
    shutil.rmtree(model_folder)
    with pytest.raises(BundleError, match=r"check the path, no models are shipped with this program: install edge-ssd"):
        find_model("small")


def test_commands_accept_shipped_model_names(model_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(read_bundle(model_folder / "banana.tflite").selftest.image).save("a.png")
    outputs = []
    for options in (["--model", "banana"], ["--model", "banana-nano"]):
        assert cli.main(["detect", "--source", "a.png", "--json", *options]) == 0
        outputs.append(json.loads(capsys.readouterr().out)["detections"])
    assert outputs[0] == outputs[1] != []
    # The camera's options may come from a file; the output must not overwrite the model.
    Path("camera.toml").write_text('model = "small"\n')
    camera = ["camera", "--config", "camera.toml", "--source", "a.png", "--headless"]
    assert cli.main([*camera, "--jsonl", "seen.jsonl"]) == 0
    assert len(Path("seen.jsonl").read_text().splitlines()) == 1
    assert cli.main([*camera, "--jsonl", str(model_folder / "fruit-small.tflite")]) == 2
    assert "--jsonl would overwrite the model" in capsys.readouterr().err
    for command in (["detect", "--source", "a.png", "--model"], ["bench"]):
        assert cli.main([*command, "medium"]) == 2
        error = capsys.readouterr().err
        assert "medium: no such file; check the path, or name a shipped model: banana, " in error
        assert error.count("\n") == 1


def test_service_config_holds_full_model_path(model_folder: Path) -> None:
    assert cli.main(["service", "--model", "banana-nano", "--source", "0", "--user", "camera"]) == 0
    assert f'\nmodel = "{model_folder}/banana-nano.tflite"\n' in Path("edge-ssd.toml").read_text()
