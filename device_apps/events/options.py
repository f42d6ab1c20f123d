"""Event options of ``edge-ssd camera``, and the emitter that they describe."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from device_apps.arguments import camera_name, check_int, check_positive, class_labels, option_name, page_url
from device_apps.events.delay import enter_delay, leave_delay, number_or_text
from device_apps.events.tracker import TRACKERS
from device_apps.events.webhook.options import add_webhook_arguments, check_webhook_options, open_webhook
from edge_ssd.console.text import find_label
from edge_ssd.errors import SettingError

if TYPE_CHECKING:
    from device_apps.events.counts_file import CountsFile
    from device_apps.events.emitter import EventEmitter
    from device_apps.events.event import ClipSource, EventPublisher
    from device_apps.events.history import EventHistory
    from device_apps.events.mqtt.event_publisher import MqttEventPublisher
    from device_apps.events.snapshot_store import SnapshotStore
    from device_apps.sources.frames import Source
    from device_apps.zones.monitor import ZoneMonitor

__all__ = ["EXAMPLES", "add_event_arguments", "check_event_options", "open_events"]

EXAMPLES = """\
events:
  edge-ssd camera --headless --events -                        a line of JSON when an object enters or leaves
  edge-ssd camera --headless --events events.jsonl --event-snapshots snapshots
  edge-ssd camera --headless --mqtt mqtts://cam@broker.lan/edge-ssd/door --mqtt-password-file secret
  edge-ssd camera --headless --mqtt mqtt://broker.lan --event-snapshots snapshots --mqtt-image   image in Home Assistant
  edge-ssd camera --headless --webhook https://example.org/hook --webhook-secret-file secret
  edge-ssd camera --headless --gpio 17:banana 27               pin 17 is on for bananas, pin 27 for any object
"""

_MIB = 1024 * 1024
_HISTORY = ".events.jsonl"


def add_event_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --events, --gpio, --mqtt, --webhook and the other options of events to a parser."""
    events = parser.add_argument_group("events", "An object entered, an object left: one event each.")
    events.add_argument("--events", metavar="FILE|-", help="append one line of JSON per event; - is standard output")
    _add_number(events, "--events-max-mb", 10.0, "MB", "rotate the file at this size")
    _add_number(events, "--events-keep", 5, "N", "number of older files to keep: FILE.1, …")
    _add_delay(events, "--enter-after", 0.5, "an object enters after this time in view, in at least two frames")
    _add_delay(events, "--leave-after", 2.0, "an object leaves after this time out of view")
    events.add_argument(
        "--tracker",
        choices=TRACKERS,
        default=TRACKERS[0],
        help="how objects are followed: by their motion, or by overlap with the last frame alone (default: motion)",
    )
    events.add_argument(
        "--event-snapshots", type=Path, metavar="DIR", help="save the annotated frame of each event as JPEG"
    )
    events.add_argument(
        "--event-snapshots-clean",
        action="store_true",
        help="save the frame without boxes too, in which the object is; always done with --collect",
    )
    _add_number(events, "--event-snapshots-max-mb", 200.0, "MB", "delete the oldest snapshots above this total size")
    events.add_argument(
        "--gpio",
        nargs="+",
        metavar="PIN[:LABEL,…]",
        help="switch pins on while an object (with one of the labels) is present: 17, or 17:banana,apple",
    )
    events.add_argument("--gpio-active-low", action="store_true", help="on is 0 V, as many relay boards need")
    mqtt = parser.add_argument_group("MQTT")
    mqtt.add_argument(
        "--mqtt", metavar="URL", help="mqtt://[user@]host[:port][/topic], or mqtts:// for TLS (default topic: edge-ssd)"
    )
    mqtt.add_argument(
        "--mqtt-password-file", type=Path, metavar="FILE", help="file with the password (or set EDGE_SSD_MQTT_PASSWORD)"
    )
    mqtt.add_argument("--mqtt-ca", type=Path, metavar="FILE", help="certificates to trust, PEM (default: the system's)")
    mqtt.add_argument("--mqtt-cert", type=Path, metavar="FILE", help="client certificate, PEM, if the broker needs one")
    mqtt.add_argument("--mqtt-key", type=Path, metavar="FILE", help="its private key, PEM (default: in --mqtt-cert)")
    mqtt.add_argument(
        "--mqtt-discovery",
        default="homeassistant",
        metavar="TOPIC",
        help="topic prefix of Home Assistant discovery, or none (default: homeassistant)",
    )
    mqtt.add_argument(
        "--mqtt-image",
        action="store_true",
        help="publish the snapshot of the newest event, for Home Assistant's image entity; needs --event-snapshots",
    )
    mqtt.add_argument(
        "--mqtt-spool",
        type=Path,
        metavar="FILE",
        help="file that keeps events while the broker is away (default: in the home folder)",
    )
    _add_number(mqtt, "--mqtt-spool-max", 10_000, "N", "maximum number of events there; the oldest are dropped")
    _add_number(mqtt, "--mqtt-spool-max-mb", 16.0, "MB", "maximum size of these events")
    add_webhook_arguments(parser)


