"""``edge-ssd completion``: a script that completes commands, options and file names in a shell."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from edge_ssd.commands.common_options import add_common_options
from edge_ssd.commands.registry import COMMANDS

__all__ = ["SHELLS", "add_arguments", "run"]

SHELLS = ("bash", "zsh", "fish")

_EXAMPLES = """\
Save the script where the shell looks for it, and open a new terminal:
  edge-ssd completion bash > ~/.local/share/bash-completion/completions/edge-ssd
  edge-ssd completion zsh > ~/.zfunc/_edge-ssd      (~/.zfunc in fpath, before compinit)
  edge-ssd completion fish > ~/.config/fish/completions/edge-ssd.fish

The folders must exist: mkdir -p. The script starts no Python; make it again after an update of edge-ssd.
"""

# Words of the metavars of arguments that name files without being a pathlib.Path: they may also be a URL or "-".
_FILE_WORDS = ("FILE", "IMAGE", "LIBRARY", "MODEL", "SOURCE")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of ``edge-ssd completion``."""
    parser.description = "Print a script with which a shell completes commands, options and file names."
    parser.epilog = _EXAMPLES
    parser.add_argument("shell", choices=SHELLS, help="the shell that reads the script")


def run(args: argparse.Namespace) -> int:
    """Print the script of the chosen shell; return 0."""
    import shtab

    # Not with print_text, which would escape the control characters of the script.
    print(shtab.complete(_parser_of_all_commands(), args.shell))
    return 0


def _parser_of_all_commands() -> argparse.ArgumentParser:
    """Return one parser with every command as a subcommand, whose arguments state which files complete them."""
    top = argparse.ArgumentParser(prog="edge-ssd")
    top.add_argument("--version", action="store_true", help="show the version")
    commands = top.add_subparsers()
    for name, command in COMMANDS.items():
        parser = commands.add_parser(name, help=command.help)
        importlib.import_module(command.module).add_arguments(parser)
        add_common_options(parser)
        _complete_files(parser)
    return top


def _complete_files(parser: argparse.ArgumentParser) -> None:
    import shtab

    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for subcommand in action.choices.values():
                _complete_files(subcommand)
        elif action.choices is None and (action.type is Path or _names_file(str(action.metavar))):
            kind = shtab.DIRECTORY if action.metavar in ("DIR", "RUN") else shtab.FILE
            action.complete = kind  # type: ignore[attr-defined]


def _names_file(metavar: str) -> bool:
    return any(word in metavar for word in _FILE_WORDS)
