"""Pins that are on while something is there: a lamp, a siren, a relay.

Uses gpiozero, which drives the pins of every Raspberry Pi (through lgpio on current systems).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from device_apps.events.emitter import Event
from device_apps.sources.frames import OnMessage
from edge_ssd.errors import EdgeSSDError, SettingError

if TYPE_CHECKING:
    from gpiozero import OutputDevice

__all__ = ["GpioOutput", "PinRequest", "parse_pin"]


@dataclass(frozen=True)
class PinRequest:
    """A pin (by its GPIO number, or a name that gpiozero knows, such as BOARD11) and the labels that switch it on.

    Without labels every object does.
    """

    pin: str
    labels: tuple[str, ...] = ()


def parse_pin(text: str, known_labels: Sequence[str] | None = None) -> PinRequest:
    """Read PIN or PIN:label,label; raises :class:`SettingError` saying what is wrong with it."""
    pin, colon, rest = text.partition(":")
    labels = tuple(label.strip() for label in rest.split(",")) if colon else ()
    if not pin.strip() or not all(labels) or (colon and not labels):
        raise SettingError(f"--gpio {text}: expected a pin, or a pin and labels, such as 17 or 17:banana,apple")
    if known_labels is not None:
        for label in labels:
            if label not in known_labels:
                raise SettingError(f"--gpio {text}: there is no label {label!r}; labels: {', '.join(known_labels)}")
    return PinRequest(pin.strip(), labels)


class GpioOutput:
    """A channel that switches a pin on while an object with one of its labels is there, and off when it is closed.

    Off is also where it begins. A killed process cannot switch anything off: see docs/events.md for a resistor that
    does.

    Args:
        request: which pin, and for what.
        active_low: on is 0 V instead of 3.3 V, as many relay boards want it.
        notice: is told when the pin cannot be switched.

    Raises :class:`EdgeSSDError` where there is no such pin.
    """

    failure = None
    lost = 0

    def __init__(self, request: PinRequest, *, active_low: bool, notice: OnMessage) -> None:
        self.name = f"GPIO pin {request.pin}"
        self._labels = request.labels
        self._notice = notice
        self._present: set[int] = set()
        self._failing = False
        self._device: OutputDevice | None = _open(request.pin, active_low)

    def publish(self, event: Event) -> None:
        if self._labels and event.label not in self._labels:
            return
        if event.kind == "enter":
            self._present.add(event.object_id)
        else:
            self._present.discard(event.object_id)
        self._switch(bool(self._present))

    def close(self, deadline: float) -> None:
        if self._device is not None:
            self._switch(False)
            self._device.close()
            self._device = None

    def _switch(self, on: bool) -> None:
        if self._device is None:
            return
        try:
            self._device.value = on
        except Exception as error:  # Each of gpiozero's drivers has errors of its own. The camera goes on.
            if not self._failing:
                self._failing = True
                self._notice(f"{self.name}: cannot be switched: {error}; detection goes on, and it is tried again")
        else:
            if self._failing:
                self._failing = False
                self._notice(f"{self.name}: can be switched again")


def _open(pin: str, active_low: bool) -> OutputDevice:
    import warnings

    import gpiozero

    try:
        with warnings.catch_warnings():
            # Said for each driver that is not installed, before the one that is.
            warnings.simplefilter("ignore")
            return gpiozero.OutputDevice(int(pin) if pin.isdecimal() else pin, active_high=not active_low)
    except gpiozero.BadPinFactory:
        raise EdgeSSDError(
            "--gpio: no driver for pins works here; on a Raspberry Pi run: sudo apt install python3-lgpio, or: pip "
            "install lgpio"
        ) from None
    except Exception as error:  # gpiozero's own, and those of its drivers (a pin that is in use, no permission)
        raise EdgeSSDError(f"--gpio {pin}: {error}; name another pin, or end what uses it") from None
