"""Options from a TOML file, over a parser with an option of each kind and over that of the real command."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from device_apps.config import expand_config, options_of
from edge_ssd.cli import command_parser
from edge_ssd.errors import EdgeSSDError, SettingError


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="edge-ssd play", allow_abbrev=False)
    made.add_argument("--config", type=Path)
    made.add_argument("--save-video", type=Path)
    made.add_argument("--width", type=int)
    made.add_argument("--rate", type=float, default=1.0)
    made.add_argument("--classes", nargs="+")
    made.add_argument("--topic", action="append", default=None)
    made.add_argument("--backend", choices=("auto", "one"), default="auto")
    made.add_argument("--track", action=argparse.BooleanOptionalAction, default=True)
    made.add_argument("--jsonl")
    group = made.add_mutually_exclusive_group()
    group.add_argument("--show", action="store_true")
    group.add_argument("--headless", action="store_true")
    return made


def parsed(tmp_path: Path, toml: str, *options: str) -> argparse.Namespace:
    path = tmp_path / "play.toml"
    path.write_text(toml, encoding="utf-8")
    made = parser()
    return made.parse_args(expand_config(made, ["--config", str(path), *options]))


def test_no_file_no_change() -> None:
    assert expand_config(parser(), ["--width", "5"]) == ["--width", "5"]


def test_every_kind_of_option(tmp_path: Path) -> None:
    args = parsed(
        tmp_path,
        """
        save-video = "seen Ä.mp4"
        width = 640
        rate = -2.5
        classes = ["ripe banana", "fork"]
        topic = ["a", "b"]
        backend = "one"
        track = false
        jsonl = "-"
        headless = true
        show = false
        """,
    )
    assert args.save_video == Path("seen Ä.mp4")
    assert (args.width, args.rate, args.classes, args.topic) == (640, -2.5, ["ripe banana", "fork"], ["a", "b"])
    assert (args.backend, args.track, args.jsonl, args.headless, args.show) == ("one", False, "-", True, False)


def test_underscores_will_do(tmp_path: Path) -> None:
    assert parsed(tmp_path, 'save_video = "a.mp4"').save_video == Path("a.mp4")


def test_what_is_left_out_keeps_its_default(tmp_path: Path) -> None:
    assert vars(parsed(tmp_path, "")) | {"config": None} == vars(parser().parse_args([]))


@pytest.mark.parametrize("options", [("--width", "5"), ("--width=5",)])
def test_the_command_line_goes_first(tmp_path: Path, options: tuple[str, ...]) -> None:
    assert parsed(tmp_path, "width = 640", *options).width == 5


def test_a_value_that_reads_like_an_option_is_none(tmp_path: Path) -> None:
    assert parsed(tmp_path, "width = 640", "--classes", "width").width == 640


def test_a_list_of_the_command_line_replaces_that_of_the_file(tmp_path: Path) -> None:
    args = parsed(tmp_path, 'topic = ["a"]\nclasses = ["b", "c"]', "--topic", "d", "--classes", "e")
    assert (args.topic, args.classes) == (["d"], ["e"])


def test_the_command_line_overrides_what_it_excludes(tmp_path: Path) -> None:
    args = parsed(tmp_path, "headless = true", "--show")
    assert (args.show, args.headless) == (True, False)


def test_a_file_that_contradicts_itself_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(tmp_path, "headless = true\nshow = true")
    assert "not allowed with argument" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("widht = 5", "play.toml: there is no setting 'widht'; did you mean 'width'?"),
        ("xyzzy = 5", "play.toml: there is no setting 'xyzzy'; see: edge-ssd play --help"),
        ("config = 'a.toml'", "play.toml: there is no setting 'config'; "),
        ("help = true", "play.toml: there is no setting 'help'; "),
        ("[width]\na = 1", "play.toml: width must be a whole number, got {'a': 1}"),
        ("width = 'wide'", "play.toml: width must be a whole number, got 'wide'"),
        ("width = 1.5", "play.toml: width must be a whole number, got 1.5"),
        ("width = true", "play.toml: width must be a whole number, got True"),
        ("width = [1]", "play.toml: width must be one value, got [1]"),
        ("rate = 'fast'", "play.toml: rate must be a number, got 'fast'"),
        ("headless = 'yes'", "play.toml: headless must be true or false, got 'yes'"),
        ("track = 1", "play.toml: track must be true or false, got 1"),
        ("classes = 'fork'", 'play.toml: classes must be a list, such as ["a", "b"], got \'fork\''),
        ("backend = 'two'", "play.toml: backend must be one of auto, one, got 'two'"),
        ("jsonl = 2026-01-01", "play.toml: jsonl must be text, got datetime.date(2026, 1, 1)"),
        ("width = ", "play.toml: is not valid TOML: "),
    ],
)
def test_each_mistake_is_one_line_that_names_the_file(tmp_path: Path, toml: str, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        parsed(tmp_path, toml)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EdgeSSDError, match=r"none\.toml: cannot read this file: No such file or directory"):
        expand_config(parser(), ["--config", str(tmp_path / "none.toml")])


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_bytes(b"jsonl = '\xff'")
    with pytest.raises(SettingError, match=r"bad\.toml: is not valid TOML"):
        expand_config(parser(), ["--config", str(tmp_path / "bad.toml")])


def test_config_without_a_name_is_left_to_the_parser() -> None:
    assert expand_config(parser(), ["--config"]) == ["--config"]


def test_all_options_of_the_camera_can_be_in_a_file() -> None:
    options = options_of(command_parser("camera"))
    assert {"source", "save-video", "model", "classes", "threads", "headless", "wait", "stats-every"} <= set(options)
    assert not {"config", "help"} & set(options)
