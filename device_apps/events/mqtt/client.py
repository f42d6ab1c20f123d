"""MQTT client that reconnects, in a thread of its own."""

from __future__ import annotations

import logging
import ssl
import threading
import time

from paho.mqtt.enums import MQTTProtocolVersion

from device_apps.events.mqtt.connection import (
    BrokerRefusedError,
    Connection,
    MqttConnectOptions,
    UnsupportedProtocolVersion,
)
from device_apps.events.mqtt.outgoing_queue import OutgoingQueue
from device_apps.events.mqtt.spool import Spool
from device_apps.retry import FailureLog, backoff

__all__ = ["RETRY_SECONDS", "MqttClient"]

RETRY_SECONDS = 0.5, 30.0
_UNREACHABLE = "unreachable"  # One cause for all network errors, which alternate while a broker restarts.

_log = logging.getLogger(__name__)


class MqttClient:
    """Client thread that publishes the messages of a spool and the latest values of retained topics.

    A message is removed from the spool when the broker has acknowledged it, so it is delivered at least once. Only one
    message of an object is in flight at a time, so the messages of an object stay in order, whatever is lost and
    resent. Retained topics are published again on each connection, because the broker may have lost them.

    Args:
        spool: queue of unsent messages on disk; not closed by the client.
        retry_seconds: (first, maximum) pause before a reconnect; the maximum at once if the broker refused.

    Attributes:
        outgoing: the retained topics, which are published when connected; wakes the client for new messages.
    """

    def __init__(
        self, options: MqttConnectOptions, spool: Spool, retry_seconds: tuple[float, float] = RETRY_SECONDS
    ) -> None:
        self._options = options
        self._spool = spool
        self._retry_seconds = retry_seconds
        self.outgoing = OutgoingQueue()
        self._failures = FailureLog(_log)
        self._thread = threading.Thread(target=self._run, name=f"publisher to {options.address}", daemon=True)

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
        first_pause, max_pause = self._retry_seconds
        attempt = 0
        protocol = MQTTProtocolVersion.MQTTv5
        while not self.outgoing.stop.is_set():
            connection = Connection(self._options, protocol, self.outgoing, self._spool, self._on_accepted)
            cause, reason, refused = _UNREACHABLE, "the connection was lost", False
            try:
                connection.run()
            except UnsupportedProtocolVersion:
                protocol = MQTTProtocolVersion.MQTTv311
                continue
            except BrokerRefusedError as error:
                cause = reason = str(error)
                refused = True
            except Exception as error:  # From the network, the name service, TLS or paho.
                reason = _describe_error(error)
                if isinstance(error, ssl.SSLError):
                    cause, refused = reason, True
            finally:
                connection.close()
            if self.outgoing.stop.is_set():
                return
            message = f"{self._options.address}: {reason}; detection goes on, events are kept, will retry"
            self._failures.failed(message, cause)
            if connection.accepted:
                attempt = 0
            pause = backoff(attempt, base=max_pause if refused else first_pause, maximum=max_pause)
            self.outgoing.stop.wait(pause)
            attempt += 1

    def _on_accepted(self) -> None:
        self._failures.recovered(f"{self._options.address}: connected again")


def _describe_error(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}; check --mqtt-ca and the host name"
    if isinstance(error, ssl.SSLError):
        return "the TLS handshake failed; check the port"
    if isinstance(error, OSError):
        return f"cannot be reached: {error.strerror or error}"
    return str(error) or type(error).__name__
