"""MQTT, with a real Mosquitto."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from event_parts import Notices, event, soon
from mqtt_broker import Mosquitto, Observer, broker, certificates, free_port, need, password_file  # noqa: F401

from device_apps.events.mqtt_address import MqttAddress, parse_address, read_password, tls_context
from device_apps.events.mqtt_events import MqttEvents, client_id
from device_apps.events.mqtt_session import MqttConnectOptions
from device_apps.events.spool import Spool
from edge_ssd.errors import SettingError

QUICK = (0.02, 0.2)


@contextmanager
def channel_to(
    url: str,
    folder: Path,
    notices: Notices | None = None,
    *,
    password: str | None = None,
    context: ssl.SSLContext | None = None,
    discovery_prefix: str | None = None,
    labels: tuple[str, ...] = ("banana",),
) -> Iterator[MqttEvents]:
    notice, address = notices or Notices(), parse_address(url)
    spool = Spool(folder / "spool.sqlite", max_messages=10_000, max_bytes=10**7, notice=notice)
    channel = MqttEvents(
        MqttConnectOptions(address, password, context, client_id(address.prefix)),
        spool,
        labels=labels,
        discovery_prefix=discovery_prefix,
        notice=notice,
        delays=QUICK,
    )
    try:
        yield channel
    finally:
        channel.close(time.monotonic() + 20)


def ids(payloads: list[str]) -> list[str]:
    return [json.loads(payload)["id"] for payload in payloads]


# ---- the address ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://broker", MqttAddress(False, "broker", 1883, None, "edge-ssd")),
        ("mqtts://broker/", MqttAddress(True, "broker", 8883, None, "edge-ssd")),
        ("mqtt://cam%40home@10.0.0.2:1884/a/b/", MqttAddress(False, "10.0.0.2", 1884, "cam@home", "a/b")),
        ("mqtts://[fe80::1]:1/house%20door", MqttAddress(True, "fe80::1", 1, None, "house door")),
    ],
)
def test_addresses(url: str, expected: MqttAddress) -> None:
    assert parse_address(url) == expected


def test_an_address_in_words() -> None:
    assert str(parse_address("mqtts://me@[::1]/x")) == "mqtts://[::1]:8883"
    assert str(parse_address("mqtt://me@host/x")) == "mqtt://host:1883"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "broker",
        "http://broker",
        "mqtt://",
        "mqtt://broker:port",
        "mqtt://broker:99999",
        "mqtt://b?x=1",
        "mqtt://b#x",
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(SettingError, match=r"^--mqtt.*expected mqtt://\[user@\]host"):
        parse_address(url)


@pytest.mark.parametrize("path", ["a/+/b", "a%23", "$SYS", "a//b", "a%00b"])
def test_what_no_topic_can_begin_with(path: str) -> None:
    with pytest.raises(SettingError, match="cannot be the beginning of a topic"):
        parse_address(f"mqtt://broker/{path}")


def test_a_password_in_the_address_is_refused_and_not_shown() -> None:
    with pytest.raises(SettingError, match="--mqtt-password-file or in the environment variable") as caught:
        parse_address("mqtt://me:secret@broker")
    assert "secret" not in str(caught.value)


def test_passwords(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(" pass wörd \r\n", encoding="utf-8")
    assert read_password(file, {}) == " pass wörd "
    assert read_password(None, {"EDGE_SSD_MQTT_PASSWORD": "x"}) == "x"
    assert read_password(None, {}) is None
    with pytest.raises(SettingError, match=r"cannot be read: No such file or directory; check the file"):
        read_password(tmp_path / "none", {})


def test_certificates_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(SettingError, match="it holds no certificate; name a PEM file"):
        tls_context(tmp_path / "ca.pem")
    with pytest.raises(SettingError, match="No such file or directory; name a PEM file"):
        tls_context(tmp_path / "none.pem")


def test_a_login_does_not_show_its_password() -> None:
    assert "secret" not in repr(MqttConnectOptions(parse_address("mqtt://me@broker"), "secret", None, "id"))


def test_a_client_id_is_the_same_each_time_and_every_broker_takes_it() -> None:
    assert client_id("a/b") == client_id("a/b") != client_id("a/c")
    assert len(client_id("x" * 200)) <= 23


# ---- what is published ----------------------------------------------------------------------------------------


def test_events_state_and_availability(broker: Mosquitto, tmp_path: Path) -> None:  # noqa: F811
    with Observer(broker.port) as observer:
        with channel_to(f"mqtt://127.0.0.1:{broker.port}/home/door", tmp_path, labels=("banana", "Apple!")) as channel:
            soon(lambda: observer.latest().get("home/door/availability") == "online")
            sent = [event(1), event(2, object_id=2), event(3, "leave"), event(4, object_id=3, label="pear")]
            for item in sent:
                channel.publish(item)
            soon(lambda: len(observer.of("home/door/events")) == 4)
            soon(lambda: observer.latest().get("home/door/pear/present") == "ON")
            soon(lambda: observer.of("home/door/banana/count")[-1] == "1")
            assert [json.loads(text) for text in observer.of("home/door/events")] == [item.to_dict() for item in sent]
            with Observer(broker.port) as late:
                soon(lambda: len(late.messages) == 7)
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
        soon(lambda: observer.latest()["home/door/availability"] == "offline")
    assert channel.lost == 0


def test_nothing_waits_for_a_broker_that_is_not_there(tmp_path: Path) -> None:
    notices = Notices()
    port = free_port()
    with channel_to(f"mqtt://127.0.0.1:{port}", tmp_path, notices) as channel:
        for number in range(50):
            channel.publish(event(number))
        soon(lambda: notices.lines)
        time.sleep(0.3)  # Several more attempts.
    assert notices.lines == [
        f"mqtt://127.0.0.1:{port}: cannot be reached: Connection refused; "
        "detection goes on, events are kept, and it is tried again"
    ]


def test_what_could_not_be_sent_is_sent_by_the_next_run(broker: Mosquitto, tmp_path: Path) -> None:  # noqa: F811
    with channel_to(f"mqtt://127.0.0.1:{free_port()}", tmp_path) as channel:
        for number in range(1, 31):
            channel.publish(event(number, object_id=number % 3))
    with Observer(broker.port, "edge-ssd/events") as observer:
        with channel_to(f"mqtt://127.0.0.1:{broker.port}", tmp_path) as channel:
            channel.publish(event(31))
            soon(lambda: len(observer.messages) >= 31)
        assert ids(observer.of("edge-ssd/events")) == [f"12ab-{number}" for number in range(1, 32)]
    with channel_to(f"mqtt://127.0.0.1:{broker.port}", tmp_path) as channel:
        assert len(channel._spool) == 0


def test_a_restarted_broker_gets_everything_again(broker: Mosquitto, tmp_path: Path) -> None:  # noqa: F811
    notices = Notices()
    topic = "homeassistant/binary_sensor/edge_ssd_edge-ssd/banana_present/config"
    with channel_to(f"mqtt://127.0.0.1:{broker.port}", tmp_path, notices, discovery_prefix="homeassistant") as channel:
        with Observer(broker.port) as observer:
            channel.publish(event(1))
            soon(lambda: observer.of("edge-ssd/events") and topic in observer.latest())
        broker.kill()
        soon(lambda: notices.lines)
        channel.publish(event(2, object_id=2))
        broker.start()
        with Observer(broker.port) as observer:
            soon(lambda: observer.latest().get("edge-ssd/banana/count") == "2" and topic in observer.latest())
            soon(lambda: observer.latest().get("edge-ssd/availability") == "online")
    assert len(notices.lines) == 2, notices.lines
    assert notices.lines[1] == f"mqtt://127.0.0.1:{broker.port}: connected again"


def test_a_refused_password_is_said_once_and_tried_again(tmp_path: Path) -> None:
    need("mosquitto", "mosquitto_passwd")
    file = password_file(tmp_path, "cam", "right")
    settings = ["allow_anonymous false", f"password_file {file}"]
    with Mosquitto(tmp_path, settings) as mosquitto:
        url = f"mqtt://cam@127.0.0.1:{mosquitto.port}"
        notices = Notices()
        with channel_to(url, tmp_path, notices, password="wrong") as channel:
            channel.publish(event(1))
            soon(lambda: mosquitto.log.read_text().count("not authorised") >= 3)
        assert notices.lines == [
            f"mqtt://127.0.0.1:{mosquitto.port}: the broker refuses the connection: Not authorized; check user name "
            "and password; detection goes on, events are kept, and it is tried again"
        ]
        with (
            Observer(mosquitto.port, user="cam", password="right") as observer,
            channel_to(url, tmp_path, password="right"),
        ):
            soon(lambda: observer.of("edge-ssd/events"))
        assert ids(observer.of("edge-ssd/events")) == ["12ab-1"]


def test_a_topic_that_is_refused_loses_no_event(tmp_path: Path) -> None:
    """MQTT 5 says so; an acknowledgement without that word would have been a silent loss."""
    need("mosquitto")
    rules = tmp_path / "acl"
    rules.write_text("topic readwrite other/#\n")
    rules.chmod(0o600)
    notices = Notices()
    with (
        Mosquitto(tmp_path, ["allow_anonymous true", f"acl_file {rules}"]) as mosquitto,
        channel_to(f"mqtt://127.0.0.1:{mosquitto.port}/mine", tmp_path, notices) as channel,
    ):
        channel.publish(event(1))
        soon(lambda: notices.lines)
        assert "the broker refuses what is published under mine/: Not authorized" in notices.lines[0]
        soon(lambda: len(channel._spool) == 1)
        time.sleep(0.5)
        assert len(channel._spool) == 1
    assert len(notices.lines) == 1


# Where the handshake fails, paho-mqtt drops its socket without closing it; Python then does, and says so.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
def test_tls_and_a_password(tmp_path: Path) -> None:
    need("mosquitto", "mosquitto_passwd", "openssl")
    ca, lines = certificates(tmp_path)
    settings = [*lines, "allow_anonymous false", f"password_file {password_file(tmp_path, 'cam', 'sécret')}"]
    with Mosquitto(tmp_path, settings) as mosquitto:
        with (
            Observer(mosquitto.port, ca=ca, user="cam", password="sécret") as observer,
            channel_to(
                f"mqtts://cam@localhost:{mosquitto.port}/door", tmp_path, password="sécret", context=tls_context(ca)
            ) as channel,
        ):
            for number in range(1, 41):
                channel.publish(event(number, object_id=number))
            soon(lambda: len(observer.of("door/events")) == 40)
            assert ids(observer.of("door/events")) == [f"12ab-{number}" for number in range(1, 41)]
        other = tmp_path / "other"
        other.mkdir()
        wrong_ca, _ = certificates(other)
        for context in (tls_context(wrong_ca), tls_context(None)):
            notices = Notices()
            with channel_to(f"mqtts://cam@localhost:{mosquitto.port}", other, notices, password="x", context=context):
                soon(lambda: notices.lines)  # noqa: B023
            assert "its certificate is not trusted: " in notices.lines[0]
            assert "check --mqtt-ca and the host's name" in notices.lines[0]


@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
def test_tls_to_a_port_without(broker: Mosquitto, tmp_path: Path) -> None:  # noqa: F811
    notices = Notices()
    with channel_to(f"mqtts://127.0.0.1:{broker.port}", tmp_path, notices, context=tls_context(None)):
        soon(lambda: notices.lines)
    assert notices.lines[0].startswith(f"mqtts://127.0.0.1:{broker.port}: ")


def test_the_end_is_in_time_when_the_broker_hangs(tmp_path: Path) -> None:
    """Something that takes connections and says nothing, as a machine that ran out of memory does."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        notices = Notices()
        with channel_to(f"mqtt://127.0.0.1:{silent.getsockname()[1]}", tmp_path, notices) as channel:
            for number in range(20):
                channel.publish(event(number))
            start = time.monotonic()
            channel.close(start + 1.0)
            assert time.monotonic() - start < 20
        spool = Spool(tmp_path / "spool.sqlite", max_messages=100, max_bytes=10**6, notice=notices)
        assert len(spool) == 20
        spool.close()


def test_a_broker_that_speaks_the_older_protocol_only(tmp_path: Path) -> None:
    need("mosquitto")
    import socket
    import threading

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
        notices = Notices()
        with channel_to(f"mqtt://127.0.0.1:{server.getsockname()[1]}", tmp_path, notices) as channel:
            soon(lambda: 4 in versions)
            channel.close(time.monotonic() + 1.0)
    assert versions[:2] == [5, 4]
    assert notices.lines == []
