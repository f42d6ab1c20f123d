"""Decoded pictures in memory, on disk and nowhere: the same pixels, and room that is looked for first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.errors import ImageError
from edge_ssd.network import InputSpec
from edge_ssd.training.input.cache import available_memory, choose_cache, decoded_bytes, existing_folder
from edge_ssd.training.input.images import OnDemandImages, load_images

SPEC = InputSpec(32, 48)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Pictures of different sizes and kinds."""
    rng = np.random.default_rng(0)
    samples = []
    for i, (height, width) in enumerate([(40, 60), (32, 48), (90, 30), (33, 47), (64, 64)]):
        path = tmp_path / f"{i}.{'jpg' if i % 2 else 'png'}"
        Image.fromarray(rng.integers(0, 256, (height, width, 3)).astype(np.uint8)).save(path)
        samples.append(Sample(path, [[1, 2, 20, 30]] * (i % 3), [0] * (i % 3), (height, width)))
    return Dataset(tmp_path, ("thing",), tuple(samples), "test")


@pytest.mark.parametrize("cache", ["disk", "none"])
def test_every_cache_holds_the_same(cache: str, dataset: Dataset, tmp_path: Path) -> None:
    expected = load_images(dataset, SPEC)
    before = set(tmp_path.iterdir())
    pictures = load_images(dataset, SPEC, cache=cache, folder=tmp_path / "a run to be")
    assert pictures.images.shape == (5, 32, 48, 3)
    assert len(pictures) == 5
    for chosen in (np.array([3, 0, 3]), slice(1, 4), slice(None)):
        np.testing.assert_array_equal(pictures.images[chosen], expected.images[chosen])
    np.testing.assert_array_equal(pictures.labels, expected.labels)
    assert pictures.transforms == expected.transforms
    # The file on disk has no name: nothing is left behind, however the process ends.
    assert set(tmp_path.iterdir()) == before


def test_a_size_that_the_labels_do_not_tell_is_read(dataset: Dataset) -> None:
    without = dataset.with_samples(tuple(Sample(s.path, s.boxes_xyxy, s.class_ids) for s in dataset.samples))
    assert load_images(without, SPEC, cache="none").transforms == load_images(dataset, SPEC).transforms


def test_a_picture_that_was_spoilt_or_swapped_is_named(dataset: Dataset) -> None:
    images = load_images(dataset, SPEC, cache="none").images
    assert isinstance(images, OnDemandImages)
    path = dataset.samples[2].path
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ImageError, match=r"2\.png: cannot be read"):
        images[np.array([2])]
    assert images.failure is not None
    Image.new("RGB", (30, 91)).save(path)
    with pytest.raises(ImageError, match=r"2\.png: its size is \(91, 30\), but it was \(90, 30\)"):
        images[np.array([0, 2])]


class TestTheChoice:
    def test_what_is_asked_for_is_taken(self, tmp_path: Path) -> None:
        assert [choose_cache(asked, 10**18, tmp_path) for asked in ("memory", "disk", "none")] == [
            "memory",
            "disk",
            "none",
        ]

    def test_memory_then_disk_then_none(self, tmp_path: Path) -> None:
        def choose(size: int) -> str:
            return choose_cache(
                "auto", size, tmp_path / "new", memory=lambda: 1000, disk=lambda folder: 2 * 10**9 + 5000
            )

        assert [choose(size) for size in (500, 501, 5000, 5001)] == [
            "memory",
            "disk",
            "disk",
            "none",
        ]

    def test_the_container_limits_too(self, tmp_path: Path) -> None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc" / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    4000 kB\n")
        assert available_memory(tmp_path) == 4_096_000
        group = tmp_path / "sys" / "fs" / "cgroup"
        group.mkdir(parents=True)
        (group / "memory.max").write_text("max\n")
        (group / "memory.current").write_text("500000\n")
        assert available_memory(tmp_path) == 4_096_000
        (group / "memory.max").write_text("1500000\n")
        assert available_memory(tmp_path) == 1_000_000
        (group / "memory.max").write_text("100\n")
        assert available_memory(tmp_path) == 0

    def test_here(self, tmp_path: Path) -> None:
        assert 2**24 < available_memory() < 2**50
        assert existing_folder(tmp_path / "a" / "b") == tmp_path
        assert decoded_bytes(1000, InputSpec(256, 256)) == 196_608_000
