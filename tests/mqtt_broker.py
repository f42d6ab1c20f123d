"""A real Mosquitto on the loopback interface, certificates for it, and a subscriber."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from conftest import skip_or_fail
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion


def require_programs(*programs: str) -> None:
    """Skip the test (in CI: fail) if a program is not installed."""
    for program in programs:
        if _find(program) is None:
            skip_or_fail(f"{program} is not installed")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Mosquitto:
    """A broker on a loopback port that can be killed and restarted; a context manager.

    Args:
        settings: further lines of mosquitto.conf(5); by default anonymous clients are allowed.
    """

    def __init__(self, folder: Path, settings: Iterable[str] = ("allow_anonymous true",)) -> None:
        self.port = free_port()
        self.log = folder / "mosquitto.log"
        self._config = folder / "mosquitto.conf"
        lines = [
            f"listener {self.port} 127.0.0.1",
            f"user {getpass.getuser()}",
            "persistence false",
            "max_inflight_messages 0",
            "max_queued_messages 0",
            *settings,
        ]
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = _find("mosquitto")
        assert program is not None
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([program, "-c", str(self._config), "-v"], stdout=log, stderr=log)
        end = time.monotonic() + 30
        while True:
            assert self._process.poll() is None, self.log.read_text()
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < end, self.log.read_text()
                time.sleep(0.01)

    def kill(self) -> None:
        """End the broker as a power cut would; what it had in memory is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def __enter__(self) -> Mosquitto:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()


class Observer:
    """Subscriber that keeps every message in order of arrival; a context manager.

    It subscribes with QoS 0, so that it never writes to the broker: a broker that dies during a write cannot make it
    lose what has already arrived.
    """

    def __init__(self, port: int, topic: str = "#", **access: object) -> None:
        self.messages: list[tuple[str, str, bool]] = []
        self.payloads: dict[str, bytes] = {}  # the latest of each topic
        self._subscribed = threading.Event()
        self._topic = topic
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5, reconnect_on_failure=False)
        self.disconnected = threading.Event()  # Every message of the connection has been read.
        client.on_disconnect = lambda *rest: self.disconnected.set()
        client.on_connect = lambda client, *rest: client.subscribe(self._topic, qos=0)
        client.on_subscribe = lambda *rest: self._subscribed.set()
        client.on_message = self._keep
        if "user" in access:
            client.username_pw_set(str(access["user"]), str(access["password"]))
        if "ca" in access:
            client.tls_set(ca_certs=str(access["ca"]))
        client.connect("127.0.0.1", port)
        client.loop_start()
        self._client = client
        assert self._subscribed.wait(30), "the broker does not accept the subscription"

    def _keep(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        self.payloads[message.topic] = message.payload
        self.messages.append((message.topic, message.payload.decode(errors="replace"), message.retain))

    def latest(self) -> dict[str, str]:
        """Return the latest payload of each topic."""
        return {topic: payload for topic, payload, _ in list(self.messages)}

    def of(self, topic: str) -> list[str]:
        return [payload for name, payload, _ in list(self.messages) if name == topic]

    def __enter__(self) -> Observer:
        return self

    def __exit__(self, *error: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def create_certificates(folder: Path, names: str = "IP:127.0.0.1,DNS:localhost") -> tuple[Path, list[str]]:
    """Return a CA certificate, and the settings of Mosquitto for a server certificate that it signed for ``names``.

    A client certificate is in client.pem, its key in client.key.
    """

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)

    (folder / "names").write_text(f"subjectAltName={names}\n")
    key = ("-newkey", "rsa:2048", "-nodes")
    usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test CA", *usage)
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
    for name in ("broker", "client"):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed)
    return folder / "ca.pem", [f"certfile {folder / 'broker.pem'}", f"keyfile {folder / 'broker.key'}"]


def create_password_file(folder: Path, user: str, password: str) -> Path:
    path = folder / "passwords"
    path.touch(mode=0o600)
    program = _find("mosquitto_passwd")
    assert program is not None
    subprocess.run([program, "-b", str(path), user, password], check=True, capture_output=True, timeout=60)
    return path


def _find(program: str) -> str | None:
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")
