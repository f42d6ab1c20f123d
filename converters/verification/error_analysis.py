"""Where the loss of a conversion comes from: head by head, in numbers and in average precision.

Each head of each level is compared with the float model's (range, step, error), and then put to the test that counts:
the float model's values take the place of the converted model's in one head after the other, everything else stays,
and the same decoding gives an average precision again. What it rises by is what the head's rounding costs; with all
heads replaced it is the float model's own.

A kept head does not undo what the layers before it did to its input, so the numbers say which *outputs* carry the
error; whether a head's own rounding or the body makes it shows in its error: see ``rounding_error``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.quantization.output_ranges import candidate_anchors, min_logit
from edge_ssd.console.progress import Progress
from edge_ssd.data.dataset import Dataset
from edge_ssd.evaluation.bootstrap import Interval, paired_bootstrap_ci
from edge_ssd.evaluation.evaluate import HeadOutputs, Predictor, decode
from edge_ssd.evaluation.matching import match_images, weighted_ap
from edge_ssd.evaluation.splits import subsample_evenly
from edge_ssd.network import Network
from edge_ssd.runtime.postprocess import Head, Postprocess
from edge_ssd.runtime.preprocess import ResizeTransform, preprocess, read_image

__all__ = ["MAX_PICTURES", "Diagnosis", "HeadContribution", "HeadError", "diagnose"]

Doubles = npt.NDArray[np.float64]

# The heads of all pictures are held at once: 140 kB a picture and class for the book's network.
MAX_PICTURES = 200

_BATCH = 16
# A head that clips more of its values than this was calibrated on too narrow a range.
_MUCH_CLIPPED = 0.001
# Attributions of less are noise on any set of pictures that a person labels.
_NOTABLE_AP = 0.002
# And so is a loss in all of less.
_SMALL_LOSS = 0.003
# Resamples for each of a dozen intervals: their ends need not be as fine as the main one's.
_RESAMPLES = 300


@dataclass(frozen=True)
class HeadError:
    """One converted head against the float model's, on the anchors that may become a detection.

    Logits are relative to background's here, and no lower than where a score is nothing: so decoding sees them.

    Attributes:
        output: its name in the file; ``kind`` "classes" or "boxes", of ``level``.
        dtype: of the output, "int8" for example.
        scale: value of one step; None for a float head. ``zero_point`` belongs to it.
        low, high: least and greatest value of the float model's head on the pictures.
        relative_rmse: root mean square error over the root mean square of the float values.
        rounding_error: what rounding to the steps alone would give, on the same measure; 0 for a float head.
        clipped: share of values that are cut off, at an end of the type's range.
    """

    output: str
    kind: str
    level: int
    dtype: str
    scale: float | None
    zero_point: int
    low: float
    high: float
    relative_rmse: float
    rounding_error: float
    clipped: float


@dataclass(frozen=True)
class HeadContribution:
    """Average precision when the heads named in ``outputs`` are the float model's, the others the converted ones.

    ``gain`` is what it rises by, and ``interval`` that gain's 95 % interval.
    """

    name: str
    outputs: tuple[str, ...]
    ap: float
    gain: float
    interval: Interval | None


@dataclass(frozen=True)
class Diagnosis:
    """What :func:`diagnose` found on ``pictures`` pictures."""

    pictures: int
    float_ap: float
    converted_ap: float
    heads: tuple[HeadError, ...]
    attributions: tuple[HeadContribution, ...]
    recommendation: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        rounded: dict[str, Any] = _rounded(asdict(self))
        return rounded


def diagnose(converted: Predictor, reference: Predictor, network: Network, dataset: Dataset) -> Diagnosis:
    """Compare two models of ``network`` on at most :data:`MAX_PICTURES` pictures of ``dataset``, spread evenly.

    Args:
        converted, reference: pictures → heads; ``reference`` is the float model.
    """
    dataset = subsample_evenly(dataset, MAX_PICTURES)
    mine, theirs, placements = _run(converted, reference, network, dataset)
    score = _APEvaluator(network, dataset, placements)
    names = [f"{kind}_{level}" for level in range(len(network.levels)) for kind in ("classes", "boxes")]
    groups: list[tuple[str, tuple[str, ...]]] = [(name, (name,)) for name in names]
    groups += [(f"all {kind}", tuple(n for n in names if n.startswith(kind))) for kind in ("classes", "boxes")]
    converted_matches, reference_matches = score(mine), score(theirs)
    converted_ap = weighted_ap(converted_matches)
    attributions = []
    with Progress("explain", "heads") as progress:
        for done, (name, outputs) in enumerate(groups, 1):
            replaced = score([_replaced(*pair, outputs) for pair in zip(mine, theirs, strict=True)])
            ap = weighted_ap(replaced)
            interval = paired_bootstrap_ci(replaced, converted_matches, resamples=_RESAMPLES)
            attributions.append(HeadContribution(name, outputs, ap, ap - converted_ap, interval))
            progress(done, len(groups))
    heads = tuple(_errors(network, mine, theirs))
    float_ap = weighted_ap(reference_matches)
    return Diagnosis(
        pictures=len(dataset),
        float_ap=float_ap,
        converted_ap=converted_ap,
        heads=heads,
        attributions=tuple(attributions),
        recommendation=_recommend(float_ap - converted_ap, heads, attributions),
    )


class _APEvaluator:
    """Heads of every picture → which detections are right."""

    def __init__(self, network: Network, dataset: Dataset, placements: Sequence[ResizeTransform]) -> None:
        self._postprocess, self._dataset, self._placements = Postprocess(network), dataset, placements

    def __call__(self, heads: Sequence[HeadOutputs]) -> list[Any]:
        pairs = zip(heads, self._placements, strict=True)
        return match_images(self._dataset, [decode(self._postprocess, *pair) for pair in pairs])


def _run(
    converted: Predictor, reference: Predictor, network: Network, dataset: Dataset
) -> tuple[list[HeadOutputs], list[HeadOutputs], list[ResizeTransform]]:
    mine: list[HeadOutputs] = []
    theirs: list[HeadOutputs] = []
    placements: list[ResizeTransform] = []
    for start in range(0, len(dataset), _BATCH):
        samples = dataset.samples[start : start + _BATCH]
        pairs = [preprocess(read_image(sample.path), network.input) for sample in samples]
        images = np.stack([image for image, _ in pairs])
        placements += [placement for _, placement in pairs]
        mine += converted(images)
        theirs += reference(images)
    return mine, theirs, placements


def _replaced(mine: HeadOutputs, theirs: HeadOutputs, outputs: Sequence[str]) -> HeadOutputs:
    """``mine`` with the named heads of ``theirs``."""

    def choose(kind: str, side: int) -> list[Head]:
        return [theirs[side][level] if f"{kind}_{level}" in outputs else head for level, head in enumerate(mine[side])]

    return choose("classes", 0), choose("boxes", 1)


def _errors(network: Network, mine: Sequence[HeadOutputs], theirs: Sequence[HeadOutputs]) -> Iterator[HeadError]:
    for level in range(len(network.levels)):
        chosen = _matter(network, [class_heads[level] for class_heads, _ in theirs])
        for kind, side in (("classes", 0), ("boxes", 1)):
            view = _Logits(network) if kind == "classes" else _Offsets()
            heads = [pair[side][level] for pair in mine]
            values = view(_rows([pair[side][level] for pair in theirs], view.columns)[chosen])
            steps = _rows([Head(head.values) for head in heads], view.columns)[chosen]
            found = view(_rows(heads, view.columns)[chosen])
            size = max(float(np.sqrt(np.mean(values**2))), 1e-12)
            scale, dtype = heads[0].scale, heads[0].values.dtype
            yield HeadError(
                output=f"{kind}_{level}",
                kind=kind,
                level=level,
                dtype=dtype.name,
                scale=scale,
                zero_point=heads[0].zero_point,
                low=float(values.min()),
                high=float(values.max()),
                relative_rmse=float(np.sqrt(np.mean((found - values) ** 2))) / size,
                # An error spread evenly over one step has this standard deviation.
                rounding_error=0.0 if scale is None else np.sqrt(view.roundings(steps) / 12) * scale / size,
                clipped=0.0
                if scale is None
                else float((view.at_end(steps, np.iinfo(dtype)) & (abs(found - values) > 1.5 * scale)).mean()),
            )


class _Logits:
    """Class heads as decoding sees them: relative to background, and no lower than where a score is nothing."""

    def __init__(self, network: Network) -> None:
        self.columns, self._least = network.num_classes + 1, min_logit(network)

    def __call__(self, rows: Doubles) -> Doubles:
        return np.maximum(rows[:, 1:] - rows[:, :1], self._least)

    def roundings(self, steps: Doubles) -> int:
        """How many roundings are in a value: background's own only where it is not the same everywhere."""
        return 1 if np.ptp(steps[:, 0]) == 0 else 2

    def at_end(self, steps: Doubles, limits: np.iinfo[Any]) -> npt.NDArray[np.bool_]:
        ends = (steps == limits.min) | (steps == limits.max)
        return ends[:, 1:] | ends[:, :1]


