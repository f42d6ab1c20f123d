"""Events over MQTT: each event, what is there now, and whether the camera is.

PREFIX/events          each event as JSON; QoS 1, kept on disk until the broker has it; not retained
PREFIX/availability    online or offline; retained, offline by the last will when the process or the network dies
PREFIX/LABEL/present   ON or OFF; retained
PREFIX/LABEL/count     how many; retained
"""

from __future__ import annotations

import hashlib
import json
import socket
from collections import Counter
from collections.abc import Sequence

from device_apps.events.background_writer import BackgroundWriter
from device_apps.events.emitter import Event
from device_apps.events.home_assistant import discovery, slugs
from device_apps.events.mqtt import DELAYS, Publisher
from device_apps.events.mqtt_session import MqttConnectOptions
from device_apps.events.spool import Spool
from device_apps.sources.frames import OnMessage

__all__ = ["MqttEvents", "client_id"]

_WAITING = 1000  # Events that may wait for a slow disk.


class MqttEvents:
    """A channel that publishes events to a broker.

    Args:
        login: where and as whom.
        spool: is closed with the channel.
        labels: that are announced at once; others are when they first appear.
        discovery_prefix: where Home Assistant listens; None announces nothing.
        notice: is told what a person should know.
        delays: see :class:`~device_apps.events.mqtt.Publisher`.
    """

    failure = None

    def __init__(
        self,
        login: MqttConnectOptions,
        spool: Spool,
        *,
        labels: Sequence[str],
        discovery_prefix: str | None,
        notice: OnMessage,
        delays: tuple[float, float] = DELAYS,
    ) -> None:
        self.name = str(login.address)
        self._login = login
        self._prefix = login.address.prefix
        self._discovery_prefix = discovery_prefix
        self._spool = spool
        self._notice = notice
        self._counts: Counter[str] = Counter()
        self._labels: list[str] = []
        self._names: dict[str, str] = {}
        self._publisher = Publisher(login, spool, notice, delays)
        self._worker = BackgroundWriter(str(spool.path), self._keep, _WAITING, notice)
        self._closed = False
        for label in labels:
            self._announce(label)
        self._publisher.start()

    @property
    def lost(self) -> int:
        return self._worker.lost + self._spool.dropped

    def publish(self, event: Event) -> None:
        self._worker.put(event)
        if event.label not in self._names:
            self._announce(event.label)
        self._counts[event.label] += 1 if event.kind == "enter" else -1
        self._show(event.label)

    def close(self, deadline: float) -> None:
        if self._closed:
            return
        self._closed = True
        self._worker.close(deadline)
        self._publisher.close(deadline)
        if self._spool.dropped:
            self._notice(f"{self._spool.path}: was full; the oldest {self._spool.dropped} events were dropped")
        self._spool.close()

    def _keep(self, event: Event) -> None:
        payload = json.dumps(event.to_dict(), ensure_ascii=False).encode()
        self._spool.add(f"{event.run}-{event.object_id}", payload)
        self._publisher.wake()

    def _announce(self, label: str) -> None:
        self._labels.append(label)
        self._names = slugs(self._labels)
        if self._discovery_prefix is not None:
            messages = discovery(
                label,
                self._names[label],
                camera=self._prefix.replace("/", " "),
                prefix=self._prefix,
                discovery_prefix=self._discovery_prefix,
                availability=self._login.availability,
            )
            for topic, payload in messages.items():
                self._publisher.retain(topic, payload)
        self._show(label)

    def _show(self, label: str) -> None:
        count = self._counts[label]
        self._publisher.retain(f"{self._prefix}/{self._names[label]}/present", "ON" if count else "OFF")
        self._publisher.retain(f"{self._prefix}/{self._names[label]}/count", str(count))


def client_id(prefix: str) -> str:
    """The same for the same camera on the same machine, at most 23 characters, which every broker takes."""
    digest = hashlib.sha256(f"{socket.gethostname()}\0{prefix}".encode()).hexdigest()
    return f"edge-ssd-{digest[:14]}"
