"""The address, password and TLS settings of an MQTT broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_apps.events.mqtt.address import MqttAddress, create_tls_context, parse_address, read_password
from device_apps.events.webhook.target import read_headers
from edge_ssd.errors import SettingError


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://broker", MqttAddress(False, "broker", 1883, None, "edge-ssd")),
        ("mqtts://broker/", MqttAddress(True, "broker", 8883, None, "edge-ssd")),
        ("mqtt://cam%40home@10.0.0.2:1884/a/b/", MqttAddress(False, "10.0.0.2", 1884, "cam@home", "a/b")),
        ("mqtts://[fe80::1]:1/house%20door", MqttAddress(True, "fe80::1", 1, None, "house door")),
    ],
)
def test_parse_address_reads_every_part(url: str, expected: MqttAddress) -> None:
    assert parse_address(url) == expected


def test_address_str_omits_user_and_prefix() -> None:
    assert str(parse_address("mqtts://me@[::1]/x")) == "mqtts://[::1]:8883"
    assert str(parse_address("mqtt://me@host/x")) == "mqtt://host:1883"


@pytest.mark.parametrize(
    "url", ["", "broker", "http://broker", "mqtt://", "mqtt://b:port", "mqtt://b:99999", "mqtt://b?x=1", "mqtt://b#x"]
)
def test_parse_address_refuses_invalid_urls(url: str) -> None:
    with pytest.raises(SettingError, match=r"^--mqtt.*expected mqtt://\[user@\]host"):
        parse_address(url)


@pytest.mark.parametrize("path", ["a/+/b", "a%23", "$SYS", "a//b", "a%00b"])
def test_parse_address_refuses_invalid_topic_prefixes(path: str) -> None:
    with pytest.raises(SettingError, match="is not a valid topic prefix"):
        parse_address(f"mqtt://broker/{path}")


def test_parse_address_refuses_prefixes_that_no_packet_can_hold() -> None:
    with pytest.raises(SettingError, match="use a topic prefix of at most 1024 bytes"):
        parse_address(f"mqtt://host/{'a' * 70_000}")


def test_parse_address_refuses_a_password_without_showing_it() -> None:
    with pytest.raises(SettingError, match="--mqtt-password-file or the environment variable") as caught:
        parse_address("mqtt://me:secret@broker")
    assert "secret" not in str(caught.value)


def test_read_password_prefers_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "secret"
    file.write_text(" pass wörd \r\n", encoding="utf-8")
    file.chmod(0o600)
    assert read_password(file, {}) == " pass wörd "
    assert caplog.messages == []
    assert read_password(None, {"EDGE_SSD_MQTT_PASSWORD": "x"}) == "x"
    assert read_password(None, {}) is None
    with pytest.raises(SettingError, match=r"cannot be read: No such file or directory; check the file"):
        read_password(tmp_path / "none", {})


def test_secret_files_that_others_can_read_give_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, key = tmp_path / "secret", tmp_path / "client.pem"
    file.write_text("Name: value")
    key.write_text("-----BEGIN PRIVATE KEY-----")
    for path in (file, key):
        path.chmod(0o644)
    read_password(file, {})
    read_headers(file)
    with pytest.raises(SettingError):
        create_tls_context(None, key)
    readers = "other users of this machine can read the"
    assert caplog.messages == [
        f"{file}: {readers} MQTT password; chmod 600 {file}",
        f"{file}: {readers} webhook header; chmod 600 {file}",
        f"{key}: {readers} MQTT cert; chmod 600 {key}",
    ]
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    read_password(file, {})
    assert len(caplog.messages) == 3, "others cannot enter the folder of systemd"


def test_create_tls_context_refuses_files_without_certificates(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(SettingError, match="it holds no certificate; name a PEM file"):
        create_tls_context(tmp_path / "ca.pem")
    with pytest.raises(SettingError, match="No such file or directory; name a PEM file"):
        create_tls_context(tmp_path / "none.pem")
