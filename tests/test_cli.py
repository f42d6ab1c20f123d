"""The dispatcher: what it loads, what it answers, and how it ends."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_ssd import cli
from edge_ssd.console.logs import PACKAGES
from edge_ssd.errors import DataError

AddCommand = Callable[[str], None]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AddCommand:
    """``command(body)`` makes a module of which ``run(args)`` has that body, and calls it ``edge-ssd play``."""

    def add(body: str) -> None:
        lines = ["def add_arguments(parser):", "    parser.add_argument('--count', type=int)", "def run(args):"]
        module = tmp_path / "a_command_for_the_test.py"
        module.write_text("\n".join([*lines, *("    " + line for line in body.splitlines())]) + "\n")
        monkeypatch.delitem(sys.modules, module.stem, raising=False)
        monkeypatch.setitem(cli.COMMANDS, "play", cli.Command(module.stem, "play with it"))

    monkeypatch.syspath_prepend(tmp_path)
    return add


def test_main_returns_exit_status_of_command(command: AddCommand) -> None:
    command("return args.count")
    assert cli.main(["play", "--count", "1"]) == 1
    assert cli.main(["play", "--count", "0"]) == 0


def test_help_lists_every_command_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    for name, entry in cli.COMMANDS.items():
        assert [name, entry.help] in lines


def test_help_of_a_command_shows_its_options_and_not_those_of_others(
    command: AddCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    command("return 0")
    assert cli.main(["play", "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: edge-ssd play")
    assert "--count" in out
    assert "--debug" in out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == "edge-ssd 0.1.0\n"


def test_no_command_prints_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("usage: edge-ssd")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["detct"], "edge-ssd: error: unknown command 'detct'; did you mean 'detect'?\n"),
        (["camra", "--web"], "edge-ssd: error: unknown command 'camra'; did you mean 'camera'?\n"),
        (["--wrong"], "edge-ssd: error: unrecognized arguments: --wrong (see: edge-ssd --help)\n"),
    ],
)
def test_unknown_command_or_option_is_one_line(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    assert capsys.readouterr().err == line


def test_unknown_command_lists_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["xyzzy"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert all(name in err for name in cli.COMMANDS)


def test_invalid_option_value_names_the_command(command: AddCommand, capsys: pytest.CaptureFixture[str]) -> None:
    command("return 0")
    assert cli.main(["play", "--count", "many"]) == 2
    assert capsys.readouterr().err == (
        "edge-ssd play: error: argument --count: invalid int value: 'many' (see: edge-ssd play --help)\n"
    )


def test_options_are_not_abbreviated(command: AddCommand, capsys: pytest.CaptureFixture[str]) -> None:
    command("return 0")
    assert cli.main(["play", "--cou", "1"]) == 2
    assert "unrecognized arguments: --cou" in capsys.readouterr().err


def test_misspelled_option_is_named_with_a_similar_one(command: AddCommand, capsys: pytest.CaptureFixture[str]) -> None:
    command("return 0")
    assert cli.main(["play", "--cuont=1"]) == 2
    assert "unrecognized arguments: --cuont=1; --cuont: did you mean --count?" in capsys.readouterr().err
    # A missing required option does not hide it.
    assert cli.main(["train", "--ouput", "run", "--zzz"]) == 2
    expected = "required: --out; unknown option --ouput: did you mean --out?; unknown option --zzz (see"
    assert expected in capsys.readouterr().err
    # It is the subcommand whose options and help are named.
    assert cli.main(["data", "inspect", "images", "--splt=val", "--split=val"]) == 2
    expected = "--splt=val; --splt: did you mean --split? (see: edge-ssd data inspect --help)"
    assert f"edge-ssd data inspect: error: unrecognized arguments: {expected}" in capsys.readouterr().err
    assert cli.main(["data", "split", "images", "again", "-no-near", "--keep_all"]) == 2
    assert "-no-near: did you mean --no-near? (see: edge-ssd data split --help)" in capsys.readouterr().err


def test_path_with_spaces_that_is_not_quoted_is_named(
    command: AddCommand, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command("return 0")
    (tmp_path / "my new photos").mkdir()
    for words in (["my", "new", "photos"], ["--count=my", "new", "photos"], ["x", "my", "new", "photos", "--count=1"]):
        assert cli.main(["data", "inspect", *words]) == 2
        assert '; quote the path: "my new photos"' in capsys.readouterr().err
    assert cli.main(["data", "split", "my", "new", "photos"]) == 2
    assert '; quote the path: "my new photos"' in capsys.readouterr().err
    (tmp_path / "other photos").mkdir()
    assert cli.main(["data", "split", "other", "photos"]) == 2  # as two paths
    assert "other: no such folder" in (error := capsys.readouterr().err)
    assert error.endswith('; quote the path: "other photos"\n')
    assert cli.main(["data", "inspect", "my", "photos"]) == 2
    assert "quote" not in capsys.readouterr().err


def test_misspelled_choice_is_named_with_a_similar_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data", "inspcet", "images"]) == 2
    assert "invalid choice: 'inspcet'" in (error := capsys.readouterr().err)
    assert error.endswith("(did you mean inspect?) (see: edge-ssd data --help)\n")
    assert cli.main(["data", "inspect", "images", "--format", "yollo"]) == 2
    assert "(did you mean yolo?) (see: edge-ssd data inspect --help)" in capsys.readouterr().err


def test_missing_file_is_named_with_a_similar_one(
    command: AddCommand, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("camera.toml").touch()
    command("open('camrea.toml')")
    assert cli.main(["play"]) == 2
    expected = "camrea.toml: No such file or directory (did you mean camera.toml?); check the path"
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (
            "from edge_ssd.errors import DataError\nraise DataError('boxes.csv: no such file;\\n  name another')",
            "boxes.csv: no such file; name another",
        ),
        ("open('not-here.png')", "not-here.png: No such file or directory; check the path"),
        ("import errno\nraise OSError(errno.ENOSPC, 'No space left')", "No space left; free disk space"),
        ("raise OSError(0, 'Odd', 'file')", "file: Odd"),
        ("raise OSError('the disk is full')", "the disk is full"),
        ("raise OSError", "OSError"),
        *(
            (
                f"raise ModuleNotFoundError('', name='{name}')",
                f'this command needs {name}, which is not installed; run: pip install "edge-ssd[{extra}]"',
            )
            for name, extra in (("tensorflow.keras", "train"), ("cv2", "camera"), ("ai_edge_litert", "device"))
        ),
    ],
)
def test_expected_error_is_one_line_and_status_2(
    body: str, line: str, command: AddCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    command(body)
    assert cli.main(["play"]) == 2
    captured = capsys.readouterr()
    assert captured.err == f"edge-ssd: error: {line}\n"
    assert captured.out == ""


def test_missing_extra_at_import_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "needs_much.py").write_text("import matplotlib\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if it were not installed
    monkeypatch.setitem(cli.COMMANDS, "play", cli.Command("needs_much", ""))
    assert cli.main(["play"]) == 2
    assert capsys.readouterr().err == (
        'edge-ssd: error: this command needs matplotlib, which is not installed; run: pip install "edge-ssd[plot]"\n'
    )


@pytest.mark.parametrize("arguments", [["play", "--debug"], ["--debug", "play"]])
def test_debug_raises_the_exception(arguments: list[str], command: AddCommand) -> None:
    command("from edge_ssd.errors import DataError\nraise DataError('boxes.csv')")
    with pytest.raises(DataError, match=r"boxes\.csv"):
        cli.main(arguments)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("raise ValueError('a defect')", ValueError),
        ("raise ModuleNotFoundError('', name='edge_ssd.nowhere')", ModuleNotFoundError),
    ],
)
def test_unexpected_exceptions_propagate(body: str, error: type[Exception], command: AddCommand) -> None:
    command(body)
    with pytest.raises(error):
        cli.main(["play"])


LOGGING = (
    "import logging\n"
    "for name in ('edge_ssd.x', 'converters.x', 'device_apps.x', 'PIL.x'):\n"
    "    logger = logging.getLogger(name)\n"
    "    logger.debug('details')\n"
    "    logger.info('done')\n"
    "    if not name.startswith('PIL'): logger.warning('careful')\n"
    "return 0"
)


@pytest.mark.parametrize(
    ("options", "levels"),
    [
        ([], ["done", "warning: careful"]),
        (["-q"], ["warning: careful"]),
        (["--quiet"], ["warning: careful"]),
        (["-v"], ["debug: [{}] details", "done", "warning: careful"]),
        (["--verbose"], ["debug: [{}] details", "done", "warning: careful"]),
    ],
)
def test_verbosity_options_work_on_both_sides_of_the_command_name(
    options: list[str], levels: list[str], command: AddCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    command(LOGGING)
    expected = [
        f"edge-ssd: {line.format(name)}" for name in ("edge_ssd.x", "converters.x", "device_apps.x") for line in levels
    ]
    for arguments in ([*options, "play"], ["play", *options]):
        assert cli.main(arguments) == 0
        captured = capsys.readouterr()
        assert (captured.out, captured.err.splitlines()) == ("", expected)


@pytest.mark.parametrize("arguments", [["-v", "-q", "play"], ["play", "-v", "-q"], ["-v", "play", "-q"]])
def test_verbose_and_quiet_at_once_is_a_usage_error(
    arguments: list[str], command: AddCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    command("return 0")
    assert cli.main(arguments) == 2
    assert "argument -q/--quiet: not allowed with argument -v/--verbose" in capsys.readouterr().err


@pytest.mark.parametrize("subcommand", ["fetch", "make", "inspect", "anchors"])
def test_subcommands_of_data_have_the_common_options(subcommand: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data", subcommand, "--help"]) == 0
    text = capsys.readouterr().out
    assert all(option in text for option in ("--verbose", "--quiet", "--debug"))


@pytest.mark.parametrize("body", ["return 0", "raise KeyboardInterrupt", "raise OSError('failed')"])
def test_log_handler_is_removed_when_the_command_ends(body: str, command: AddCommand) -> None:
    command(body)
    loggers = [logging.getLogger(name) for name in PACKAGES]
    before = [(list(logger.handlers), logger.level) for logger in loggers]
    cli.main(["play", "-v"])
    assert [(list(logger.handlers), logger.level) for logger in loggers] == before


def test_interrupt_is_status_130_without_output(command: AddCommand, capsys: pytest.CaptureFixture[str]) -> None:
    command("raise KeyboardInterrupt")
    assert cli.main(["play"]) == 130
    assert capsys.readouterr().err == ""


def _process(tmp_path: Path, body: str, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """A process that is ``edge-ssd play``, with that body."""
    (tmp_path / "play.py").write_text(f"def add_arguments(parser): pass\ndef run(args):\n    {body}\n    return 0\n")
    script = "import sys; from edge_ssd import cli; cli.COMMANDS['play'] = cli.Command('play', ''); "
    path = os.pathsep.join([str(Path(cli.__file__).parent.parent), str(tmp_path)])
    environment = {**os.environ, "PYTHONPATH": path, **env}
    return subprocess.Popen(
        [sys.executable, "-c", script + "sys.exit(cli.main(['play']))"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )


@pytest.mark.parametrize("lines", [1, 100_000])  # the pipe breaks in the last flush, or in the middle
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_closed_pipe_is_status_141(lines: int, unbuffered: str, tmp_path: Path) -> None:
    body = f"sys.stdin.read()\n    for i in range({lines}): print('line', i)"
    process = _process(tmp_path, "import sys; " + body, env={"PYTHONUNBUFFERED": unbuffered})
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.close()  # now it prints
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_unencodable_output_is_escaped(tmp_path: Path) -> None:
    process = _process(tmp_path, r"print('caf\u00e9 \udcff \u4e2d')", env={"PYTHONIOENCODING": "latin-1"})
    out, err = process.communicate(timeout=60)
    assert (out, err, process.returncode) == (b"caf\xe9 \\udcff \\u4e2d\n", b"", 0)


def test_python_m_edge_ssd_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edge_ssd", "--version"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(cli.__file__).parent.parent,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("edge-ssd 0.1.0\n", "", 0)