def open_events(
    args: argparse.Namespace,
    source: Source,
    stack: ExitStack,
    labels: Sequence[str] = (),
    clips: ClipSource | None = None,
    zones: ZoneMonitor | None = None,
    camera: str | None = None,
) -> EventEmitter | None:
    """Return the event emitter that the options describe, or None if nothing, --web included, asks for events.

    Args:
        stack: closes it.
        labels: those of the detector, for Home Assistant and to validate the options; () if unknown.
        clips: records clips of the events; None for none.
        zones: monitor of zones, which goes on with the totals of earlier runs; None for none.
        camera: its name, if it is one of several.

    Raises:
        EdgeSSDError: an option is invalid, or a destination cannot be opened.
    """
    check_event_options(args)
    web = getattr(args, "web", None)
    destinations = (args.events, args.event_snapshots, args.gpio, args.mqtt, args.webhook, web, clips)
    if all(destination is None for destination in destinations) and not (zones and zones.shapes):
        return None
    from device_apps.events.emitter import EventEmitter
    from device_apps.events.tracker import Tracker

    publishers: list[EventPublisher] = []
    for publisher in _open_publishers(args, labels):
        stack.callback(publisher.close, 0.0)  # In case a later one cannot be opened.
        publishers.append(publisher)
    snapshots = None if args.event_snapshots is None else _open_snapshots(args)
    if snapshots is not None:
        stack.callback(snapshots.close, 0.0)
    history = None if getattr(args, "web", None) is None else _open_history(args)
    if history is not None:
        stack.callback(history.close, 0.0)
    counts_file = None if zones is None else _open_counts(args, source, zones)
    if counts_file is not None:
        stack.callback(counts_file.close, 0.0)
    emitter = EventEmitter(
        publishers,
        tracker=Tracker(enter_delay(args.enter_after), leave_delay(args.leave_after), kind=args.tracker),
        snapshots=snapshots,
        clips=clips,
        history=history,
        page=page_url(args),
        camera=camera,
        zones=zones,
        counts_file=counts_file,
        connected=lambda: source.counts.connected,
    )
    for publisher in publishers:
        publish_counts = getattr(publisher, "publish_counts", None)
        if zones is not None and publish_counts is not None:
            publish_counts(zones.counts())  # Sensors exist before the first object comes.
            emitter.subscribe_counts(publish_counts)
        publish_snapshot = getattr(publisher, "publish_snapshot", None)
        if snapshots is not None and publish_snapshot is not None:
            snapshots.subscribe(publish_snapshot)
    return stack.enter_context(emitter)


def _open_snapshots(args: argparse.Namespace) -> SnapshotStore:
    from device_apps.events.snapshot_store import SnapshotStore

    clean = args.event_snapshots_clean or getattr(args, "collect", None) is not None
    return SnapshotStore(args.event_snapshots, round(args.event_snapshots_max_mb * _MIB), clean=clean)


def _open_history(args: argparse.Namespace) -> EventHistory:
    """Return the history for the web page, kept beside the snapshots or clips that it is about."""
    from device_apps.events.history import EventHistory

    folder = args.event_snapshots or getattr(args, "event_clips", None)
    return EventHistory(None if folder is None else folder / _HISTORY)


def _open_counts(args: argparse.Namespace, source: Source, zones: ZoneMonitor) -> CountsFile | None:
    """Open the file of the totals, and let the monitor go on with them; None if they are not kept."""
    from device_apps.zones.options import counts_path

    path = counts_path(args, zones.active, source.name, live=source.live)
    if path is None:
        return None
    from device_apps.events.counts_file import CountsFile

    counts_file = CountsFile(path, check=bool(zones.active.shapes))
    zones.totals = counts_file.totals
    return counts_file


def _add_number(group: argparse._ArgumentGroup, option: str, default: float, metavar: str, text: str) -> None:
    """Add a numeric option; its help names the default, whose type is that of the option."""
    group.add_argument(
        option, type=type(default), default=default, metavar=metavar, help=f"{text} (default: {default:g})"
    )


def _add_delay(group: argparse._ArgumentGroup, option: str, default: float, text: str) -> None:
    """Add an option that takes a number of seconds, or of frames: 0.5, 3f."""
    group.add_argument(
        option,
        type=number_or_text,
        default=default,
        metavar="SECONDS|Nf",
        help=f"{text}; or after so many frames, such as 3f (default: {default:g})",
    )


