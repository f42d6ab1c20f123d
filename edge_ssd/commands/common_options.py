"""Options that every command has."""

from __future__ import annotations

import argparse

__all__ = ["add_common_options"]

_MAX_OPTIONS_IN_USAGE = 12


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Declare ``--verbose``, ``--quiet`` and ``--debug`` for a command and its subcommands, and shorten their usage."""
    group = parser.add_argument_group("messages")
    verbosity = group.add_mutually_exclusive_group()
    verbosity.add_argument("-v", "--verbose", action="store_true", help="also log details")
    verbosity.add_argument("-q", "--quiet", action="store_true", help="log only warnings and errors, show no progress")
    group.add_argument("--debug", action="store_true", help="on an error, show its traceback")
    _shorten_usage(parser)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for subcommand in action.choices.values():
                add_common_options(subcommand)


def _shorten_usage(parser: argparse.ArgumentParser) -> None:
    """Name only the arguments that must be given in the usage of a command with many options."""
    actions = [action for action in parser._actions if not isinstance(action, argparse._SubParsersAction)]
    optional = [action for action in actions if action.option_strings and not action.required]
    if parser.usage is None and len(optional) > _MAX_OPTIONS_IN_USAGE:
        formatter = parser._get_formatter()
        formatter.add_usage(None, [action for action in actions if action not in optional], [], prefix="")
        parser.usage = f"{formatter.format_help().strip()} [options]"
