"""Log lines, tables and JSON on the terminal."""

from __future__ import annotations

import io
import json
import logging

import pytest

from edge_ssd.console.json_output import print_json
from edge_ssd.console.logs import PACKAGES, log_to_stderr, verbosity_level
from edge_ssd.console.table import format_table


def log_each_level(name: str) -> None:
    logger = logging.getLogger(name)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logger.log(level, "at %d", level)


@pytest.mark.parametrize(
    ("verbose", "quiet", "level"),
    [(False, False, logging.INFO), (True, False, logging.DEBUG), (False, True, logging.WARNING)],
)
def test_verbosity_level_by_option(verbose: bool, quiet: bool, level: int) -> None:
    assert verbosity_level(verbose, quiet) == level


@pytest.mark.parametrize("package", PACKAGES)
def test_log_lines_name_every_level_but_info(package: str, capsys: pytest.CaptureFixture[str]) -> None:
    with log_to_stderr(logging.DEBUG):
        log_each_level(f"{package}.module")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        f"edge-ssd: debug: [{package}.module] at 10",
        "edge-ssd: at 20",
        "edge-ssd: warning: at 30",
        "edge-ssd: error: at 40",
    ]


@pytest.mark.parametrize(("level", "lines"), [(logging.INFO, 3), (logging.WARNING, 2)])
def test_messages_below_the_level_are_not_logged(level: int, lines: int, capsys: pytest.CaptureFixture[str]) -> None:
    with log_to_stderr(level):
        log_each_level("edge_ssd")
    assert len(capsys.readouterr().err.splitlines()) == lines


def test_logging_is_restored_also_after_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    loggers = [logging.getLogger(name) for name in PACKAGES]
    before = [(list(logger.handlers), logger.level) for logger in loggers]

    def fail() -> None:
        with log_to_stderr(logging.DEBUG):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [(list(logger.handlers), logger.level) for logger in loggers] == before
    logging.getLogger("edge_ssd").info("nothing listens")
    assert capsys.readouterr().err == ""


def test_loggers_of_other_libraries_are_untouched(capsys: pytest.CaptureFixture[str]) -> None:
    others = [logging.getLogger(), logging.getLogger("PIL"), logging.getLogger("tensorflow")]
    before = [(list(logger.handlers), logger.level) for logger in others]
    with log_to_stderr(logging.DEBUG):
        assert [(list(logger.handlers), logger.level) for logger in others] == before
        logging.getLogger("PIL.Image").warning("not this project's")
    assert "edge-ssd:" not in capsys.readouterr().err


def test_table_aligns_columns() -> None:
    rows = [["model", "ms", "AP"], ["banana", "8.25", "0.91"], ["nano", "12", ""]]
    assert format_table(rows).splitlines() == ["model     ms    AP", "banana  8.25  0.91", "nano      12"]
    assert format_table(rows, left=2, indent="> ").splitlines()[1:] == ["> banana  8.25  0.91", "> nano    12"]


def test_table_of_no_rows_is_empty() -> None:
    assert format_table([]) == ""


def test_table_rejects_rows_of_different_lengths() -> None:
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        format_table([["a", "b"], ["c"]])


def test_json_is_one_line_of_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"label": "Gabel – groß", "box": [1, 2.5], "ap": None})
    assert capsys.readouterr().out == '{"label": "Gabel – groß", "box": [1, 2.5], "ap": null}\n'
    stream = io.StringIO()
    print_json([], stream)
    assert (stream.getvalue(), capsys.readouterr().out) == ("[]\n", "")


def test_json_is_written_at_once_so_that_lines_of_threads_are_not_mixed() -> None:
    class Writes(io.StringIO):
        def write(self, text: str) -> int:
            parts.append(text)
            return len(text)

    parts: list[str] = []
    print_json([1], Writes())
    assert parts == ["[1]\n"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_json_stays_valid_in_other_encodings_than_utf8(encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding, errors="backslashreplace")
    print_json("32×32 Gabel – groß 日本", stream)
    stream.seek(0)
    assert json.loads(stream.read()) == "32×32 Gabel – groß 日本"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_rejects_numbers_that_are_not_finite(value: float, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json({"ap": value})
    assert capsys.readouterr().out == ""
