"""Template of the systemd unit of a camera service, which is restarted when it fails or hangs, and sandboxed.

Sources: systemd.service(5), systemd.exec(5), systemd.resource-control(5), of systemd 252 (Debian Bookworm).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["format_unit"]

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
        name: of the service and of its folder under /var/lib.
        program: absolute path of the Python interpreter that has edge_ssd.
        credentials: paths on the device by credential name, including "config.toml".
        user: of the service; None for a dynamic user (DynamicUser).
        groups: supplementary groups for cameras and pins.
        home: ProtectHome: "yes" hides the home folders, "read-only" if the program is in one.
        memory_max: MemoryMax, such as "512M".
    """
    return _UNIT.format(
        name=name,
        program=_quote(program),
        credentials="\n".join(f"LoadCredential={name}:{path.replace('%', '%%')}" for name, path in credentials.items()),
        user="DynamicUser=yes" if user is None else f"User={user}",
        groups=" ".join(groups),
        home=home,
        memory_max=memory_max,
    )


def _quote(word: str) -> str:
    """Return a word of a command line in the syntax of systemd.service(5), "Command lines"."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return escaped if escaped == word and not set(word) & set(" \t'") else f'"{escaped}"'
