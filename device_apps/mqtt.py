"""A connection to an MQTT broker that is kept up, in a thread of its own.

paho-mqtt speaks the protocol. Its own threads and its queue are not used: messages are kept in the spool, where they
survive this process, and what may be sent is decided here.
"""

from __future__ import annotations

import contextlib
import random
import select
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from device_apps.frames import Notice
from device_apps.mqtt_address import MqttAddress
from device_apps.spool import Spool

__all__ = ["Publisher", "Topics"]

_KEEPALIVE_S = 30
_CONNECT_S = 5.0
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.5, 30.0
_IN_FLIGHT = 16  # Fewer than the 20 that Mosquitto accepts unless told otherwise.
_AWAY = "away"  # One word for all troubles of reaching a broker, which follow each other while it restarts.
_OFFLINE_S = 0.4  # Of the time to finish, what is kept for saying goodbye.


class _Refused(Exception):
    """The broker answered, and does not want us: asking again soon is no use."""


@dataclass(frozen=True)
class Topics:
    """Where the publisher's own messages go: the spooled ones, and whether we are there."""

    events: str
    availability: str


class Publisher:
    """Publishes what is in a spool, and keeps retained topics at their latest value.

    A spooled message is removed when the broker has acknowledged it, so it arrives at least once. Of each object, one
    message at a time is on its way: the order of an object's messages holds, whatever is lost and sent again.
    Retained topics are published anew at each connection, since a broker may have forgotten them.

    Args:
        address, password: of the broker.
        context: for TLS; None where the address is not encrypted.
        client_id: the same each time that this camera starts. By it the broker knows that an old connection, of
            before a power cut, is over; else it would call us offline when it finds out later.
        topics: see :class:`Topics`.
        spool: closed by whoever opened it, after this.
        notice: is told what a person should know, once per reason.
        delays: seconds until the connection is tried again, first and at most; refused, at most at once.
    """

    def __init__(
        self,
        address: MqttAddress,
        password: str | None,
        context: ssl.SSLContext | None,
        client_id: str,
        topics: Topics,
        spool: Spool,
        notice: Notice,
        delays: tuple[float, float] = (_FIRST_DELAY_S, _LONGEST_DELAY_S),
    ) -> None:
        self._address = address
        self._password = password
        self._context = context
        self._client_id = client_id
        self._topics = topics
        self._spool = spool
        self._notice = notice
        self._delays = delays
        self._protocol = MQTTProtocolVersion.MQTTv5
        self._retained: dict[str, str] = {}
        self._changed: set[str] = set()
        self._lock = threading.Lock()  # of the two above
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._stop = threading.Event()
        self._deadline = float("inf")
        self._told: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"publisher to {address}", daemon=True)

    def start(self) -> None:
        """Begin to connect; does not wait for it."""
        self._thread.start()

    def retain(self, topic: str, payload: str) -> None:
        """Give a retained topic a new value; published when connected."""
        with self._lock:
            if self._retained.get(topic) != payload:
                self._retained[topic] = payload
                self._changed.add(topic)
        self.wake()

    def wake(self) -> None:
        """Say that there is something new in the spool."""
        with contextlib.suppress(OSError):  # Full: it will wake up anyhow.
            self._wake_writer.send(b"\0")

    def close(self, deadline: float) -> bool:
        """Send what waits and say goodbye, until ``deadline``; False when the thread had to be left behind.

        What was not sent stays in the spool.
        """
        self._deadline = deadline
        self._stop.set()
        self.wake()
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            return False
        self._wake_reader.close()
        self._wake_writer.close()
        return True

    def _run(self) -> None:
        first, longest = self._delays
        delay = first
        while not self._stop.is_set():
            session, protocol = _Session(self), self._protocol
            trouble, wait = _AWAY, delay
            try:
                session.run()
                reason = "the connection was lost"
            except _Refused as error:
                trouble = reason = str(error)
                wait = longest
            except Exception as error:  # Of the network, the name service, TLS, or paho's about what it was sent.
                reason = _in_words(error)
                if isinstance(error, ssl.SSLError):
                    trouble, wait = reason, longest
            finally:
                session.close()
            if self._stop.is_set():
                return
            if self._protocol != protocol:
                continue
            if session.welcome:
                delay = wait = first if trouble is _AWAY else wait
            self._tell(trouble, reason)
            delay = min(2 * delay, longest)
            # Jitter: many boards that lost one broker are not to come back at the same moment.
            self._stop.wait(wait * random.uniform(0.5, 1.0))

    def _tell(self, trouble: str | None, reason: str = "") -> None:
        """Say what the trouble is, or (None) that there is none any more, when that is news."""
        if trouble == self._told:
            return
        if trouble is None:
            self._notice(f"{self._address}: connected again")
        else:
            self._notice(f"{self._address}: {reason}; detection goes on, events are kept, and it is tried again")
        self._told = trouble