class _Offsets:
    """Box heads as they are."""

    columns = 4

    def __call__(self, rows: Doubles) -> Doubles:
        return rows

    def roundings(self, steps: Doubles) -> int:
        return 1

    def at_end(self, steps: Doubles, limits: np.iinfo[Any]) -> npt.NDArray[np.bool_]:
        return (steps == limits.min) | (steps == limits.max)


def _matter(network: Network, heads: Sequence[Head]) -> npt.NDArray[np.bool_]:
    """Which anchors of a level may become a detection, in all pictures one after the other."""
    logits = _rows(heads, network.num_classes + 1)
    return candidate_anchors((logits[:, 1:] - logits[:, :1]).max(axis=1))


def _rows(heads: Sequence[Head], columns: int) -> Doubles:
    """The values of all pictures' heads, float64 [anchors, columns]."""
    values = np.stack([head.values for head in heads]).reshape(-1, columns).astype(np.float64)
    scale, zero_point = heads[0].scale, heads[0].zero_point
    return values if scale is None else (values - zero_point) * scale


def _recommend(loss: float, heads: Sequence[HeadError], attributions: Sequence[HeadContribution]) -> str:
    clipped = [head for head in heads if head.clipped > _MUCH_CLIPPED]
    if loss <= _SMALL_LOSS:
        return f"Ship it: {max(loss, 0):.4f} AP lost is too little to matter, and nothing needs to be kept out of int8."
    if clipped:
        names = ", ".join(f"{head.output} ({head.clipped:.1%})" for head in clipped)
        return (
            f"Calibrate on more, or other, pictures: values of {names} lie beyond the calibrated range and are cut off "
            "(--calibration-images, or --data with pictures like those that the network will meet)."
        )
    single = [row for row in attributions if len(row.outputs) == 1 and _notable(row)]
    if single:
        single.sort(key=lambda row: -row.gain)
        named = {head.output: head for head in heads}
        costs = ", ".join(f"{row.name} {row.gain:+.4f}" for row in single)
        own = [row.name for row in single if _rounds_itself(named[row.name])]
        if own:
            keep = ",".join(own)
            return f"Keep out of int8 what its own rounding costs: --quantize mixed --keep {keep} (in AP: {costs})."
        return (
            f"The error comes from the layers before the heads (in AP: {costs}); keep early layers out of int8, "
            "--quantize mixed --keep 'base_net/*', or take --quantize int16x8."
        )
    grouped = [row for row in attributions if len(row.outputs) > 1 and _notable(row)]
    if grouped:
        worst = max(grouped, key=lambda row: row.gain)
        pattern = "classes_*" if worst.outputs[0].startswith("classes") else "boxes_*"
        return (
            f"No single head is to blame, but {worst.name} together cost {worst.gain:.4f} AP: try --quantize mixed "
            f"--keep '{pattern}', and if that does not help --quantize int16x8."
        )
    return (
        "No head, replaced by the float model's, brings a gain that these pictures can prove: the loss is spread over "
        "the network. Measure on more pictures, then try --quantize mixed or int16x8."
    )


def _notable(row: HeadContribution) -> bool:
    return row.gain >= _NOTABLE_AP and (row.interval is None or row.interval.low > 0)


def _rounds_itself(head: HeadError) -> bool:
    """Whether the head's own steps make at least half of its squared error; the rest came in with its input."""
    return head.rounding_error**2 >= 0.5 * head.relative_rmse**2


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return round(value, 6) if isinstance(value, float) else value
