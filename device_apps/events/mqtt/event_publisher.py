"""Publisher of events and of the current state over MQTT.

PREFIX/events          each event as JSON; QoS 1, spooled until the broker has acknowledged it; not retained
PREFIX/availability    online or offline; retained, offline by the last will when the process or the network dies
PREFIX/LABEL/present   ON or OFF; retained
PREFIX/LABEL/count     number of objects that are present; retained

and of zones and lines what :mod:`device_apps.events.mqtt.zone_topics` lists, of the latest event what
:mod:`device_apps.events.mqtt.image_topics` lists.
"""

from __future__ import annotations

import hashlib
import logging
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from paho.mqtt.enums import MQTTProtocolVersion

from device_apps.background_writer import BackgroundWriter
from device_apps.events.event import Event
from device_apps.events.event_payload import event_payload
from device_apps.events.mqtt.client import RETRY_SECONDS, MqttClient
from device_apps.events.mqtt.connection import MqttConnectOptions
from device_apps.events.mqtt.home_assistant import common_fields, discovery_messages, topic_names
from device_apps.events.mqtt.image_topics import ImageTopics
from device_apps.events.mqtt.zone_topics import ZoneTopics
from device_apps.events.spool import Spool
from edge_ssd.console.counts import count
from edge_ssd.errors import EdgeSSDError

__all__ = ["MqttEventPublisher", "client_id"]

_QUEUE_CAPACITY = 1000  # Events that wait for a slow disk.

_log = logging.getLogger(__name__)


class MqttEventPublisher:
    """Publisher that sends events to an MQTT broker.

    Args:
        spool: queue of unsent events on disk; closed with the publisher.
        labels: of the detector, all of them: they determine the names in topics, whatever is announced.
        announced: get their state topics at once; other labels get them with their first event. None: all.
        camera: name of the device in Home Assistant; None for one from the topic.
        discovery_prefix: topic prefix of Home Assistant discovery; None announces nothing.
        page: URL of the web page, to which Home Assistant links; None for none.
        image: whether to publish snapshots, see :meth:`publish_snapshot`.
        retry_seconds, protocol: see :class:`~device_apps.events.mqtt.client.MqttClient`.
    """

    def __init__(
        self,
        options: MqttConnectOptions,
        spool: Spool,
        *,
        labels: Sequence[str],
        announced: Sequence[str] | None = None,
        camera: str | None = None,
        discovery_prefix: str | None,
        page: str | None = None,
        image: bool = False,
        retry_seconds: tuple[float, float] = RETRY_SECONDS,
        protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5,
    ) -> None:
        self.name = str(options.address)
        self._options = options
        self._prefix = options.address.prefix
        self._common = common_fields(
            camera=self._prefix.replace("/", " ") if camera is None else camera,
            prefix=self._prefix,
            availability_topic=options.availability_topic,
            page=page,
        )
        self._discovery_prefix = discovery_prefix
        self._spool = spool
        self._counts: Counter[str] = Counter()
        self._topic_names = topic_names(labels)  # by label
        self._announced: set[str] = set()  # labels
        self._announces_all = announced is None
        self._client = MqttClient(options, spool, retry_seconds, protocol)
        self._writer = BackgroundWriter(str(spool.path), self._add_to_spool, _QUEUE_CAPACITY)
        self._zone_topics = ZoneTopics(labels, self._prefix, discovery_prefix=discovery_prefix, common=self._common)
        self._image_topics = ImageTopics(self._prefix, self._common) if image else None
        self._closed = False
        if self._image_topics is not None and discovery_prefix is not None:
            self._set_retained(self._image_topics.discovery(discovery_prefix))
        for label in labels if announced is None else announced:
            self._announce(label)
        self._client.start()

    @property
    def lost(self) -> int:
        """Number of events that the queue or the spool dropped because it was full."""
        return self._writer.lost + self._spool.dropped

    @property
    def failure(self) -> BrokenPipeError | EdgeSSDError | None:
        """The error of the spool that should end the program, or None."""
        return self._writer.failure

    def publish(self, event: Event) -> None:
        """Queue an event, and update the state topics ("present" and "count") of its label."""
        self._writer.put(event)
        if event.label not in self._announced:
            self._announce(event.label)
        if event.kind in ("enter", "leave"):
            self._counts[event.label] += 1 if event.kind == "enter" else -1
            self._publish_state(event.label)

    def publish_counts(self, counts: dict[str, Any]) -> None:
        """Publish the counts of zones and lines, see :meth:`~device_apps.zones.monitor.ZoneMonitor.counts`."""
        self._set_retained(self._zone_topics.messages(counts))

    def publish_snapshot(self, event: Event, jpeg: bytes) -> None:
        """Publish the snapshot of the newest event, reduced; one thread at a time may call it."""
        if self._image_topics is not None:
            self._set_retained(self._image_topics.messages(event, jpeg))

    def check_labels(self, labels: Sequence[str]) -> None:
        """Accept every model."""

    def model_replaced(self, labels: Sequence[str]) -> None:
        """Announce the labels that are new, unless some were chosen; names in topics of the others stay."""
        self._topic_names = topic_names([*self._topic_names, *labels])
        self._zone_topics.add_labels(labels)
        if self._announces_all:
            for label in labels:
                if label not in self._announced:
                    self._announce(label)

    def close(self, deadline: float) -> None:
        """Publish what is queued and go offline by ``deadline`` (``time.monotonic()``)."""
        if self._closed:
            return
        self._closed = True
        self._writer.close(deadline)
        self._client.close(deadline)
        if self._spool.dropped:
            _log.warning("%s: was full; dropped: the oldest %s", self._spool.path, count(self._spool.dropped, "event"))
        self._spool.close()

    def _add_to_spool(self, event: Event) -> None:
        self._spool.add(f"{event.run}-{event.object_id}", event_payload(event))
        self._client.outgoing.wake()

    def _announce(self, label: str) -> None:
        self._announced.add(label)
        if label not in self._topic_names:
            self._topic_names = topic_names([*self._topic_names, label])
        if self._discovery_prefix is not None:
            name, prefix = self._topic_names[label], self._prefix
            self._set_retained(discovery_messages(label, name, prefix, self._discovery_prefix, self._common))
        self._publish_state(label)

    def _publish_state(self, label: str) -> None:
        count = self._counts[label]
        topic = f"{self._prefix}/{self._topic_names[label]}"
        self._set_retained({f"{topic}/present": "ON" if count else "OFF", f"{topic}/count": str(count)})

    def _set_retained(self, messages: Mapping[str, str | bytes]) -> None:
        for topic, payload in messages.items():
            self._client.outgoing.set_retained(topic, payload)


def client_id(prefix: str) -> str:
    """Return the MQTT client id for a topic prefix on this host: the same on each start, 23 characters."""
    digest = hashlib.sha256(f"{socket.gethostname()}\0{prefix}".encode()).hexdigest()
    return f"edge-ssd-{digest[:14]}"
