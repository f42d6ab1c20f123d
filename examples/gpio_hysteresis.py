"""Switch a pin of a Raspberry Pi on while an object is seen, without flicker.

pip install "edge-ssd[device,camera,gpio]"
python gpio_hysteresis.py picamera 17 --label banana
GPIOZERO_PIN_FACTORY=mock python gpio_hysteresis.py bananas.mp4 17      # without a Raspberry Pi

Scores vary from frame to frame. With one threshold, a lamp or a relay would flicker around it: here the pin goes on
above a high score, and off only after some time below a lower one.
"""

import argparse
import sys
import warnings

import gpiozero

from device_apps.sources.open_source import open_source
from edge_ssd import Detector, EdgeSSDError


class Hysteresis:
    """State that turns on with ``frames`` scores in a row of at least ``high``, off after ``seconds`` below ``low``."""

    def __init__(self, low: float, high: float, frames: int, seconds: float) -> None:
        self.low, self.high, self.frames, self.seconds = low, high, frames, seconds
        self.on = False
        self._seen = 0  # frames in a row with a high score
        self._last = 0.0  # time of the last score of at least ``low``

    def update(self, score: float, time: float) -> bool:
        """Return the state after a frame with this score, at this time in seconds."""
        self._seen = self._seen + 1 if score >= self.high else 0
        if score >= self.low:
            self._last = time
        self.on = time - self._last < self.seconds if self.on else self._seen >= self.frames
        return self.on


def run(arguments: argparse.Namespace) -> None:
    state = Hysteresis(arguments.low, arguments.high, arguments.frames, arguments.seconds)
    classes = [arguments.label] if arguments.label else None
    # gpiozero warns of each driver that is not installed before it finds one that is.
    warnings.simplefilter("ignore", gpiozero.PinFactoryFallback)
    # The pin is off at the start, and, as gpiozero releases it, when the program ends. The detector reports everything
    # from the lower threshold on.
    with (
        gpiozero.OutputDevice(arguments.pin, active_high=not arguments.active_low) as pin,
        Detector(arguments.model, score_threshold=arguments.low, classes=classes) as detector,
        open_source(arguments.source) as frames,
    ):
        for frame in frames:
            detections = detector.detect(frame.pixels, image_size=frame.size)
            score = max(detections.confidence, default=0.0)
            if state.update(score, frame.stream_time) != bool(pin.value):
                pin.value = state.on
                print(f"{frame.stream_time:6.1f} s  pin {arguments.pin} {'on' if state.on else 'off'}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="picamera, the index of a webcam, a URL, or a recording")
    parser.add_argument("pin", type=int, help="GPIO number")
    parser.add_argument("--model", default="nano", help="a .tflite file of edge-ssd, or a shipped model (%(default)s)")
    parser.add_argument("--label", help="the objects that switch it on (all)")
    parser.add_argument("--high", type=float, default=0.7, help="score that switches on (%(default)s)")
    parser.add_argument("--low", type=float, default=0.4, help="score that keeps it on (%(default)s)")
    parser.add_argument("--frames", type=int, default=3, help="frames in a row that switch on (%(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="time below --low that switches off (%(default)s)")
    parser.add_argument("--active-low", action="store_true", help="on is 0 V, as many relay boards need")
    try:
        run(parser.parse_args())
    except gpiozero.BadPinFactory:
        sys.exit("error: no GPIO driver works here: sudo apt install python3-lgpio, or set GPIOZERO_PIN_FACTORY=mock")
    except (EdgeSSDError, gpiozero.GPIOZeroError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(0)
