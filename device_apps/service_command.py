"""``edge-ssd service``: write the systemd unit and the configuration of a camera service."""

from __future__ import annotations

import argparse
import logging
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from device_apps import camera_command
from device_apps.cameras.tables import OF_ONE_CAMERA, CameraTable, format_camera_table
from device_apps.service_files import DEFAULT_NAME, first_inaccessible_parent, generate_service_files, program_files
from device_apps.web.options import check_web_access
from device_apps.zones.active_zones import ActiveZones
from device_apps.zones.shapes import ZoneSet
from device_apps.zones.tables import format_tables
from edge_ssd.console.text import print_text
from edge_ssd.errors import SettingError

__all__ = ["add_arguments", "expand", "run"]

# Which each camera of a file has: --name is that of the service.
_OF_ONE_CAMERA = tuple(name for name in OF_ONE_CAMERA if name != "name")

_log = logging.getLogger(__name__)

_PRIVATE_FOLDERS = ("/tmp", "/var/tmp")  # systemd.exec(5), PrivateTmp=
_MIN_MEMORY = 128 * 1024 * 1024  # The smallest model and one camera take a little less.

_EXAMPLES = """\
examples:
  edge-ssd service --source 0 --model mine.tflite --jsonl seen.jsonl
  edge-ssd service --name porch --source rtsp://user:password@192.168.1.20/stream --to porch/
  edge-ssd service --config cameras.toml                 several cameras, whose tables are taken over
  edge-ssd service --source picamera --to -              print both files, write none

Takes every option of `edge-ssd camera` and writes two files: NAME.toml, a configuration with these options, and
NAME.service, a unit with a user of its own that can use cameras and pins, can write to /var/lib/NAME only, waits for a
camera that is not available yet, and is restarted when it fails or hangs. The commands that install them are printed.
Relative paths of outputs are in /var/lib/NAME; paths of the model and of a recording are made absolute.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options of ``edge-ssd service``, which include those of ``edge-ssd camera``."""
    service = parser.add_argument_group("service")
    service.add_argument(
        "--name", default=DEFAULT_NAME, metavar="NAME", help="name of the service and the camera (default: edge-ssd)"
    )
    service.add_argument(
        "--to", type=Path, default=Path(), metavar="DIR", help="folder for the files (default: .); - only prints them"
    )
    service.add_argument(
        "--user", metavar="USER", help="run as this user (default: a dynamic user of systemd, if it can access Python)"
    )
    service.add_argument(
        "--memory-max", default="512M", metavar="SIZE", help="maximum memory, such as 512M (default: 512M)"
    )
    service.add_argument("--overwrite", action="store_true", help="replace existing files")
    camera_command.add_arguments(parser, name=False)
    parser.description = "Write a hardened systemd unit for edge-ssd camera, and its configuration file."
    parser.epilog = _EXAMPLES


def expand(parser: argparse.ArgumentParser, options: Sequence[str]) -> list[str]:
    """Return ``options`` preceded by those of a --config file; see :func:`device_apps.camera_command.expand`."""
    return camera_command.expand(parser, options, _OF_ONE_CAMERA)


def run(
    args: argparse.Namespace, find_inaccessible: Callable[[Sequence[Path]], Path | None] = first_inaccessible_parent
) -> int:
    """Write the files of the service and print how to install them; return the exit status 0."""
    from edge_ssd.cli import command_parser

    _validate(args)
    args = _with_absolute_inputs(args)
    cameras: Sequence[CameraTable] | None = getattr(args, "cameras", None)
    camera_command.pipeline_config(args)
    if args.web is not None:  # The service gets its login from a file only; the files themselves may be on the device.
        check_web_access(args.web, has_login=args.web_token_file is not None or args.web_login_file is not None)
    files = program_files(args.model)
    private_folder = find_inaccessible(files) if args.user is None else None
    user = args.user if private_folder is None else _owner(private_folder)
    config_text, unit_text = generate_service_files(
        args,
        command_parser("camera"),
        user=user,
        groups=_device_groups(),
        files=files,
        tables=format_tables(_zones_of(args)) if cameras is None else _format_cameras(args.config, cameras),
        exclude=() if cameras is None else OF_ONE_CAMERA,
    )
    sources = [_absolute_source(each.source) for each in (args, *_args_of(cameras or ()))]
    _warn_of_hidden([*files, *(Path(source) for source in sources if source.startswith("/"))])
    if str(args.to) == "-":
        print_text(
            f"# ---- /etc/{args.name}.toml\n{config_text}\n# ---- /etc/systemd/system/{args.name}.service\n{unit_text}"
        )
        return 0
    config, unit = args.to / f"{args.name}.toml", args.to / f"{args.name}.service"
    # The configuration may hold a password.
    _write_files({config: (config_text, 0o600), unit: (unit_text, 0o644)}, overwrite=args.overwrite)
    if private_folder is not None:
        _log.info("runs as %s: other users cannot enter %s, which has the program or its model", user, private_folder)
    written, unit_file = shlex.quote(str(config)), shlex.quote(str(unit))
    print_text(
        f"{config}\n{unit}\n\nReview them, then on the device:\n"
        f"  sudo install -m 600 {written} /etc/{args.name}.toml\n"
        f"  sudo install -m 644 {unit_file} /etc/systemd/system/{args.name}.service\n"
        f"  sudo systemctl daemon-reload\n"
        f"  sudo systemctl enable --now {args.name}\n"
        f"  systemctl status {args.name}; journalctl -fu {args.name}"
    )
    return 0


