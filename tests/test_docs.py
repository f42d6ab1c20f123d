"""README.md and docs/*.md: they describe every command, and their links and command lines are valid."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import REPOSITORY

from edge_ssd import cli

PAGES = [REPOSITORY / "README.md", REPOSITORY / "examples" / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
PAGE_NAMES = [page.relative_to(REPOSITORY).as_posix() for page in PAGES]


class Line(NamedTuple):
    """A command line in a page: its arguments, and whether it is in a code block."""

    arguments: list[str]
    in_block: bool


def code_blocks(page: str) -> list[str]:
    """Return the code blocks of a page, fenced or indented."""
    blocks, fenced, was_code = [""], False, False
    for line in page.splitlines():
        fence = line.lstrip().startswith("```")
        fenced ^= fence
        is_code = not fence and (fenced or line.startswith("    "))
        if is_code:
            blocks[-1] += line.strip() + "\n"
        elif was_code:
            blocks.append("")
        was_code = is_code
    return blocks


def typed_lines(block: str) -> list[str]:
    """Return the command lines of a block: those after a prompt if there are prompts, else all.

    Lines that are continued with \\ are joined.
    """
    lines = block.replace("\\\n", " ").splitlines()
    prompted = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return prompted or lines


def prose_of(page: str) -> str:
    """Return a page without its code blocks."""
    without = re.sub(r"^ *```.*?^ *```", "", page, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^    .*", "", without, flags=re.MULTILINE)


# Shell operators, which end a command.
_OPERATOR = re.compile(r"\|\|?|&&?|;|\d?[<>]>?.*")


def command_lines(page: str) -> list[Line]:
    """Return the ``edge-ssd`` command lines of a page, in code blocks and in inline code.

    In a block other text may precede ``edge-ssd``, as in ``ExecStart=/…/edge-ssd camera``; then the name of a command
    must follow.
    """
    lines = []
    for line in (line for block in code_blocks(page) for line in typed_lines(block)):
        before, program, after = f" {line} ".partition("edge-ssd ")
        starts_line = not before.strip()
        if program and before[-1] in " /=" and (starts_line or after.split(" ", 1)[0] in cli.COMMANDS):
            lines.append(Line(arguments_of(after), True))
    for span in re.findall(r"`([^`]+)`", prose_of(page)):
        if span.startswith("edge-ssd "):
            lines.append(Line(arguments_of(span.removeprefix("edge-ssd ")), False))
    return lines


def arguments_of(text: str) -> list[str]:
    arguments: list[str] = []
    for word in shlex.split(text, comments=True):
        if _OPERATOR.fullmatch(word):
            break
        arguments.append(word)
    return arguments


def is_placeholder(word: str) -> bool:
    """Return whether a word is a placeholder: DIR, MODEL.keras, [HOST:]PORT, <name>, …"""
    return re.search(r"\b[A-Z]{2,}\b|^[A-Z]$|…|\.\.\.|[\[<]", word) is not None


def problem_of(line: Line, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what is invalid in a command line, or "". The line is parsed, not run.

    Options must exist. A line in a block without placeholders must parse completely.
    """
    words = line.arguments
    options = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    positional = words[: next((i for i, word in enumerate(words) if word.startswith("-")), len(words))]
    capsys.readouterr()
    if cli.main([*positional[:2], "--help"]) != 0:
        return capsys.readouterr().err.strip()
    known = options_of(positional) if positional else {"--help", "--version", "--verbose", "--quiet", "--debug"}
    unknown = [option for option in options if option not in known]
    if unknown:
        return f"no option {', '.join(unknown)}"
    if line.in_block and positional and not any(is_placeholder(word) for word in words) and "--help" not in options:
        try:
            cli.command_parser(words[0]).parse_args(words[1:])
        except SystemExit:
            return capsys.readouterr().err.strip()
    return ""


def options_of(words: list[str]) -> set[str]:
    """Return the options of the innermost command that ``words`` name, such as ``data fetch``."""
    parser = cli.command_parser(words[0])
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) and len(words) > 1:
            parser = action.choices[words[1]]
    return {option for action in parser._actions for option in action.option_strings}


def test_docs_describe_every_command() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    missing = [name for name in cli.COMMANDS if not re.search(rf"edge-ssd {name}\b", text)]
    assert not missing, f"neither README.md nor docs/ has: edge-ssd {', '.join(missing)}"


