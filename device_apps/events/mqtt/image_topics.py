"""Retained topics of the latest event and its snapshot, which Home Assistant shows as an image.

PREFIX/latest/image   JPEG of the newest event in which an object appears, replaced while a better one of it is seen
PREFIX/latest/event   that event as JSON, with the links to its snapshot and clip

They are retained, so that a Home Assistant that starts shows the image; not spooled, since only the newest one counts.
"""

from __future__ import annotations

import json
from typing import Any

from device_apps.events.event import Event
from device_apps.events.event_payload import event_payload
from device_apps.events.mqtt.connection import IMAGE_TOPIC
from device_apps.events.mqtt.home_assistant import topic_name
from device_apps.jpeg import bounded_jpeg

__all__ = ["MAX_IMAGE_BYTES", "ImageTopics"]

MAX_IMAGE_BYTES = 100_000  # Brokers as a service refuse messages from 128 kB.
_SHOWN_KINDS = ("enter", "zone_enter", "line_cross")  # Those that leave may be in the image no more.


class ImageTopics:
    """Messages of the topics of the latest event.

    Args:
        common: see :func:`~device_apps.events.mqtt.home_assistant.common_fields`.
    """

    def __init__(self, prefix: str, common: dict[str, Any]) -> None:
        self._prefix = prefix
        self._common = common
        self._shown: Event | None = None

    def discovery(self, discovery_prefix: str) -> dict[str, str]:
        """Return the message that announces the image."""
        own = f"edge_ssd_{topic_name(self._prefix)}"
        fields = {
            "name": "Latest event",
            "unique_id": f"{own}_latest_image",
            "image_topic": f"{self._prefix}/{IMAGE_TOPIC}",
            "content_type": "image/jpeg",
            "json_attributes_topic": f"{self._prefix}/latest/event",
            "icon": "mdi:image-search",
        }
        return {f"{discovery_prefix}/image/{own}/latest_image/config": json.dumps({**fields, **self._common})}

    def messages(self, event: Event, jpeg: bytes) -> dict[str, bytes]:
        """Return the payloads, by topic, for an event whose snapshot was written; none if it is not to be shown.

        The event comes before the image, so that an automation on a new image finds its links.
        """
        if event.kind not in _SHOWN_KINDS:
            return {}
        if self._shown is None or event.number > self._shown.number:
            self._shown = event
        elif event.object_id != self._shown.object_id:  # A better snapshot of an earlier object.
            return {}
        return {
            f"{self._prefix}/latest/event": event_payload(self._shown),
            f"{self._prefix}/{IMAGE_TOPIC}": bounded_jpeg(jpeg, MAX_IMAGE_BYTES),
        }
