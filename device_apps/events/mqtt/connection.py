"""One connection to an MQTT broker, from CONNECT to DISCONNECT.

paho-mqtt implements the protocol. Its threads and its queue are not used: messages stay in the spool, where they
survive this process, and this module decides what may be sent.
"""

from __future__ import annotations

import contextlib
import select
import ssl
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from device_apps.events.mqtt.address import MqttAddress
from device_apps.events.mqtt.broker_errors import (
    BrokerRefusedError,
    RetainUnavailableError,
    SessionTakenOverError,
    TopicRefusedError,
    UnsupportedProtocolVersion,
)
from device_apps.events.mqtt.causes import describe_refusal
from device_apps.events.mqtt.outgoing_queue import OutgoingQueue
from device_apps.events.spool import Spool

__all__ = ["IMAGE_TOPIC", "RAISE_LIMIT", "Connection", "MqttConnectOptions"]

IMAGE_TOPIC = "latest/image"  # below the prefix
RAISE_LIMIT = "raise its limit (Mosquitto: max_packet_size, message_size_limit)"

_KEEPALIVE_SECONDS = 30
_CONNECT_TIMEOUT = 5.0
_MAX_IN_FLIGHT = 16  # Below 20, the default limit of Mosquitto.
_PACKET_OVERHEAD = 5 + 2 + 2 + 1  # Fixed header, length of the topic, packet id, no properties (MQTT 5.0 §3.3).
_TOO_LARGE = "larger than the packets that the broker accepts"
_OFFLINE_SECONDS = 0.4  # The part of the time to close that is reserved for publishing "offline".


@dataclass(frozen=True)
class MqttConnectOptions:
    """Address, credentials and client id of a connection to a broker.

    Attributes:
        context: for TLS; None if the address is not encrypted.
        client_id: the same on each start of this camera: the broker then ends a connection that a power cut left
            open. With another id it would detect that one later and publish "offline" while the camera is online.
        own_certificate: whether ``context`` has a client certificate.
    """

    address: MqttAddress
    password: str | None = field(repr=False)
    context: ssl.SSLContext | None
    client_id: str
    own_certificate: bool = False

    @property
    def availability_topic(self) -> str:
        """The topic of the availability of this camera, "online" or "offline"."""
        return f"{self.address.prefix}/availability"


