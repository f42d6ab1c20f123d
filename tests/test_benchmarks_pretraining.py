"""tests/benchmarks/pretraining: choice of images, look-alikes, boxes and groups, on a tiny repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY
from PIL import Image

sys.path.append(str(REPOSITORY / "tests" / "benchmarks" / "pretraining"))

from build_set import GROUPS, boxes_of, choose_images, coco_labels
from coco_classes import COCO_CLASSES
from fruit_set import first_of_each_source, uncertain_images
from git_folder import GitFile, GitFolder, find_git_folder
from pool import Pool, trim_gray
from pool_index import (
    LabeledImage,
    OwnBox,
    PoolImage,
    PseudoBox,
    append_detections,
    read_index,
    write_index,
    write_own_boxes,
)
from sources import SOURCES, Selection, Source, candidates
from teacher import read_positions

FOLDER = REPOSITORY / "tests" / "benchmarks" / "pretraining"


def blobs(seed: int, size: tuple[int, int] = (150, 200)) -> Image.Image:
    """Return a random image of large patches."""
    patches = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize(size[::-1], Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A git directory without a work tree, and its commit."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    tmp_path = tmp_path_factory.mktemp("repository")
    work = tmp_path / "work"
    (work / "images").mkdir(parents=True)
    blobs(0).save(work / "images" / "a.png")
    blobs(0).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(work / "images" / "b_mirrored.png")
    blobs(1).save(work / "images" / "c.jpg", quality=95)
    blobs(2, (300, 400)).save(work / "images" / "d_large.png")
    blobs(3, (60, 60)).save(work / "images" / "e_small.png")
    (work / "images" / "f_damaged.png").write_bytes(b"no image")
    blobs(4).save(work / "images" / "kangaroo.png")
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    commit = [*identity, "commit", "-q", "-m", "images"]
    for arguments in (["init", "-q", "--template="], ["add", "."], commit, ["rev-parse", "HEAD"]):
        output = subprocess.run(
            ["git", *arguments], cwd=work, env=environment, check=True, capture_output=True, text=True
        ).stdout
    root = tmp_path / "repositories"
    shutil.copytree(work / ".git", root / "owner+name")
    return root, output.strip()


def test_pool_has_each_image_once_and_none_that_is_held_out(repository: tuple[Path, str], tmp_path: Path) -> None:
    root, commit = repository
    held_out = tmp_path / "held_out"
    held_out.mkdir()
    blobs(1).resize((100, 75)).save(held_out / "smaller.jpg")
    pool = Pool(tmp_path / "pool", [held_out])
    source = Source("name", "owner/name", commit, (Selection("^images/"),))
    folder = find_git_folder("owner/name", root, {})
    assert folder is not None
    with GitFolder(folder, commit) as git:
        pool.add_source(source, git)
        assert git.read_path("images/none.png") is None
    first, large = read_index(tmp_path / "pool", "name")
    assert (first.file, first.origin, first.scale) == ("name/00000.jpg", "owner/name:images/a.png", 1)
    assert (large.width, large.height, large.scale, large.position) == (384, 288, 0.96, 3)
    with Image.open(tmp_path / "pool" / large.file) as image:
        assert image.size == (384, 288)
    lines = (tmp_path / "pool" / "name.refused.txt").read_text().splitlines()
    assert [line.split("\t")[1].partition(":")[0] for line in lines] == [
        "in the pool",
        "held out",
        "too small",
        "cannot be decoded",
    ]


def test_missing_commit_ends_with_one_line(repository: tuple[Path, str]) -> None:
    folder = repository[0] / "owner+name"
    with pytest.raises(SystemExit, match="fetch origin 0000"):
        GitFolder(folder, 40 * "0")


def test_candidates_are_distinct_and_avoid_names_of_held_out_images() -> None:
    files = [
        GitFile("photos/b.jpg", "1"),
        GitFile("photos/copy_of_b.jpg", "1"),
        GitFile("photos/apple_12.jpg", "2"),
        GitFile("photos/Wallaby.png", "3"),
        GitFile("photos/notes.txt", "4"),
        GitFile("other/c.jpg", "5"),
    ]
    assert [file.path for file in candidates(files, [Selection("^photos/")])] == ["photos/b.jpg"]
    with_names = candidates(files, [Selection("^photos/"), Selection("^photos/", names_of_fruit=True)])
    assert [file.path for file in with_names] == ["photos/b.jpg", "photos/apple_12.jpg"]
    many = [GitFile(f"{number}.jpg", str(number)) for number in range(20)]
    drawn = candidates(many, [Selection("", sample=5)])
    assert len(drawn) == 5
    assert drawn == candidates(many, [Selection("", sample=5)])


def test_sources_groups_and_readme_agree() -> None:
    names = [source.name for source in SOURCES]
    assert len(set(names)) == len(names)
    members = [label for group in GROUPS.values() for label in group]
    assert len(COCO_CLASSES) == len(set(COCO_CLASSES)) == 80
    assert len(set(members)) == len(members)
    assert set(members) < set(COCO_CLASSES)
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert not [source.name for source in SOURCES if f"| {source.name} | {source.repository} |" not in readme]
    assert set(read_positions(FOLDER / "labeled.txt")) < set(names)


def test_gray_bars_are_cut_with_a_pixel_more(tmp_path: Path) -> None:
    pixels = np.full((100, 120, 3), 128, np.uint8)
    pixels[20:80] = np.asarray(blobs(0, (60, 120)))
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert trim_gray(tmp_path / "a.png") == ((0, 21), (120, 58))


def test_detections_on_own_boxes_are_left_out() -> None:
    person, chair = COCO_CLASSES.index("person"), COCO_CLASSES.index("chair")
    detections = (
        PseudoBox(person, 0.9, (10, 10, 50, 50)),
        PseudoBox(chair, 0.5, (60, 60, 90, 90)),
        PseudoBox(chair, 0.3, (0, 60, 30, 90)),
    )
    image = PoolImage("a/00000.jpg", "owner/name:a.jpg", 0, 100, 100, 1)
    labeled = LabeledImage(image, detections, (OwnBox("milk", (11, 11, 50, 50)),))
    assert [box.label for box in boxes_of(labeled, "a", 0.4)] == ["a:milk", "chair"]
    assert [box.label for box in boxes_of(labeled, "coco128", 0.4)] == ["coco128:milk"]


def test_set_has_boxes_in_groups(tmp_path: Path) -> None:
    image = PoolImage("a/00000.jpg", "owner/name:a.jpg", 0, 100, 80, 1)
    (tmp_path / "a.jsonl").write_text(json.dumps(image.__dict__) + "\n")
    cow = PseudoBox(COCO_CLASSES.index("cow"), 0.6, (10.0, 20.0, 110.0, 60.0))
    append_detections(tmp_path, "a", image.file, [cow])
    write_own_boxes(tmp_path, "a", {image.file: [OwnBox("milk", (0.0, 0.0, 8.0, 9.0))]})
    (chosen,) = choose_images(tmp_path, 0.4)
    labels = coco_labels([chosen], {"cow", "a:milk"})["train"]
    names = {category["id"]: category["name"] for category in labels["categories"]}
    boxes = [(names[annotation["category_id"]], annotation["bbox"]) for annotation in labels["annotations"]]
    assert boxes == [("package", [0, 0, 8, 9]), ("animal", [10, 20, 90, 40])]


def test_first_images_are_limited_for_each_source() -> None:
    files = ["a/0.jpg", "a/1.jpg", "a/2.jpg", "b/0.jpg", "c/0.jpg"]
    assert first_of_each_source(files, 4, 2) == ["a/0.jpg", "a/1.jpg", "b/0.jpg", "c/0.jpg"]
    assert first_of_each_source(files, 3, 9) == files[:3]


def test_images_are_uncertain_without_detections_or_with_fruit(tmp_path: Path) -> None:
    pool, detections = tmp_path / "pool", tmp_path / "detections"
    pool.mkdir()
    detections.mkdir()
    files = [f"a/{index}.jpg" for index in range(4)]
    write_index(pool, "a", [PoolImage(file, "owner/name:x", 0, 9, 9, 1.0) for file in files])
    for file, label, score in zip(files, ("person", "orange", "orange"), (0.9, 0.09, 0.07), strict=False):
        append_detections(detections, "a", file, [PseudoBox(COCO_CLASSES.index(label), score, (0, 0, 5, 5))])
    assert uncertain_images(pool, detections) == {files[1], files[3]}


def test_positions_are_ranges(tmp_path: Path) -> None:
    (tmp_path / "labeled.txt").write_text("# comment\na: 0-2 5\n\nb: 7\n")
    assert read_positions(tmp_path / "labeled.txt") == {"a": frozenset({0, 1, 2, 5}), "b": frozenset({7})}
