"""``edge-ssd train`` as its users type it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("tensorflow")

from edge_ssd.cli import main
from edge_ssd.data.synthetic.generate import make_synthetic
from edge_ssd.network import NETWORKS, tiny_ssd
from edge_ssd.training.model.tiny_ssd import load_tiny_ssd
from edge_ssd.training.run_folder import load_run

SMALL = ["--input-size=64x64", "--width=0.25", "--batch-size=4", "--precision=float32"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    make_synthetic(folder, num_train=8, num_val=4, seed=3)
    return folder


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the error message; before it there are only log lines."""
    *log, line = capsys.readouterr().err.splitlines()
    assert all(message.startswith("edge-ssd: ") and not message.startswith("edge-ssd: error") for message in log)
    assert line.startswith("edge-ssd: error: ")
    return line


def test_train_then_resume(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    options = ["--epochs=1", "--zoom=1.1", "--average-decay=0.9", *SMALL]  # --ema-decay in its earlier spelling
    assert main(["train", f"--data={data}", f"--out={run}", *options]) == 0
    out, err = capsys.readouterr()
    assert "8 training and 4 validation images" in err
    assert "epoch 1/1" in out
    assert f"edge-ssd convert {run / 'model.keras'}" in out
    config = load_run(run)
    assert (config.recipe.zoom, config.recipe.ema_decay) == (1.1, 0.9)
    assert config.network.input.size == (64, 64)
    assert load_tiny_ssd(run / "model.keras").network == config.network
    # Files of earlier versions are read; a finished run that is resumed trains nothing and prints the model's path.
    values = json.loads((run / "run.json").read_text())
    values["recipe"]["average_decay"] = values["recipe"].pop("ema_decay")
    values["network"] |= {"convolution": "plain", "head": "plain", "block_convolutions": 2}
    (run / "run.json").write_text(json.dumps(values))
    assert main(["train", f"--out={run}", "--resume"]) == 0
    assert "model.keras" in capsys.readouterr().out
    assert load_run(run) == config


def test_the_books_recipe_sees_pixels_as_they_are(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main(["train", f"--data={data}", f"--out={run}", "--recipe=book", "--epochs=1", *SMALL]) == 0
    config = load_run(run)
    assert config.network.input.scale == 1
    assert (config.recipe.optimizer, config.recipe.learning_rate) == ("sgd", 0.2)


def test_a_named_network_is_what_its_options_say_and_single_options_override_them(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    named = ["--network=nano", "--down-sampling=pool", "--anchors=book"]
    assert main(["train", f"--data={data}", f"--out={run}", "--epochs=1", *named, *SMALL]) == 0
    expected = {**NETWORKS["nano"], "down_sampling": "pool", "input_size": (64, 64), "width": 0.25}
    network = load_tiny_ssd(run / "model.keras").network
    assert network == load_run(run).network == tiny_ssd(["banana"], **expected)
    # It is resumed as what it is, without being told.
    capsys.readouterr()
    assert main(["train", f"--out={run}", "--resume"]) == 0
    assert load_run(run).network == network
    assert main(["train", f"--out={run}", "--resume", "--network=book", "--width=1"]) == 2
    assert "a resumed run keeps its network: leave out --network, --width, or start a new run" in one_line(capsys)


def test_the_help_says_what_each_named_network_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["book", "as", "in", "the", "book"] in lines
    for name in ("small", "nano"):
        (line,) = [line for line in lines if line[:1] == [name]]
        assert line[1:] == [
            word for option, value in NETWORKS[name].items() for word in (f"--{option.replace('_', '-')}", str(value))
        ]


def test_held_out_pictures_are_the_same_after_a_resume(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["train", f"--data={shared_data / 'fork_scissors'}", f"--out={run}", "--epochs=1", *SMALL]) == 0
    assert "no validation split: 15%" in capsys.readouterr().err
    config = json.loads((run / "run.json").read_text())
    assert config["validation_split"] == 0.15
    assert config["network"]["labels"] == ["fork", "scissors"]
    assert main(["train", f"--out={run}", "--resume"]) == 0
    assert "34 training and 6 validation images" in capsys.readouterr().err


def test_chosen_classes_and_fitted_anchors_are_kept(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, folder = tmp_path / "run", shared_data / "fork_scissors"
    chosen = ["--classes=scissors=cutter", "--anchors=fit"]
    assert main(["train", f"--data={folder}", f"--out={run}", "--epochs=1", *chosen, *SMALL, "--input-size=96x96"]) == 0
    out, err = capsys.readouterr()
    assert "anchors fitted: " in err
    assert "boxes of other classes excluded" in err
    assert f"--data {folder} --classes scissors=cutter --out" in out
    network = load_tiny_ssd(run / "model.keras").network
    assert network == load_run(run).network
    assert network.labels == ("cutter",)
    assert network.levels != tiny_ssd(["cutter"], input_size=(96, 96)).levels
    # A resumed run and an evaluation read the set in the same way, though neither of its own names is the model's.
    assert main(["train", f"--out={run}", "--resume"]) == 0
    model = str(run / "model.keras")
    assert main(["evaluate", model, f"--data={folder}", "--classes=scissors=cutter", "--limit=4", "--json"]) == 0
    capsys.readouterr()
    assert main(["evaluate", model, f"--data={folder}", "--limit=4"]) == 2
    assert "unknown class 'fork'; expected one of: cutter" in one_line(capsys)


def test_channels_are_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--data=data", f"--out={tmp_path / 'run'}", "--base-channels=16,b"]) == 2
    assert "expected numbers such as 16,32,64, got '16,b'" in capsys.readouterr().err


def test_a_teacher_gives_its_anchors_and_is_remembered(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert main(["train", f"--data={data}", f"--out={first}", "--epochs=1", "--anchors=book", *SMALL]) == 0
    teacher = ["--teacher", str(first / "model.keras")]
    taught = ["train", f"--data={data}", f"--out={second}", "--epochs=1", "--network=nano", *teacher, *SMALL]
    assert main(taught) == 0
    assert load_run(second).teacher == first / "model.keras"
    assert load_run(second).network.levels == load_run(first).network.levels
    moved = tmp_path / "moved.keras"
    (first / "model.keras").rename(moved)
    capsys.readouterr()
    assert main(["train", f"--out={second}", "--resume"]) == 2
    assert "model.keras: no such file" in one_line(capsys)
    assert main(["train", f"--out={second}", "--resume", f"--teacher={moved}"]) == 0
    assert main(["train", f"--out={first}", "--resume", f"--teacher={moved}"]) == 2
    assert "is trained without a teacher" in one_line(capsys)
    other = ["train", f"--data={data}", f"--out={tmp_path / 'other'}", f"--teacher={moved}", "--input-size=96x96"]
    assert main(other) == 2
    assert "its feature maps are [(" in one_line(capsys)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data=nowhere"], "nowhere"),
        ([], "--data is missing"),
        (["--data={data}", "--epochs=0"], "epochs must be an integer"),
        (["--data={data}", "--validation-split=1.5"], "between 0 and 1"),
        (["--data={data}", "--input-size=20x20"], "20×20 is too small for 6 halvings"),
        (["--data={data}", "--width=-1"], "width must be positive"),
        (["--data={data}", "--seed=-1"], "seed must be an integer"),
        (["--data={data}", "--input-scale=0"], "input scale"),
        (["--data={data}", "--assignment=fixed"], "'quality' needs assignment 'dynamic'"),
        (["--data={data}", "--from=nothing.keras"], "nothing.keras: no such file"),
        (["--data={data}", "--teacher=nothing.keras"], "nothing.keras: no such file"),
        (["--data={data}", "--teacher=nothing.keras", "--anchors=fit"], "the anchors are the teacher's"),
        (["--data={data}", "--teacher-weight=0"], "teacher_weight must be a positive number"),
        (["--data={data}", "--block-channels=8,8,8,8,8,8"], "too small"),
        (["--resume"], "no training run to resume"),
        (["--resume", "--network=small"], "leave out --network"),
        (["--resume", "--epochs=5"], "leave out --epochs"),
        (["--resume", "--classes=banana"], "leave out --classes and --format"),
        (["--data={data}", "--classes=bananna"], "no class 'bananna' in the dataset; did you mean 'banana'?"),
        (["--data={data}", "--format=voc"], "no labels of Pascal VOC in it"),
        (["--data={data}", "--patience=-1"], "patience must be an integer"),
        (["--data={data}", "--class-weights=apple=2"], "class_weights name apple, but the classes are banana"),
        (["--data={data}", "--expand=0.5"], "expand must be in 1–8"),
    ],
)
def test_mistakes_get_one_line_and_leave_nothing(
    arguments: list[str], message: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["train", f"--out={run}", *(argument.format(data=data) for argument in arguments)]) == 2
    assert message in one_line(capsys)
    assert not run.exists()


def test_an_unreadable_picture_is_named(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    victim = sorted((copy / "bananas_train" / "images").iterdir())[2]
    victim.write_bytes(victim.read_bytes()[:2000])
    assert main(["train", f"--data={copy}", f"--out={tmp_path / 'run'}", "--epochs=1", *SMALL]) == 2
    assert victim.name in one_line(capsys)
    assert not (tmp_path / "run").exists()


def test_a_log_for_tensorboard(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main(["train", f"--data={data}", f"--out={run}", "--epochs=1", "--tensorboard", "--cache=disk", *SMALL]) == 0
    (events,) = (run / "tensorboard").iterdir()
    assert events.stat().st_size > 300


def test_workers_need_to_know_of_each_other(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert main(["train", f"--data={data}", f"--out={tmp_path / 'run'}", "--strategy=multiworker", *SMALL]) == 2
    assert "needs TF_CONFIG in the environment" in one_line(capsys)
