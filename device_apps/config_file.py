"""TOML file of options, under their command-line names: reading and writing.

A file is read as a list of arguments that precede those of the command line, so that argparse checks values, choices
and mutually exclusive options. ``save-video`` and ``save_video`` are the same option; an option with several values
takes a list, a switch takes true or false. The command line takes precedence, also over an option of the file that it
excludes: ``--show`` overrides ``headless = true``.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edge_ssd.console.json_output import json_text
from edge_ssd.console.redact import redact_url
from edge_ssd.console.text import utf8_text
from edge_ssd.errors import EdgeSSDError, SettingError

__all__ = [
    "GivenOptions",
    "add_config_options",
    "config_actions",
    "config_path",
    "decode_toml",
    "format_config",
    "format_toml_value",
    "given_options",
    "read_toml",
    "table_arguments",
]

_EXCLUDED = frozenset({"config", "help", "quiet", "verbose"})
# Lists of tables that are no options: device_apps.zones and device_apps.cameras read them.
_TABLES = frozenset({"zones", "lines", "masks", "cameras"})


def add_config_options(parser: argparse.ArgumentParser, options: Sequence[str]) -> list[str]:
    """Return ``options`` preceded by those of their ``--config`` file, if they name one; ``parser`` defines them all.

    Raises EdgeSSDError if the file cannot be read, SettingError if it has an unknown option or an invalid value.
    """
    path = config_path(options)
    if path is None:
        return list(options)
    given = given_options(parser, options)
    return [*table_arguments(parser, read_toml(path), str(path), given.overridden), *options]


def config_path(options: Sequence[str]) -> Path | None:
    """Return the path of ``--config`` among the options of a command line, or None."""
    config_parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    config_parser.add_argument("--config", type=Path)
    try:
        path: Path | None = config_parser.parse_known_args(options)[0].config
    except argparse.ArgumentError:  # --config without a value, which the real parser reports.
        path = None
    return path


class GivenOptions(NamedTuple):
    """Argparse destinations of the options on a command line, and of all that they override in a file."""

    named: frozenset[str]
    overridden: frozenset[str]


def given_options(parser: argparse.ArgumentParser, options: Sequence[str]) -> GivenOptions:
    """Return which options of ``parser`` are among ``options``; these override those that they exclude too."""
    actions = config_actions(parser)
    names = (option.partition("=")[0][2:] for option in options if option.startswith("--"))
    given = [actions[name] for name in names if name in actions]
    named = frozenset(action.dest for action in given)
    excluded = {other.dest for action in given for other in _conflicting_actions(parser, action)}
    return GivenOptions(named, named | excluded)


def table_arguments(
    parser: argparse.ArgumentParser, table: Mapping[str, Any], file: str, overridden: Collection[str]
) -> list[str]:
    """Return the options of a table as arguments of a command line, without those of the destinations ``overridden``.

    ``file`` begins every message, if it is not empty. Raises SettingError for an unknown option or an invalid value.
    """
    actions = config_actions(parser)
    begin = f"{file}: " if file else ""
    arguments: list[str] = []
    for key, value in table.items():
        name = key.replace("_", "-")
        if name in _TABLES and "zones-file" in actions:
            continue
        if name not in actions:
            similar = difflib.get_close_matches(name, [*actions, *_TABLES], n=1)
            remedy = f"did you mean {similar[0]!r}?" if similar else f"see: {parser.prog} --help"
            raise SettingError(f"{begin}there is no setting {key!r}; {remedy}")
        action = actions[name]
        option_arguments = _to_arguments(f"{begin}{key}", action, value)
        if action.dest not in overridden:
            arguments += option_arguments
    return arguments


def read_toml(path: Path, option: str = "--config") -> Mapping[str, Any]:
    """Parse the TOML file of an option. Raises EdgeSSDError if it cannot be read, SettingError if it is not TOML."""
    try:
        return parse_toml(decode_toml(path.read_bytes()))
    except OSError as error:
        raise EdgeSSDError(f"{path}: cannot read this file: {error.strerror}; check {option}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SettingError(f"{path}: line {line} is not UTF-8; save the file in the encoding UTF-8") from None
    except ValueError as error:  # Also of a number with thousands of digits.
        raise SettingError(f"{path}: is not valid TOML: {error}") from None
    except RecursionError:
        raise SettingError(f"{path}: is not valid TOML: it is nested too deeply") from None


def decode_toml(data: bytes) -> str:
    """Return the text of a TOML file, without the byte order mark that some editors begin it with.

    Raises UnicodeDecodeError if it is not UTF-8.
    """
    return data.decode("utf-8-sig")


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML. Raises ValueError if it is not valid, RecursionError if it is nested too deeply."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(text)


def config_actions(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """Return the actions of the options that a configuration file may set, by option name without leading dashes."""
    return {
        option.removeprefix("--"): action
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--") and action.dest not in _EXCLUDED
    }


def format_config(parser: argparse.ArgumentParser, args: argparse.Namespace, exclude: Collection[str] = ()) -> str:
    """Return every option of a parser as TOML, with its help; commented out if its value is None or the default.

    ``args`` has the values; ``exclude`` has the argparse destinations of options that are omitted.
    """
    lines = []
    # An option with two names (--track, --no-track) is written once, under the first.
    for action in {action.dest: action for action in config_actions(parser).values()}.values():
        if action.dest in exclude or action.dest == "debug" or action.help == argparse.SUPPRESS:
            continue
        name = next(option for option in action.option_strings if option.startswith("--")).removeprefix("--")
        value = getattr(args, action.dest)
        lines += ["", f"# {(action.help or '') % {'default': action.default}}"]
        if value == action.default or value is None:
            lines.append(f"#{name} = {_example(action)}")
        else:
            lines.append(f"{name} = {format_toml_value(value)}")
    return "\n".join(lines).lstrip("\n") + "\n"


def format_toml_value(value: Any) -> str:
    """Return a bool, number, string, path or list as TOML. Strings are escaped as in JSON, and U+007F as well.

    Raises SettingError for a name that is not UTF-8.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(format_toml_value, value))}]"
    text = str(value) if isinstance(value, Path) else value
    if not isinstance(text, str):
        raise TypeError(f"no TOML for {value!r}")
    try:
        text.encode()
    except UnicodeEncodeError:
        name = redact_url(utf8_text(text))
        raise SettingError(f"{name}: this name is not UTF-8, and TOML files can hold no other; rename it") from None
    return json_text(text)


