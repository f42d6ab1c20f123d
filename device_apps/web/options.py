"""``--web`` and what belongs to it: the options, and the preview that they describe."""

from __future__ import annotations

import argparse
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from device_apps.arguments import positive_float
from device_apps.sources.frames import OnMessage, Source
from device_apps.web.address import Address, listen, parse_address
from device_apps.web.token import HOW_TO_MAKE_ONE, VARIABLE, read_token
from edge_ssd.errors import SettingError
from edge_ssd.version import __version__

if TYPE_CHECKING:
    from device_apps.results import Sink
    from device_apps.stats import Stats
    from device_apps.web.event_publisher import Events
    from edge_ssd.runtime.detector import Detector

__all__ = ["add_web_arguments", "open_web"]

_FPS = 10.0


def add_web_arguments(parser: argparse.ArgumentParser) -> None:
    """--web, --web-token-file, --web-fps."""
    group = parser.add_argument_group("web preview", "Live picture, numbers and settings in a browser; no window then.")
    group.add_argument(
        "--web",
        metavar="[HOST:]PORT",
        help="serve it here; without a host for this machine only (8080), with one for others too (0.0.0.0:8080)",
    )
    group.add_argument(
        "--web-token-file",
        type=Path,
        metavar="FILE",
        help=f"what viewers must know, needed for others than this machine (default: ${VARIABLE})",
    )
    group.add_argument(
        "--web-fps", type=float, default=_FPS, metavar="N", help=f"pictures a second at most (default: {_FPS:g})"
    )


def open_web(
    args: argparse.Namespace,
    source: Source,
    detector: Detector,
    stats: Stats,
    events: Events | None,
    stack: ExitStack,
    notice: OnMessage,
) -> list[Sink]:
    """The sinks of the preview, started; none without --web.

    ``stack`` ends it. Raises :class:`SettingError` for options that do not go together, and
    :class:`~edge_ssd.errors.EdgeSSDError` for an address where it cannot listen.
    """
    positive_float("--web-fps", args.web_fps)
    if args.web is None:
        if args.web_token_file is not None:
            raise SettingError("--web-token-file is of no use without --web; add --web 8080")
        return []
    address = parse_address(args.web)
    token = read_token(args.web_token_file, notice)
    if token is None and not address.loopback:
        raise SettingError(
            f"--web {args.web} can be reached from other machines and needs a token: {HOW_TO_MAKE_ONE}, or ${VARIABLE}"
        )
    # Loaded here, where they are needed: a missing one is answered with the command that installs it.
    from device_apps.web.app import Preview
    from device_apps.web.frame_encoder import FrameEncoder
    from device_apps.web.server import WebServer

    listener = stack.enter_context(listen(address))
    port = listener.getsockname()[1]
    pictures = stack.enter_context(FrameEncoder(args.web_fps, stats.record, notice))
    about = {
        "version": __version__,
        "model": detector.bundle.path.name,
        "backend": detector.backend,
        "threads": detector.num_threads,
        "source": source.name,
        "live": source.live,
        "login": token is not None,
    }
    preview = Preview(about, pictures, detector, stats, events, token, address.host, port, notice)
    stack.enter_context(WebServer(preview, listener, notice))
    # Of an address that stands for all, nobody can type the name into a browser.
    host = socket.gethostname() if address.host in ("0.0.0.0", "::") else address.host
    notice(f"web preview at http://{Address(host, port)}/{' (asks for the token)' if token else ''}")
    return [pictures]
