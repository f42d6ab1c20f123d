"""The options of ``edge-ssd camera`` that say who is told of events, and what they open."""

from __future__ import annotations

import argparse
import hashlib
import math
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from device_apps.arguments import positive_float
from edge_ssd.errors import SettingError

if TYPE_CHECKING:
    from device_apps.events.emitter import EventEmitter, EventPublisher
    from device_apps.events.mqtt_events import MqttEvents
    from device_apps.sources.frames import OnMessage, Source

__all__ = ["EXAMPLES", "add_event_arguments", "open_events"]

EXAMPLES = """\
events:
  edge-ssd camera --headless --events -                        a line of JSON when something enters or leaves
  edge-ssd camera --headless --events events.jsonl --event-snapshots pictures
  edge-ssd camera --headless --mqtt mqtts://cam@broker.lan/edge-ssd/door --mqtt-password-file secret
  edge-ssd camera --headless --gpio 17:banana 27               pin 17 is on for bananas, pin 27 for anything
"""

_MIB = 1024 * 1024


def add_event_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options."""
    events = parser.add_argument_group("events", "Something entered, something left: once for each object.")
    events.add_argument("--events", metavar="FILE|-", help="append one line of JSON an event; - is standard output")
    events.add_argument(
        "--events-max-mb", type=float, default=10.0, metavar="MB", help="begin a new file at this size (default: 10)"
    )
    events.add_argument(
        "--events-keep", type=int, default=5, metavar="N", help="older files to keep: FILE.1, … (default: 5)"
    )
    events.add_argument(
        "--enter-after",
        type=float,
        default=0.5,
        metavar="SECONDS",
        help="an object enters once it was seen for so long, and in two frames at least (default: 0.5)",
    )
    events.add_argument(
        "--leave-after",
        type=float,
        default=2.0,
        metavar="SECONDS",
        help="an object leaves once it was not seen for so long (default: 2)",
    )
    events.add_argument(
        "--event-snapshots", type=Path, metavar="DIR", help="save the annotated frame of each event as JPEG"
    )
    events.add_argument(
        "--event-snapshots-max-mb",
        type=float,
        default=200.0,
        metavar="MB",
        help="delete the oldest of these pictures when there would be more (default: 200)",
    )
    events.add_argument(
        "--gpio",
        nargs="+",
        metavar="PIN[:LABEL,…]",
        help="switch pins on while an object (of these labels) is there: 17, or 17:banana,apple",
    )
    events.add_argument("--gpio-active-low", action="store_true", help="on is 0 V: relay boards often want it")
    mqtt = parser.add_argument_group("MQTT")
    mqtt.add_argument(
        "--mqtt", metavar="URL", help="mqtt://[user@]host[:port][/topic], or mqtts:// for TLS (default topic: edge-ssd)"
    )
    mqtt.add_argument(
        "--mqtt-password-file",
        type=Path,
        metavar="FILE",
        help="file with the password (or set EDGE_SSD_MQTT_PASSWORD)",
    )
    mqtt.add_argument("--mqtt-ca", type=Path, metavar="FILE", help="certificates to trust, PEM (default: the system's)")
    mqtt.add_argument(
        "--mqtt-discovery",
        default="homeassistant",
        metavar="TOPIC",
        help="where Home Assistant listens for new devices, or none (default: homeassistant)",
    )
    mqtt.add_argument(
        "--mqtt-spool", type=Path, metavar="FILE", help="keeps events while the broker is away (default: in the home)"
    )
    mqtt.add_argument(
        "--mqtt-spool-max",
        type=int,
        default=10_000,
        metavar="N",
        help="events to keep there; the oldest are dropped (default: 10000)",
    )
    mqtt.add_argument(
        "--mqtt-spool-max-mb", type=float, default=16.0, metavar="MB", help="the same in size (default: 16)"
    )


def open_events(
    args: argparse.Namespace, source: Source, stack: ExitStack, notice: OnMessage, labels: Sequence[str] = ()
) -> EventEmitter | None:
    """The sink for what the options ask for, to be closed by ``stack``; None when nobody is to be told.

    Args:
        args: with the options above; ``args.web``, where there is one and it is set, counts as somebody to be told.
        source: its time is the events' time.
        stack: closes what is opened.
        notice: is told what a person should know.
        labels: what the detector can find, for Home Assistant and to check the options; () for unknown.

    Raises :class:`~edge_ssd.errors.EdgeSSDError`, naming the option, for what cannot be.
    """
    _check(args)
    outputs = (args.events, args.event_snapshots, args.gpio, args.mqtt, getattr(args, "web", None))
    if all(output is None for output in outputs):
        return None
    from device_apps.events.emitter import EventEmitter
    from device_apps.events.tracker import Tracker

    channels: list[EventPublisher] = []

    def add(channel: EventPublisher) -> None:
        # Closed here too in case that a later one cannot be opened.
        stack.callback(channel.close, 0.0)
        channels.append(channel)

    for text in args.gpio or ():  # First, so that at the end pins go off before anything else is waited for.
        from device_apps.events.gpio import GpioOutput, parse_pin

        add(GpioOutput(parse_pin(text, labels or None), active_low=args.gpio_active_low, notice=notice))
    if args.events is not None:
        from device_apps.events.jsonl_file import open_event_lines

        add(open_event_lines(args.events, round(args.events_max_mb * _MIB), args.events_keep, notice))
    if args.mqtt is not None:
        add(_open_mqtt(args, notice, args.classes or labels))
    pictures = None
    if args.event_snapshots is not None:
        from device_apps.events.snapshots import EventSnapshots

        pictures = EventSnapshots(args.event_snapshots, round(args.event_snapshots_max_mb * _MIB), notice)
        stack.callback(pictures.close, 0.0)
    tracker = Tracker(args.enter_after, args.leave_after)
    fps = None if source.live else source.fps
    return stack.enter_context(EventEmitter(channels, tracker=tracker, pictures=pictures, fps=fps))


def _open_mqtt(args: argparse.Namespace, notice: OnMessage, labels: Sequence[str]) -> MqttEvents:
    from device_apps.events.mqtt_address import parse_address, read_password, tls_context
    from device_apps.events.mqtt_events import MqttEvents, client_id
    from device_apps.events.mqtt_session import MqttConnectOptions
    from device_apps.events.spool import Spool

    address = parse_address(args.mqtt)
    if args.mqtt_ca is not None and not address.tls:
        raise SettingError(f"--mqtt-ca: {address} is not encrypted; write mqtts:// for TLS")
    password = read_password(args.mqtt_password_file)
    if password is not None and address.user is None:
        raise SettingError(f"--mqtt: there is a password and no user; write {address}".replace("://", "://USER@", 1))
    context = tls_context(args.mqtt_ca) if address.tls else None
    spool = Spool(
        args.mqtt_spool or _default_spool(f"{address}/{address.prefix}"),
        max_messages=args.mqtt_spool_max,
        max_bytes=round(args.mqtt_spool_max_mb * _MIB),
        notice=notice,
    )
    return MqttEvents(
        MqttConnectOptions(address, password, context, client_id(address.prefix)),
        spool,
        labels=labels,
        discovery_prefix=None if args.mqtt_discovery == "none" else args.mqtt_discovery,
        notice=notice,
    )


def _default_spool(name: str) -> Path:
    """A file of its own for each broker and topic, where a service or a user keeps such things."""
    service = os.environ.get("STATE_DIRECTORY", "").split(":")[0]  # systemd's
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    folder = Path(service) if service else Path(home) / "edge-ssd"
    return folder / f"mqtt-{hashlib.sha256(name.encode()).hexdigest()[:12]}.sqlite"


def _check(args: argparse.Namespace) -> None:
    for name in ("enter_after", "leave_after"):
        if not 0 <= getattr(args, name) < math.inf:
            raise SettingError(f"{_option(name)} must be a number of seconds from 0, got {getattr(args, name)}")
    for name in ("events_max_mb", "event_snapshots_max_mb", "mqtt_spool_max_mb"):
        positive_float(_option(name), getattr(args, name))
    for name, least in (("events_keep", 0), ("mqtt_spool_max", 1)):
        if getattr(args, name) < least:
            raise SettingError(f"{_option(name)} must be a whole number from {least}, got {getattr(args, name)}")
    if args.events == "-" and args.jsonl == "-":
        raise SettingError("--events - and --jsonl - would both write to standard output; name a file for one of them")
    if args.mqtt_password_file is not None and args.mqtt is None:
        raise SettingError("--mqtt-password-file: there is no --mqtt URL")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
