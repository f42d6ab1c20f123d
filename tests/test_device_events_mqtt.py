"""Publishing events over MQTT, with a real Mosquitto."""

from __future__ import annotations

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

import pytest
from clocks import wait_until
from event_factory import event
from mqtt_broker import Mosquitto, Observer, create_certificates, create_password_file, free_port, require_programs

from device_apps.events.mqtt.address import create_tls_context, parse_address
from device_apps.events.mqtt.client import _pause_before
from device_apps.events.mqtt.connection import MqttConnectOptions
from device_apps.events.mqtt.event_publisher import MqttEventPublisher, client_id
from device_apps.events.spool import Spool

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
) -> Iterator[MqttEventPublisher]:
    address = parse_address(url)
    spool = Spool(folder / "spool.sqlite", max_messages=10_000, max_bytes=10**7)
    publisher = MqttEventPublisher(
        MqttConnectOptions(address, password, context, client_id(address.prefix)),
        spool,
        labels=labels,
        discovery_prefix=discovery_prefix,
        retry_seconds=RETRY_SECONDS,
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
    assert "larger than the packets that the broker accepts; raise its limit (Mosquitto: max_packet_size)" in line


def test_pauses_between_attempts_are_short_in_the_first_minute() -> None:
    pauses = [_pause_before(attempt, False, (0.5, 30.0)) for attempt in range(40)]
    assert max(pauses[:20]) <= 4.0
    assert sum(pauses[:20]) > 30.0
    assert min(pauses[20:]) >= 15.0
    assert _pause_before(0, True, (0.5, 30.0)) >= 15.0
