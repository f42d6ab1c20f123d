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
import difflib
import errno
import importlib
import io
import itertools
import os
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from edge_ssd.console.logs import log_to_stderr, verbosity_level
from edge_ssd.errors import EdgeSSDError
from edge_ssd.version import __version__

__all__ = ["COMMANDS", "Command", "command_parser", "main"]

PROGRAM = "edge-ssd"


class Command(NamedTuple):
    """A subcommand: the module that is loaded when it is asked for, and its line in the help."""

    module: str
    help: str


COMMANDS: dict[str, Command] = {
    "data": Command("edge_ssd.commands.data", "fetch, make or inspect a dataset"),
    "train": Command("edge_ssd.commands.train", "train a TinySSD on labeled images"),
    "evaluate": Command("edge_ssd.commands.evaluate", "average precision of a .keras or .tflite model"),
    "convert": Command("converters.convert_command", "quantize a .keras model into one self-describing .tflite"),
    "verify": Command("converters.verify_command", "compare a .tflite with the .keras model it was made from"),
    "compare": Command("converters.compare_command", "every quantization scheme of a model in one table"),
    "inspect": Command("converters.inspect_command", "show what a .tflite holds"),
    "detect": Command("device_apps.detect_command", "find objects in an image, a folder or a video"),
    "camera": Command("device_apps.camera_command", "find objects in a live camera or stream"),
    "bench": Command("device_apps.bench_command", "time models on this machine, side by side"),
    "doctor": Command("device_apps.doctor_command", "see whether this machine is ready, and what to do if not"),
    "service": Command("device_apps.service_command", "write a systemd unit that keeps a camera running"),
}

# The import name of each optional dependency, and the extra of pyproject.toml that installs it.
_EXTRAS = {
    "tensorflow": "train",
    "keras": "train",
    "matplotlib": "train",
    "faster_coco_eval": "train",
    "ai_edge_litert": "device",
    "ai_edge_quantizer": "mixed",
    "tflite_runtime": "device",
    "cv2": "camera",
    "yaml": "train",
    "tomli": "camera",
    "paho": "mqtt",
    "gpiozero": "gpio",
    "starlette": "web",
    "uvicorn": "web",
}

# What to do about an error of the system's.
_IN_THE_WAY = "a file is where a folder is needed; name another place"
_REMEDIES = {
    errno.EACCES: "check its permissions",
    errno.EDQUOT: "make room on the disk",
    errno.EEXIST: _IN_THE_WAY,
    errno.EISDIR: "name a file",
    errno.ENAMETOOLONG: "give it a shorter name",
    errno.ENOENT: "check the path",
    errno.ENOSPC: "make room on the disk",
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EPERM: "check its permissions",
    errno.EROFS: "name another place",
}

_VERBOSE = frozenset({"-v", "--verbose"})
_QUIET = frozenset({"-q", "--quiet"})

_INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it
_BROKEN_PIPE = 141  # 128 + SIGPIPE


class _Parser(argparse.ArgumentParser):
    """Keeps line breaks, takes no abbreviations (a later option could make them ambiguous), errs in one line."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        options.setdefault("allow_abbrev", False)
        super().__init__(**options)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {_one_line(message)} (see: {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's own) and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    # A file name may hold bytes, or the text characters, that the terminal's encoding lacks.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    own = list(itertools.takewhile(lambda argument: argument.startswith("-"), arguments))
    # These work on both sides of the command's name, and are needed before the command is imported.
    debug = "--debug" in arguments
    verbose = not _VERBOSE.isdisjoint(arguments)
    quiet = not _QUIET.isdisjoint(arguments)
    try:
        with log_to_stderr(verbosity_level(verbose, quiet)):
            status = _run(own, arguments[len(own) :])
        sys.stdout.flush()
    except SystemExit as stop:  # argparse, after --help, --version or bad usage
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader closed the pipe, as `| head` does: not an error. Discard what is still buffered, or Python
        # would complain about it at exit.
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
        return _BROKEN_PIPE
    except (EdgeSSDError, OSError) as error:
        if debug:
            raise
        return _fail(_describe(error))
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if debug or extra is None:
            raise
        return _fail(f'this command needs {error.name}, which is not installed; run: pip install "edge-ssd[{extra}]"')
    return status


def _run(own: Sequence[str], rest: Sequence[str]) -> int:
    top = _top_parser()
    top.parse_args(own)
    if not rest:
        top.print_help(sys.stderr)
        return 2
    name, *options = rest
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        remedy = f"did you mean {near[0]!r}?" if near else f"commands: {', '.join(COMMANDS)}"
        return _fail(f"there is no command {name!r}; {remedy}")
    parser = command_parser(name)
    module = importlib.import_module(COMMANDS[name].module)
    if hasattr(module, "expand"):
        options = module.expand(parser, options)
    status: int = module.run(parser.parse_args([*own, *options]))  # with both: -v before and -q after are an error
    return status


def command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one command of :data:`COMMANDS`; loads that command's module."""
    parser = _Parser(prog=f"{PROGRAM} {name}")
    importlib.import_module(COMMANDS[name].module).add_arguments(parser)
    _add_common_options(parser)
    return parser


def _add_common_options(parser: argparse.ArgumentParser) -> None:
    verbosity = parser.add_mutually_exclusive_group()
    verbosity.add_argument("-v", "--verbose", action="store_true", help="also log details")
    verbosity.add_argument("-q", "--quiet", action="store_true", help="log only warnings and errors, show no progress")
    parser.add_argument("--debug", action="store_true", help="on an error, show its traceback")


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
    _add_common_options(parser)
    return parser


def _fail(message: str) -> int:
    print(f"{PROGRAM}: error: {message}", file=sys.stderr)
    return 2


def _describe(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        name = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        remedy = _REMEDIES.get(error.errno or 0)
        return _one_line(f"{name}{error.strerror}{f'; {remedy}' if remedy else ''}")
    return _one_line(str(error) or type(error).__name__)


def _one_line(message: str) -> str:
    return " ".join(line.strip() for line in message.splitlines())
