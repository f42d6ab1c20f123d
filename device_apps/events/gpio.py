"""GPIO pins that are on while an object is present: a lamp, a siren, a relay.

Uses gpiozero, which drives the pins of every Raspberry Pi (through lgpio on current systems).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from device_apps.events.event import Event
from device_apps.retry import FailureLog
from edge_ssd.console.text import find_label
from edge_ssd.errors import EdgeSSDError, SettingError

if TYPE_CHECKING:
    from gpiozero import OutputDevice

__all__ = ["GpioOutput", "PinRequest", "parse_pin"]

_log = logging.getLogger(__name__)


class PinRequest(NamedTuple):
    """A pin (GPIO number, or a name such as BOARD11) and the object labels that switch it on; () for all labels."""

    pin: str
    labels: tuple[str, ...] = ()


def parse_pin(text: str, known_labels: Sequence[str] | None = None) -> PinRequest:
    """Parse ``PIN`` or ``PIN:label,label``; raise SettingError if invalid, or for a label not in ``known_labels``."""
    pin, colon, label_list = text.partition(":")
    labels = tuple(label.strip() for label in label_list.split(",")) if colon else ()
    if not pin.strip() or not all(labels):
        raise SettingError(f"--gpio {text}: expected a pin, or a pin and labels, such as 17 or 17:banana,apple")
    request = PinRequest(pin.strip(), labels)
    return request if known_labels is None else request._replace(labels=_find_labels(request, known_labels))


def _find_labels(request: PinRequest, known_labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of a pin as the model writes them; raise SettingError if it lacks one."""
    found = []
    for label in request.labels:
        known = find_label(label, known_labels)
        if known is None:
            text = f"{request.pin}:{','.join(request.labels)}"
            raise SettingError(f"--gpio {text}: there is no label {label!r}; labels: {', '.join(known_labels)}")
        found.append(known)
    return tuple(found)


class GpioOutput:
    """Publisher that switches a pin on while an object with one of its labels is present.

    The pin is off at the start and when the output is closed. A killed process cannot switch it off: docs/events.md
    describes a resistor that does.

    Args:
        active_low: on is 0 V instead of 3.3 V, as many relay boards need.
        open_device: opens a pin, given its name and ``active_low``; raises EdgeSSDError if it is unknown or in use.
    """

    failure = None
    lost = 0

    def __init__(
        self, request: PinRequest, *, active_low: bool, open_device: Callable[[str, bool], OutputDevice] | None = None
    ) -> None:
        self.name = f"GPIO pin {request.pin}"
        self._request = request
        self._labels = request.labels
        self._present: set[int] = set()  # object ids
        self._failures = FailureLog(_log)
        self._device: OutputDevice | None = (open_device or _open)(request.pin, active_low)

    def publish(self, event: Event) -> None:
        """Switch the pin on if an object with one of its labels is present after the event, else off."""
        if self._labels and event.label not in self._labels:
            return
        if event.kind == "enter":
            self._present.add(event.object_id)
        elif event.kind == "leave":
            self._present.discard(event.object_id)
        self._switch(bool(self._present))

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raise SettingError if the pin's labels are not in ``labels``."""
        _find_labels(self._request, labels)

    def model_replaced(self, labels: Sequence[str]) -> None:
        """Follow the objects of a model with other labels, which were checked."""
        self._labels = _find_labels(self._request, labels)

    def close(self, deadline: float) -> None:
        """Switch the pin off and release it at once; ``deadline`` is ignored."""
        if self._device is not None:
            self._switch(False)
            self._device.close()
            self._device = None

    def _switch(self, on: bool) -> None:
        if self._device is None:
            return
        try:
            self._device.value = on
        except Exception as error:  # Each driver of gpiozero has its own errors. Detection goes on.
            self._failures.failed(f"{self.name}: cannot be switched: {error}; detection goes on, will retry")
        else:
            self._failures.recovered(f"{self.name}: can be switched again")


def _open(pin: str, active_low: bool) -> OutputDevice:
    import gpiozero

    try:
        with warnings.catch_warnings():
            # gpiozero warns of each driver that is not installed before it finds one that is.
            warnings.simplefilter("ignore")
            return gpiozero.OutputDevice(int(pin) if pin.isdecimal() else pin, active_high=not active_low)
    except gpiozero.BadPinFactory:
        raise EdgeSSDError(
            "--gpio: no GPIO driver works here; on a Raspberry Pi run: sudo apt install python3-lgpio, or: pip install "
            "lgpio"
        ) from None
    except Exception as error:  # gpiozero's own, and those of its drivers (a pin that is in use, no permission)
        raise EdgeSSDError(f"--gpio {pin}: {error}; name another pin, or end the program that uses it") from None
