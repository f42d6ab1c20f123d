"""Pseudo-boxes of the images in the pool, by a YOLOX detector with COCO's classes, through onnxruntime.

    python tests/benchmarks/pretraining/teacher.py --model yolox_nano.onnx --pool POOL [--labeled FILE]

Detections with a score above --min-score are written; which of them become boxes is decided by build_set.py. Images
that have some already are skipped: run again to continue. --labeled limits the images of some sources: a line for each,
its name and the positions of the images among its candidates, as "camvid: 1-4 6 10-11".
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from pool_index import PseudoBox, append_detections, read_detections, read_index, require_files, source_names

_SIDE = 416
_STRIDES = (8, 16, 32)
_PADDING = 114
_MIN_SCORE, _NMS_IOU = 0.15, 0.6  # of the detections that build_set.py needs


class Teacher:
    """YOLOX without the decoding of its outputs, with an input "images" of float32 [1, 3, 416, 416], BGR, 0–255.

    Source: Z. Ge and others, 2021, "YOLOX: Exceeding YOLO Series in 2021".
    """

    def __init__(self, model: Path, threads: int, min_score: float = _MIN_SCORE) -> None:
        # Imported here, so that --help works without it.
        try:
            import onnxruntime  # type: ignore[import-not-found, unused-ignore]
        except ModuleNotFoundError:
            sys.exit("the teacher needs onnxruntime: pip install onnxruntime")

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._min_score = min_score
        cells, strides = [], []
        for stride in _STRIDES:
            y, x = np.mgrid[: _SIDE // stride, : _SIDE // stride]
            cells.append(np.stack([x, y], axis=-1).reshape(-1, 2))
            strides.append(np.full((len(cells[-1]), 1), stride))
        self._cells, self._strides = np.concatenate(cells), np.concatenate(strides)

    def detect(self, image_bgr: npt.NDArray[np.uint8]) -> list[PseudoBox]:
        """Return the detections in an image, uint8 [H, W, 3], in pixels."""
        height, width = image_bgr.shape[:2]
        scale = min(_SIDE / height, _SIDE / width)
        resized = cv2.resize(image_bgr, (int(width * scale), int(height * scale)), interpolation=cv2.INTER_LINEAR)
        padded = np.full((_SIDE, _SIDE, 3), _PADDING, np.uint8)
        padded[: resized.shape[0], : resized.shape[1]] = resized
        inputs = {"images": padded.transpose(2, 0, 1)[None].astype(np.float32)}
        (output,) = self._session.run(None, inputs)[0]  # [3549, 85]: center, size, objectness, 80 classes
        center = (output[:, :2] + self._cells) * self._strides
        size = np.exp(output[:, 2:4]) * self._strides
        scores = output[:, 4:5] * output[:, 5:]
        classes = scores.argmax(axis=1)
        best = scores[np.arange(len(scores)), classes]
        kept = best > self._min_score
        if not kept.any():
            return []
        boxes = np.concatenate([center[kept] - size[kept] / 2, center[kept] + size[kept] / 2], axis=1) / scale
        classes, best = classes[kept], best[kept]
        corner_and_size = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).tolist()
        indices = cv2.dnn.NMSBoxesBatched(corner_and_size, best.tolist(), classes.tolist(), self._min_score, _NMS_IOU)
        boxes[:, 0::2] = boxes[:, 0::2].clip(0, width)
        boxes[:, 1::2] = boxes[:, 1::2].clip(0, height)
        found = []
        for index in np.asarray(indices).reshape(-1).tolist():
            xmin, ymin, xmax, ymax = (round(value, 1) for value in boxes[index].tolist())
            found.append(PseudoBox(int(classes[index]), round(float(best[index]), 3), (xmin, ymin, xmax, ymax)))
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, metavar="FILE.onnx")
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--labeled", type=Path, metavar="FILE", help="label these images of some sources only")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these sources instead of all")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--min-score", type=float, default=_MIN_SCORE, help="of the detections that are written (default: %(default)s)"
    )
    args = parser.parse_args()
    require_files(args.model, *([] if args.labeled is None else [args.labeled]))
    names = source_names(args.pool)
    if unknown := [name for name in args.only or () if name not in names]:
        sys.exit(f"--only: {args.pool} has no source {', '.join(unknown)}; it has {', '.join(names)}")
    labeled = {} if args.labeled is None else read_positions(args.labeled)
    cv2.setNumThreads(args.threads)
    teacher = Teacher(args.model, args.threads, args.min_score)
    for name in args.only or names:
        seen = read_detections(args.pool, name)
        for image in read_index(args.pool, name):
            if image.file in seen or image.position not in labeled.get(name, {image.position}):
                continue
            pixels = cv2.imread(str(args.pool / image.file))
            if pixels is None:
                sys.exit(f"{args.pool / image.file}: cannot be read")
            append_detections(args.pool, name, image.file, teacher.detect(np.asarray(pixels, np.uint8)))
        print(f"{name}: {len(read_detections(args.pool, name))} images labeled", flush=True)


def read_positions(path: Path) -> dict[str, frozenset[int]]:
    """Return name → positions of a file with lines "name: 1-4 6 10-11"; lines that start with # are comments."""
    positions = {}
    for line in path.read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, ranges = line.partition(":")
            ends = [[int(end) for end in text.split("-")] for text in ranges.split()]
            positions[name] = frozenset(number for end in ends for number in range(end[0], end[-1] + 1))
    return positions


if __name__ == "__main__":
    main()
