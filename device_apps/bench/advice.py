"""Where the time of a frame goes, and what reduces it."""

from __future__ import annotations

from collections.abc import Mapping

from edge_ssd.network import InputSpec

__all__ = ["time_advice"]

_NAMES = {"capture": "decoding", "preprocess": "resizing", "invoke": "the network", "postprocess": "postprocessing"}


def time_advice(milliseconds: Mapping[str, float], spec: InputSpec, threads: int, *, opencv: bool) -> str:
    """Return the shares of the stages in one line, the largest first, and what reduces that one.

    Args:
        milliseconds: median of each stage: "preprocess", "invoke", "postprocess", and "capture" of a source.
        spec: input of the network.
        opencv: whether OpenCV resized.
    """
    total = sum(milliseconds.values()) or 1.0
    stages = sorted(milliseconds, key=lambda stage: -milliseconds[stage])
    shares = ", ".join(f"{_NAMES[stage]} {milliseconds[stage] / total:.0%}" for stage in stages)
    return f"{shares}: {_remedy(stages[0], spec, threads, opencv)}"


def _remedy(stage: str, spec: InputSpec, threads: int, opencv: bool) -> str:
    if stage == "capture":
        return "use smaller images or a stream of lower resolution"
    if stage == "postprocess":
        return "use a higher --score-threshold"
    if stage == "invoke":
        more = "more --threads or " if threads == 1 else ""
        return f"try {more}a smaller network (--model small or nano; edge-ssd train --network)"
    if spec.resampling != "halve-bilinear":
        return "train the model again, for the faster resize of this version"
    if not opencv:
        return "install opencv-python-headless"
    return f"capture frames that are nearer to the network's {spec.width}×{spec.height}"
