"""edge_ssd.commands.train: the options, output and error messages of ``edge-ssd train``."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import fields
from pathlib import Path

import pytest
from label_writers import write_d2l_split, write_image
from small_training import FAST_OPTIONS, NETWORK, TrainedRun

pytest.importorskip("tensorflow")

from edge_ssd.cli import main
from edge_ssd.commands import recipe_options
from edge_ssd.commands.train import _warn_if_useless
from edge_ssd.network import NETWORKS, tiny_ssd
from edge_ssd.training.history import HistoryRow
from edge_ssd.training.model.tiny_ssd import load_tiny_ssd
from edge_ssd.training.recipe import Recipe
from edge_ssd.training.run_folder import load_run


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the error message; before it there are only log lines."""
    *log, line = capsys.readouterr().err.splitlines()
    assert all(message.startswith("edge-ssd: ") and not message.startswith("edge-ssd: error") for message in log)
    assert line.startswith("edge-ssd: error: ")
    return line


def test_train_writes_run_that_resumes(bananas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    options = [*FAST_OPTIONS, "--epochs=1", "--zoom=1.1", "--average-decay=0.9"]  # --ema-decay in its earlier spelling
    assert main(["train", f"--data={bananas}", f"--out={run}", *options]) == 0
    out, err = capsys.readouterr()
    assert "16 training and 6 validation images" in err
    assert "epoch 1/1" in out
    assert f"edge-ssd convert {run / 'model.keras'}" in out
    config = load_run(run)
    assert (config.recipe.zoom, config.recipe.ema_decay) == (1.1, 0.9)
    assert config.network.input.size == (64, 64)
    assert load_tiny_ssd(run / "model.keras").network == config.network
    # Files of earlier versions are read; a finished run that is resumed trains nothing and prints the model's path.
    values = json.loads((run / "run.json").read_text())
    values["recipe"]["average_decay"] = values["recipe"].pop("ema_decay")
    for field in ("trunk_rate", "keep_best", "hide_cut", "mosaic", "copy_paste", "background_share"):
        del values["recipe"][field]
    del values["background"]
    values["network"] |= {"convolution": "plain", "head": "plain", "block_convolutions": 2}
    (run / "run.json").write_text(json.dumps(values))
    assert main(["train", f"--out={run}", "--resume"]) == 0
    out, err = capsys.readouterr()
    assert "model.keras" in out
    assert "this run is finished after 1 epoch, nothing is left to train; to train longer, start a new run with " in err
    assert load_run(run) == config
    assert main(["train", f"--out={run}", "--resume", "--network=book", "--width=1"]) == 2
    assert "a resumed run keeps its network: leave out --network, --width, or start a new run" in error_line(capsys)


def test_named_network_with_overrides_and_book_recipe(bananas: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["--recipe=book", "--network=nano", "--down-sampling=pool", "--input-size=64x64", "--width=0.25"]
    options += ["--batch-size=4", "--precision=float32", "--epochs=1", "--tensorboard", "--cache=disk", "--top-down"]
    assert main(["train", f"--data={bananas}", f"--out={run}", *options]) == 0
    expected = {
        **NETWORKS["nano"],
        "down_sampling": "pool",
        "input_size": (64, 64),
        "width": 0.25,
        "input_scale": 1,
        "top_down": True,
    }
    config = load_run(run)
    assert load_tiny_ssd(run / "model.keras").network == config.network == tiny_ssd(["banana"], **expected)
    assert (config.recipe.optimizer, config.recipe.learning_rate) == ("sgd", 0.2)
    (events,) = (run / "tensorboard").iterdir()
    assert events.stat().st_size > 300


def test_first_group_of_help_fits_a_screen(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """24 lines of 80 columns, with what a first training needs."""
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["train", "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "usage: edge-ssd train --data DIR --out RUN [options]"
    start = lines.index("options:")
    end = lines.index("", start)
    assert end <= 24
    assert all(len(line) <= 80 for line in lines[:end])
    shown = re.findall(r"^  (?:-h, )?(--[a-z-]+)", "\n".join(lines[start:end]), re.MULTILINE)
    assert shown == ["--help", "--data", "--out", "--epochs", "--resume", "--from", "--network"]


def test_help_has_every_field_of_the_recipe() -> None:
    grouped = ["epochs", *recipe_options.TRAINING, *recipe_options.LOSS, *recipe_options.AUGMENTATION]
    assert sorted(grouped) == sorted(field.name for field in fields(Recipe))


def test_help_lists_options_of_named_networks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["book", "as", "in", "the", "book"] in lines
    for name in ("small", "nano"):
        (line,) = [line for line in lines if line[:1] == [name]]
        assert line[1:] == [
            word for option, value in NETWORKS[name].items() for word in (f"--{option.replace('_', '-')}", str(value))
        ]


def test_classes_fitted_anchors_and_held_out_images_are_kept_by_resume(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, folder = tmp_path / "run", shared_data / "fork_scissors"
    options = ["--classes=scissors=cutter", "--anchors=fit", "--epochs=1", *FAST_OPTIONS, "--input-size=96x96"]
    assert main(["train", f"--data={folder}", f"--out={run}", *options]) == 0
    out, err = capsys.readouterr()
    assert "no validation split: 6 of 40 training images (15%) are held out at random" in err
    fitted = (
        r"anchors fitted: \d+ of \d+ training boxes match one \(\d+ with the book's anchors\), \d+ of \d+ validation"
    )
    assert re.search(fitted, err)
    assert "boxes of other classes excluded" in err
    assert f"--data {folder} --classes scissors=cutter --out" in out
    assert json.loads((run / "run.json").read_text())["validation_split"] == 0.15
    assert len(json.loads((run / "held_out.json").read_text())["names"]) == 6
    (sizes,) = [line for line in err.splitlines() if "34 training and 6 validation images" in line]
    network = load_tiny_ssd(run / "model.keras").network
    assert network == load_run(run).network
    assert network.labels == ("cutter",)
    channels = {"base_channels": (8, 8), "block_channels": (8,)}
    assert network.levels != tiny_ssd(["cutter"], input_size=(96, 96), **channels).levels
    # A resumed run and an evaluation select the same classes, none of which has a name of the dataset.
    assert main(["train", f"--out={run}", "--resume"]) == 0
    assert sizes in capsys.readouterr().err
    model = str(run / "model.keras")
    assert main(["evaluate", model, f"--data={folder}", "--classes=scissors=cutter", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert (measured["num_images"], measured["split"]) == (6, "held-out")
    assert main(["evaluate", model, f"--data={folder}", "--limit=4"]) == 2
    assert "the model knows cutter, the images of" in error_line(capsys)


def test_resume_holds_out_the_same_images_and_reports_changes_of_the_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run, names = tmp_path / "data", tmp_path / "run", [f"{i}.png" for i in range(8)]
    write_d2l_split(data, [f"{name},0,1,2,30,39" for name in names], names)
    options = ["--validation-split=0.25", "--epochs=1", *FAST_OPTIONS]
    assert main(["train", f"--data={data}", f"--out={run}", *options]) == 0
    held_out = json.loads((run / "held_out.json").read_text())["names"]
    assert len(held_out) == 2
    trained = [name for name in names if f"images/{name}" not in held_out]
    kept = ["new.png", *(name for name in names if name != trained[0])]
    rows = [f"{name},0,1,2,30,{20 if name == trained[1] else 39}" for name in kept]
    write_d2l_split(data, rows, kept)
    capsys.readouterr()
    assert main(["train", f"--out={run}", "--resume"]) == 0
    err = capsys.readouterr().err
    assert "since the run was last trained: 1 image added: used for training (images/new.png)" in err
    assert f"since the run was last trained: 1 image removed (images/{trained[0]})" in err
    assert f"1 image with other labels or another size (images/{trained[1]})" in err
    assert "6 training and 2 validation images" in err
    assert json.loads((run / "held_out.json").read_text())["names"] == held_out
    assert set(json.loads((run / "images.json").read_text())["validation"]) == set(held_out)


def test_dataset_that_cannot_be_validated_is_refused_before_the_first_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_d2l_split(tmp_path / "data" / "set_val", ["a.png,0,1,2,30,39"], ["a.png"])
    assert main(["train", f"--data={tmp_path / 'data'}", f"--out={tmp_path / 'run'}"]) == 2
    assert "val (1 image) and no train split. To train on these, name them: --train-on val" in error_line(capsys)
    for split, rows in (("train", "[0.5, 0.5, 0.2, 0.2]"), ("val", "")):
        write_image(tmp_path / "yolo" / split / "images" / f"{split}.png")
        write_image(tmp_path / "yolo" / split / "images" / f"{split}2.png")
        labels = tmp_path / "yolo" / split / "labels"
        labels.mkdir()
        for suffix in ("", "2"):
            (labels / f"{split}{suffix}.txt").write_text("0 0.5 0.5 0.2 0.2\n" if rows else "")
    assert main(["train", f"--data={tmp_path / 'yolo'}", f"--out={tmp_path / 'run'}"]) == 2
    line = error_line(capsys)
    assert "none of the 2 validation images (split val) has an object" in line
    assert "--validation-split 0.15" in line
    assert not (tmp_path / "run").exists()


def test_base_channels_rejects_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--data=data", f"--out={tmp_path / 'run'}", "--base-channels=16,b"]) == 2
    assert "expected numbers such as 16,32,64, got '16,b'" in capsys.readouterr().err


def test_teacher_gives_its_anchors_and_is_saved(
    bananas: Path, trained_run: TrainedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, teacher, moved = tmp_path / "run", tmp_path / "teacher.keras", tmp_path / "moved.keras"
    shutil.copy(trained_run.folder / "model.keras", teacher)
    options = [f"--teacher={teacher}", "--network=nano", "--epochs=1", *FAST_OPTIONS]
    assert main(["train", f"--data={bananas}", f"--out={run}", *options]) == 0
    assert load_run(run).teacher == teacher
    assert load_run(run).network.levels == NETWORK.levels
    teacher.rename(moved)
    capsys.readouterr()
    assert main(["train", f"--out={run}", "--resume"]) == 2
    assert "teacher.keras: no such file" in error_line(capsys)
    assert main(["train", f"--out={run}", "--resume", f"--teacher={moved}"]) == 0
    capsys.readouterr()
    assert main(["train", f"--out={trained_run.folder}", "--resume", f"--teacher={moved}"]) == 2
    assert "is trained without a teacher" in error_line(capsys)
    other = ["train", f"--data={bananas}", f"--out={tmp_path / 'other'}", f"--teacher={moved}", "--input-size=96x96"]
    assert main(other) == 2
    assert "its feature maps are [(" in error_line(capsys)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data=nowhere"], "nowhere"),
        ([], "--data is missing"),
        (["--data={bananas}", "--epochs=0"], "epochs must be an integer"),
        (["--data={bananas}", "--validation-split=1.5"], "between 0 and 1"),
        (["--data={bananas}", "--input-size=20x20"], "20x20 is too small for 6 halvings"),
        (["--data={bananas}", "--width=-1"], "width must be a positive number"),
        (["--data={bananas}", "--seed=-1"], "seed must be an integer"),
        (["--data={bananas}", "--input-scale=0"], "input scale"),
        (["--data={bananas}", "--assignment=fixed"], "'quality' needs assignment 'dynamic'"),
        (["--data={bananas}", "--from=nothing.keras"], "nothing.keras: no such file"),
        (["--data={bananas}", "--teacher=nothing.keras"], "nothing.keras: no such file"),
        (["--data={bananas}", "--teacher=nothing.keras", "--anchors=fit"], "the anchors are the teacher's"),
        (["--data={bananas}", "--teacher-weight=0"], "teacher_weight must be a positive number"),
        (["--data={bananas}", "--block-channels=8,8,8,8,8,8"], "too small"),
        (["--resume"], "no training run to resume"),
        (["--resume", "--network=small"], "leave out --network"),
        (["--resume", "--epochs=5"], "leave out --epochs"),
        (["--resume", "--validation-split=0.2", "--recipe=book"], "leave out --validation-split, --recipe"),
        (["--data={bananas}", "--train-on=tests"], "expected splits such as train,val, or all; got 'tests'"),
        (["--data={bananas}", "--train-on=test"], "it has no test split, only train (16 images) and val (6 images)"),
        (["--resume", "--classes=banana"], "reads its data as before: leave out --classes"),
        (["--data={bananas}", "--classes=bananna"], "no class 'bananna' in the dataset; did you mean 'banana'?"),
        (["--data={bananas}", "--format=voc"], "no labels of Pascal VOC in it"),
        (["--data={bananas}", "--patience=-1"], "patience must be an integer"),
        (["--data={bananas}", "--class-weights=apple=2"], "class_weights name apple, but the classes are banana"),
        (["--data={bananas}", "--expand=0.5"], "expand must be in 1–8"),
        (["--data={bananas}", "--mosaic=2"], "mosaic must be in 0–1"),
        (
            ["--data={bananas}", "--background=nowhere"],
            "nowhere: no such folder; give a folder of images",
        ),
        (["--data={bananas}", "--background={bananas}/bananas_train"], "16 images of it have labeled objects"),
        (["--data={bananas}", "--background-share=0.5"], "--background-share is for images of --background DIR"),
    ],
)
def test_invalid_options_give_one_line_and_no_folder(
    arguments: list[str], message: str, bananas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["train", f"--out={run}", *(argument.format(bananas=bananas) for argument in arguments)]) == 2
    assert message in error_line(capsys)
    assert not run.exists()


def test_background_images_are_counted_and_found_again_by_a_resume(
    bananas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, folder = tmp_path / "run", tmp_path / "streets"
    for name in ("a.png", "more/b.png", "more/c.png"):
        write_image(folder / name)
    shutil.copy(folder / "a.png", folder / "damaged.png")
    (folder / "damaged.png").write_bytes((folder / "a.png").read_bytes()[:60])
    options = ["--epochs=1", f"--background={folder}", "--background-share=0.5", "--mosaic=1", "--copy-paste=0.5"]
    assert main(["train", f"--data={bananas}", f"--out={run}", *options, *FAST_OPTIONS]) == 0
    err = capsys.readouterr().err
    assert f"background: 4 images of {folder}, 2 in each batch of 4" in err
    assert "damaged.png" in err
    config = load_run(run)
    assert config.background == (folder,)
    assert (config.recipe.background_share, config.recipe.mosaic, config.recipe.copy_paste) == (0.5, 1, 0.5)
    moved = folder.rename(tmp_path / "moved")
    assert main(["train", f"--out={run}", "--resume"]) == 2
    assert f"{folder}: no such folder" in error_line(capsys)
    assert main(["train", f"--out={run}", "--resume", f"--background={moved}"]) == 0
    assert f"background: 4 images of {moved}" in capsys.readouterr().err


def test_resume_of_a_run_without_background_rejects_it(
    trained_run: TrainedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", f"--out={trained_run.folder}", "--resume", f"--background={tmp_path}"]) == 2
    assert "is trained without --background: leave it out" in error_line(capsys)


def test_damaged_image_is_dropped_and_strict_refuses_it(
    bananas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(bananas, tmp_path / "copy")
    image = sorted((copy / "bananas_train" / "images").iterdir())[2]
    image.write_bytes(image.read_bytes()[:2000])
    options = [f"--data={copy}", f"--out={tmp_path / 'run'}", "--epochs=1", *FAST_OPTIONS]
    assert main(["train", *options, "--strict"]) == 2
    assert f"{image.name}: cannot be decoded" in error_line(capsys)
    assert not (tmp_path / "run").exists()
    assert main(["train", *options]) == 0
    err = capsys.readouterr().err
    assert err.count("cannot be decoded") == 1
    assert f"{image.name}: cannot be decoded (image file is truncated" in err


def test_multiworker_needs_tf_config(
    bananas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    options = ["--strategy=multiworker", *FAST_OPTIONS]
    assert main(["train", f"--data={bananas}", f"--out={tmp_path / 'run'}", *options]) == 2
    assert "needs TF_CONFIG in the environment" in error_line(capsys)


@pytest.mark.parametrize(
    ("losses", "precisions", "words"),
    [
        (
            [3.0, 2.0, 1.0],
            [0.0, 0.0, 0.01],
            "the best AP of 3 epochs is 0.010. Check boxes and class names in 'edge-ssd",
        ),
        ([3.0, 2.0, 1.0], [0.0, 0.0, 0.01], "train longer (--epochs): the loss is still falling"),
        ([3.0, 3.0, 3.0], [0.0, 0.0, 0.0], "train longer (--epochs), or with another --learning-rate"),
        ([3.0], [0.0], "the best AP of 1 epoch is 0.000"),
        ([3.0, 2.0, 1.0], [0.0, 0.3, 0.0], ""),
        ([], [], ""),
    ],
)
def test_model_that_finds_hardly_anything_is_reported_with_what_to_check(
    losses: list[float], precisions: list[float], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    pairs = enumerate(zip(losses, precisions, strict=True), 1)
    rows = [HistoryRow(epoch, loss, 0.1, 0.1, ap, ap, ap, 1.0, 1.0) for epoch, (loss, ap) in pairs]
    _warn_if_useless(rows, Path("photos"))
    assert words in caplog.text
    assert bool(caplog.records) is bool(words)