@pytest.mark.parametrize("name", ["bench", "camera", "detect", "doctor", "service"])
def test_docs_describe_every_option_of_device_commands(name: str) -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    options = {option for action in cli.command_parser(name)._actions for option in action.option_strings}
    options = {option for option in options if option.startswith("--") and not option.startswith("--no-")}
    # Also as in a configuration file: score-threshold = 0.6
    missing = [o for o in options if not re.search(rf"(?<![\w-])({o}|{o[2:]} =)(?![\w-])", text)]
    assert not missing, f"neither README.md nor docs/ has: {', '.join(sorted(missing))}"


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_command_lines_are_valid(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = command_lines(page.read_text(encoding="utf-8"))
    problems = [(shlex.join(line.arguments), problem_of(line, capsys)) for line in lines]
    assert not [f"edge-ssd {text}: {problem}" for text, problem in problems if problem]


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_page_begins_with_a_sentence(page: Path) -> None:
    """After the title comes what the page is for, not a command, a table or another heading."""
    _title, first, *_ = (line for line in page.read_text(encoding="utf-8").splitlines() if line)
    assert re.match(r"[\w`*]", first), f"{page.name}: write what the page is for after its title, before: {first}"


def headings_of(page: str) -> set[str]:
    """Return the fragments that GitHub generates from the headings of a page."""
    titles = re.findall(r"^#+ +(.+?) *$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links_of(page: str) -> list[str]:
    """Return the targets of links and images, except URLs of other sites."""
    text = re.sub(r"`[^`]*`", "", prose_of(page))
    targets = re.findall(r"\]\(\s*([^)\s]+)", text) + re.findall(r"(?:src|href)=\"([^\"]+)\"", text)
    targets += re.findall(r"^\[[^\]]+\]: +(\S+)", text, re.MULTILINE)
    return [target for target in targets if not re.match(r"[a-z][a-z0-9+.-]*:", target)]


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_links_have_existing_targets(page: Path) -> None:
    broken = []
    for target in links_of(page.read_text(encoding="utf-8")):
        name, _, fragment = target.partition("#")
        path = page.parent / name if name else page
        if not path.exists() or not path.resolve().is_relative_to(REPOSITORY):
            broken.append(f"{target}: no such file")
        elif fragment and fragment not in headings_of(path.read_text(encoding="utf-8")):
            broken.append(f"{target}: no such heading")
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_tables_are_complete(page: Path) -> None:
    """Every row belongs to a table: below its header, with as many cells. Others would be shown as text."""
    blocks = re.findall(r"(?:^ *\|.*\n?)+", prose_of(page.read_text(encoding="utf-8")), flags=re.MULTILINE)
    for header, *rows in (block.splitlines() for block in blocks):
        assert rows, header
        assert re.fullmatch(r" *\|( *:?-+:? *\|)+", rows[0]), header
        wrong = [row for row in rows if len(re.findall(r"(?<!\\)\|", row)) != len(re.findall(r"(?<!\\)\|", header))]
        assert not wrong


EXAMPLE = """\
# A page: it's `one`

Run `edge-ssd convert --quantize int9
--from` and see [this](there.md#one-two), [that](https://example.org), ![an image](images/a.png).

    $ edge-ssd data inspect images --sheet sheet.png      # --not-an-option
    edge-ssd --this-is-output

    edge-ssd train --data DIR --out RUN
    git clone THIS edge-ssd && cd edge-ssd
    edge-ssd: error: --no-line

```sh
edge-ssd detect --source photo.jpg --json \\
    --colour | tail -n 3
ExecStart=/opt/edge-ssd camera --source 0 --headless > out.txt --lost
[not a link](nowhere.md)
```
"""


class TestPageParser:
    def test_command_lines(self) -> None:
        assert command_lines(EXAMPLE) == [
            Line(["data", "inspect", "images", "--sheet", "sheet.png"], True),
            Line(["train", "--data", "DIR", "--out", "RUN"], True),
            Line(["detect", "--source", "photo.jpg", "--json", "--colour"], True),
            Line(["camera", "--source", "0", "--headless"], True),
            Line(["convert", "--quantize", "int9", "--from"], False),
        ]

    def test_links_and_headings(self) -> None:
        assert links_of(EXAMPLE) == ["there.md#one-two", "images/a.png"]
        assert headings_of(EXAMPLE) == {"a-page-its-one"}

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("data inspect images --sheet sheet.png", ""),
            ("data inspect images --sheat sheet.png", "no option --sheat"),
            ("data inspekt images", "invalid choice: 'inspekt'"),
            ("detekt --source photo.jpg", "unknown command 'detekt'"),
            ("train --data DIR --out RUN --epochs N", ""),
            ("train --data DIR --out RUN --epoch N", "no option --epoch"),
            ("train --data images --out runs/first --epochs many", "invalid int value: 'many'"),
            ("train --data images", "the following arguments are required: --out"),
            ("--version", ""),
            ("--wersion", "no option --wersion"),
            ("detect --help", ""),
        ],
    )
    def test_problem_of_line(self, text: str, problem: str, capsys: pytest.CaptureFixture[str]) -> None:
        message = problem_of(Line(text.split(), True), capsys)
        assert (problem in message) if problem else not message

    def test_inline_line_may_be_incomplete(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert problem_of(Line(["verify", "--budget", "0.005"], False), capsys) == ""
        assert problem_of(Line(["verify", "--budged", "0.005"], False), capsys) == "no option --budged"
