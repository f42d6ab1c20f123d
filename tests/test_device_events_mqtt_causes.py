"""Causes that users meet with real brokers: each is named once, with its cure, and loses no event."""

from __future__ import annotations

import ssl
import subprocess
import time
from pathlib import Path

import pytest
from clocks import wait_until
from event_factory import event
from mqtt_broker import Mosquitto, Observer, create_certificates, require_programs
from paho.mqtt.enums import MQTTProtocolVersion
from test_device_events_mqtt import failed_handshake, ids, publisher_to

from device_apps.events.mqtt.address import create_tls_context, parse_address
from device_apps.events.mqtt.causes import describe_error, describe_refusal
from device_apps.events.mqtt.connection import MqttConnectOptions
from device_apps.events.mqtt.event_publisher import MqttEventPublisher, client_id
from device_apps.events.spool import Spool
from edge_ssd.errors import SettingError

ANONYMOUS = "allow_anonymous true"


@pytest.mark.parametrize("protocol", [MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311])
def test_two_programs_with_one_client_id_both_deliver(
    broker: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture, protocol: MQTTProtocolVersion
) -> None:
    """As two boards of the same host name with the default prefix."""
    folders = [tmp_path / "a", tmp_path / "b"]
    address = parse_address(f"mqtt://127.0.0.1:{broker.port}")
    options = MqttConnectOptions(address, None, None, client_id(address.prefix))
    publishers = []
    with Observer(broker.port) as observer:
        for folder in folders:
            folder.mkdir()
            spool = Spool(folder / "spool", max_messages=1000, max_bytes=10**6)
            publisher = MqttEventPublisher(
                options, spool, labels=(), discovery_prefix=None, retry_seconds=(0.05, 0.2), protocol=protocol
            )
            publishers.append(publisher)
        wait_until(lambda: any("same client id" in line for line in caplog.messages))
        time.sleep(0.5)
        lines = len(caplog.messages)
        for number in range(1, 11):
            for index, publisher in enumerate(publishers):
                publisher.publish(event(number + 100 * index, object_id=number))
        wait_until(lambda: len(set(ids(observer.of("edge-ssd/events")))) == 20)
        time.sleep(0.3)
        assert len(caplog.messages) == lines, "they still end each other's connections"
        for publisher in publishers:
            publisher.close(time.monotonic() + 20)
    (warning,) = [line for line in caplog.messages if "same client id" in line][:1]
    assert f"({options.client_id})" in warning
    assert "give each camera a topic prefix of its own: --mqtt mqtt://HOST/edge-ssd-2" in warning


