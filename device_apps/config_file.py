"""Writing the TOML file that :mod:`device_apps.config` reads: what is set, and the rest as comments to choose from."""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from device_apps.config import options_of

__all__ = ["config_text", "toml_value"]


def config_text(parser: argparse.ArgumentParser, args: argparse.Namespace, without: Collection[str] = ()) -> str:
    """Every option of a parser with its help; those that differ from their default are set, the others comments.

    Args:
        parser: defines the options.
        args: their values.
        without: dests that are left out.
    """
    lines = []
    # An option with two names (--track, --no-track) is written once, under the first.
    for action in {action.dest: action for action in options_of(parser).values()}.values():
        if action.dest in without or action.dest == "debug" or action.help == argparse.SUPPRESS:
            continue
        name = next(option for option in action.option_strings if option.startswith("--")).removeprefix("--")
        value = getattr(args, action.dest)
        lines += ["", f"# {(action.help or '') % {'default': action.default}}"]
        if value == action.default or value is None:
            lines.append(f"#{name} = {_example(action)}")
        else:
            lines.append(f"{name} = {toml_value(value)}")
    return "\n".join(lines).lstrip("\n") + "\n"


def toml_value(value: Any) -> str:
    """A value in TOML; JSON's strings are TOML's, but for one character."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml_value, value))}]"
    text = str(value) if isinstance(value, Path) else value
    if not isinstance(text, str):
        raise TypeError(f"no TOML for {value!r}")
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _example(action: argparse.Action) -> str:
    if action.nargs == 0:
        return "true" if not action.default else "false"
    if action.default is not None:
        return toml_value(action.default)
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    word = metavar if action.type in (int, float) else f'"{metavar}"'
    return f"[{word}]" if action.nargs not in (None, "?") else word
