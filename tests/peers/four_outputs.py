"""Detect with a bare TFLite interpreter: ``four_outputs.py MODEL IMAGES.npz THRESHOLD THREADS``

Runs in any environment with an interpreter. Reads the four outputs of TFLite_Detection_PostProcess as programs without
metadata do: by their order (Frigate's CPU detector), and by their names in the signature (PyCoral). Prints
{"by order": …, "by name": …}, each as mediapipe_detect.py prints it, with class ids for labels and no rounding.
"""

import json
import sys

import numpy as np

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:
    from tflite_runtime.interpreter import Interpreter

BY_ORDER, BY_NAME = "by order", "by name"


def main() -> None:
    model, images, threshold, threads = sys.argv[1:]
    interpreter = Interpreter(model_path=model, num_threads=int(threads))
    interpreter.allocate_tensors()
    (image,) = interpreter.get_input_details()
    assert image["dtype"] is np.uint8
    outputs = interpreter.get_output_details()
    assert [list(output["shape"])[1:] for output in outputs] == [[100, 4], [100], [100], []]
    named = interpreter.get_signature_runner("serving_default").get_output_details()
    indices_of = {
        BY_ORDER: [output["index"] for output in outputs],
        BY_NAME: [named[name]["index"] for name in ("output_3", "output_2", "output_1", "output_0")],
    }
    results = {BY_ORDER: [], BY_NAME: []}
    with np.load(images) as arrays:
        for name in sorted(arrays):
            interpreter.set_tensor(image["index"], arrays[name][None])
            interpreter.invoke()
            for key, indices in indices_of.items():
                boxes, classes, scores, count = (interpreter.get_tensor(index)[0] for index in indices)
                size = arrays[name].shape[:2]
                results[key].append(read(boxes, classes, scores, int(count), float(threshold), size))
    print(json.dumps(results))


def read(boxes, classes, scores, count: int, threshold: float, size) -> list:
    height, width = size
    rows = []
    for i in range(count):
        if scores[i] < threshold:
            break  # such programs rely on the order, best first
        top, left, bottom, right = boxes[i]
        box = [float(left * width), float(top * height), float(right * width), float(bottom * height)]
        rows.append({"label": int(classes[i]), "score": float(scores[i]), "box": box})
    return rows


main()
