"""Files of a camera service: its systemd unit and its configuration."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from device_apps.config_writer import format_config
from device_apps.systemd_unit import format_unit

__all__ = ["ServiceFiles", "first_inaccessible_parent", "generate_service_files", "program_files"]

# Camera options that name a file with a secret, which systemd passes to the service as a credential.
_SECRET_OPTIONS = ("mqtt_password_file", "mqtt_ca", "web_token_file")


@dataclass(frozen=True)
class ServiceFiles:
    """Texts of the configuration (TOML) and of the systemd unit."""

    config: str
    unit: str


def generate_service_files(
    args: argparse.Namespace,
    camera_parser: argparse.ArgumentParser,
    *,
    user: str | None,
    groups: Sequence[str],
    files: Sequence[Path],
) -> ServiceFiles:
    """Return the systemd unit and the configuration of a camera service.

    Args:
        args: options of ``edge-ssd service``, not modified.
        camera_parser: defines the options of the camera.
        user: of the service; None for a dynamic user.
        groups: that may use cameras and pins.
        files: the program, see :func:`program_files`.
    """
    in_home = any(path.is_relative_to(folder) for path in files for folder in ("/home", "/root"))
    secrets = {name: Path(path) for name in _SECRET_OPTIONS if (path := getattr(args, name, None)) is not None}
    # systemd.exec(5), "Credentials": the value of $CREDENTIALS_DIRECTORY for a system service.
    credentials_folder = Path(f"/run/credentials/{args.name}.service")
    options = {**vars(args), "headless": True, "wait": True, "show": False}
    options |= {name: credentials_folder / name for name in secrets}
    config = (
        f"# Options of `edge-ssd camera` for the service {args.name}; relative paths are in /var/lib/{args.name}.\n"
        f"# After a change: sudo systemctl restart {args.name}\n\n"
        + format_config(camera_parser, argparse.Namespace(**options), exclude={"show"})
    )
    unit = format_unit(
        args.name,
        str(files[0]),
        {"config.toml": f"/etc/{args.name}.toml", **{name: str(path.absolute()) for name, path in secrets.items()}},
        user=user,
        groups=groups,
        home="read-only" if in_home else "yes",
        memory_max=args.memory_max,
    )
    return ServiceFiles(config, unit)


def program_files(model: str | None) -> list[Path]:
    """Return the files that the service must be able to read; the first one is the Python interpreter."""
    python = Path(sys.executable).absolute()  # Of the virtual environment; it links to that of the system.
    return [python, python.resolve(), Path(__file__).resolve(), *([Path(model)] if model else [])]


def first_inaccessible_parent(files: Sequence[Path]) -> Path | None:
    """Return the outermost parent folder of the files that other users may not enter, or None."""
    for path in files:
        for folder in reversed(path.absolute().parents):
            if not folder.stat().st_mode & 0o001:
                return folder
    return None
