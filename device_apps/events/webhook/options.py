"""Options of the webhook (``--webhook``), and the publisher that they describe."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from device_apps.arguments import MAX_TIMEOUT_S, camera_name, check_positive, option_name
from device_apps.secret_file import read_secret
from edge_ssd.errors import SettingError

if TYPE_CHECKING:
    from device_apps.events.webhook.publisher import WebhookPublisher
    from device_apps.events.webhook.target import Target

__all__ = ["SECRET_VARIABLE", "add_webhook_arguments", "check_webhook_options", "open_webhook"]

SECRET_VARIABLE = "EDGE_SSD_WEBHOOK_SECRET"
"""Environment variable with the secret of the signature."""

_MAX_EVENTS, _MAX_BYTES = 10_000, 16 * 1024 * 1024  # of the spool


def add_webhook_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --webhook and its options to a parser."""
    group = parser.add_argument_group("webhook")
    group.add_argument("--webhook", metavar="URL", help="post each event as JSON to this http:// or https:// address")
    group.add_argument(
        "--webhook-secret-file",
        type=Path,
        metavar="FILE",
        help=f"file with a secret that signs each request (default: ${SECRET_VARIABLE})",
    )
    group.add_argument(
        "--webhook-header-file",
        type=Path,
        metavar="FILE",
        help="file with further headers, a line each: Authorization: Bearer TOKEN",
    )
    group.add_argument(
        "--webhook-timeout",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="time for the connection, and for the answer; then it is tried again (default: 10)",
    )
    group.add_argument(
        "--webhook-spool",
        type=Path,
        metavar="FILE",
        help="file that keeps events while the server is away (default: in the home folder)",
    )


def check_webhook_options(args: argparse.Namespace) -> None:
    """Raise SettingError for an invalid option, as far as nothing needs to be opened to know."""
    check_positive(args, "webhook_timeout", MAX_TIMEOUT_S)
    for name in ("webhook_secret_file", "webhook_header_file", "webhook_spool"):
        if getattr(args, name) is not None and args.webhook is None:
            raise SettingError(f"{option_name(name)}: there is no --webhook URL")
    if args.webhook is not None:
        from device_apps.events.webhook.target import parse_target

        parse_target(args.webhook)


def open_webhook(args: argparse.Namespace) -> WebhookPublisher:
    """Return the publisher that the options describe; raise EdgeSSDError if an option or the spool is not usable."""
    from device_apps.events.event_payload import is_event_payload
    from device_apps.events.spool import Spool, default_spool_path
    from device_apps.events.webhook.publisher import WebhookPublisher

    target = _target(args)
    # Cameras that post to one address have a spool each.
    own = f"{args.webhook}\0{camera_name(args)}\0{getattr(args, 'source', '')}"
    spool = Spool(
        args.webhook_spool or default_spool_path(own, kind="webhook"),
        max_messages=_MAX_EVENTS,
        max_bytes=_MAX_BYTES,
        is_valid=is_event_payload,
        option="--webhook-spool",
    )
    return WebhookPublisher(target, spool)


def _target(args: argparse.Namespace) -> Target:
    from device_apps.events.webhook.target import parse_target, read_headers

    headers = {} if args.webhook_header_file is None else read_headers(args.webhook_header_file)
    file, hint = args.webhook_secret_file, "(umask 077; head -c 24 /dev/urandom | base64 > FILE)"
    secret = read_secret(file, "--webhook-secret-file", SECRET_VARIABLE, os.environ, hint)
    if secret == "":
        given = SECRET_VARIABLE if file is None else f"--webhook-secret-file {file}"
        raise SettingError(f"{given}: the secret is empty; make one with {hint}")
    return parse_target(args.webhook, headers, secret, args.webhook_timeout)