class _Session:
    """One connection, from its beginning to its end; a new client each time, which remembers nothing."""

    def __init__(self, publisher: Publisher) -> None:
        self.welcome = False  # The broker took us in, and took our first message.
        self._connected = False
        self._greeting: int | None = None  # packet id of that message
        self._of = publisher
        self._refusal: str | None = None
        self._last_id = 0  # Of the messages that were handed to the client.
        self._on_their_way: dict[int, tuple[int, str]] = {}  # packet id → (message id, object)
        self._retaining: set[int] = set()  # packet ids
        self._arrived: list[int] = []  # message ids
        client = Client(CallbackAPIVersion.VERSION2, client_id=publisher._client_id, protocol=publisher._protocol)
        client.connect_timeout = _CONNECT_S
        address = publisher._address
        if address.user is not None:
            client.username_pw_set(address.user, publisher._password)
        if publisher._context is not None:
            client.tls_set_context(publisher._context)
        client.will_set(publisher._topics.availability, "offline", qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect
        self._client = client

    def run(self) -> None:
        """Connect and publish until the connection is lost or it is time to stop; raises why it failed."""
        address, client, stop = self._of._address, self._client, self._of._stop
        client.connect(address.host, address.port, keepalive=_KEEPALIVE_S)
        give_up = time.monotonic() + _CONNECT_S
        while not (stop.is_set() and self._finished()):
            if not self.welcome and time.monotonic() > give_up:
                raise TimeoutError("the broker does not answer")
            if self._connected and self._greeting is None:
                # Alone, and its answer read before anything else is written: some brokers refuse a topic and hang up,
                # and a refusal that came with writing would never be read.
                self._greeting = self._publish(self._of._topics.availability, "online", retain=True)
            if self.welcome:
                self._send_retained()
                self._send_messages()
            if not self._turn():
                return
        if self.welcome:
            self._say_goodbye()

    def close(self) -> None:
        """Let go of the client, which closes its sockets when nobody holds it any more."""
        client = self._client
        client.on_connect = client.on_publish = client.on_disconnect = None

    def _turn(self) -> bool:
        """Wait for something to do and do it; False when the connection is gone. Raises :class:`_Refused`."""
        self._wait()
        code = self._client.loop(0)
        if self._arrived:
            self._of._spool.remove(self._arrived)
            self._arrived.clear()
        if self._refusal is not None:
            with contextlib.suppress(OSError):
                self._client.disconnect()
            raise _Refused(self._refusal)
        return code == MQTTErrorCode.MQTT_ERR_SUCCESS

    def _wait(self) -> None:
        connection: Any = self._client.socket()
        if connection is None:
            return
        reader = self._of._wake_reader
        pending = isinstance(connection, ssl.SSLSocket) and connection.pending() > 0
        longest = 0.0 if pending else 0.05 if self._of._stop.is_set() else 1.0
        select.select([connection, reader], [connection] if self._client.want_write() else [], [], longest)
        with contextlib.suppress(BlockingIOError):
            reader.recv(4096)

    def _send_retained(self) -> None:
        of = self._of
        with of._lock:
            messages = {topic: payload for topic, payload in of._retained.items() if topic in of._changed}
            of._changed.clear()
        for topic, payload in messages.items():
            self._retaining.add(self._publish(topic, payload, retain=True))

    def _send_messages(self) -> None:
        room = _IN_FLIGHT - len(self._on_their_way)
        busy = {about for _, about in self._on_their_way.values()}
        for message in self._of._spool.after(self._last_id, room) if room > 0 else ():
            if message.object in busy:
                break
            number = self._publish(self._of._topics.events, message.payload)
            self._on_their_way[number] = message.id, message.object
            self._last_id = message.id
            busy.add(message.object)

    def _publish(self, topic: str, payload: str | bytes, *, retain: bool = False) -> int:
        info: MQTTMessageInfo = self._client.publish(topic, payload, qos=1, retain=retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise ConnectionError("the connection was lost")
        return info.mid

    def _finished(self) -> bool:
        """Whether nothing is left to send, or no time for it."""
        of = self._of
        if not self.welcome:
            return time.monotonic() >= of._deadline - _OFFLINE_S
        waiting = self._on_their_way or self._retaining or of._changed or of._spool.after(self._last_id, 1)
        return not waiting or time.monotonic() >= of._deadline - _OFFLINE_S

    def _say_goodbye(self) -> None:
        """Go offline in so many words: after a proper end the broker does not send the last will."""
        farewell = self._publish(self._of._topics.availability, "offline", retain=True)
        self._retaining.add(farewell)
        while farewell in self._retaining and time.monotonic() < self._of._deadline and self._turn():
            pass
        self._client.disconnect()

    def _on_connect(self, client: Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        of = self._of
        if not reason.is_failure:
            self._connected = True
        elif reason == "Unsupported protocol version" and of._protocol == MQTTProtocolVersion.MQTTv5:
            of._protocol = MQTTProtocolVersion.MQTTv311  # The next session speaks the older one.
            self._refusal = "the broker does not speak MQTT 5"
        else:
            self._refusal = f"the broker refuses the connection: {reason}; check user name and password"

    def _on_publish(self, client: Client, userdata: Any, number: int, reason: Any, properties: Any) -> None:
        if reason.is_failure:  # Only MQTT 5 can tell. Gone on, events would be lost without a word.
            self._refusal = f"the broker refuses what is published under {self._of._address.prefix}/: {reason}"
            return
        if number == self._greeting:
            self.welcome = True
            with self._of._lock:
                self._of._changed.update(self._of._retained)
            self._of._tell(None)
        self._retaining.discard(number)
        message = self._on_their_way.pop(number, None)
        if message is not None:
            self._arrived.append(message[0])

    def _on_disconnect(self, client: Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if flags.is_disconnect_packet_from_server and self._refusal is None:
            self._refusal = f"the broker ended the connection: {reason}"


def _in_words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}; check --mqtt-ca and the host's name"
    if isinstance(error, ssl.SSLError):
        return "it does not answer with TLS as expected; check the port"
    if isinstance(error, OSError):
        return f"cannot be reached: {error.strerror or error}"
    return str(error) or type(error).__name__
