"""``edge-ssd service``: write what systemd needs to keep a camera running for months."""

from __future__ import annotations

import argparse
import logging
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from device_apps import camera_command
from edge_ssd.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["add_arguments", "expand", "run"]

_log = logging.getLogger(__name__)

# Options of the camera that name a file with a secret: where there is one, systemd hands it to the service.
_SECRETS = ("mqtt_password_file", "mqtt_ca", "web_token_file")

_EXAMPLES = """\
examples:
  edge-ssd service --source 0 --model mine.tflite --jsonl seen.jsonl
  edge-ssd service --name porch --source rtsp://user:password@192.168.1.20/stream --to porch/

Takes every option of `edge-ssd camera` and writes two files: NAME.toml with these options, to be changed at will, and
NAME.service, a unit that runs as a user of its own, sees cameras and pins but writes to /var/lib/NAME alone, waits for
a camera that is not there yet, and is restarted when it fails or hangs. The lines that install them are printed.
Relative paths of outputs are in /var/lib/NAME; the model and a recording are written with their whole path.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options: those of the camera command, and a few of its own."""
    own = parser.add_argument_group("service")
    own.add_argument("--name", default="edge-ssd", metavar="NAME", help="of the service (default: edge-ssd)")
    own.add_argument("--to", type=Path, default=Path(), metavar="DIR", help="write the files here (default: .)")
    own.add_argument(
        "--user",
        metavar="USER",
        help="run as this user (default: one that systemd makes up, where it can reach Python)",
    )
    own.add_argument("--memory-max", default="512M", metavar="SIZE", help="most memory, as in 512M (default)")
    own.add_argument("--overwrite", action="store_true", help="replace the files of before")
    camera_command.add_arguments(parser)
    parser.description = "Write a hardened systemd unit for edge-ssd camera, and its configuration file."
    parser.epilog = _EXAMPLES


def expand(parser: argparse.ArgumentParser, options: Sequence[str]) -> list[str]:
    """The command line with what its --config file says."""
    return camera_command.expand(parser, options)


def run(args: argparse.Namespace) -> int:
    """Write the files and say what to do with them; returns 0."""
    from device_apps.config_file import config_text
    from device_apps.sinks import make_folder
    from device_apps.systemd_unit import unit_text
    from edge_ssd.cli import command_parser
    from edge_ssd.files import atomic_path

    _check(args)
    camera_command.pipeline_config(args)
    user, home = args.user, "yes"
    python = Path(sys.executable).absolute()  # Of the virtual environment, and the one that it links to.
    needed = [python, python.resolve(), Path(__file__).resolve(), *([Path(args.model)] if args.model else [])]
    if any(path.is_relative_to(folder) for path in needed for folder in ("/home", "/root")):
        home = "read-only"
    shut = next((path for path in map(_first_inaccessible_parent, needed) if path is not None), None)
    if user is None and shut is not None:
        user = shut.owner()
    camera = command_parser("camera")
    args.headless, args.wait, args.show = True, True, False
    credentials = {"config.toml": f"/etc/{args.name}.toml", **_load_credentials(args)}
    config, unit = args.to / f"{args.name}.toml", args.to / f"{args.name}.service"
    texts = {
        config: f"# Options of `edge-ssd camera` for the service {args.name}; relative paths are in "
        f"/var/lib/{args.name}.\n# After a change: sudo systemctl restart {args.name}\n\n"
        + config_text(camera, args, without={"show"}),
        unit: unit_text(
            args.name,
            str(python),
            credentials,
            user=user,
            groups=_groups(),
            home=home,
            memory_max=args.memory_max,
        ),
    }
    make_folder(args.to)
    for path in texts:
        if path.exists() and not args.overwrite:
            raise SettingError(f"{path}: is there already; use --overwrite to replace it, or another --to or --name")
    for path, text in texts.items():
        with atomic_path(path) as temporary:
            temporary.touch(0o600 if path == config else 0o644)  # The configuration may hold a password.
            temporary.write_text(text, encoding="utf-8")
    if shut is not None and args.user is None:
        _log.info("it will run as %s: %s is closed to other users, and the program or its model is in it", user, shut)
    print(
        f"{config}\n{unit}\n\nLook at them, then on the device:\n"
        f"  sudo install -m 600 {config} /etc/{args.name}.toml\n"
        f"  sudo install -m 644 {unit} /etc/systemd/system/{args.name}.service\n"
        f"  sudo systemctl daemon-reload\n"
        f"  sudo systemctl enable --now {args.name}\n"
        f"  systemctl status {args.name}; journalctl -fu {args.name}"
    )
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse what systemd would, and give inputs their whole path, since the service runs in a folder of its own."""
    from edge_ssd.runtime.bundle import read_bundle
    from edge_ssd.runtime.models import find_model

    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,30}", args.name):
        raise SettingError(f"--name must be small letters, digits, - and _, beginning with a letter; got {args.name!r}")
    if not re.fullmatch(r"[1-9][0-9]*[KMG%]?", args.memory_max):
        raise SettingError(f"--memory-max must be a size such as 512M or 50%, got {args.memory_max!r}")
    if args.user is not None and not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_.-]*", args.user):
        raise SettingError(f"--user must be the name of a user, got {args.user!r}")
    if args.model is not None:
        args.model = str(read_bundle(find_model(args.model)).path.resolve())
    if not args.source.isdigit() and Path(args.source).exists():
        args.source = str(Path(args.source).absolute())


def _load_credentials(args: argparse.Namespace) -> dict[str, str]:
    """What each file with a secret is called as a credential → its path; the options then name what is handed over."""
    credentials = {}
    for option in _SECRETS:
        path = getattr(args, option, None)
        if path is not None:
            credentials[option] = str(Path(path).absolute())
            # systemd.exec(5), "Credentials": the value of $CREDENTIALS_DIRECTORY for a service of the system.
            setattr(args, option, Path(f"/run/credentials/{args.name}.service/{option}"))
    return credentials


def _first_inaccessible_parent(path: Path) -> Path | None:
    """The outermost folder on the way to a file that other users may not enter."""
    return next((folder for folder in reversed(path.absolute().parents) if not folder.stat().st_mode & 0o001), None)


def _groups() -> list[str]:
    """Groups that may use cameras and pins, as far as this system has them: a unit with an unknown one fails."""
    import grp

    known = {group.gr_name for group in grp.getgrall()}
    return ["video", *(name for name in ("render", "gpio") if name in known)]
