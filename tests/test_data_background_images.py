"""Folders of images without objects."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from labeled_images import write_image, write_text

from edge_ssd.data.background_images import load_background
from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.errors import DataError


def dataset(root: Path, *paths: Path, objects: int = 1) -> Dataset:
    boxes, class_ids = np.array([[0, 0, 9, 9]] * objects, np.float32), np.zeros(objects, np.int64)
    return Dataset(root, ("a",), tuple(Sample(path, boxes, class_ids) for path in paths), "voc")


@pytest.fixture
def labeled(tmp_path: Path) -> Dataset:
    write_image(tmp_path / "data" / "1.png")
    return dataset(tmp_path / "data", tmp_path / "data" / "1.png")


def names(samples: tuple[Sample, ...]) -> list[str]:
    return [sample.path.name for sample in samples]


def test_images_of_all_kinds_and_subfolders_are_read_once(tmp_path: Path, labeled: Dataset) -> None:
    for name in ("a.jpg", "sub/b.PNG", "sub/deeper/c.webp", ".hidden.png"):
        write_image(tmp_path / "photos" / name)
    write_text(tmp_path / "photos" / "label.csv", "img_name,label,xmin,ymin,xmax,ymax\na.jpg,0,1,1,9,9\n")
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    samples = load_background([tmp_path / "photos", tmp_path / "photos" / "sub", tmp_path / "link"], labeled)
    assert names(samples) == ["a.jpg", "b.PNG", "c.webp"]
    assert all(len(sample.class_ids) == 0 and sample.boxes_xyxy.shape == (0, 4) for sample in samples)
    assert load_background([], labeled) == ()


def test_damaged_images_are_dropped_with_a_warning_and_refused_by_strict(
    tmp_path: Path, labeled: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    write_image(tmp_path / "photos" / "a.jpg")
    (tmp_path / "photos" / "b.jpg").write_bytes(b"no image")
    with caplog.at_level(logging.WARNING):
        assert names(load_background([tmp_path / "photos"], labeled)) == ["a.jpg"]
    assert "b.jpg: cannot be decoded (not an image of a known format" in caplog.text
    with pytest.raises(DataError, match=r"b\.jpg: cannot be decoded"):
        load_background([tmp_path / "photos"], labeled, strict=True)
    (tmp_path / "photos" / "a.jpg").unlink()
    with pytest.raises(DataError, match=r"photos: none of its 1 image can be decoded; the first: .*b\.jpg"):
        load_background([tmp_path / "photos"], labeled)


def test_folders_without_images_are_reported(tmp_path: Path, labeled: Dataset) -> None:
    with pytest.raises(DataError, match="absent: no such folder; give a folder of images"):
        load_background([tmp_path / "absent"], labeled)
    write_text(tmp_path / "file", "")
    with pytest.raises(DataError, match="file: is not a folder"):
        load_background([tmp_path / "file"], labeled)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: no images in it"):
        load_background([tmp_path / "empty"], labeled)


def test_images_with_labeled_objects_are_refused(tmp_path: Path, labeled: Dataset) -> None:
    with pytest.raises(DataError, match=r"data: 1 image of it has labeled objects in .*data, such as 1\.png; give"):
        load_background([labeled.root], labeled)


def test_folder_whose_label_files_name_the_classes_is_refused(tmp_path: Path, labeled: Dataset) -> None:
    write_image(tmp_path / "photos" / "x.png")
    header = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    write_text(tmp_path / "photos" / "labels.csv", f"{header}x.png,64,48,b,1,1,9,9\n")
    assert names(load_background([tmp_path / "photos"], labeled)) == ["x.png"]
    write_text(tmp_path / "photos" / "labels.csv", f"{header}x.png,64,48,b,1,1,9,9\nx.png,64,48,a,1,1,9,9\n")
    with pytest.raises(
        DataError, match=r"photos: its label files name 1 object of the model's classes, such as 'a' in x"
    ):
        load_background([tmp_path / "photos"], labeled)


def test_images_without_objects_of_the_dataset_are_not_counted_twice(tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        write_image(tmp_path / name)
    assert names(load_background([tmp_path], dataset(tmp_path, tmp_path / "1.png", objects=0))) == ["2.png"]
