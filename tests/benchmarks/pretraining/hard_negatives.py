"""Photographs without fruit on which a fruit detector raises false alarms, to train on with ``--background``.

    python tests/benchmarks/pretraining/hard_negatives.py --model MODEL.keras --pool POOL \
        --pretrained-on SET --uncertain DIR --excluded OUT/alarms OUT/alarms_choose --out OUT/hard

All photographs of the pool that show no fruit by the teacher (see fruit_set.py) and are in none of the folders
--excluded are given to the model; those with the highest score are copied. Look at them: what the teacher did not see
may be fruit.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from build_set import image_name
from fruit_set import copy_images, images_without_fruit, read_image, uncertain_images

from edge_ssd.evaluation.keras_predictor import KerasPredictor
from edge_ssd.training.model.tiny_ssd import TinySSD, load_tiny_ssd

_BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, metavar="MODEL.keras")
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--pretrained-on", type=Path, required=True, metavar="SET")
    parser.add_argument("--uncertain", type=Path, required=True, metavar="DIR", help="as for fruit_set.py")
    parser.add_argument("--excluded", type=Path, nargs="+", default=[], metavar="DIR", help="folders of images")
    parser.add_argument("--number", type=int, default=1500, help="of images (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if args.out.exists():
        sys.exit(f"{args.out}: exists already")
    used, unused = images_without_fruit(args.pool, args.pretrained_on)
    excluded = {path.name for folder in args.excluded for path in folder.iterdir()}
    uncertain = uncertain_images(args.pool, args.uncertain)
    files = [file for file in used + unused if file not in uncertain and image_name(file) not in excluded]
    scores = false_alarm_scores(load_tiny_ssd(args.model), args.pool, files)
    order = np.argsort(-scores, kind="stable")[: args.number]
    copy_images(args.out, args.pool, [files[index] for index in order])
    print(f"{len(order)} of {len(files)} images, scores {scores[order[0]]:.3f} to {scores[order[-1]]:.3f}")


def false_alarm_scores(model: TinySSD, pool: Path, files: list[str]) -> npt.NDArray[np.float32]:
    """Return the highest score of any class and anchor in each image, float32 [len(files)]."""
    predict, (height, width) = KerasPredictor(model), model.network.input.size
    classes = model.network.num_classes + 1
    scores: list[np.float32] = []
    for start in range(0, len(files), _BATCH):
        images = [
            cv2.resize(read_image(pool / file)[..., ::-1], (width, height), interpolation=cv2.INTER_AREA)
            for file in files[start : start + _BATCH]
        ]
        for class_heads, _ in predict(np.stack(images).astype(np.uint8)):
            logits = np.concatenate([head.values.reshape(-1, classes) for head in class_heads])
            exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
            scores.append((exponentials[:, 1:].max(axis=1) / exponentials.sum(axis=1)).max())
        if len(scores) % (50 * _BATCH) == 0:
            print(f"{len(scores)} of {len(files)} images", flush=True)
    return np.array(scores, np.float32)


if __name__ == "__main__":
    main()
