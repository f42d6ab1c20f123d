"""Publishing events over MQTT, with a real Mosquitto."""

from __future__ import annotations

import io
import json
import logging
import socket
import sqlite3
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from clocks import wait_until
from event_factory import event, result
from mqtt_broker import Mosquitto, Observer, create_certificates, create_password_file, free_port, require_programs
from paho.mqtt.enums import MQTTProtocolVersion

from device_apps.events.emitter import EventEmitter
from device_apps.events.event import Event
from device_apps.events.mqtt.address import create_tls_context, parse_address
from device_apps.events.mqtt.client import _pause_before
from device_apps.events.mqtt.connection import MqttConnectOptions
from device_apps.events.mqtt.event_publisher import MqttEventPublisher, client_id
from device_apps.events.mqtt.image_topics import MAX_IMAGE_BYTES
from device_apps.events.snapshot_store import SnapshotStore
from device_apps.events.spool import Spool
from device_apps.events.tracker import Tracker
from device_apps.results import FrameResult
from device_apps.zones.active_zones import ActiveZones
from device_apps.zones.monitor import ZoneMonitor

RETRY_SECONDS = (0.02, 0.2)


@pytest.fixture(autouse=True)
def log_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


@contextmanager
def publisher_to(
    url: str,
    folder: Path,
    *,
    password: str | None = None,
    context: ssl.SSLContext | None = None,
    discovery_prefix: str | None = None,
    labels: tuple[str, ...] = ("banana",),
    **more: Any,
) -> Iterator[MqttEventPublisher]:
    address = parse_address(url)
    spool = Spool(folder / "spool.sqlite", max_messages=10_000, max_bytes=10**7)
    publisher = MqttEventPublisher(
        MqttConnectOptions(address, password, context, client_id(address.prefix)),
        spool,
        labels=labels,
        discovery_prefix=discovery_prefix,
        retry_seconds=RETRY_SECONDS,
        **more,
    )
    try:
        yield publisher
    finally:
        publisher.close(time.monotonic() + 20)


def spooled(folder: Path) -> int:
    """Return the number of messages that a closed publisher has left in its spool."""
    with closing(Spool(folder / "spool.sqlite", max_messages=10_000, max_bytes=10**7)) as spool:
        return len(spool)


def ids(payloads: list[str]) -> list[str]:
    return [json.loads(payload)["id"] for payload in payloads]


def test_connect_options_repr_hides_the_password() -> None:
    assert "secret" not in repr(MqttConnectOptions(parse_address("mqtt://me@broker"), "secret", None, "id"))


def test_client_id_is_stable_and_at_most_23_characters() -> None:
    assert client_id("a/b") == client_id("a/b") != client_id("a/c")
    assert len(client_id("x" * 200)) <= 23


def test_publisher_publishes_events_state_and_availability(broker: Mosquitto, tmp_path: Path) -> None:
    with Observer(broker.port) as observer:
        with publisher_to(
            f"mqtt://127.0.0.1:{broker.port}/home/door", tmp_path, labels=("banana", "Apple!")
        ) as publisher:
            wait_until(lambda: observer.latest().get("home/door/availability") == "online")
            sent = [event(1), event(2, object_id=2), event(3, "leave"), event(4, object_id=3, label="pear")]
            for item in sent:
                publisher.publish(item)
            wait_until(lambda: len(observer.of("home/door/events")) == 4)
            wait_until(lambda: observer.latest().get("home/door/pear/present") == "ON")
            wait_until(lambda: observer.of("home/door/banana/count")[-1] == "1")
            assert [json.loads(text) for text in observer.of("home/door/events")] == [item.to_dict() for item in sent]
            with Observer(broker.port) as late:
                wait_until(lambda: len(late.messages) == 7)
            assert late.latest() == {
                "home/door/availability": "online",
                "home/door/banana/present": "ON",
                "home/door/banana/count": "1",
                "home/door/apple/present": "OFF",
                "home/door/apple/count": "0",
                "home/door/pear/present": "ON",
                "home/door/pear/count": "1",
            }
            assert all(retained for _, _, retained in late.messages), "state is retained, events are not"
            publisher.model_replaced(["apple", "pear", "banana"])
            wait_until(lambda: len(observer.latest()) == len(late.latest()) + 3)
            known = {"availability", "events", "banana", "apple", "pear"}
            (added,) = {topic.split("/")[2] for topic in observer.latest()} - known
            assert added.startswith("apple_"), "the topic of Apple! stays its own"
        wait_until(lambda: observer.latest()["home/door/availability"] == "offline")
    assert publisher.lost == 0


