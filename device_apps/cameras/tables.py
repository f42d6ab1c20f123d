"""Tables ``[[cameras]]`` of a configuration file: the options of each of several cameras.

Options above the tables are those of every camera, or of the whole program; each table has the name and the source of
its camera, and any options of its own. The command line overrides both.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from device_apps.arguments import camera_name
from device_apps.cameras.outputs import claim_outputs, own_outputs
from device_apps.config_file import config_path, format_toml_value, given_options, read_toml, table_arguments
from device_apps.events.mqtt.home_assistant import topic_name
from device_apps.zones.shapes import ZoneSet
from device_apps.zones.tables import format_tables
from edge_ssd.console.suggestions import did_you_mean
from edge_ssd.errors import SettingError

__all__ = ["OF_ONE_CAMERA", "CameraTable", "format_camera_table", "read_camera_tables"]

_ZONES = ("zones", "lines", "masks")
OF_ONE_CAMERA = ("name", "source", "gpio")
"""Argparse destinations of options that only a table may have."""
# Those that no table may have, with all that begin with "web" or "mqtt", but not "webhook".
_OF_THE_PROGRAM = frozenset(
    {"model", "watch_model", "threads", "backend", "delegate", "delegate_option", "resize"}
    | {"stats_every", "stats_json", "duration", "wait", "show", "headless", "debug"}
)


@dataclass(frozen=True)
class CameraTable:
    """Options of one camera.

    Attributes:
        title: for messages: "camera 'Front door'", or by its number from 1 if it has no name.
        args: all of its options, with the attributes ``slug``, its name in paths, and ``camera_number`` (from 0) among
            the tables; None if there is a problem.
        problem: why the table cannot be used, or "".
        values: the table as it is in the file, without what the command line overrides.
    """

    title: str
    args: argparse.Namespace | None
    problem: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


def read_camera_tables(
    parser: argparse.ArgumentParser, options: Sequence[str], of_one_camera: Collection[str] = OF_ONE_CAMERA
) -> list[CameraTable] | None:
    """Return the camera tables of the ``--config`` file; None if there is no file, or none in it.

    Args:
        parser: defines the options of a camera.
        options: of the command line.
        of_one_camera: destinations of options that may stand in tables only.

    Raises:
        SettingError: the file has no camera, or what is in it cannot be of several cameras.
        EdgeSSDError: it cannot be read.
    """
    path = config_path(options)
    file = {} if path is None else read_toml(path)
    if path is None or "cameras" not in file:
        return None
    tables = file["cameras"]
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        raise SettingError(f"{path}: cameras must be tables, each of which begins with [[cameras]]")
    if not tables:
        raise SettingError(f"{path}: there is no camera in it; begin each with [[cameras]], its name and its source")
    shared = {key: value for key, value in file.items() if key != "cameras"}
    given = given_options(parser, options)
    _check_shared(str(path), shared, [*given.named], of_one_camera)
    table_arguments(parser, shared, str(path), given.overridden)  # A mistake in them is one of all cameras.
    found: list[CameraTable] = []
    names: dict[str, str] = {}
    outputs: dict[str, str] = {}
    for number, table in enumerate(tables):
        title = _title(number, table)
        try:
            own = _table_arguments(parser, table, given.overridden)
            # Those of the table replace the shared ones: a switch that is false adds no argument.
            replaced = {key.replace("-", "_") for key in table}
            others = table_arguments(parser, shared, str(path), given.overridden | replaced)
            args = parser.parse_args([*others, *own, *options])
            args.name, args.source, args.camera_number = _text(table, "name"), _text(table, "source"), number
            args.headless, args.show, args.name = True, False, camera_name(args)
            args.slug = topic_name(args.name)
            if args.slug in names:
                other = names[args.slug]
                same = f", {other!r}, is {args.slug!r} in paths too" if other != args.name else " has the same name"
                raise SettingError(f"an earlier camera{same}; give this one another name")
            args = own_outputs(args, args.slug, replaced - given.named)
            claim_outputs(args, title, outputs)
        except SettingError as error:
            found.append(CameraTable(title, None, str(error)))
        else:
            names[args.slug] = args.name
            overridden = given.overridden - {"name", "source"}  # --name of a service is that of the service.
            values = {key: value for key, value in table.items() if key.replace("-", "_") not in overridden}
            found.append(CameraTable(title, args, values=values))
    return found


def format_camera_table(table: CameraTable, source: str, zones: ZoneSet) -> str:
    """Return a table as TOML, which begins with [[cameras]], with another source and other zones."""
    options = {key: value for key, value in table.values.items() if key not in _ZONES} | {"source": source}
    lines = [f"{key} = {format_toml_value(value)}" for key, value in options.items()]
    return "\n".join(["", "[[cameras]]", *lines, ""]) + format_tables(zones, "cameras.")


def _check_shared(path: str, shared: Mapping[str, Any], given: Sequence[str], of_one_camera: Collection[str]) -> None:
    """Raise SettingError for options of one camera outside the tables."""
    for key in shared:
        name = key.replace("-", "_")
        if name in _ZONES:
            raise SettingError(f"{path}: [[{key}]] belongs to a camera; write [[cameras.{key}]] after its table")
        if name in OF_ONE_CAMERA:
            raise SettingError(f"{path}: {key} is an option of one camera; write it after its [[cameras]]")
    for name in given:
        if name in of_one_camera:
            raise SettingError(f"--{name}: each camera of {path} has its own; leave it out")


def _table_arguments(
    parser: argparse.ArgumentParser, table: Mapping[str, Any], overridden: Collection[str]
) -> list[str]:
    """Convert the options of a table to arguments of the command line."""
    options = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name in _OF_THE_PROGRAM or (name.startswith(("web", "mqtt")) and not name.startswith("webhook")):
            raise SettingError(f"{key} is for all cameras together; write it above the first [[cameras]]")
        if name in _ZONES:
            if not isinstance(value, list):
                raise SettingError(f"{key} must be tables, each of which begins with [[cameras.{key}]]")
        elif name == "cameras":
            raise SettingError("[[cameras.cameras]] is no table of a camera; begin each camera with [[cameras]]")
        elif name not in ("name", "source"):
            options[key] = value
    return table_arguments(parser, options, "", overridden)


def _text(table: Mapping[str, Any], key: str) -> str:
    value = table.get(key)
    if value is None:
        hint = did_you_mean(key, [name for name in table if name not in ("name", "source")])
        example = '"Front door"' if key == "name" else '"rtsp://192.168.1.20/stream"'
        raise SettingError(f"it has no {key}, such as {key} = {example}{hint}")
    if not isinstance(value, str) and not (key == "source" and type(value) is int):
        raise SettingError(f"{key} must be text")
    return str(value)


def _title(number: int, table: Mapping[str, Any]) -> str:
    name = table.get("name")
    return f"camera {name[:60]!r}" if isinstance(name, str) and name.strip() else f"camera {number + 1}"
