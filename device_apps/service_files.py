"""Files of a camera service: its configuration, and its systemd unit, sandboxed and restarted when it fails or hangs.

Sources: systemd.service(5), systemd.exec(5), systemd.resource-control(5), of systemd 252 (Debian Bookworm).
"""

from __future__ import annotations

import argparse
import sys
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from device_apps.arguments import SECRET_FILES
from device_apps.config_file import format_config
from edge_ssd.errors import SettingError

__all__ = ["DEFAULT_NAME", "first_inaccessible_parent", "format_unit", "generate_service_files", "program_files"]

DEFAULT_NAME = "edge-ssd"
"""Name of a service."""

_UNIT = """\
# {name}.service: edge-ssd camera, kept running by systemd. Written by: edge-ssd service

[Unit]
Description=Edge SSD object detection ({name})
Wants=network-online.target
After=network-online.target time-sync.target
# No limit on restarts.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={program} -m edge_ssd camera --config ${{CREDENTIALS_DIRECTORY}}/config.toml
# systemd reads these files as root, so that files with passwords need to be readable for root only.
{credentials}
Restart=on-failure
RestartSec=5
# The camera loop sends keep-alives; a loop that hangs is restarted.
WatchdogSec=60
TimeoutStartSec=120
TimeoutStopSec=15

# A user of its own, and one writable folder: videos, events, snapshots and the spool are in /var/lib/{name}.
{user}
StateDirectory={name}
StateDirectoryMode=0750
WorkingDirectory=%S/{name}
UMask=0027
SupplementaryGroups={groups}

# Only cameras, their shared image memory, GPIO pins and the throttling state (vcio).
DevicePolicy=closed
DeviceAllow=char-video4linux rw
DeviceAllow=char-media rw
DeviceAllow=char-dma_heap rw
DeviceAllow=char-gpiochip rw
DeviceAllow=/dev/gpiomem rw
DeviceAllow=/dev/vcio rw

# The rest of the system is read-only or inaccessible.
ProtectSystem=strict
ProtectHome={home}
PrivateTmp=yes
ProtectProc=invisible
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

# A memory leak ends this service before it affects the machine.
MemoryMax={memory_max}

[Install]
WantedBy=multi-user.target
"""


def generate_service_files(
    args: argparse.Namespace,
    camera_parser: argparse.ArgumentParser,
    *,
    user: str | None,
    groups: Sequence[str],
    files: Sequence[Path],
    tables: str = "",
    exclude: Collection[str] = (),
) -> tuple[str, str]:
    """Return the configuration (TOML) and the systemd unit of a camera service.

    Args:
        args: options of ``edge-ssd service``, not modified; ``camera_parser`` defines those of the camera.
        user, groups: see :func:`format_unit`.
        files: the program, see :func:`program_files`.
        tables: TOML that follows the options: the zones, or several cameras. The service cannot write to its
            configuration: it saves zones to a file of its own.
        exclude: argparse destinations of options that are left out, because the tables have them.
    """
    in_home = any(path.is_relative_to(folder) for path in files for folder in ("/home", "/root"))
    # systemd passes these files to the service as credentials.
    secrets = {name: Path(path) for name in SECRET_FILES if (path := getattr(args, name, None)) is not None}
    # systemd.exec(5), "Credentials": the value of $CREDENTIALS_DIRECTORY for a system service.
    credentials_folder = Path(f"/run/credentials/{args.name}.service")
    options = {**vars(args), "headless": True, "wait": True, "show": False}
    options["name"] = None if args.name == DEFAULT_NAME else args.name  # The camera has that of its service.
    options |= {name: credentials_folder / name for name in secrets}
    if args.web is not None and args.zones_file is None:
        options["zones_file"] = Path("zones.toml")
    config = (
        f"# Options of `edge-ssd camera` for the service {args.name}; relative paths are in /var/lib/{args.name}.\n"
        f"# After a change: sudo systemctl restart {args.name}\n\n"
        + format_config(camera_parser, argparse.Namespace(**options), {"show", *exclude})
        + tables
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
    return config, unit


def format_unit(
    name: str,
    program: str,
    credentials: Mapping[str, str],
    *,
    user: str | None,
    groups: Sequence[str],
    home: str,
    memory_max: str,
) -> str:
    """Return the text of the systemd unit of a camera service.

    Args:
        name, memory_max: name of the service without ".service", and its MemoryMax, such as "512M".
        program: absolute path of the Python interpreter that has edge_ssd.
        credentials: paths on the device by credential name, including "config.toml".
        user: user that the service runs as; None for a dynamic user (DynamicUser).
        groups: supplementary groups for cameras and pins.
        home: value of ProtectHome: "yes" hides the home folders; "read-only" if the program is in one.

    Raises:
        SettingError: a path has a control character, or ends with a backslash: its rest would be a line of the unit;
            or systemd does not run a program of this name.
    """
    for value in (program, *credentials.values()):
        _refuse_line_ends(value)
    return _UNIT.format(
        name=name,
        program=_executable(program),
        credentials="\n".join(f"LoadCredential={name}:{path.replace('%', '%%')}" for name, path in credentials.items()),
        user="DynamicUser=yes" if user is None else f"User={user}",
        groups=" ".join(groups),
        home=home,
        memory_max=memory_max,
    )


def program_files(model: str | None) -> list[Path]:
    """Return the files that the service must read, ``model`` included if given; the first is the Python interpreter."""
    python = Path(sys.executable).absolute()  # Of the virtual environment; it links to that of the system.
    return [python, python.resolve(), Path(__file__).resolve(), *([Path(model)] if model else [])]


def first_inaccessible_parent(files: Sequence[Path]) -> Path | None:
    """Return the outermost parent folder of the files that other users may not enter, or None."""
    for path in files:
        for folder in reversed(path.absolute().parents):
            if not folder.stat().st_mode & 0o001:
                return folder
    return None


def _refuse_line_ends(path: str) -> None:
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in path) or path.endswith("\\"):
        raise SettingError(f"{path!r}: systemd cannot be given this path: rename it, without control characters")


def _executable(path: str) -> str:
    """Return the path of a program in the syntax of systemd.service(5), "Command lines".

    "$" is itself there. Raises SettingError for what systemd refuses in the name of a program, in quotes too.
    """
    if set(path) & set("\\\"'"):
        raise SettingError(f"{path!r}: systemd can run no program in a folder with quotes or \\: rename it")
    escaped = path.replace("%", "%%")
    return f'"{escaped}"' if " " in escaped else escaped
