"""Options from a TOML file, with a parser that has an option of each kind and with that of the camera command."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from device_apps.config_file import add_config_options, config_actions
from edge_ssd.cli import command_parser
from edge_ssd.errors import EdgeSSDError, SettingError


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="edge-ssd play", allow_abbrev=False)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--save-video", type=Path)
    parser.add_argument("--width", type=int)
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--classes", nargs="+")
    parser.add_argument("--topic", action="append", default=None)
    parser.add_argument("--backend", choices=("auto", "one"), default="auto")
    parser.add_argument("--track", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--jsonl")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--show", action="store_true")
    group.add_argument("--headless", action="store_true")
    return parser


def parse(tmp_path: Path, toml: str, *options: str) -> argparse.Namespace:
    path = tmp_path / "play.toml"
    path.write_text(toml, encoding="utf-8")
    parser = make_parser()
    return parser.parse_args(add_config_options(parser, ["--config", str(path), *options]))


def test_options_without_config_are_unchanged() -> None:
    assert add_config_options(make_parser(), ["--width", "5"]) == ["--width", "5"]


def test_config_sets_every_kind_of_option(tmp_path: Path) -> None:
    args = parse(
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


def test_config_accepts_underscores(tmp_path: Path) -> None:
    assert parse(tmp_path, 'save_video = "a.mp4"').save_video == Path("a.mp4")


def test_missing_settings_keep_their_defaults(tmp_path: Path) -> None:
    assert vars(parse(tmp_path, "")) | {"config": None} == vars(make_parser().parse_args([]))


@pytest.mark.parametrize("options", [("--width", "5"), ("--width=5",)])
def test_command_line_overrides_the_config(tmp_path: Path, options: tuple[str, ...]) -> None:
    assert parse(tmp_path, "width = 640", *options).width == 5


def test_value_equal_to_an_option_name_is_not_an_option(tmp_path: Path) -> None:
    assert parse(tmp_path, "width = 640", "--classes", "width").width == 640


def test_command_line_list_replaces_the_config_list(tmp_path: Path) -> None:
    args = parse(tmp_path, 'topic = ["a"]\nclasses = ["b", "c"]', "--topic", "d", "--classes", "e")
    assert (args.topic, args.classes) == (["d"], ["e"])


def test_command_line_overrides_excluded_settings(tmp_path: Path) -> None:
    args = parse(tmp_path, "headless = true", "--show")
    assert (args.show, args.headless) == (True, False)


def test_config_with_exclusive_settings_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(tmp_path, "headless = true\nshow = true")
    assert "not allowed with argument" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("widht = 5", "play.toml: there is no setting 'widht'; did you mean 'width'?"),
        ("xyzzy = 5", "play.toml: there is no setting 'xyzzy'; see: edge-ssd play --help"),
        ("config = 'a.toml'", "play.toml: there is no setting 'config'; "),
        ("help = true", "play.toml: there is no setting 'help'; "),
        ("quiet = true", "play.toml: there is no setting 'quiet'; "),
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
        ("classes = []", "play.toml: classes has no value; leave it out for the default"),
        ("classes = ['-x']", "play.toml: classes: no value of it can begin with -, got '-x'"),
        ('save-video = "a\\u0000b"', "play.toml: save-video has a null character; remove it"),
    ],
)
def test_invalid_settings_name_the_file(tmp_path: Path, toml: str, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse(tmp_path, toml)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path))


def test_missing_config_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgeSSDError, match=r"none\.toml: cannot read this file: No such file or directory"):
        add_config_options(make_parser(), ["--config", str(tmp_path / "none.toml")])


def test_config_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_bytes(b"# one\njsonl = '\xff'")
    with pytest.raises(SettingError, match=r"bad\.toml: line 2 is not UTF-8; save the file in the encoding UTF-8"):
        add_config_options(make_parser(), ["--config", str(tmp_path / "bad.toml")])


def test_byte_order_mark_is_no_setting(tmp_path: Path) -> None:
    assert parse(tmp_path, "\ufeffwidth = 640").width == 640


def test_config_option_without_a_value_is_left_to_the_parser() -> None:
    assert add_config_options(make_parser(), ["--config"]) == ["--config"]


def test_config_accepts_every_camera_option() -> None:
    options = config_actions(command_parser("camera"))
    assert {"source", "save-video", "model", "classes", "threads", "headless", "wait", "stats-every"} <= set(options)
    assert not {"config", "help"} & set(options)
