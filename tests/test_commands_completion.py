"""``edge-ssd completion``: the script for bash is run as bash runs it when Tab is pressed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import skip_or_fail

from edge_ssd import cli
from edge_ssd.commands.completion import SHELLS

pytestmark = pytest.mark.machine_independent

# Sets the words of the command line, runs the function that was registered, and prints the candidates.
_PRESS_TAB = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_shtab_edge_ssd edge-ssd "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        import shtab  # noqa: F401
    except ImportError:
        skip_or_fail("shtab is not installed")
    folder = tmp_path_factory.mktemp("completion")
    with pytest.MonkeyPatch.context() as patch:
        for shell in SHELLS:
            with (folder / shell).open("w") as file:
                patch.setattr("sys.stdout", file)
                assert cli.main(["completion", shell]) == 0
    return folder


def press_tab(scripts: Path, folder: Path, *words: str) -> set[str]:
    command = ["bash", "-c", _PRESS_TAB, "bash", scripts / "bash", "edge-ssd", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_completes_commands_options_choices_and_files(scripts: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "photo.jpg").touch()
    assert press_tab(scripts, tmp_path, "") >= set(cli.COMMANDS)
    assert press_tab(scripts, tmp_path, "con") == {"convert"}
    assert press_tab(scripts, tmp_path, "data", "in") == {"inspect"}
    assert press_tab(scripts, tmp_path, "train", "--ep") == {"--epochs"}
    assert press_tab(scripts, tmp_path, "train", "--network", "") == {"book", "small", "nano"}
    assert press_tab(scripts, tmp_path, "train", "--data", "") == {"images"}
    assert press_tab(scripts, tmp_path, "detect", "--source", "pho") == {"photo.jpg"}


def test_every_option_of_every_command_is_completed(scripts: Path) -> None:
    for name in cli.COMMANDS:
        options = {option for action in cli.command_parser(name)._actions for option in action.option_strings}
        for shell in SHELLS:
            text = (scripts / shell).read_text()
            assert not [o for o in options if (o.lstrip("-") if shell == "fish" else o) not in text]


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_are_valid(scripts: Path, shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([program, "-n", scripts / shell], check=True, timeout=60)


def test_without_shtab_the_error_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "shtab", None)
    assert cli.main(["completion", "bash"]) == 2
    assert 'pip install "edge-ssd[completion]"' in capsys.readouterr().err
