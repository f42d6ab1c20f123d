"""Self-test of a bundle: an image, and the detections in it on the converter's machine.

It is the entry ``selftest.npz``, a ZIP of arrays that ``numpy.load`` reads too; its entries may be deflated. The image
is stored unchanged as ``image``, or delta-encoded as ``image_differences``, which deflates to half the size: uint8
[3, height, width], planes R − G, G and B − G, each row minus the row above, modulo 256.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ssd.errors import BundleError
from edge_ssd.network import Network
from edge_ssd.runtime.archive import read_archive, read_array
from edge_ssd.runtime.detections import Detections

__all__ = ["SelfTest", "delta_decode", "delta_encode", "read_selftest"]

_MAX_IMAGE = 16 * 2**20  # bytes
_MAX_NUMBERS = 2**20  # bytes, for each array beside the image
_HEADER = 256


@dataclass(frozen=True, eq=False)
class SelfTest:
    """An image at the network's input size and the detections in it when the bundle was made.

    Attributes:
        image: uint8 [height, width, 3], RGB.
        detections: all classes, with the bundle's own IoU threshold and number of detections.
        score_threshold: minimum score of ``detections``.
    """

    image: npt.NDArray[np.uint8]
    detections: Detections
    score_threshold: float


def delta_encode(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Encode an image, uint8 RGB [H, W, 3], as differences, uint8 [3, H, W]; lossless."""
    planes = image.transpose(2, 0, 1).copy()
    planes[0] -= planes[1]
    planes[2] -= planes[1]
    planes[:, 1:] -= planes[:, :-1].copy()
    return planes


def delta_decode(differences: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Decode the result of :func:`delta_encode` to uint8 RGB [H, W, 3]."""
    planes = np.cumsum(differences, axis=1, dtype=np.uint8)
    planes[0] += planes[1]
    planes[2] += planes[1]
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def read_selftest(data: bytes, network: Network) -> SelfTest:
    """Read the content of ``selftest.npz``; raise BundleError if it is damaged or does not match ``network``."""
    height, width = network.input.size
    max_image = min(height * width * 3 + _HEADER, _MAX_IMAGE)
    names = ("xyxy", "confidence", "class_id", "score_threshold")
    limits = dict.fromkeys(("image.npy", "image_differences.npy"), max_image)
    limits |= {f"{name}.npy": _MAX_NUMBERS for name in names}
    entries = read_archive(data, limits, deflated=True).entries
    missing = [name for name in names if f"{name}.npy" not in entries]
    if missing:
        raise BundleError(f"lacks {', '.join(missing)}")
    xyxy = read_array(entries["xyxy.npy"], "xyxy", "<f4", (None, 4))
    confidence = read_array(entries["confidence.npy"], "confidence", "<f4", (len(xyxy),))
    class_id = read_array(entries["class_id.npy"], "class_id", "<i8", (len(xyxy),))
    score_threshold = float(read_array(entries["score_threshold.npy"], "score_threshold", "<f8", ()))
    image = _read_image(entries, height, width)
    known = (class_id >= 0) & (class_id < network.num_classes)
    if not (np.isfinite(xyxy).all() and np.isfinite(confidence).all() and known.all()):
        raise BundleError("holds invalid detections")
    if not 0 <= score_threshold <= 1:
        raise BundleError(f"score_threshold is {score_threshold}, expected 0 to 1")
    labels = [network.labels[i] for i in class_id.tolist()]
    detections = Detections(xyxy, confidence, class_id, labels, (height, width))
    return SelfTest(image, detections, score_threshold)


def _read_image(entries: Mapping[str, bytes], height: int, width: int) -> npt.NDArray[np.uint8]:
    if "image_differences.npy" in entries:
        data = entries["image_differences.npy"]
        return delta_decode(read_array(data, "image_differences", "|u1", (3, height, width)))
    if "image.npy" in entries:
        return read_array(entries["image.npy"], "image", "|u1", (height, width, 3))
    raise BundleError("lacks image_differences or image")
