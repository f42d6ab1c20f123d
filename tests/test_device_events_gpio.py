"""GPIO pins, with gpiozero's mock pin factory."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import gpiozero
import pytest
from event_factory import event
from gpiozero.pins.mock import MockFactory
from processes import run_python

from device_apps.events.gpio import GpioOutput, PinRequest, parse_pin
from edge_ssd.errors import EdgeSSDError, SettingError


@pytest.fixture(autouse=True)
def board() -> Iterator[MockFactory]:
    factory = MockFactory()
    gpiozero.Device.pin_factory, before = factory, gpiozero.Device.pin_factory
    yield factory
    factory.reset()
    gpiozero.Device.pin_factory = before


def pin_for(text: str, active_low: bool = False) -> GpioOutput:
    return GpioOutput(parse_pin(text), active_low=active_low)


def test_parse_pin_reads_pin_and_labels() -> None:
    assert parse_pin("17") == PinRequest("17", ())
    assert parse_pin("17:banana") == PinRequest("17", ("banana",))
    assert parse_pin("BOARD11: ripe banana , apple", ["ripe banana", "apple"]) == PinRequest(
        "BOARD11", ("ripe banana", "apple")
    )


@pytest.mark.parametrize("text", ["", ":banana", "17:", "17:banana,", "17:,"])
def test_parse_pin_refuses_invalid_text(text: str) -> None:
    with pytest.raises(SettingError, match="expected a pin, or a pin and labels"):
        parse_pin(text)


def test_parse_pin_refuses_unknown_labels() -> None:
    with pytest.raises(SettingError, match="there is no label 'banan'; labels: banana, apple"):
        parse_pin("17:banan", ["banana", "apple"])


def test_gpio_output_is_on_while_an_object_is_present(board: MockFactory) -> None:
    pin, line = pin_for("17"), board.pin("GPIO17")
    assert (line.function, line.state) == ("output", False)
    states = []
    for number, (kind, object_id) in enumerate([("enter", 1), ("enter", 2), ("leave", 1), ("leave", 2), ("enter", 3)]):
        pin.publish(event(number, kind, object_id))
        states.append(line.state)
    assert states == [True, True, True, False, True]


def test_gpio_output_ignores_other_labels(board: MockFactory) -> None:
    pin, line = pin_for("17:apple"), board.pin("GPIO17")
    pin.publish(event(1, "enter", 1, "banana"))
    assert line.state is False
    pin.publish(event(2, "enter", 2, "apple"))
    pin.publish(event(3, "leave", 1, "banana"))
    assert line.state is True
    pin.publish(event(4, "leave", 2, "apple"))
    assert line.state is False


def test_gpio_output_follows_a_model_that_has_its_labels(board: MockFactory) -> None:
    pin, line = pin_for("17:Café"), board.pin("GPIO17")
    with pytest.raises(SettingError, match="--gpio 17:Café: there is no label 'Café'; labels: cafe, tea"):
        pin.check_labels(["cafe", "tea"])
    decomposed = "Cafe\u0301"
    pin.check_labels([decomposed])
    pin.model_replaced([decomposed])
    pin.publish(event(1, "enter", 1, decomposed))
    assert line.state is True


def test_gpio_output_active_low_inverts_the_level(board: MockFactory) -> None:
    pin, line = pin_for("17", active_low=True), board.pin("GPIO17")
    assert line.state is True, "off"
    pin.publish(event(1))
    assert line.state is False, "on"
    pin.close(0)
    assert line.states[-1].state is True


def test_gpio_output_switches_off_before_release(board: MockFactory) -> None:
    pin, line = pin_for("17"), board.pin("GPIO17")
    pin.publish(event(1))
    pin.close(0)
    pin.close(0)
    assert [state.state for state in line.states][-2:] == [True, False]
    assert line.function == "input"
    pin.publish(event(2))


def test_gpio_output_refuses_a_pin_in_use() -> None:
    other = gpiozero.LED(17)
    with pytest.raises(EdgeSSDError, match=r"--gpio 17: .*in use.*; name another pin, or end the program that uses it"):
        pin_for("17")
    other.close()


@pytest.mark.parametrize("name", ["99", "nonsense"])
def test_gpio_output_refuses_an_unknown_pin(name: str) -> None:
    with pytest.raises(EdgeSSDError, match=f"--gpio {name}: "):
        pin_for(name)


class FailingDevice(gpiozero.LED):
    """Device whose first three changes of value fail."""

    changes = 0

    @property
    def value(self) -> float:
        return super().value

    @value.setter
    def value(self, value: float) -> None:
        self.changes += 1
        if self.changes <= 3:
            raise RuntimeError("the line is gone")
        gpiozero.LED.value.fset(self, value)


def test_gpio_output_logs_a_failure_once_and_the_recovery(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    pin = GpioOutput(PinRequest("17"), active_low=False, open_device=lambda name, active_low: FailingDevice(name))
    for number in range(4):
        pin.publish(event(number, object_id=number))
    assert caplog.messages == [
        "GPIO pin 17: cannot be switched: the line is gone; detection goes on, will retry",
        "GPIO pin 17: can be switched again",
    ]
    pin.close(0)


def test_gpio_output_without_hardware_names_the_remedy() -> None:
    script = """
from device_apps.events.gpio import GpioOutput, PinRequest
from edge_ssd.errors import EdgeSSDError
try:
    GpioOutput(PinRequest("17"), active_low=False)
except EdgeSSDError as error:
    print(error)
"""
    done = run_python("-c", script, check=True)
    assert done.stdout.startswith("--gpio")
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""
