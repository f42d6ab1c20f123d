"""The value that the passes of a conversion take and return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from converters.config import ConversionConfig
from converters.quantization.calibration import Calibration
from converters.quantization.layers import choose_layers
from converters.quantization.output_ranges import Range
from converters.quantization.schemes import CALIBRATED_SCHEMES
from edge_ssd.data.dataset import Dataset
from edge_ssd.evaluation.average_precision import AveragePrecision
from edge_ssd.runtime.bundle import SelfTest

if TYPE_CHECKING:
    from edge_ssd.training.model.tiny_ssd import TinySSD

__all__ = ["ConversionState"]


@dataclass(frozen=True, eq=False)
class ConversionState:
    """A model on its way to a file.

    Attributes:
        config: settings of the conversion.
        model: the Keras model, as changed by the passes so far.
        source: the ``.keras`` file, for error messages.
        calibration: None for a scheme that needs no calibration images.
        out: the file to be written, for error messages.
        dataset: images to measure on and to choose the self-test from.
        dataset_name: name of these images in the file.
        ranges: range of each output by name.
        flatbuffer: the TFLite model.
        float_precision: of ``model`` on ``dataset``; None if it is not measured.
        quantized_precision: of ``flatbuffer`` on ``dataset``; None if it is not measured.
        selftest: image and detections to embed.
        file: content of the file.

    Raises:
        ValueError: the scheme needs calibration images and there are none.
    """

    config: ConversionConfig
    model: TinySSD
    source: Path
    calibration: Calibration | None = None
    out: Path = Path()
    dataset: Dataset | None = None
    dataset_name: str = ""
    ranges: Mapping[str, Range] = field(default_factory=dict)
    flatbuffer: bytes = b""
    float_precision: AveragePrecision | None = None
    quantized_precision: AveragePrecision | None = None
    selftest: SelfTest | None = None
    file: bytes = b""

    def __post_init__(self) -> None:
        if self.config.scheme in CALIBRATED_SCHEMES and not self.calibration:
            raise ValueError(f"{self.config.scheme} needs calibration images")

    @property
    def images(self) -> npt.NDArray[np.uint8]:
        """The calibration images [N, height, width, 3]; only for a scheme that needs them."""
        assert self.calibration is not None
        return self.calibration.images

    @property
    def kept_layers(self) -> tuple[str, ...]:
        """Names of the layers that stay out of int8, which are empty for every scheme but "mixed"."""
        return choose_layers(self.model.network, self.config.keep) if self.config.scheme == "mixed" else ()
