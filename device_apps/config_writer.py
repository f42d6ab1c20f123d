"""Writer of the TOML file that :mod:`device_apps.config_reader` reads."""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from device_apps.config_reader import config_actions

__all__ = ["format_config", "format_toml_value"]


def format_config(parser: argparse.ArgumentParser, args: argparse.Namespace, exclude: Collection[str] = ()) -> str:
    """Return every option of a parser with its help: set if it differs from its default, otherwise as a comment.

    Args:
        parser: defines the options.
        args: their values.
        exclude: dests that are omitted.
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
    """Return a value in TOML. Strings are formatted as in JSON, which escapes all of TOML's but U+007F."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(format_toml_value, value))}]"
    text = str(value) if isinstance(value, Path) else value
    if not isinstance(text, str):
        raise TypeError(f"no TOML for {value!r}")
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _example(action: argparse.Action) -> str:
    """Return an example value for the comment of an option."""
    if action.nargs == 0:
        return "true" if not action.default else "false"
    if action.default is not None:
        return format_toml_value(action.default)
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    example = metavar if action.type in (int, float) else f'"{metavar}"'
    return f"[{example}]" if action.nargs not in (None, "?") else example