def test_broker_without_retained_messages(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    require_programs("mosquitto")
    with (
        Mosquitto(tmp_path, [ANONYMOUS, "retain_available false"]) as mosquitto,
        Observer(mosquitto.port) as observer,
        publisher_to(f"mqtt://127.0.0.1:{mosquitto.port}", tmp_path, discovery_prefix="homeassistant") as publisher,
    ):
        publisher.publish(event(1))
        wait_until(lambda: observer.of("edge-ssd/events"))
        wait_until(lambda: observer.latest().get("edge-ssd/banana/present") == "ON")
        publisher.publish(event(2, "leave"))
        wait_until(lambda: observer.latest().get("edge-ssd/banana/present") == "OFF")
    (message,) = caplog.messages
    assert "keeps no retained messages" in message
    assert "(Mosquitto: retain_available true)" in message


def test_broker_without_qos_1(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    require_programs("mosquitto")
    with (
        Mosquitto(tmp_path, [ANONYMOUS, "max_qos 0"]) as mosquitto,
        publisher_to(f"mqtt://127.0.0.1:{mosquitto.port}", tmp_path),
    ):
        wait_until(lambda: caplog.messages)
    assert "QoS not supported; events need QoS 1; allow it in the broker (Mosquitto: max_qos 2)" in caplog.messages[0]


def test_refused_discovery_does_not_hold_up_events(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    require_programs("mosquitto")
    rules = tmp_path / "acl"
    rules.write_text("topic readwrite mine/#\n")
    rules.chmod(0o600)
    with (
        Mosquitto(tmp_path, [ANONYMOUS, f"acl_file {rules}"]) as mosquitto,
        Observer(mosquitto.port, "mine/#") as observer,
        publisher_to(
            f"mqtt://127.0.0.1:{mosquitto.port}/mine", tmp_path, discovery_prefix="homeassistant"
        ) as publisher,
    ):
        publisher.publish(event(1))
        wait_until(lambda: observer.of("mine/events"))
        wait_until(lambda: caplog.messages)
    (message,) = caplog.messages
    topic = "homeassistant/binary_sensor/edge_ssd_mine/banana_present/config"
    assert f"the broker refuses {topic}: Not authorized" in message
    assert message.endswith("access rules, or announce nothing: --mqtt-discovery none")


@failed_handshake
def test_broker_that_needs_a_client_certificate(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    require_programs("mosquitto", "openssl")
    ca, lines = create_certificates(tmp_path)
    settings = [*lines, f"cafile {ca}", "require_certificate true", "use_identity_as_username true"]
    with Mosquitto(tmp_path, settings) as mosquitto:
        url = f"mqtts://localhost:{mosquitto.port}"
        with publisher_to(url, tmp_path, context=create_tls_context(ca)):
            wait_until(lambda: caplog.messages)
        assert "the broker needs a client certificate: --mqtt-cert and --mqtt-key" in caplog.messages[0]
        caplog.clear()
        context = create_tls_context(ca, tmp_path / "client.pem", tmp_path / "client.key")
        with publisher_to(url, tmp_path, context=context) as publisher:
            publisher.publish(event(1))
            wait_until(lambda: "PUBACK" in mosquitto.log.read_text())
    assert caplog.messages == []


@failed_handshake
def test_certificate_of_another_host_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    require_programs("mosquitto", "openssl")
    ca, lines = create_certificates(tmp_path, "DNS:broker.lan")
    with (
        Mosquitto(tmp_path, [*lines, ANONYMOUS]) as mosquitto,
        publisher_to(f"mqtts://localhost:{mosquitto.port}", tmp_path, context=create_tls_context(ca)),
    ):
        wait_until(lambda: caplog.messages)
    assert "(it is for another host name: write the name of the certificate in --mqtt)" in caplog.messages[0]


def test_mqtt_to_a_port_with_tls_names_mqtts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    require_programs("mosquitto", "openssl")
    _, lines = create_certificates(tmp_path)
    with (
        Mosquitto(tmp_path, [*lines, ANONYMOUS]) as mosquitto,
        publisher_to(f"mqtt://localhost:{mosquitto.port}", tmp_path),
    ):
        wait_until(lambda: caplog.messages)
    assert "if this is its port for TLS, write mqtts://" in caplog.messages[0]


@failed_handshake
def test_mqtts_to_a_port_without_tls_names_mqtt(
    broker: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with publisher_to(f"mqtts://127.0.0.1:{broker.port}", tmp_path, context=create_tls_context(None)):
        wait_until(lambda: caplog.messages)
    assert caplog.messages[0].startswith(f"mqtts://127.0.0.1:{broker.port}: ")
    assert "this port has no TLS" in caplog.messages[0]


@pytest.mark.parametrize(
    ("code", "cure"),
    [(9, "check this machine's clock"), (10, "it has expired: renew it"), (19, "--mqtt-ca takes the certificate")],
)
def test_certificate_errors_have_a_cure(code: int, cure: str) -> None:
    error = ssl.SSLCertVerificationError(1, "failed")
    error.verify_code, error.verify_message = code, "the message"
    line = describe_error(error)
    assert line.startswith("its certificate is not trusted: the message; check --mqtt-ca and the host name (")
    assert cure in line


def test_unknown_refusals_name_the_log() -> None:
    assert describe_refusal("Banned").endswith("Banned; the broker has banned this client; see the broker's log")
    assert describe_refusal("Malformed packet").endswith("Malformed packet; see the broker's log")


def test_client_certificates_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    require_programs("openssl")
    create_certificates(tmp_path)
    client, other = tmp_path / "client.pem", tmp_path / "broker.key"
    command = ["openssl", "pkey", "-in", "client.key", "-out", "locked.key", "-aes128", "-passout", "pass:secret"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    for key, message in (
        (other, "the key is another one's"),
        (tmp_path / "none.key", r"--mqtt-key .*none\.key: cannot be read: No such file"),
        (tmp_path / "locked.key", "its key has a password; remove it"),
        (None, "not a PEM file with a certificate and its key"),
    ):
        with pytest.raises(SettingError, match=message):
            create_tls_context(None, client, key)