def _format_cameras(config: Path, cameras: Sequence[CameraTable]) -> str:
    """Return the tables of several cameras; raise SettingError for one that cannot be used."""
    tables = []
    for camera in cameras:
        if camera.args is None:
            raise SettingError(f"{config}: {camera.title}: {camera.problem}")
        try:
            camera_command.pipeline_config(camera.args)
        except SettingError as error:
            raise SettingError(f"{config}: {camera.title}: {error}") from None
        tables.append(format_camera_table(camera, _absolute_source(camera.args.source), _zones_of(camera.args)))
    return "".join(tables)


def _args_of(cameras: Sequence[CameraTable]) -> list[argparse.Namespace]:
    return [camera.args for camera in cameras if camera.args is not None]


def _warn_of_hidden(files: Sequence[Path]) -> None:
    """Warn of files, or folders, that the service cannot see: it has a /tmp and a /var/tmp of its own (PrivateTmp)."""
    for path in dict.fromkeys(path.absolute() for path in files):
        if any(path.is_relative_to(folder) for folder in _PRIVATE_FOLDERS):
            _log.warning("%s: the service does not see this: it has a /tmp of its own; move it to another folder", path)


def _zones_of(args: argparse.Namespace) -> ZoneSet:
    """Return the zones of a camera; those that cannot be used are logged, and left out."""
    zones = ActiveZones.open(args.config, args.zones_file, getattr(args, "camera_number", None))
    for problem in zones.problems:
        _log.warning("%s: %s; it is left out", zones.read_from, problem)
    return zones.shapes


def _absolute_source(source: str) -> str:
    """Return a source with its absolute path if it is a file or a folder."""
    return str(Path(source).absolute()) if not source.isdigit() and Path(source).exists() else source


def _owner(folder: Path) -> str:
    """Return the user that owns a folder, by number if it has no name."""
    try:
        return folder.owner()
    except KeyError:
        return str(folder.stat().st_uid)


def _validate(args: argparse.Namespace) -> None:
    """Raise SettingError for values that systemd would refuse."""
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,30}", args.name):
        raise SettingError(
            f"--name must be lowercase letters, digits, - and _, starting with a letter; got {args.name!r}"
        )
    if not re.fullmatch(r"[1-9][0-9]*[KMG%]?", args.memory_max):
        raise SettingError(f"--memory-max must be a size such as 512M or 50%, got {args.memory_max!r}")
    if not args.memory_max.endswith("%") and _bytes(args.memory_max) < _MIN_MEMORY:
        raise SettingError(
            f"--memory-max must be at least 128M, got {args.memory_max}; without a letter it is in bytes"
        )
    if args.user is not None and not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_.-]*", args.user):
        raise SettingError(f"--user must be the name of a user, got {args.user!r}")


def _bytes(size: str) -> int:
    """Return the bytes of a size of systemd, such as 512M."""
    return int(size.rstrip("KMG")) << {"K": 10, "M": 20, "G": 30}.get(size[-1], 0)


def _with_absolute_inputs(args: argparse.Namespace) -> argparse.Namespace:
    """Return the options with absolute paths of the model and the source: the service runs in another folder."""
    from edge_ssd.runtime.bundle import read_bundle
    from edge_ssd.runtime.shipped_models import find_model

    args = argparse.Namespace(**vars(args))
    if args.model is not None:
        args.model = str(read_bundle(find_model(args.model)).path.resolve())
    args.source = _absolute_source(args.source)
    return args


def _write_files(files: dict[Path, tuple[str, int]], *, overwrite: bool) -> None:
    """Write (text, mode) to each path, or raise SettingError before anything is written."""
    from device_apps.sinks import make_folder
    from edge_ssd.atomic_write import atomic_path

    for path in files:
        make_folder(path.parent)
        if path.exists() and not overwrite:
            raise SettingError(f"{path}: exists already; use --overwrite to replace it, or another --to or --name")
    for path, (text, mode) in files.items():
        with atomic_path(path) as temporary:
            temporary.touch(mode)
            temporary.write_text(text, encoding="utf-8", errors="surrogateescape")  # Paths of a unit may be any bytes.


def _device_groups() -> list[str]:
    """Return the groups that may use cameras and pins and exist here: systemd refuses a unit with an unknown one."""
    import grp

    known = {group.gr_name for group in grp.getgrall()}
    return ["video", *(name for name in ("render", "gpio") if name in known)]
