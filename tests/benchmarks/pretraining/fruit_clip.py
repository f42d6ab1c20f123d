"""The sample clip of the fruit detector: the view moves over photographs of things that are held up in a shop.

    python fruit_clip.py --repositories REPOSITORIES --out device_apps/clips/fruit.mp4 --sheet docs/images/fruit.jpg

--sheet is an image of the shipped detector's results on it, a frame of each photograph.

The photographs are of the Grocery Store dataset (Klasson et al., 2019; MIT licence).
None of them was trained on; eight others of that dataset were.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from git_folder import GitFolder, find_git_folder, parse_repositories
from PIL import Image
from sources import SOURCES

from edge_ssd import Detector
from edge_ssd.drawing import draw_detections

_SCENES = (
    "train/Fruit/Apple/Royal-Gala/Royal-Gala_005.jpg",
    "test/Packages/Milk/Arla-Ecological-Medium-Fat-Milk/Arla-Ecological-Medium-Fat-Milk_001.jpg",
    "train/Fruit/Banana/Banana_039.jpg",
    "test/Fruit/Orange/Orange_043.jpg",
    "train/Fruit/Apple/Granny-Smith/Granny-Smith_021.jpg",
    "train/Fruit/Orange/Orange_044.jpg",
)
_WIDTH, _HEIGHT, _FPS = 480, 360, 15
_SCENE_FRAMES = 2 * _FPS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repositories", type=Path, required=True, help="folder of git directories OWNER+NAME")
    parser.add_argument("--repository", action="append", default=[], metavar="OWNER/NAME=PATH")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sheet", type=Path)
    args = parser.parse_args()
    (source,) = (source for source in SOURCES if source.name == "grocery_store")
    folder = find_git_folder(source.repository, args.repositories, parse_repositories(args.repository))
    if folder is None:
        sys.exit(f"{args.repositories}: no git directory of {source.repository}")
    with GitFolder(folder, source.commit) as repository:
        photos = [_decode(repository.read_path(f"dataset/{path}")) for path in _SCENES]
    writer = cv2.VideoWriter(str(args.out), cv2.VideoWriter.fourcc(*"mp4v"), _FPS, (_WIDTH, _HEIGHT))
    for i, photo in enumerate(photos):
        for progress in np.linspace(0, 1, _SCENE_FRAMES):
            writer.write(_view(photo, progress if i % 2 else 1 - progress))
    writer.release()
    if args.sheet:
        _draw_sheet(args.out, args.sheet)


def _draw_sheet(clip: Path, path: Path) -> None:
    capture, frames = cv2.VideoCapture(str(clip)), []
    with Detector("fruit-small") as detector:
        for i in range(len(_SCENES) * _SCENE_FRAMES):
            frame = cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB)
            if i % _SCENE_FRAMES == _SCENE_FRAMES // 2:
                frames.append(draw_detections(frame, detector.detect(frame)))
    rows = [np.hstack(frames[i : i + 3]) for i in range(0, len(frames), 3)]
    Image.fromarray(np.vstack(rows)).resize((1080, 540), Image.Resampling.LANCZOS).save(path, quality=85)


def _decode(content: bytes | None) -> np.ndarray:
    assert content is not None
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


def _view(photo: np.ndarray, progress: float) -> np.ndarray:
    """Return a part of the photo as a frame: it moves from the top to the bottom and shrinks a little."""
    height, width = photo.shape[:2]
    view_width = width * (1 - 0.12 * progress)
    view_height = view_width * _HEIGHT / _WIDTH
    left, top = (width - view_width) / 2, (height - view_height) * progress
    scale = _WIDTH / view_width
    shift = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
    return cv2.warpAffine(photo, shift, (_WIDTH, _HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


if __name__ == "__main__":
    main()
