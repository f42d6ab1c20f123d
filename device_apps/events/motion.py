"""Motion of an object: constant velocity, estimated by a g-h filter with growing memory.

The gains of the k-th detection are those of the least-squares line through all k, 2(2k − 1)/(k(k + 1)) and
6/(k(k + 1)), until they reach a minimum, from which on older detections fade. For one axis this is the Kalman filter
of constant velocity without process noise, then its steady state. Source: E. Brookner, "Tracking and Kalman Filtering
Made Easy", 1998, §1.2.7 and §1.2.10.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Motion"]

Box = tuple[float, float, float, float]

_MIN_POSITION_GAIN, _MIN_VELOCITY_GAIN = 0.8, 0.3
_MAX_PREDICTION_S = 1.0  # Of an object that is not detected: further ahead a velocity says little.


@dataclass
class Motion:
    """Estimated center and velocity of an object, and the size of its last box.

    Attributes:
        x, y: center, 0–1 of the frame.
        vx, vy: velocity, per second.
        width, height: of the last box.
        time: of the last detection, in seconds.
        detections: number of detections.
    """

    x: float
    y: float
    width: float
    height: float
    time: float
    vx: float = 0.0
    vy: float = 0.0
    detections: int = 1

    @classmethod
    def of(cls, box: Box, time: float) -> Motion:
        """Return the motion of an object that was detected once, at rest."""
        return cls((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1], time)

    def predict(self, time: float) -> Box:
        """Return the box that is expected at a later time: the last one, moved."""
        ahead = min(max(0.0, time - self.time), _MAX_PREDICTION_S)
        x, y = self.x + self.vx * ahead, self.y + self.vy * ahead
        half_width, half_height = self.width / 2, self.height / 2
        return x - half_width, y - half_height, x + half_width, y + half_height

    def update(self, box: Box, time: float) -> None:
        """Correct the estimate by a detection."""
        elapsed = time - self.time
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        self.width, self.height = box[2] - box[0], box[3] - box[1]
        self.detections += 1
        if elapsed <= 0:
            self.x, self.y = x, y
            return
        k = self.detections
        position_gain = max(_MIN_POSITION_GAIN, 2 * (2 * k - 1) / (k * (k + 1)))
        velocity_gain = max(_MIN_VELOCITY_GAIN, 6 / (k * (k + 1))) / elapsed
        moved_x, moved_y = self.x + self.vx * elapsed, self.y + self.vy * elapsed
        self.x, self.y = moved_x + position_gain * (x - moved_x), moved_y + position_gain * (y - moved_y)
        self.vx += velocity_gain * (x - moved_x)
        self.vy += velocity_gain * (y - moved_y)
        self.time = time
