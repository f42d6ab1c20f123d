"""Settings of a conversion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from converters.interop.export import PROFILES, Profile
from converters.quantization.layers import DEFAULT_KEEP, choose_layers
from converters.quantization.schemes import SCHEMES, KeepType, Scheme
from edge_ssd.errors import SettingError
from edge_ssd.network import Network

__all__ = ["DEFAULT_MAX_FALSE_ALARMS", "MAX_CALIBRATION_IMAGES", "ConversionConfig"]

MAX_CALIBRATION_IMAGES = 200

DEFAULT_MAX_FALSE_ALARMS = 1.0
"""Number of false alarms per 100 images that the score threshold of a bundle allows."""


@dataclass(frozen=True)
class ConversionConfig:
    """Settings that select and parameterize the passes of :mod:`converters.passes`.

    Attributes:
        keep: for "mixed", patterns of the layers that stay out of int8, see
            :func:`converters.quantization.layers.choose_layers`. Other schemes ignore it.
        keep_type: for "mixed", the type of these layers' activations.
        profile: write a file for another runtime, such as "mediapipe"; None writes a bundle.
        calibration_images: number of calibration images, 1–200. Ranges hardly change after about a hundred.
        seed: selects the calibration images; at least 0.
        name: display name of the model; None uses the name of the output file.
        measure: whether to measure average precision before and after conversion.
        limit: the maximum number of images to measure on; None uses all.
        selftest_image: image to embed, which is published with the file; None chooses one from the dataset.
        score_threshold: the bundle's default score threshold, 0–1; None chooses it from the measured false alarms.
        max_false_alarms: number of false alarms per 100 images that a chosen threshold allows, above 0 and at most 100;
            None for :data:`DEFAULT_MAX_FALSE_ALARMS`.
        background: folders of images without any object of the model's classes, to measure false alarms on.

    Raises:
        SettingError: a value is invalid.
    """

    scheme: Scheme = "int8"
    keep: tuple[str, ...] = DEFAULT_KEEP
    keep_type: KeepType = "float"
    profile: Profile | None = None
    calibration_images: int = 128
    seed: int = 0
    name: str | None = None
    measure: bool = True
    limit: int | None = None
    selftest_image: Path | None = None
    score_threshold: float | None = None
    max_false_alarms: float | None = None
    background: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise SettingError(f"unknown scheme {self.scheme!r}; choose from {', '.join(SCHEMES)}")
        if self.keep_type not in ("float", "int16"):
            raise SettingError(f"unknown type {self.keep_type!r} of kept layers; choose float or int16")
        if self.profile is not None and self.profile not in PROFILES:
            raise SettingError(f"unknown profile {self.profile!r}; choose from {', '.join(PROFILES)}")
        if not 1 <= self.calibration_images <= MAX_CALIBRATION_IMAGES:
            raise SettingError(
                f"cannot calibrate on {self.calibration_images} images; choose from 1 to {MAX_CALIBRATION_IMAGES}"
            )
        if self.seed < 0:
            raise SettingError(f"the seed must be at least 0, got {self.seed}")
        if self.limit is not None and self.limit < 1:
            raise SettingError(f"the limit must be at least 1 image, got {self.limit}")
        if self.score_threshold is not None and not 0 <= self.score_threshold <= 1:
            raise SettingError(f"the score threshold must be from 0 to 1, got {self.score_threshold}")
        limit = self.max_false_alarms
        if limit is not None and not 0 < limit <= 100:
            raise SettingError(f"the false alarms per 100 images must be above 0 and at most 100, got {limit}")
        if limit is not None and (self.score_threshold is not None or not self.measure):
            reason = (
                "--no-accuracy skips the measurement" if self.score_threshold is None else "--score-threshold is given"
            )
            raise SettingError(f"--max-false-alarms chooses the score threshold, but {reason}: omit one of them")
        if self.background and not self.measure:
            raise SettingError("--background is for the measurement, which --no-accuracy skips: omit one of them")

    def kept_layers(self, network: Network) -> tuple[str, ...]:
        """Return the names of the layers of ``network`` that stay out of int8; none unless the scheme is "mixed".

        Raises:
            SettingError: a pattern of ``keep`` matches no layer.
        """
        return choose_layers(network, self.keep) if self.scheme == "mixed" else ()