def test_unreachable_broker_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    with publisher_to(f"mqtt://127.0.0.1:{port}", tmp_path) as publisher:
        for number in range(50):
            publisher.publish(event(number))
        wait_until(lambda: caplog.messages)
        time.sleep(5 * RETRY_SECONDS[0])  # Further attempts.
    assert caplog.messages == [
        f"mqtt://127.0.0.1:{port}: cannot be reached: Connection refused; "
        "detection goes on, events are kept, will retry"
    ]


def test_unsent_events_are_sent_by_the_next_run(broker: Mosquitto, tmp_path: Path) -> None:
    with publisher_to(f"mqtt://127.0.0.1:{free_port()}", tmp_path) as publisher:
        for number in range(1, 31):
            publisher.publish(event(number, object_id=number % 3))
    with Observer(broker.port, "edge-ssd/events") as observer:
        with publisher_to(f"mqtt://127.0.0.1:{broker.port}", tmp_path) as publisher:
            publisher.publish(event(31))
            wait_until(lambda: len(observer.messages) >= 31)
        assert ids(observer.of("edge-ssd/events")) == [f"12ab-{number}" for number in range(1, 32)]
    assert spooled(tmp_path) == 0


def test_restarted_broker_gets_retained_topics_again(
    broker: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    topic = "homeassistant/binary_sensor/edge_ssd_edge-ssd/banana_present/config"
    with publisher_to(f"mqtt://127.0.0.1:{broker.port}", tmp_path, discovery_prefix="homeassistant") as publisher:
        with Observer(broker.port) as observer:
            publisher.publish(event(1))
            wait_until(lambda: observer.of("edge-ssd/events") and topic in observer.latest())
        broker.kill()
        wait_until(lambda: caplog.messages)
        publisher.publish(event(2, object_id=2))
        broker.start()
        with Observer(broker.port) as observer:
            wait_until(lambda: observer.latest().get("edge-ssd/banana/count") == "2" and topic in observer.latest())
            wait_until(lambda: observer.latest().get("edge-ssd/availability") == "online")
    assert len(caplog.messages) == 2, caplog.messages
    assert caplog.messages[1] == f"mqtt://127.0.0.1:{broker.port}: connected again"


def test_refused_password_is_logged_once_and_retried(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    require_programs("mosquitto", "mosquitto_passwd")
    file = create_password_file(tmp_path, "cam", "right")
    settings = ["allow_anonymous false", f"password_file {file}"]
    with Mosquitto(tmp_path, settings) as mosquitto:
        url = f"mqtt://cam@127.0.0.1:{mosquitto.port}"
        with publisher_to(url, tmp_path, password="wrong") as publisher:
            publisher.publish(event(1))
            wait_until(lambda: mosquitto.log.read_text().count("not authorised") >= 3)
        assert caplog.messages == [
            f"mqtt://127.0.0.1:{mosquitto.port}: the broker refuses the connection: Not authorized; check user name "
            "and password; detection goes on, events are kept, will retry"
        ]
        with (
            Observer(mosquitto.port, user="cam", password="right") as observer,
            publisher_to(url, tmp_path, password="right"),
        ):
            wait_until(lambda: observer.of("edge-ssd/events"))
        assert ids(observer.of("edge-ssd/events")) == ["12ab-1"]


def test_refused_topic_loses_no_event(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """MQTT 5 acknowledges with a failure code; MQTT 3.1.1 would lose the event silently."""
    require_programs("mosquitto")
    rules = tmp_path / "acl"
    rules.write_text("topic readwrite other/#\n")
    rules.chmod(0o600)
    with (
        Mosquitto(tmp_path, ["allow_anonymous true", f"acl_file {rules}"]) as mosquitto,
        publisher_to(f"mqtt://127.0.0.1:{mosquitto.port}/mine", tmp_path) as publisher,
    ):
        publisher.publish(event(1))
        wait_until(lambda: caplog.messages)
        assert "the broker refuses what is published under mine/: Not authorized" in caplog.messages[0]
        wait_until(lambda: mosquitto.log.read_text().count("Denied PUBLISH") >= 3)
    assert len(caplog.messages) == 1
    assert spooled(tmp_path) == 1


# After a failed handshake paho-mqtt drops its socket without closing it, which Python reports.
failed_handshake = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning",
    "ignore:unclosed <ssl.SSLSocket:ResourceWarning",
)


@failed_handshake
def test_tls_checks_the_certificate(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    require_programs("mosquitto", "mosquitto_passwd", "openssl")
    ca, lines = create_certificates(tmp_path)
    settings = [*lines, "allow_anonymous false", f"password_file {create_password_file(tmp_path, 'cam', 'sécret')}"]
    with Mosquitto(tmp_path, settings) as mosquitto:
        with (
            Observer(mosquitto.port, ca=ca, user="cam", password="sécret") as observer,
            publisher_to(
                f"mqtts://cam@localhost:{mosquitto.port}/door",
                tmp_path,
                password="sécret",
                context=create_tls_context(ca),
            ) as publisher,
        ):
            for number in range(1, 41):
                publisher.publish(event(number, object_id=number))
            wait_until(lambda: len(observer.of("door/events")) == 40)
            assert ids(observer.of("door/events")) == [f"12ab-{number}" for number in range(1, 41)]
        other = tmp_path / "other"
        other.mkdir()
        wrong_ca, _ = create_certificates(other)
        for context in (create_tls_context(wrong_ca), create_tls_context(None)):
            caplog.clear()
            with publisher_to(f"mqtts://cam@localhost:{mosquitto.port}", other, password="x", context=context):
                wait_until(lambda: caplog.messages)
            assert "its certificate is not trusted: " in caplog.messages[0]
            assert "check --mqtt-ca and the host name" in caplog.messages[0]


def test_close_meets_its_deadline_when_the_broker_hangs(tmp_path: Path) -> None:
    """A server that accepts connections and never answers, as a machine that ran out of memory does."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with publisher_to(f"mqtt://127.0.0.1:{silent.getsockname()[1]}", tmp_path) as publisher:
            for number in range(20):
                publisher.publish(event(number))
            start = time.monotonic()
            publisher.close(start + 1.0)
            assert time.monotonic() - start < 20
        assert spooled(tmp_path) == 20


def test_client_falls_back_to_mqtt_3_1_1(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    versions: list[int] = []

    def serve(server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                packet = connection.recv(4096)
                versions.append(packet[8])
                if packet[8] == 5:
                    connection.sendall(b"\x20\x02\x00\x01")  # MQTT 3.1.1 §3.2.2.3: unacceptable protocol version
                    continue
                connection.sendall(b"\x20\x02\x00\x00")
                while data := connection.recv(4096):
                    if data[:1] == b"\xe0":  # DISCONNECT
                        break

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        with publisher_to(f"mqtt://127.0.0.1:{server.getsockname()[1]}", tmp_path) as publisher:
            wait_until(lambda: 4 in versions)
            publisher.close(time.monotonic() + 1.0)
    assert versions[:2] == [5, 4]
    assert caplog.messages == []


def test_event_that_the_broker_cannot_take_holds_up_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with (
        Mosquitto(tmp_path, ["allow_anonymous true", "max_packet_size 1000"]) as broker,
        Observer(broker.port) as observer,
        publisher_to(f"mqtt://127.0.0.1:{broker.port}/door", tmp_path) as publisher,
    ):
        for item in (event(1), event(2, snapshot=Path("x" * 2000)), event(3, "leave")):
            publisher.publish(item)
        wait_until(lambda: len(observer.of("door/events")) == 2)
        assert ids(observer.of("door/events")) == ["12ab-1", "12ab-3"]
    assert spooled(tmp_path) == 0
    lines = [line for line in caplog.messages if "larger than" in line]
    assert [line.partition(": ")[2] for line in lines] == [
        "1 message cannot be sent (larger than the packets that the broker accepts); set aside in the table set_aside "
        "of this file, the others are sent"
    ]


def test_damaged_spool_is_delivered_but_for_the_damaged_rows(
    broker: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with publisher_to(f"mqtt://127.0.0.1:{free_port()}", tmp_path) as publisher:
        for number in range(1, 31):
            publisher.publish(event(number))
    with closing(sqlite3.connect(tmp_path / "spool.sqlite")) as db, db:
        db.execute("UPDATE messages SET payload = X'7B' WHERE id % 10 = 5")
        db.execute("UPDATE messages SET id = -id WHERE id = 7")
        db.execute("INSERT INTO messages VALUES (9223372036854775807, 'x', X'7B7D')")
    caplog.clear()
    with Observer(broker.port) as observer, publisher_to(f"mqtt://127.0.0.1:{broker.port}", tmp_path) as publisher:
        publisher.publish(event(31))
        wait_until(lambda: len(observer.of("edge-ssd/events")) == 27)
        sent = [number for number in range(1, 32) if number % 10 != 5 and number != 7]
        assert ids(observer.of("edge-ssd/events")) == [f"12ab-{number}" for number in sent]
    assert spooled(tmp_path) == 0
    assert sum("damaged" in line for line in caplog.messages) == 2  # On opening, and on reading.


def test_discovery_that_the_broker_cannot_take_holds_up_no_event(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        Mosquitto(tmp_path, ["allow_anonymous true", "max_packet_size 500"]) as broker,
        Observer(broker.port) as observer,
        publisher_to(f"mqtt://127.0.0.1:{broker.port}", tmp_path, discovery_prefix="homeassistant") as publisher,
    ):
        publisher.publish(event(1))
        wait_until(lambda: observer.of("edge-ssd/events"))
    (line,) = caplog.messages
    assert "larger than the packets that the broker accepts; raise its limit (Mosquitto: max_packet_size" in line


def test_pauses_between_attempts_are_short_in_the_first_minute() -> None:
    pauses = [_pause_before(attempt, False, (0.5, 30.0)) for attempt in range(40)]
    assert max(pauses[:20]) <= 4.0
    assert sum(pauses[:20]) > 30.0
    assert min(pauses[20:]) >= 15.0
    assert _pause_before(0, True, (0.5, 30.0)) >= 15.0


def test_zones_of_a_camera_are_states_until_they_are_removed(broker: Mosquitto, tmp_path: Path) -> None:
    half = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
    zones = ActiveZones(None, {"zones": [{"name": "Left", "points": half}]})
    zones.check(["banana"])
    monitor = ZoneMonitor(zones, ["banana"])
    with (
        publisher_to(f"mqtt://127.0.0.1:{broker.port}/door", tmp_path, discovery_prefix="homeassistant") as publisher,
        EventEmitter([publisher], tracker=Tracker(0.1, 2.0), zones=monitor) as emitter,
        Observer(broker.port, "+/zones/#") as observer,
    ):
        emitter.subscribe_counts(publisher.publish_counts)
        for step, left in enumerate((10, 10, *range(10, 140, 10))):
            emitter.write(result(step * 0.2, step, (0, (left, 30, left + 50, 80))))
            if step == 2:
                wait_until(lambda: observer.latest().get("door/zones/left/banana/count") == "1")
        wait_until(lambda: observer.of("door/zones/left/banana/present")[-2:] == ["ON", "OFF"])
        wait_until(lambda: observer.latest()["door/zones/left/banana/count"] == "0")
        assert observer.latest()["door/zones/left/banana/visits"] == "1"
        publisher.publish_counts({"zones": {}, "lines": {}})
        wait_until(lambda: set(observer.latest().values()) == {""})
        with Observer(broker.port) as late:
            wait_until(lambda: "homeassistant/sensor/edge_ssd_door/banana_count/config" in late.latest())
        assert not [topic for topic in late.latest() if "zones" in topic], "Home Assistant removes their sensors"


def noise(number: int) -> FrameResult:
    """A frame whose JPEG is as large as that of any frame."""
    shown = result(0, number, (0, (10, 10, 30, 30)), size=(540, 960))
    shown.frame.image[:] = np.random.default_rng(number).integers(0, 256, shown.frame.image.shape, np.uint8)
    return shown


@contextmanager
def snapshots_to(publisher: MqttEventPublisher, folder: Path) -> Iterator[SnapshotStore]:
    store = SnapshotStore(folder / "snapshots", 10**8)
    store.subscribe(publisher.publish_snapshot)
    try:
        yield store
    finally:
        store.close(time.monotonic() + 20)


def test_newest_event_has_an_image_and_links(broker: Mosquitto, tmp_path: Path) -> None:
    def seen(number: int, object_id: int, kind: str = "enter") -> Event:
        path = store.path_for(event(number, kind))
        page, clip = "https://cam.example/door", Path("clip.webm")
        return event(number, kind, object_id, snapshot=path, clip=clip, page=page)

    def image() -> bytes:
        return observer.payloads.get("door/latest/image", b"")

    with (
        publisher_to(f"mqtt://127.0.0.1:{broker.port}/door", tmp_path, image=True) as publisher,
        snapshots_to(publisher, tmp_path) as store,
        Observer(broker.port) as observer,
    ):
        store.save(seen(1, 1), noise(1))
        wait_until(image)
        assert len(image()) <= MAX_IMAGE_BYTES
        shown = PIL.Image.open(io.BytesIO(image()))
        assert (shown.format, shown.size[0] / shown.size[1]) == ("JPEG", pytest.approx(16 / 9, rel=0.01))
        newest, first = seen(2, 2, "line_cross"), image()
        store.save(newest, noise(2))
        wait_until(lambda: image() != first)
        for older in (seen(1, 1), seen(3, 2, "leave"), seen(4, 1, "zone_leave")):
            store.save(older, noise(3))
            wait_until(lambda path=older.snapshot: path.exists())
        better, second = seen(1, 2), image()
        store.save(better, noise(5))  # Of the object that crossed the line: its "enter" is older.
        wait_until(lambda: image() != second)
        assert len(observer.of("door/latest/image")) == 3
        with Observer(broker.port, "door/latest/#") as late:
            wait_until(lambda: len(late.messages) == 2)
        assert late.payloads["door/latest/image"] == image()
        attributes = json.loads(late.payloads["door/latest/event"])
        assert attributes == newest.to_dict()
        assert attributes["snapshot_url"] == "https://cam.example/door/api/events/12ab-2/snapshot.jpg"
        assert attributes["clip_url"] == "https://cam.example/door/api/events/12ab-2/clip.webm"
        topics = [topic for topic, _, _ in observer.messages if "latest" in topic]
        assert topics[:2] == ["door/latest/event", "door/latest/image"], "the links are known when the image comes"


@pytest.mark.parametrize("limit", ["max_packet_size", "message_size_limit"])
@pytest.mark.parametrize("protocol", [MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311])
def test_image_that_the_broker_cannot_take_holds_up_no_event(
    limit: str, protocol: MQTTProtocolVersion, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        Mosquitto(tmp_path, ["allow_anonymous true", f"{limit} 5000"]) as broker,
        Observer(broker.port) as observer,
        publisher_to(f"mqtt://127.0.0.1:{broker.port}/door", tmp_path, image=True, protocol=protocol) as publisher,
        snapshots_to(publisher, tmp_path) as store,
    ):
        wait_until(lambda: observer.latest().get("door/availability") == "online")
        first = event(1, snapshot=store.path_for(event(1)))
        store.save(first, noise(1))
        wait_until(lambda: any("refuses door/latest/image: " in line for line in caplog.messages))
        publisher.publish(first)
        wait_until(lambda: observer.of("door/events"))
        wait_until(lambda: observer.latest()["door/banana/present"] == "ON")
        assert json.loads(observer.latest()["door/latest/event"]) == first.to_dict()
        assert "door/latest/image" not in observer.latest()
    lines = [line.partition("image: ")[2] for line in caplog.messages if "refuses" in line]
    assert len(lines) == 1
    assert lines[0].endswith("; raise its limit (Mosquitto: max_packet_size, message_size_limit)")
