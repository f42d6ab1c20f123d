"""The command ``edge-ssd``: a table of subcommands, each imported only when it is called.

A command is a module with two functions::

    def add_arguments(parser: argparse.ArgumentParser) -> None    # description, options, examples
    def run(args: argparse.Namespace) -> int                      # the exit status

and, where options may also come from a file, a third::

    def expand(parser: argparse.ArgumentParser, options: Sequence[str]) -> list[str]    # all options

``--debug``, ``--verbose`` and ``--quiet`` are options of every command and may also stand before its name.

Exit statuses: 0 success, 1 a check failed (an exceeded budget), 2 invalid input or usage, 130 interrupted,
141 the reader of the output closed the pipe.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import errno
import importlib
import io
import itertools
import logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from edge_ssd.commands.common_options import add_common_options
from edge_ssd.commands.registry import COMMANDS, Command
from edge_ssd.console.logs import log_to_stderr, verbosity_level
from edge_ssd.console.redact import HIDDEN, is_secret_name, redact, redact_url
from edge_ssd.console.suggestions import did_you_mean, missing_path_hint
from edge_ssd.console.text import printable
from edge_ssd.errors import EdgeSSDError
from edge_ssd.runtime.native_messages import hidden_in_this_process
from edge_ssd.version import __version__

__all__ = ["COMMANDS", "Command", "command_parser", "main"]

PROGRAM = "edge-ssd"


# The import name of each optional dependency, and the extra of pyproject.toml that installs it.
_EXTRAS = {
    "tensorflow": "train",
    "keras": "train",
    "matplotlib": "plot",
    "faster_coco_eval": "train",
    "ai_edge_litert": "device",
    "ai_edge_quantizer": "mixed",
    "tflite_runtime": "device",
    "cv2": "camera",
    "shtab": "completion",
    "yaml": "train",
    "tomli": "camera",
    "paho": "mqtt",
    "gpiozero": "gpio",
    "starlette": "web",
    "uvicorn": "web",
}

# Advice by the error number of an OSError.
_NOT_A_FOLDER = "a file is where a folder is needed; choose another path"
_REMEDIES = {
    errno.EACCES: "check its permissions",
    errno.EDQUOT: "free disk space",
    errno.EEXIST: _NOT_A_FOLDER,
    errno.EISDIR: "give the path of a file",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.ENOENT: "check the path",
    errno.ENOSPC: "free disk space",
    errno.ENOTDIR: _NOT_A_FOLDER,
    errno.EPERM: "check its permissions",
    errno.EROFS: "choose another path",
}

# A number is the value of an option, and "-v" is short.
_OPTION = re.compile(r"--?[A-Za-z_][\w-]+")

_VERBOSE, _QUIET = {"-v", "-vv", "--verbose"}, {"-q", "-qq", "--quiet"}

_MAX_WORDS = 8  # of a path with spaces that is not quoted

_INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it
_BROKEN_PIPE = 141  # 128 + SIGPIPE


class _Parser(argparse.ArgumentParser):
    """Parser that keeps line breaks, reports errors in one line, and rejects abbreviated options."""

    def __init__(self, **options: Any) -> None:
        defaults = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
        super().__init__(**{**defaults, **options})
        self._arguments: list[str] = []

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._arguments = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        namespace, unknown = self.parse_known_args(args, namespace)
        if unknown:  # the subcommand that they were given to knows similar options, and its help has them
            hint = _quoting_hint(self._arguments)
            self._selected(namespace).error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return namespace

    def _selected(self, namespace: argparse.Namespace) -> argparse.ArgumentParser:
        """Return the parser of the subcommand that is selected, or this one if there is none."""
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                selected = action.choices.get(getattr(namespace, action.dest, None) or "")
                if isinstance(selected, _Parser):
                    return selected
        return self

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            error.message += did_you_mean(str(value), map(str, action.choices or ()))
            raise

    def error(self, message: str) -> NoReturn:
        # A misspelled required option is reported as missing: name what was given in its place too.
        message = "; ".join([self._hide_unknown_secrets(message), *self._describe_unknown(message)])
        self.exit(2, f"{self.prog}: error: {_one_line(_redact(message, self._arguments))} (see: {self.prog} --help)\n")

    def _hide_unknown_secrets(self, message: str) -> str:
        """Hide the values of options that do not exist, and whose names say that these are secrets: --token VALUE."""
        for name, value in zip(self._arguments, self._arguments[1:], strict=False):
            is_unknown = _OPTION.fullmatch(name) and name not in self._option_string_actions
            if is_unknown and is_secret_name(name) and not value.startswith("-"):
                message = message.replace(f"{name} {value}", f"{name} {HIDDEN}")
        return message

    def _describe_unknown(self, message: str) -> list[str]:
        """Return a similar option for each unknown one, and those unknown ones that the message does not name."""
        options = set(self._option_string_actions)
        given = itertools.takewhile(lambda argument: argument != "--", self._arguments)
        lines = []
        for name in dict.fromkeys(argument.partition("=")[0] for argument in given if _OPTION.match(argument)):
            spelled = f"--{name.lstrip('-').lower().replace('_', '-')}"
            similar = difflib.get_close_matches(spelled, sorted(options), n=1, cutoff=0.7)
            if name not in options and (similar or name not in message):
                hint = f": did you mean {similar[0]}?" if similar else ""
                lines.append(f"{'' if name in message else 'unknown option '}{name}{hint}")
        return lines


def _quoting_hint(arguments: Sequence[str]) -> str:
    """Return '; quote the path: "my photos"' if arguments in a row are the words of a path that exists, or ""."""
    words = [argument.partition("=")[2] if argument.startswith("-") else argument for argument in arguments]
    for start in range(len(words)):
        for stop in range(start + 2, min(start + _MAX_WORDS, len(words)) + 1):
            path = " ".join(words[start:stop])
            in_a_row = words[start] and not any(word.startswith("-") for word in arguments[start + 1 : stop])
            if in_a_row and os.path.lexists(path):
                return f'; quote the path: "{path}"'
    return ""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line without the program's name and return its exit status.

    For None, the program's own (``sys.argv[1:]``), the process ends here if a thread hangs in a library.
    """
    status = _main(sys.argv[1:] if argv is None else argv)
    if argv is None and any(getattr(thread, "may_hang", False) for thread in threading.enumerate()):
        # The library would be torn down while the thread runs in it: "terminate called", status 134.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(status)
    return status


