"""Draw the figures of docs/book.md, from the root of a clone: python docs/book_figures.py docs/images"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from edge_ssd import multibox_detection, nms
from edge_ssd.data.synthetic.generate import draw_scene
from edge_ssd.drawing import draw_boxes
from edge_ssd.training.loss.anchor_losses import focal_loss, smooth_l1_loss
from edge_ssd.training.model.tiny_ssd import load_tiny_ssd

STYLES = ("-", "--", "-.")


def draw_losses(path: Path) -> None:
    """Draw smooth L1 over the error of an offset, and focal loss over the probability of the true class."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    smooth, focal = figure.subplots(1, 2)
    x = np.linspace(-2, 2, 401, dtype=np.float32)[:, None]
    for sigma, style in zip((10, 1, 0.5), STYLES, strict=True):
        smooth.plot(x, smooth_l1_loss(x, np.zeros_like(x), sigma), style, label=f"σ = {sigma}")
    smooth.set(title="smooth L1", xlabel="predicted − target offset", ylabel="loss")
    p = np.linspace(0.01, 0.99, 99, dtype=np.float32)
    logits = np.log(np.stack([1 - p, p], axis=-1))[None]
    for gamma, style in zip((0, 1, 5), STYLES, strict=True):
        focal.plot(p, focal_loss(logits, np.ones((1, len(p)), np.int32), gamma)[0], style, label=f"γ = {gamma}")
    focal.set(title="focal loss", xlabel="probability of the true class")
    for axes in (smooth, focal):
        axes.grid(alpha=0.3)
        axes.legend()
    save(figure, path)


def draw_detections(path: Path) -> None:
    """Draw the boxes above the threshold before and after NMS, on the image and with the model of the page."""
    model = load_tiny_ssd("converters/models/banana.keras")
    scene, _ = draw_scene(np.random.default_rng(20), size=256, bananas=3)
    logits, offsets = (output[0].numpy() for output in model(scene[None]))
    rows = multibox_detection(logits, offsets, model.network.anchors(), score_threshold=0.5, iou_threshold=1.0)
    kept = rows[nms(rows[:, 2:], rows[:, 1], iou_threshold=0.5)]
    image = np.asarray(Image.fromarray(scene).resize((384, 384), Image.Resampling.LANCZOS))
    figure = Figure(figsize=(8, 3), layout="constrained")
    before, after = figure.subplots(1, 2)
    for axes, boxes, title in ((before, rows, "score ≥ 0.5"), (after, kept, "after NMS")):
        names = ["banana"] * len(kept) if boxes is kept else []
        drawn = draw_boxes(image, boxes[:, 2:] * 384, boxes[:, 0].astype(int), names, kept[:, 1] if names else [])
        axes.imshow(drawn[:256])  # The lower third is empty.
        axes.set_title(f"{title}: {len(boxes)} boxes")
        axes.set_axis_off()
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Save a PNG with 256 colors: a third of the size without a visible difference."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    image.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE).save(path, optimize=True)


def main(folder: Path) -> None:
    draw_losses(folder / "book_losses.png")
    draw_detections(folder / "book_detections.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