class Connection:
    """One connection to a broker, over which a new paho client publishes the messages of ``spool`` and ``outgoing``.

    Args:
        protocol: MQTT 5 or 3.1.1.
        retain: whether to retain the messages of ``outgoing`` in the broker.
        on_accepted: called when the broker has accepted the connection.
        refused: kinds of topics of ``outgoing`` that are not published, see :meth:`kind_of`.

    Attributes:
        answered: whether the broker answered at all.
        accepted: whether the broker accepted the connection and acknowledged "online".
        image_sent_at: when the last image was sent (``time.monotonic()``); minus infinity before.
    """

    def __init__(
        self,
        options: MqttConnectOptions,
        protocol: MQTTProtocolVersion,
        outgoing: OutgoingQueue,
        spool: Spool,
        *,
        retain: bool,
        on_accepted: Callable[[], None],
        refused: Collection[str],
    ) -> None:
        self.answered = self.accepted = False
        self.image_sent_at = float("-inf")
        self._options = options
        self._image_topic = f"{options.address.prefix}/{IMAGE_TOPIC}"
        self._protocol = protocol
        self._outgoing = outgoing
        self._spool = spool
        self._retain = retain
        self._on_accepted = on_accepted
        self._refused = refused
        self._allowed: set[str] = set()  # kinds of topics that the broker has acknowledged
        self._pending: dict[str, bytes] = {}  # payloads of retained topics that are not published yet
        self._first_of_kind: int | None = None  # packet id
        self._connected = False
        self._max_packet_bytes: int | None = None  # as the broker states it
        self._online_packet: int | None = None  # packet id of "online"
        self._error: Exception | None = None
        self._last_sent_id = 0  # of the spool's messages
        self._in_flight: dict[int, tuple[int, str]] = {}  # packet id → (message id, object key)
        self._retained_in_flight: dict[int, str] = {}  # packet id → topic
        self._acknowledged: list[int] = []  # message ids
        client = Client(CallbackAPIVersion.VERSION2, client_id=options.client_id, protocol=protocol)
        client.connect_timeout = _CONNECT_TIMEOUT
        if options.address.user is not None:
            client.username_pw_set(options.address.user, options.password)
        if options.context is not None:
            client.tls_set_context(options.context)
        client.will_set(options.availability_topic, "offline", qos=1, retain=retain)
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect
        self._client = client

    def run(self) -> None:
        """Connect and publish until the connection is lost or ``outgoing.stop`` is set.

        Raises BrokerRefusedError or another exception of this module, or OSError if the connection failed.
        """
        address, stop = self._options.address, self._outgoing.stop
        self._client.connect(address.host, address.port, keepalive=_KEEPALIVE_SECONDS)
        accept_by = time.monotonic() + _CONNECT_TIMEOUT
        while not (stop.is_set() and self._may_stop()):
            if not self.accepted and time.monotonic() > accept_by:
                raise TimeoutError("the broker does not answer")
            if self._connected and self._online_packet is None:
                # Alone, and acknowledged before anything else is sent: some brokers refuse a topic and close the
                # connection, and a refusal that arrives during a write would never be read.
                self._online_packet = self._publish(self._options.availability_topic, "online", retain=True)
            if self.accepted:
                self._publish_retained()
                if self._first_of_kind is None:
                    self._publish_spool()
            if not self._loop_once():
                return
        if self.accepted:
            self._publish_offline()

    def close(self) -> None:
        """Release the callbacks of the client, whose reference cycle would keep its sockets open."""
        self._client.on_connect = self._client.on_publish = self._client.on_disconnect = None

    def _loop_once(self) -> bool:
        """Wait for the network or a wake-up and handle it; return False if the connection is lost."""
        self._select()
        code = self._client.loop(0)
        if self._acknowledged:
            self._spool.remove(self._acknowledged)
            self._acknowledged.clear()
        if self._error is not None:
            with contextlib.suppress(OSError):
                self._client.disconnect()
            raise self._error
        return code == MQTTErrorCode.MQTT_ERR_SUCCESS

    def _select(self) -> None:
        connection: Any = self._client.socket()
        if connection is None:
            return
        # select does not see data that TLS has already read and decrypted.
        pending = isinstance(connection, ssl.SSLSocket) and connection.pending() > 0
        timeout = 0.0 if pending else 0.05 if self._outgoing.stop.is_set() else 1.0
        writers = [connection] if self._client.want_write() else []
        select.select([connection, self._outgoing.wake_socket], writers, [], timeout)
        self._outgoing.clear_wake_ups()

    def kind_of(self, topic: str) -> str:
        """Return the kind of a retained topic: "state" of this camera, its latest "image", or "discovery"."""
        if topic == self._image_topic:
            return "image"
        return "state" if topic.startswith(f"{self._options.address.prefix}/") else "discovery"

    def _publish_retained(self) -> None:
        """Publish the retained topics that have changed.

        The first of each kind is published alone: some brokers close the connection after a topic that they refuse,
        and a refusal that arrives during a write would never be read.
        """
        self._pending |= self._outgoing.take_changed()
        for topic, payload in list(self._pending.items()):
            kind = self.kind_of(topic)
            if kind in self._refused:
                del self._pending[topic]
                continue
            if self._first_of_kind is not None or (kind not in self._allowed and self._in_flight):
                return
            if self._is_too_large(topic, payload):
                raise TopicRefusedError(topic, _TOO_LARGE, RAISE_LIMIT)
            del self._pending[topic]
            packet = self._publish(topic, payload, retain=True)
            self._retained_in_flight[packet] = topic
            if kind == "image":
                self.image_sent_at = time.monotonic()
            if kind not in self._allowed:
                self._first_of_kind = packet

    def _publish_spool(self) -> None:
        """Publish the next messages of the spool, at most one of each object at a time."""
        limit = _MAX_IN_FLIGHT - len(self._in_flight)
        objects_in_flight = {object_key for _, object_key in self._in_flight.values()}
        for message in self._spool.after(self._last_sent_id, limit) if limit > 0 else ():
            if message.object_key in objects_in_flight:
                break
            topic = f"{self._options.address.prefix}/events"
            self._last_sent_id = message.id
            if self._is_too_large(topic, message.payload):
                self._spool.set_aside(message.id, _TOO_LARGE)
                continue
            packet = self._publish(topic, message.payload)
            self._in_flight[packet] = message.id, message.object_key
            objects_in_flight.add(message.object_key)

    def _is_too_large(self, topic: str, payload: bytes) -> bool:
        size = _PACKET_OVERHEAD + len(topic.encode()) + len(payload)
        return self._max_packet_bytes is not None and size > self._max_packet_bytes

    def _publish(self, topic: str, payload: str | bytes, *, retain: bool = False) -> int:
        """Publish with QoS 1 and return the packet id."""
        info: MQTTMessageInfo = self._client.publish(topic, payload, qos=1, retain=retain and self._retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise ConnectionError("the connection was lost")
        return info.mid

    def _may_stop(self) -> bool:
        """Return whether everything is published, or no time remains for it."""
        if self._outgoing.remaining_seconds() <= _OFFLINE_SECONDS:
            return True
        waiting = (
            self._in_flight
            or self._retained_in_flight
            or self._pending
            or self._outgoing
            or self._spool.after(self._last_sent_id, 1)
        )
        return self.accepted and not waiting

    def _publish_offline(self) -> None:
        """Publish "offline" before DISCONNECT, after which the broker does not send the last will."""
        topic = self._options.availability_topic
        packet = self._publish(topic, "offline", retain=True)
        self._retained_in_flight[packet] = topic
        while packet in self._retained_in_flight and self._outgoing.remaining_seconds() > 0 and self._loop_once():
            pass
        self._client.disconnect()

    def _on_connect(self, client: Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        self.answered = True
        if not reason.is_failure:
            self._connected = True
            self._max_packet_bytes = getattr(properties, "MaximumPacketSize", None)
        elif reason == "Retain not supported" and self._retain:
            self._error = RetainUnavailableError()
        elif reason == "Unsupported protocol version" and self._protocol == MQTTProtocolVersion.MQTTv5:
            self._error = UnsupportedProtocolVersion()
        else:
            self._error = BrokerRefusedError(describe_refusal(str(reason)))

    def _on_publish(self, client: Client, userdata: Any, packet: int, reason: Any, properties: Any) -> None:
        topic = self._retained_in_flight.pop(packet, None)
        if reason.is_failure:  # Only MQTT 5 reports it.
            if topic is not None:
                advice = "allow this user to write it in the broker's access rules"
                advice = RAISE_LIMIT if reason == "Packet too large" else advice
                self._error = TopicRefusedError(topic, str(reason), advice)
                return
            if reason == "Payload format invalid" and packet in self._in_flight:  # The others may be welcome.
                self._spool.set_aside(self._in_flight.pop(packet)[0], f"the broker refuses it: {reason}")
                return
            # Continuing would lose events without a message.
            prefix = self._options.address.prefix
            self._error = BrokerRefusedError(
                f"the broker refuses what is published under {prefix}/: {reason}; allow this user to write {prefix}/# "
                "in its access rules"
            )
            return
        if packet == self._online_packet:
            self.accepted = True
            self._outgoing.mark_all_changed()
            self._on_accepted()
        if topic is not None:
            self._allowed.add(self.kind_of(topic))
        if packet == self._first_of_kind:
            self._first_of_kind = None
        message = self._in_flight.pop(packet, None)
        if message is not None:
            self._acknowledged.append(message[0])

    def _on_disconnect(self, client: Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if not flags.is_disconnect_packet_from_server or self._error is not None:
            return
        if reason == "Session taken over":
            self._error = SessionTakenOverError()
            return
        if reason == "Packet too large":
            if self._image_topic in self._retained_in_flight.values():
                self._error = TopicRefusedError(self._image_topic, str(reason), RAISE_LIMIT)
                return
            self._set_largest_aside()
        self._error = BrokerRefusedError(f"the broker ended the connection: {reason}")

    def _set_largest_aside(self) -> None:
        """Set the largest message in flight aside: the next connection would end for it again."""
        ids = {message_id for message_id, _ in self._in_flight.values()}
        sent = self._spool.after(min(ids) - 1, _MAX_IN_FLIGHT) if ids else []
        largest = max((m for m in sent if m.id in ids), key=lambda m: len(m.payload), default=None)
        if largest is not None:
            self._spool.set_aside(largest.id, _TOO_LARGE)
