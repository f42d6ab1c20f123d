"""edge_ssd.training.input.images and cache: equal pixels from every cache, and the choice of the cache."""

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
    """Images of different sizes and formats."""
    rng = np.random.default_rng(0)
    samples = []
    for i, (height, width) in enumerate([(40, 60), (32, 48), (90, 30), (33, 47), (64, 64)]):
        path = tmp_path / f"{i}.{'jpg' if i % 2 else 'png'}"
        Image.fromarray(rng.integers(0, 256, (height, width, 3)).astype(np.uint8)).save(path)
        samples.append(Sample(path, [[1, 2, 20, 30]] * (i % 3), [0] * (i % 3), (height, width)))
    return Dataset(tmp_path, ("thing",), tuple(samples), "test")


@pytest.mark.parametrize("cache", ["disk", "none"])
def test_cache_returns_images_decoded_in_memory(cache: str, dataset: Dataset, tmp_path: Path) -> None:
    expected = load_images(dataset, SPEC)
    before = set(tmp_path.iterdir())
    cached = load_images(dataset, SPEC, cache=cache, folder=tmp_path / "run")
    assert cached.images.shape == (5, 32, 48, 3)
    assert len(cached) == 5
    for chosen in (np.array([3, 0, 3]), slice(1, 4), slice(None)):
        np.testing.assert_array_equal(cached.images[chosen], expected.images[chosen])
    np.testing.assert_array_equal(cached.labels, expected.labels)
    assert cached.transforms == expected.transforms
    # The file on disk is unlinked at once, so that no process leaves it behind.
    assert set(tmp_path.iterdir()) == before


def test_load_images_reads_sizes_that_labels_lack(dataset: Dataset) -> None:
    without = dataset.with_samples(tuple(Sample(s.path, s.boxes_xyxy, s.class_ids) for s in dataset.samples))
    assert load_images(without, SPEC, cache="none").transforms == load_images(dataset, SPEC).transforms


def test_on_demand_images_name_damaged_or_replaced_file(dataset: Dataset) -> None:
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


class TestChooseCache:
    def test_requested_cache_is_used(self, tmp_path: Path) -> None:
        assert [choose_cache(name, 10**18, tmp_path) for name in ("memory", "disk", "none")] == [
            "memory",
            "disk",
            "none",
        ]

    def test_auto_prefers_memory_then_disk_then_none(self, tmp_path: Path) -> None:
        def choose(size: int) -> str:
            return choose_cache(
                "auto", size, tmp_path / "new", memory=lambda: 1000, disk=lambda folder: 2 * 10**9 + 5000
            )

        assert [choose(size) for size in (500, 501, 5000, 5001)] == ["memory", "disk", "disk", "none"]

    def test_available_memory_respects_cgroup_limit(self, tmp_path: Path) -> None:
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

    def test_available_memory_of_this_machine(self, tmp_path: Path) -> None:
        assert 2**24 < available_memory() < 2**50
        assert existing_folder(tmp_path / "a" / "b") == tmp_path
        assert decoded_bytes(1000, InputSpec(256, 256)) == 196_608_000
