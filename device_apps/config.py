"""Options from a TOML file, under the names that they have on the command line.

The file becomes a list of arguments that is put before the real ones, so that argparse itself checks values, choices
and what excludes what. ``save-video`` and ``save_video`` are the same option; an option that takes several values takes
a list, a switch takes true or false. An option of the command line goes first, and so it does against one in the file
that excludes it: ``--show`` overrides ``headless = true``.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_ssd.errors import EdgeSSDError, SettingError

__all__ = ["expand_config", "options_of", "read_toml"]

_NOT_IN_A_FILE = frozenset({"config", "help"})


def expand_config(parser: argparse.ArgumentParser, options: Sequence[str]) -> list[str]:
    """``options`` with those of its ``--config`` file before them; as they are where it names none.

    Raises :class:`SettingError` for what the file should not hold, and :class:`EdgeSSDError` where it cannot be read.
    """
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    finder.add_argument("--config", type=Path)
    try:
        path: Path | None = finder.parse_known_args(options)[0].config
    except argparse.ArgumentError:  # It lacks its value: the real parser says so.
        path = None
    if path is None:
        return list(options)
    known = options_of(parser)
    names = (word.partition("=")[0][2:] for word in options if word.startswith("--"))
    given = [known[name] for name in names if name in known]
    settled = {action.dest for action in given} | {
        other.dest for action in given for other in _conflicting_actions(parser, action)
    }
    arguments: list[str] = []
    for key, value in read_toml(path).items():
        name = key.replace("_", "-")
        action = known.get(name)
        if action is None:
            near = difflib.get_close_matches(name, known, n=1)
            remedy = f"did you mean {near[0]!r}?" if near else f"see: {parser.prog} --help"
            raise SettingError(f"{path}: there is no setting {key!r}; {remedy}")
        words = _words(f"{path}: {key}", action, value)
        if action.dest not in settled:
            arguments += words
    return [*arguments, *options]


def read_toml(path: Path) -> Mapping[str, Any]:
    """A TOML file; raises :class:`EdgeSSDError` naming it and what is wrong with it."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise EdgeSSDError(f"{path}: cannot read this file: {error.strerror}; check --config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{path}: is not valid TOML: {error}") from None


def options_of(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """What a file may set: the name without dashes in front → the option."""
    return {
        option.removeprefix("--"): action
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--") and action.dest not in _NOT_IN_A_FILE
    }


def _conflicting_actions(parser: argparse.ArgumentParser, action: argparse.Action) -> list[argparse.Action]:
    """The options that one cannot be given with."""
    groups = [group._group_actions for group in parser._mutually_exclusive_groups]
    return [other for group in groups if action in group for other in group]


def _words(place: str, action: argparse.Action, value: Any) -> list[str]:
    """A value of the file as words of a command line; raises :class:`SettingError` beginning with ``place``."""
    option = action.option_strings[-1]
    if isinstance(action, argparse.BooleanOptionalAction):
        yes, no = action.option_strings[0], action.option_strings[-1]
        return [yes if _boolean(place, value) else no]
    if action.nargs == 0:
        return [option] if _boolean(place, value) else []
    several = action.nargs not in (None, "?")
    if isinstance(value, list) != several and not (
        isinstance(value, list) and isinstance(action, argparse._AppendAction)
    ):
        expected = 'a list, such as ["a", "b"]' if several else "one value"
        raise SettingError(f"{place} must be {expected}, got {value!r}")
    values = [_word(place, action, each) for each in (value if isinstance(value, list) else [value])]
    return [option, *values] if several else [f"{option}={each}" for each in values]


def _boolean(place: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise SettingError(f"{place} must be true or false, got {value!r}")
    return value


def _word(place: str, action: argparse.Action, value: Any) -> str:
    """One value, tried with the option's own type, so that the message can name the file."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise SettingError(f"{place} must be {_kind(action)}, got {value!r}")
    word = str(value)
    kind = action.type if callable(action.type) else str
    try:
        converted = kind(word)
    except (ValueError, TypeError, argparse.ArgumentTypeError):
        raise SettingError(f"{place} must be {_kind(action)}, got {value!r}") from None
    if action.choices is not None and converted not in action.choices:
        raise SettingError(f"{place} must be one of {', '.join(map(str, action.choices))}, got {value!r}")
    return word


def _kind(action: argparse.Action) -> str:
    """What an option takes, in words."""
    return "a whole number" if action.type is int else "a number" if action.type is float else "text"