def _conflicting_actions(parser: argparse.ArgumentParser, action: argparse.Action) -> list[argparse.Action]:
    """Return the options of the mutually exclusive group of an option, if it is in one."""
    groups = [group._group_actions for group in parser._mutually_exclusive_groups]
    return [other for group in groups if action in group for other in group]


def _to_arguments(setting: str, action: argparse.Action, value: Any) -> list[str]:
    """Convert a value of the file to command-line arguments; ``setting`` begins every error message."""
    if isinstance(action, argparse.BooleanOptionalAction):
        enable, disable = action.option_strings[0], action.option_strings[-1]
        return [enable if _to_bool(setting, value) else disable]
    option = action.option_strings[-1]
    if action.nargs == 0:
        return [option] if _to_bool(setting, value) else []
    takes_list = action.nargs not in (None, "?")
    is_list = isinstance(value, list)
    if is_list != takes_list and not (is_list and isinstance(action, argparse._AppendAction)):
        expected = 'a list, such as ["a", "b"]' if takes_list else "one value"
        raise SettingError(f"{setting} must be {expected}, got {redact_url(repr(value))}")
    if takes_list and not value:
        raise SettingError(f"{setting} has no value; leave it out for the default")
    values = [_to_argument(setting, action, item) for item in (value if is_list else [value])]
    return [option, *values] if takes_list else [f"{option}={item}" for item in values]


def _to_bool(setting: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise SettingError(f"{setting} must be true or false, got {redact_url(repr(value))}")
    return value


def _to_argument(setting: str, action: argparse.Action, value: Any) -> str:
    """Convert one value, and validate it with the type of the option, so that the message names the file."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise SettingError(f"{setting} must be {_type_name(action)}, got {redact_url(repr(value))}")
    argument = str(value)
    if "\0" in argument:  # Which no argument and no path can have.
        raise SettingError(f"{setting} has a null character; remove it")
    if argument.startswith("-") and action.nargs not in (None, "?"):  # It would be taken for an option.
        raise SettingError(f"{setting}: no value of it can begin with -, got {redact_url(repr(value))}")
    convert = action.type if callable(action.type) else str
    try:
        converted = convert(argument)
    except (ValueError, TypeError, argparse.ArgumentTypeError):
        raise SettingError(f"{setting} must be {_type_name(action)}, got {redact_url(repr(value))}") from None
    if action.choices is not None and converted not in action.choices:
        raise SettingError(
            f"{setting} must be one of {', '.join(map(str, action.choices))}, got {redact_url(repr(value))}"
        )
    return argument


def _type_name(action: argparse.Action) -> str:
    return "a whole number" if action.type is int else "a number" if action.type is float else "text"


def _example(action: argparse.Action) -> str:
    """Return an example value for the comment of an option."""
    if action.nargs == 0:
        return "true" if not action.default else "false"
    if action.default is not None:
        return format_toml_value(action.default)
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    example = metavar if action.type in (int, float) else f'"{metavar}"'
    return f"[{example}]" if action.nargs not in (None, "?") else example
