"""MQTT client that reconnects, in a thread of its own."""

from __future__ import annotations

import logging
import secrets
import ssl
import time
from dataclasses import replace

from paho.mqtt.enums import MQTTProtocolVersion

from device_apps.daemon_thread import DaemonThread
from device_apps.events.mqtt.broker_errors import (
    BrokerRefusedError,
    RetainUnavailableError,
    SessionTakenOverError,
    TopicRefusedError,
    UnsupportedProtocolVersion,
)
from device_apps.events.mqtt.causes import closed_before_answer, describe_error, describe_takeover
from device_apps.events.mqtt.connection import IMAGE_TOPIC, RAISE_LIMIT, Connection, MqttConnectOptions
from device_apps.events.mqtt.outgoing_queue import OutgoingQueue
from device_apps.events.spool import Spool
from device_apps.retry import FailureLog, backoff

__all__ = ["RETRY_SECONDS", "MqttClient"]

RETRY_SECONDS = 0.5, 30.0
# A broker that restarts is back within a minute: so long the pauses are short.
_SOON_ATTEMPTS, _SOON_SECONDS = 20, 4.0
_UNREACHABLE = "unreachable"  # One cause for all network errors, which alternate while a broker restarts.

# So many connections, one after another, that end so soon after an image was sent: it is too large for the broker. With
# MQTT 3.1.1 the broker cannot say so; Mosquitto even acknowledges the image, and ends the connection.
_MAX_LOST_IMAGES, _IMAGE_SECONDS = 3, 2.0

# Connections that end so soon, one after another: another program takes them over.
_BRIEF_SECONDS, _MAX_BRIEF_CONNECTIONS = 5.0, 4

_log = logging.getLogger(__name__)


class MqttClient:
    """Client thread that publishes the messages of a spool and the latest values of retained topics.

    A message is removed from the spool when the broker has acknowledged it, so it is delivered at least once. Only one
    message of an object is in flight at a time, so the messages of an object stay in order, whatever is lost and
    resent. Retained topics are published again on each connection, because the broker may have lost them.

    Args:
        spool: queue of unsent messages on disk; not closed by the client.
        retry_seconds: (first, maximum) pause before a reconnect; the maximum at once if the broker refused.
        protocol: of the first connection; 3.1.1 follows if the broker supports no other.

    Attributes:
        outgoing: the retained topics, which are published when connected; wakes the client for new messages.
    """

    def __init__(
        self,
        options: MqttConnectOptions,
        spool: Spool,
        retry_seconds: tuple[float, float] = RETRY_SECONDS,
        protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5,
    ) -> None:
        self._options = options
        self._spool = spool
        self._retry_seconds = retry_seconds
        self.outgoing = OutgoingQueue()
        self._failures = FailureLog(_log)
        self._protocol = protocol
        self._retain = True
        self._brief_connections = 0  # In a row, each made at the first attempt.
        self._id_taken = False  # By another program.
        self._lost_images = 0  # in a row
        self._refused: set[str] = set()  # Kinds of topics, see Connection.kind_of.
        self._thread = DaemonThread(self._run, f"publisher to {options.address}")

    def start(self) -> None:
        """Start the thread, which connects to the broker."""
        self._thread.start()

    def close(self, deadline: float) -> None:
        """Publish what is queued and go offline by ``deadline`` (``time.monotonic()``); the spool keeps the rest.

        A thread that is blocked, for example in a DNS lookup, is abandoned.
        """
        self.outgoing.stop_by(deadline)
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if not self._thread.is_alive():
            self.outgoing.close()

    def _run(self) -> None:
        attempt = 0
        while not self.outgoing.stop.is_set():
            start = time.monotonic()
            connection = Connection(
                self._options,
                self._protocol,
                self.outgoing,
                self._spool,
                retain=self._retain,
                on_accepted=self._on_accepted,
                refused=self._refused,
            )
            cause, reason, refused = _UNREACHABLE, "the connection was lost", False
            try:
                connection.run()
                if not connection.answered:
                    tls, own_certificate = self._options.address.tls, self._options.own_certificate
                    reason = closed_before_answer(tls=tls, own_certificate=own_certificate)
            except UnsupportedProtocolVersion:
                self._protocol = MQTTProtocolVersion.MQTTv311
                continue
            except RetainUnavailableError:
                self._retain = False
                _log.warning(
                    "%s: the broker keeps no retained messages: after its restart, or that of Home Assistant, states "
                    "are unknown until they change; allow them (Mosquitto: retain_available true)",
                    self._options.address,
                )
                continue
            except TopicRefusedError as error:
                self._refuse(error, connection.kind_of(error.topic))
                continue
            except SessionTakenOverError:
                self._take_another_id()
                continue
            except BrokerRefusedError as error:
                cause = reason = str(error)
                refused = True
            except Exception as error:  # From the network, the name service, TLS or paho.
                reason = describe_error(error)
                if isinstance(error, ssl.SSLError):
                    cause, refused = reason, True
                elif isinstance(error, ConnectionResetError) and self._options.address.tls:
                    reason = closed_before_answer(tls=True, own_certificate=self._options.own_certificate)
            finally:
                connection.close()
            if self.outgoing.stop.is_set():
                return
            lost_image = time.monotonic() - connection.image_sent_at < _IMAGE_SECONDS
            self._lost_images = self._lost_images + 1 if lost_image else 0
            if self._lost_images == _MAX_LOST_IMAGES:
                topic = f"{self._options.address.prefix}/{IMAGE_TOPIC}"
                self._refuse(TopicRefusedError(topic, "it ends the connection each time", RAISE_LIMIT), "image")
            message = f"{self._options.address}: {reason}; detection goes on, events are kept, will retry"
            self._failures.failed(message, cause)
            if connection.accepted:
                attempt = 0
            # With MQTT 3.1.1 the broker gives no reason.
            brief = connection.accepted and not refused and time.monotonic() - start < _BRIEF_SECONDS
            self._brief_connections = self._brief_connections + 1 if brief else 0
            if self._brief_connections == _MAX_BRIEF_CONNECTIONS and not self._id_taken:
                self._take_another_id()
            self.outgoing.stop.wait(_pause_before(attempt, refused, self._retry_seconds))
            attempt += 1

    def _refuse(self, error: TopicRefusedError, kind: str) -> None:
        """Publish no more topics of this kind, and log why."""
        self._refused.add(kind)
        _log.warning(
            "%s: the broker refuses %s: %s; %s%s",
            self._options.address, error.topic, error.reason, error.advice,
            ", or announce nothing: --mqtt-discovery none" if kind == "discovery" else "",
        )  # fmt: skip

    def _take_another_id(self) -> None:
        """Go on under another client id, and log why: otherwise two programs would end each other's connections."""
        _log.warning(
            "%s: %s", self._options.address, describe_takeover(self._options.client_id, self._options.address.prefix)
        )
        self._brief_connections = 0
        self._id_taken = True
        suffix = secrets.token_hex(3)
        self._options = replace(self._options, client_id=f"{self._options.client_id[:16]}-{suffix}")

    def _on_accepted(self) -> None:
        self._failures.recovered(f"{self._options.address}: connected again")


def _pause_before(attempt: int, refused: bool, retry_seconds: tuple[float, float]) -> float:
    """Return the seconds to wait before an attempt to connect, counted from 0."""
    first_pause, max_pause = retry_seconds
    if refused:
        return backoff(attempt, base=max_pause, maximum=max_pause)
    longest = min(_SOON_SECONDS, max_pause) if attempt < _SOON_ATTEMPTS else max_pause
    return backoff(attempt, base=first_pause, maximum=longest)
