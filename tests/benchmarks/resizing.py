"""Speed and average precision of the runtime's resize and of other filters.

    python tests/benchmarks/resizing.py [MODEL.tflite --data DIR --split test]

Time: a frame of 640×480 to 256×256, one thread. With a bundle and a labeled dataset that it was not trained on, the
average precision too, with each image first scaled to at most 640 pixels, as from a camera: the network was trained on
the pixels of one of them. The filters of OpenCV need opencv-python.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Iterator

import numpy as np
from PIL import Image
from timing import time_interleaved

from edge_ssd.data.load import load_dataset
from edge_ssd.evaluation.average_precision import average_precision
from edge_ssd.evaluation.evaluate import decode
from edge_ssd.runtime.bundle import read_bundle
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.interpreter import open_interpreter
from edge_ssd.runtime.postprocess import Postprocess
from edge_ssd.runtime.preprocess import preprocess, read_image, resize_transform
from edge_ssd.runtime.resize import ImageArray, Resize, numpy_resize, opencv_resize, pillow_bilinear

LONGEST = 640


def pillow(filter: Image.Resampling, gap: float | None = None) -> Resize:
    def resize(image: ImageArray, size: tuple[int, int]) -> ImageArray:
        return np.asarray(Image.fromarray(image).resize(size[::-1], filter, reducing_gap=gap))

    return resize


def opencv(filter: int) -> Resize:
    import cv2

    cv2.setNumThreads(1)

    def resize(image: ImageArray, size: tuple[int, int]) -> ImageArray:
        return cv2.resize(image, size[::-1], interpolation=filter)

    return resize


def resize_functions() -> dict[str, Resize]:
    functions = {
        "Pillow bilinear": pillow_bilinear,
        "halvings, bilinear: NumPy": numpy_resize,
        "Pillow bilinear, reducing_gap=1": pillow(Image.Resampling.BILINEAR, 1.0),
        "Pillow box": pillow(Image.Resampling.BOX),
    }
    if importlib.util.find_spec("cv2"):
        import cv2

        functions["halvings, bilinear: OpenCV"] = opencv_resize
        for name in ("INTER_AREA", "INTER_LINEAR_EXACT", "INTER_LINEAR"):
            functions[f"cv2.{name}"] = opencv(getattr(cv2, name))
    return functions


def print_times() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    calls = {name: lambda resize=resize: resize(frame, (256, 256)) for name, resize in resize_functions().items()}
    for name, microseconds in time_interleaved(calls, 300).items():
        print(f"{name:34s} {microseconds / 1000:6.3f} ms")


def print_precisions(model: str, data: str, split: str) -> None:
    bundle = read_bundle(model)
    dataset = load_dataset(data, split=split, labels=bundle.labels)
    images = [read_image(sample.path) for sample in dataset.samples]
    transforms = [resize_transform(image.shape[:2], bundle.network.input) for image in images]
    frames = [camera_sized(image) for image in images]
    interpreter, postprocess = open_interpreter(bundle.flatbuffer), Postprocess(bundle.network)

    def detections(resize: Resize) -> Iterator[Detections]:
        for frame, transform in zip(frames, transforms, strict=True):
            heads = interpreter.invoke(preprocess(frame, bundle.network.input, resize)[0])
            class_heads = [heads[head.output] for head in bundle.details.class_heads]
            box_heads = [heads[head.output] for head in bundle.details.box_heads]
            yield decode(postprocess, (class_heads, box_heads), transform)

    print(f"{bundle.name} on {data}, {split}: {len(frames)} images")
    for name, resize in resize_functions().items():
        precision = average_precision(dataset, list(detections(resize)))
        print(f"{name:34s} AP {precision.ap:.3f}  AP50 {precision.ap50:.3f}  AP75 {precision.ap75:.3f}")


def camera_sized(image: ImageArray) -> ImageArray:
    height, width = image.shape[:2]
    ratio = LONGEST / max(height, width)
    if ratio >= 1:
        return image
    return np.asarray(
        Image.fromarray(image).resize((round(width * ratio), round(height * ratio)), Image.Resampling.LANCZOS)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--data")
    parser.add_argument("--split", default="test")
    args = parser.parse_args()
    print_times()
    if args.model is not None and args.data is not None:
        print_precisions(args.model, args.data, args.split)


if __name__ == "__main__":
    main()
