"""A connection to an MQTT broker that is kept up, in a thread of its own."""

from __future__ import annotations

import random
import ssl
import threading
import time

from paho.mqtt.enums import MQTTProtocolVersion

from device_apps.events.mqtt_queue import OutgoingQueue
from device_apps.events.mqtt_session import ConnectionRefused, MqttConnectOptions, Session, UnsupportedProtocolVersion
from device_apps.events.spool import Spool
from device_apps.sources.frames import OnMessage

__all__ = ["DELAYS", "Publisher"]

DELAYS = 0.5, 30.0
_AWAY = "away"  # One word for all troubles of reaching a broker, which follow each other while it restarts.


class Publisher:
    """Publishes what is in a spool, and keeps retained topics at their latest value.

    A spooled message is removed when the broker has acknowledged it, so it arrives at least once. Of each object, one
    message at a time is on its way: the order of an object's messages holds, whatever is lost and sent again.
    Retained topics are published anew at each connection, since a broker may have forgotten them.

    Args:
        login: where and as whom.
        spool: closed by whoever opened it, after this.
        notice: is told what a person should know, once per reason.
        delays: seconds until the connection is tried again, first and at most; refused, at most at once.
    """

    def __init__(
        self, login: MqttConnectOptions, spool: Spool, notice: OnMessage, delays: tuple[float, float] = DELAYS
    ) -> None:
        self._login = login
        self._spool = spool
        self._notice = notice
        self._delays = delays
        self._outbox = OutgoingQueue()
        self._told: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"publisher to {login.address}", daemon=True)

    def start(self) -> None:
        """Begin to connect; does not wait for it."""
        self._thread.start()

    def retain(self, topic: str, payload: str) -> None:
        """Give a retained topic a new value; published when connected."""
        self._outbox.retain(topic, payload)

    def wake(self) -> None:
        """Say that there is something new in the spool."""
        self._outbox.ring()

    def close(self, deadline: float) -> None:
        """Send what waits and say goodbye, until ``deadline``. What was not sent stays in the spool.

        A thread that is stuck, as in asking for the broker's address, is left behind.
        """
        self._outbox.finish(deadline)
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if not self._thread.is_alive():
            self._outbox.close()

    def _run(self) -> None:
        first, longest = self._delays
        delay = first
        protocol = MQTTProtocolVersion.MQTTv5
        while not self._outbox.stop.is_set():
            session = Session(self._login, protocol, self._outbox, self._spool, lambda: self._tell(None))
            trouble, reason, patient = _AWAY, "the connection was lost", False
            try:
                session.run()
            except UnsupportedProtocolVersion:
                protocol = MQTTProtocolVersion.MQTTv311
                continue
            except ConnectionRefused as error:
                trouble = reason = str(error)
                patient = True
            except Exception as error:  # Of the network, the name service, TLS, or paho's about what it was sent.
                reason = _in_words(error)
                if isinstance(error, ssl.SSLError):
                    trouble, patient = reason, True
            finally:
                session.close()
            if self._outbox.stop.is_set():
                return
            self._tell(trouble, reason)
            if session.welcome:
                delay = first
            # Jitter: many boards that lost one broker are not to come back at the same moment.
            self._outbox.stop.wait((longest if patient else delay) * random.uniform(0.5, 1.0))
            delay = min(2 * delay, longest)

    def _tell(self, trouble: str | None, reason: str = "") -> None:
        """Say what the trouble is, or (None) that there is none any more, when that is news."""
        if trouble == self._told:
            return
        if trouble is None:
            self._notice(f"{self._login.address}: connected again")
        else:
            self._notice(f"{self._login.address}: {reason}; detection goes on, events are kept, and it is tried again")
        self._told = trouble


def _in_words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}; check --mqtt-ca and the host's name"
    if isinstance(error, ssl.SSLError):
        return "it does not answer with TLS as expected; check the port"
    if isinstance(error, OSError):
        return f"cannot be reached: {error.strerror or error}"
    return str(error) or type(error).__name__
