"""Options of the web preview (``--web``), and the preview that they configure."""

from __future__ import annotations

import argparse
import logging
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device_apps.arguments import camera_name, check_positive, option_name, page_url
from device_apps.sources.frames import Source
from device_apps.web.access.address import Address, open_listener, parse_address
from device_apps.web.access.basic_login import LOGIN_VARIABLE, BasicLogin, read_login
from device_apps.web.access.token import CREATE_TOKEN_HINT, TOKEN_VARIABLE, Token, read_token
from device_apps.web.limits import WebLimits
from edge_ssd.console.text import utf8_text
from edge_ssd.errors import SettingError
from edge_ssd.version import __version__

if TYPE_CHECKING:
    from device_apps.results import Sink
    from device_apps.stats import Stats
    from device_apps.web.app import EventFeed
    from device_apps.web.event_records import FrameCollector
    from device_apps.web.live.frame_encoder import FrameEncoder
    from device_apps.zones.monitor import ZoneMonitor
    from edge_ssd.runtime.detector import Detector

__all__ = ["WebCamera", "add_web_arguments", "check_web_access", "open_web", "open_web_cameras"]

_log = logging.getLogger(__name__)

_DEFAULT_FPS = 10.0


def add_web_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --web and its options."""
    group = parser.add_argument_group(
        "web preview",
        "Live image, statistics and settings in a browser, instead of a window. With a token,\n"
        "the terminal and the page show a QR code that signs in a phone.",
    )
    group.add_argument(
        "--web",
        metavar="[HOST:]PORT",
        help="listening address; without a host for this machine only (8080), else for others too (0.0.0.0:8080)",
    )
    group.add_argument(
        "--web-token-file",
        type=Path,
        metavar="FILE",
        help=f"file with the access token, required if other machines can connect (default: ${TOKEN_VARIABLE})",
    )
    group.add_argument(
        "--web-login-file",
        type=Path,
        metavar="FILE",
        help=f"file with USER:PASSWORD, in place of the token or beside it (default: ${LOGIN_VARIABLE})",
    )
    group.add_argument(
        "--web-root-path", metavar="PATH", help="path under which a proxy shows the page, such as /cam1 (default: /)"
    )
    group.add_argument(
        "--web-url",
        metavar="URL",
        help="address of the page for others, such as https://camera.example/cam1/: events then link to their snapshot "
        "and clip, and login links have it",
    )
    group.add_argument(
        "--web-trusted-proxy",
        nargs="+",
        action="extend",
        metavar="ADDRESS",
        help="proxies whose X-Forwarded-… headers are used: IP addresses or networks, such as 127.0.0.1 172.16.0.0/12",
    )
    group.add_argument(
        "--web-fps",
        type=float,
        default=_DEFAULT_FPS,
        metavar="N",
        help=f"maximum frames per second (default: {_DEFAULT_FPS:g})",
    )


@dataclass(frozen=True)
class WebCamera:
    """What the web preview needs of a camera.

    Attributes:
        name: for people, or None; ``slug`` in paths, "" for a camera that is alone.
        collector: takes verdicts on events, or None.
        problem: returns why no frames come, or "".
    """

    name: str | None
    slug: str
    source: Source
    detector: Detector
    stats: Stats
    events: EventFeed | None
    zones: ZoneMonitor | None
    collector: FrameCollector | None = None
    problem: Callable[[], str] = lambda: ""


def open_web(
    args: argparse.Namespace,
    source: Source,
    detector: Detector,
    stats: Stats,
    events: EventFeed | None,
    stack: ExitStack,
    limits: WebLimits = WebLimits(),
    clock: Callable[[], float] = time.monotonic,
    zones: ZoneMonitor | None = None,
    collector: FrameCollector | None = None,
) -> list[Sink]:
    """Start the web preview, which ends with ``stack``, and return its sinks; an empty list without --web.

    Raises SettingError if the options contradict each other, EdgeSSDError if the address cannot be listened on.
    """
    camera = WebCamera(camera_name(args), "", source, detector, stats, events, zones, collector)
    return [*open_web_cameras(args, [camera], stack, limits, clock)]


def open_web_cameras(
    args: argparse.Namespace,
    cameras: Sequence[WebCamera],
    stack: ExitStack,
    limits: WebLimits = WebLimits(),
    clock: Callable[[], float] = time.monotonic,
) -> list[FrameEncoder]:
    """Start the web preview of some cameras, and return the sink of each; an empty list without --web.

    One camera without a slug is shown at the root, others by an overview. Errors as :func:`open_web`.
    """
    check_positive(args, "web_fps")
    if args.web is None:
        for name in ("web_token_file", "web_login_file", "web_root_path", "web_url", "web_trusted_proxy"):
            if getattr(args, name) is not None:
                raise SettingError(f"{option_name(name)} has no effect without --web; add --web 8080")
        return []
    address, token, basic = _parse_access(args.web, args.web_token_file, args.web_login_file)
    # Imported here: if starlette or uvicorn is missing, the error names the extra to install.
    import asyncio

    from device_apps.web.access.visit import Front, parse_proxies, parse_root_path
    from device_apps.web.app import Preview
    from device_apps.web.live.frame_encoder import FrameEncoder
    from device_apps.web.server import WebServer
    from device_apps.web.site import Site
    from device_apps.web.zone_api import ZoneApi

    url = page_url(args)
    front = Front(parse_proxies(args.web_trusted_proxy or ()), parse_root_path(args.web_root_path or ""))
    listener = stack.enter_context(open_listener(address))
    port = listener.getsockname()[1]
    closing = asyncio.Event()
    previews = {
        camera.slug: Preview(
            _about(camera, login=token is not None),
            stack.enter_context(FrameEncoder(args.web_fps, camera.stats.record)),
            camera.detector,
            camera.stats,
            camera.events,
            limits,
            closing=closing,
            zones=None if camera.zones is None else ZoneApi(camera.zones, limits),
            collector=camera.collector,
            problem=camera.problem,
            is_one_of_several=bool(camera.slug),
        )
        for camera in cameras
    }
    site = Site(previews, token, basic, address.host, port, closing, front, limits, clock, url)
    stack.enter_context(WebServer(site, listener))
    # "All addresses" cannot be entered in a browser; the host name can.
    host = socket.gethostname() if address.host in ("0.0.0.0", "::") else address.host
    asks = " (asks for the token)" if token else " (asks for user and password)" if basic else ""
    _log.info("web preview at http://%s%s/%s", Address(host, port), front.root_path, asks)
    if site.links is not None:
        site.links.show()
    return [preview.encoder for preview in previews.values()]


def _about(camera: WebCamera, *, login: bool) -> dict[str, Any]:
    return {
        "version": __version__,
        "name": camera.name,
        "source": utf8_text(camera.source.name),
        "live": camera.source.live,
        "login": login,
    }


def _parse_access(
    web: str, token_file: Path | None, login_file: Path | None
) -> tuple[Address, Token | None, BasicLogin | None]:
    """Return the listening address, token and login; every address but loopback needs one of these."""
    address, token, basic = parse_address(web), read_token(token_file), read_login(login_file)
    if token is None and basic is None:
        check_web_access(web, has_login=False)
    return address, token, basic


def check_web_access(web: str, *, has_login: bool) -> None:
    """Raise SettingError for an invalid address of --web, and for one that others can reach without a login."""
    if not parse_address(web).loopback and not has_login:
        raise SettingError(
            f"--web {web} can be reached from other machines and needs a token: "
            f"{CREATE_TOKEN_HINT}, or ${TOKEN_VARIABLE}; or --web-login-file with USER:PASSWORD"
        )