def _main(argv: Sequence[str]) -> int:
    arguments = list(argv)
    # File names and text may contain characters that the terminal's encoding lacks.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    # Pillow's warning of large images: those above the limit are errors, see edge_ssd.runtime.pixel_limit.
    warnings.filterwarnings("ignore", r"Image size \(\d+ pixels\) exceeds limit")
    # Of damaged EXIF data and the like, by the line of Pillow's code: the image is read, or has an error of its own.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    common = list(itertools.takewhile(lambda argument: argument.startswith("-"), arguments))
    # These are valid on both sides of the command's name, and needed before the command is imported.
    debug = "--debug" in arguments
    level = verbosity_level(*(not options.isdisjoint(arguments) for options in (_VERBOSE, _QUIET)))
    try:
        with log_to_stderr(level), contextlib.nullcontext() if level < logging.INFO else hidden_in_this_process():
            status = _run(common, arguments[len(common) :])
        sys.stdout.flush()
    except SystemExit as stop:  # argparse, after --help, --version or bad usage
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader closed the pipe, as `| head` does: not an error. Discard the buffered output, or Python would
        # report another one at exit.
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)
        return _BROKEN_PIPE
    except (EdgeSSDError, OSError) as error:
        if debug:
            raise
        message = _describe(error)
        hint = _quoting_hint(arguments) if "no such" in message.lower() else ""
        return _fail(_redact(f"{message}{hint}", arguments))
    except MemoryError:
        if debug:
            raise
        return _fail("out of memory; stop other programs, or raise the limit that this process runs under (ulimit -v)")
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if debug or extra is None:
            raise
        return _fail(f'this command needs {error.name}, which is not installed; run: pip install "edge-ssd[{extra}]"')
    return status


def _run(common: Sequence[str], command: Sequence[str]) -> int:
    top = _top_parser()
    top.parse_args(common)
    if not command:
        top.print_help(sys.stderr)
        return 2
    name, *options = command
    if name not in COMMANDS:
        similar = difflib.get_close_matches(name, COMMANDS, n=1)
        remedy = f"did you mean {similar[0]!r}?" if similar else f"commands: {', '.join(COMMANDS)}"
        return _fail(_redact(f"unknown command {name!r}; {remedy}", command))
    parser = command_parser(name)
    module = importlib.import_module(COMMANDS[name].module)
    if hasattr(module, "expand"):
        options = module.expand(parser, options)
    status: int = module.run(parser.parse_args([*common, *options]))  # with both: -v before and -q after are an error
    return status


def command_parser(name: str) -> argparse.ArgumentParser:
    """Import the module of the command ``name``, a key of :data:`COMMANDS`, and return its argument parser."""
    parser = _Parser(prog=f"{PROGRAM} {name}")
    importlib.import_module(COMMANDS[name].module).add_arguments(parser)
    add_common_options(parser)
    return parser


def _top_parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    table = "\n".join(f"  {name:{width}}  {command.help}" for name, command in COMMANDS.items())
    parser = _Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [--help] [--version] [--verbose | --quiet] [--debug] COMMAND ...",
        description="From labeled images to a detector that runs on a Raspberry Pi.",
        epilog=f"commands:\n{table}\n\n'{PROGRAM} COMMAND --help' describes one command, with examples.",
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    add_common_options(parser)
    return parser


def _fail(message: str) -> int:
    print(f"{PROGRAM}: error: {printable(message)}", file=sys.stderr)
    return 2


def _redact(message: str, arguments: Sequence[str]) -> str:
    """Hide the secrets in a message that may quote the arguments, whose passwords may have spaces in them."""
    values = [value for argument in arguments for value in (argument, argument.partition("=")[2])]  # --option=value
    # A path has no double slashes.
    spellings = [spelling for value in filter(None, values) for spelling in (value, str(Path(value)))]
    for spelling in spellings:
        message = message.replace(spelling, redact_url(spelling))
    return redact(message, spellings)


def _describe(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        name = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        remedy = _REMEDIES.get(error.errno or 0)
        is_missing = error.errno == errno.ENOENT and error.filename is not None
        hint = missing_path_hint(os.fsdecode(error.filename)) if is_missing else ""
        return _one_line(f"{name}{error.strerror}{hint}{f'; {remedy}' if remedy else ''}")
    return _one_line(str(error) or type(error).__name__)


def _one_line(message: str) -> str:
    return printable(" ".join(line.strip() for line in message.splitlines()))