def _open_publishers(args: argparse.Namespace, labels: Sequence[str]) -> Iterator[EventPublisher]:
    """Open each publisher; pins first, so that at the end they are off before anything slow is closed."""
    for text in args.gpio or ():
        from device_apps.events.gpio import GpioOutput, parse_pin

        yield GpioOutput(parse_pin(text, labels or None), active_low=args.gpio_active_low)
    if args.events is not None:
        from device_apps.events.jsonl import open_json_lines

        yield open_json_lines(args.events, round(args.events_max_mb * _MIB), args.events_keep)
    if args.mqtt is not None:
        yield _open_mqtt(args, labels)
    if args.webhook is not None:
        yield open_webhook(args)


def _open_mqtt(args: argparse.Namespace, labels: Sequence[str]) -> MqttEventPublisher:
    _check_paho()
    from device_apps.events.event_payload import is_event_payload
    from device_apps.events.mqtt.address import check_topic_prefix, create_tls_context, parse_address, read_password
    from device_apps.events.mqtt.connection import MqttConnectOptions
    from device_apps.events.mqtt.event_publisher import MqttEventPublisher, client_id
    from device_apps.events.spool import Spool, default_spool_path

    address = parse_address(args.mqtt)
    for name in ("mqtt_ca", "mqtt_cert", "mqtt_key"):
        if getattr(args, name) is not None and not address.tls:
            raise SettingError(f"{option_name(name)}: {address} is not encrypted; write mqtts:// for TLS")
    if args.mqtt_key is not None and args.mqtt_cert is None:
        raise SettingError("--mqtt-key needs --mqtt-cert FILE, the certificate of the key")
    if args.mqtt_discovery != "none":
        check_topic_prefix(args.mqtt_discovery, "--mqtt-discovery")
    password = read_password(args.mqtt_password_file)
    if password is not None and address.user is None:
        raise SettingError(f"--mqtt: a password needs a user; write {address}".replace("://", "://USER@", 1))
    context = create_tls_context(args.mqtt_ca, args.mqtt_cert, args.mqtt_key) if address.tls else None
    chosen = class_labels(args)
    spool = Spool(
        args.mqtt_spool or default_spool_path(f"{address}/{address.prefix}"),
        max_messages=args.mqtt_spool_max,
        max_bytes=round(args.mqtt_spool_max_mb * _MIB),
        is_valid=is_event_payload,
    )
    return MqttEventPublisher(
        MqttConnectOptions(address, password, context, client_id(address.prefix), args.mqtt_cert is not None),
        spool,
        labels=labels,
        announced=None if chosen is None else [find_label(name, labels) or name for name in chosen],
        camera=camera_name(args),
        discovery_prefix=None if args.mqtt_discovery == "none" else args.mqtt_discovery,
        page=page_url(args),
        image=args.mqtt_image,
    )


def _check_paho() -> None:
    """Raise SettingError for paho-mqtt 1, which Debian 12 has and whose interface differs."""
    import paho.mqtt

    version = getattr(paho.mqtt, "__version__", "2")
    if version.startswith("1."):
        raise SettingError(f'--mqtt needs paho-mqtt 2, and {version} is installed: pip install "paho-mqtt>=2.1"')


def check_event_options(args: argparse.Namespace) -> None:
    """Raise SettingError for an invalid option of events, as far as nothing needs to be opened to know."""
    enter_delay(args.enter_after)
    leave_delay(args.leave_after)
    for name in ("events_max_mb", "event_snapshots_max_mb", "mqtt_spool_max_mb"):
        check_positive(args, name)
    check_int(args, "events_keep", 0)
    check_int(args, "mqtt_spool_max")
    if args.events == "-" and args.jsonl == "-":
        raise SettingError("--events - and --jsonl - would both write to standard output; name a file for one of them")
    page_url(args)
    if args.event_snapshots_clean and args.event_snapshots is None:
        raise SettingError("--event-snapshots-clean needs --event-snapshots DIR")
    if args.mqtt_image and args.event_snapshots is None:
        raise SettingError("--mqtt-image needs --event-snapshots DIR, where the snapshots are kept")
    for name in ("mqtt_password_file", "mqtt_ca", "mqtt_cert", "mqtt_key", "mqtt_image"):
        if getattr(args, name) and args.mqtt is None:
            raise SettingError(f"{option_name(name)}: there is no --mqtt URL")
    if args.mqtt is not None:
        from device_apps.events.mqtt.address import parse_address

        parse_address(args.mqtt)
    check_webhook_options(args)
