"""One connection to an MQTT broker, from its beginning to its end.

paho-mqtt speaks the protocol. Its own threads and its queue are not used: messages are kept in the spool, where they
survive this process, and what may be sent is decided here.
"""

from __future__ import annotations

import contextlib
import select
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from device_apps.events.mqtt_address import MqttAddress
from device_apps.events.mqtt_queue import OutgoingQueue
from device_apps.events.spool import Spool

__all__ = ["ConnectionRefused", "MqttConnectOptions", "Session", "UnsupportedProtocolVersion"]

_KEEPALIVE_S = 30
_CONNECT_S = 5.0
_IN_FLIGHT = 16  # Fewer than the 20 that Mosquitto accepts unless told otherwise.
_GOODBYE_S = 0.4  # Of the time to finish, what is kept for going offline.


class ConnectionRefused(Exception):
    """The broker answered, and does not want us: asking again soon is no use."""


class UnsupportedProtocolVersion(Exception):
    """The broker does not speak MQTT 5."""


@dataclass(frozen=True)
class MqttConnectOptions:
    """Where and as whom to connect.

    Attributes:
        address: of the broker.
        password: or None.
        context: for TLS; None where the address is not encrypted.
        client_id: the same each time that this camera starts. By it the broker knows that an old connection, of
            before a power cut, is over; else it would call us offline when it finds out later.
    """

    address: MqttAddress
    password: str | None = field(repr=False)
    context: ssl.SSLContext | None
    client_id: str

    @property
    def availability(self) -> str:
        """The topic that says whether we are there."""
        return f"{self.address.prefix}/availability"

    @property
    def events(self) -> str:
        """The topic of what is in the spool."""
        return f"{self.address.prefix}/events"


class Session:
    """Publishes the spool and the outbox over one connection; a new client each time, which remembers nothing.

    Args:
        login: see :class:`MqttConnectOptions`.
        protocol: MQTT 5 or 3.1.1.
        outbox, spool: what to publish.
        on_welcome: is called when the broker has taken us in.

    Attributes:
        welcome: whether the broker took us in, and took our first message.
    """

    def __init__(
        self,
        login: MqttConnectOptions,
        protocol: MQTTProtocolVersion,
        outbox: OutgoingQueue,
        spool: Spool,
        on_welcome: Callable[[], None],
    ) -> None:
        self.welcome = False
        self._login = login
        self._protocol = protocol
        self._outbox = outbox
        self._spool = spool
        self._on_welcome = on_welcome
        self._connected = False
        self._greeting: int | None = None  # packet id of the first message
        self._refusal: Exception | None = None
        self._last_id = 0  # Of the messages that were handed to the client.
        self._on_their_way: dict[int, tuple[int, str]] = {}  # packet id → (message id, object)
        self._retaining: set[int] = set()  # packet ids
        self._arrived: list[int] = []  # message ids
        client = Client(CallbackAPIVersion.VERSION2, client_id=login.client_id, protocol=protocol)
        client.connect_timeout = _CONNECT_S
        if login.address.user is not None:
            client.username_pw_set(login.address.user, login.password)
        if login.context is not None:
            client.tls_set_context(login.context)
        client.will_set(login.availability, "offline", qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect
        self._client = client

    def run(self) -> None:
        """Connect and publish until the connection is lost or it is time to stop.

        Raises :class:`ConnectionRefused`, :class:`UnsupportedProtocolVersion`, or what the network raises, when it
        does not come to that.
        """
        address, stop = self._login.address, self._outbox.stop
        self._client.connect(address.host, address.port, keepalive=_KEEPALIVE_S)
        give_up = time.monotonic() + _CONNECT_S
        while not (stop.is_set() and self._finished()):
            if not self.welcome and time.monotonic() > give_up:
                raise TimeoutError("the broker does not answer")
            if self._connected and self._greeting is None:
                # Alone, and its answer read before anything else is written: some brokers refuse a topic and hang up,
                # and a refusal that came while something is written would never be read.
                self._greeting = self._publish(self._login.availability, "online", retain=True)
            if self.welcome:
                for topic, payload in self._outbox.take().items():
                    self._retaining.add(self._publish(topic, payload, retain=True))
                self._send_messages()
            if not self._turn():
                return
        if self.welcome:
            self._say_goodbye()

    def close(self) -> None:
        """Let go of the client, which closes its sockets when nobody holds it any more."""
        self._client.on_connect = self._client.on_publish = self._client.on_disconnect = None

    def _turn(self) -> bool:
        """Wait for something to do and do it; False when the connection is gone."""
        self._wait()
        code = self._client.loop(0)
        if self._arrived:
            self._spool.remove(self._arrived)
            self._arrived.clear()
        if self._refusal is not None:
            with contextlib.suppress(OSError):
                self._client.disconnect()
            raise self._refusal
        return code == MQTTErrorCode.MQTT_ERR_SUCCESS

    def _wait(self) -> None:
        connection: Any = self._client.socket()
        if connection is None:
            return
        # What TLS has already read and decrypted, no select sees.
        pending = isinstance(connection, ssl.SSLSocket) and connection.pending() > 0
        longest = 0.0 if pending else 0.05 if self._outbox.stop.is_set() else 1.0
        writing = [connection] if self._client.want_write() else []
        select.select([connection, self._outbox.bell], writing, [], longest)
        self._outbox.hush()

    def _send_messages(self) -> None:
        """Hand over what is next in the spool; of each object, one message at a time is on its way."""
        room = _IN_FLIGHT - len(self._on_their_way)
        busy = {about for _, about in self._on_their_way.values()}
        for message in self._spool.after(self._last_id, room) if room > 0 else ():
            if message.object in busy:
                break
            number = self._publish(self._login.events, message.payload)
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
        if self._outbox.time_left() <= _GOODBYE_S:
            return True
        waiting = self._on_their_way or self._retaining or self._outbox or self._spool.after(self._last_id, 1)
        return self.welcome and not waiting

    def _say_goodbye(self) -> None:
        """Go offline in so many words: after a proper end the broker does not send the last will."""
        farewell = self._publish(self._login.availability, "offline", retain=True)
        self._retaining.add(farewell)
        while farewell in self._retaining and self._outbox.time_left() > 0 and self._turn():
            pass
        self._client.disconnect()

    def _on_connect(self, client: Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if not reason.is_failure:
            self._connected = True
        elif reason == "Unsupported protocol version" and self._protocol == MQTTProtocolVersion.MQTTv5:
            self._refusal = UnsupportedProtocolVersion()
        else:
            self._refusal = ConnectionRefused(
                f"the broker refuses the connection: {reason}; check user name and password"
            )

    def _on_publish(self, client: Client, userdata: Any, number: int, reason: Any, properties: Any) -> None:
        if reason.is_failure:  # Only MQTT 5 can tell. Gone on, events would be lost without a word.
            prefix = self._login.address.prefix
            self._refusal = ConnectionRefused(f"the broker refuses what is published under {prefix}/: {reason}")
            return
        if number == self._greeting:
            self.welcome = True
            self._outbox.renew()
            self._on_welcome()
        self._retaining.discard(number)
        message = self._on_their_way.pop(number, None)
        if message is not None:
            self._arrived.append(message[0])

    def _on_disconnect(self, client: Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if flags.is_disconnect_packet_from_server and self._refusal is None:
            self._refusal = ConnectionRefused(f"the broker ended the connection: {reason}")
