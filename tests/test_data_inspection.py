"""edge_ssd.data.inspection: findings, duplicates, contact sheet, histogram and the command."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from label_writers import WRITERS, LabeledImage, write_image
from PIL import Image

from edge_ssd.cli import main
from edge_ssd.data.check_images import THUMBNAIL_SIZE, check_image
from edge_ssd.data.file_digest import file_digest
from edge_ssd.data.inspection.contact_sheet import contact_sheet
from edge_ssd.data.inspection.duplicates import find_duplicates, find_near_duplicates, perceptual_hashes
from edge_ssd.data.inspection.histogram import size_histogram
from edge_ssd.data.inspection.report import DatasetReport, inspect_dataset
from edge_ssd.data.inspection.report_text import report_lines
from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.data.source import DataSource
from edge_ssd.errors import DataError, ModelError
from edge_ssd.network import tiny_ssd
from edge_ssd.runtime.network_file import read_network

BOX = ("fork", (1.0, 2.0, 30.0, 20.0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three different images in two splits, as Pascal VOC."""
    root = tmp_path / "cutlery"
    rows = [("a.png", "train"), ("b.png", "train"), ("c.png", "val")]
    WRITERS["voc"](root, [LabeledImage(name, split, objects=[BOX]) for name, split in rows], ("fork",))
    for seed, (name, _) in enumerate(rows):
        scene(seed).save(root / "JPEGImages" / name)
    return root


def scene(seed: int, size: tuple[int, int] = (60, 40)) -> Image.Image:
    """Return an image of soft blobs, which look the same at every scale, unlike noise."""
    pixels = np.random.default_rng(seed).integers(0, 255, (5, 7, 3), np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def inspect(folder: Path, **options: object) -> DatasetReport:
    return inspect_dataset(open_dataset(folder), **options)  # type: ignore[arg-type]


def kinds(report: DatasetReport) -> list[tuple[str, str]]:
    return [(finding.kind, finding.path.name) for finding in report.files]


def test_inspect_clean_dataset_has_no_findings(folder: Path) -> None:
    report = inspect(folder, strict=True, decode=True)
    assert (report.files, report.duplicates, report.unusable, report_lines(report)) == ((), (), {}, [])
    assert list(report.summaries) == ["train", "val"]
    assert report.summaries["train"].images_by_label == {"fork": 2}


def test_image_with_wrong_suffix_is_reported(folder: Path) -> None:
    scene(1).save(folder / "JPEGImages" / "b.png", format="JPEG")
    report = inspect(folder)
    assert kinds(report) == [("mislabelled", "b.png")]
    assert "is a JPEG by its content" in report.files[0].message
    with pytest.raises(DataError, match=r"b\.png: is a JPEG"):
        inspect(folder, strict=True)


def test_exif_rotated_image_is_reported_but_not_a_fault(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    scene(1).save(folder / "JPEGImages" / "b.png", exif=exif)
    report = inspect(folder, strict=True)
    assert kinds(report) == [("exif_rotated", "b.png")]
    assert "EXIF orientation 6 to 40×60: --sheet shows whether its boxes fit" in report.files[0].message


def test_case_conflicts_and_shared_label_files_are_reported(folder: Path) -> None:
    scene(8).save(folder / "JPEGImages" / "A.png")
    scene(9).save(folder / "JPEGImages" / "c.jpg")
    report = inspect(folder)
    assert ("case", "a.png") in kinds(report)
    assert ("twins", "c.png") in kinds(report) or ("twins", "c.jpg") in kinds(report)
    with pytest.raises(DataError):
        inspect(folder, strict=True)


def test_images_without_labels_and_labels_without_images(folder: Path) -> None:
    scene(8).save(folder / "JPEGImages" / "new.png")
    (folder / "JPEGImages" / "c.png").rename(folder / "elsewhere.png")
    shutil.copy(folder / "Annotations" / "c.xml", folder / "Annotations" / "d.xml")
    scene(9).save(folder / "JPEGImages" / "d.png")
    (folder / "ImageSets" / "Main" / "val.txt").write_text("c\nd\n", encoding="utf-8")
    report = inspect(folder)
    assert kinds(report) == [("unlabelled", "new.png")]
    first, second = (problem.message for problem in report.summaries["val"].dataset.problems)
    assert "1 listed image does not exist, such as 'c'" in first
    assert "image 'c.png' does not exist" in second
    assert len(report.summaries["val"].dataset) == 1
    with pytest.raises(DataError, match="listed image does not exist, such as 'c'"):
        load_dataset(folder, "val", strict=True)
    # With one split alone, an unlabeled image may belong to the other split.
    assert kinds(inspect(folder, split="val")) == []


def test_list_that_names_what_is_missing_is_reported(folder: Path) -> None:
    (folder / "ImageSets" / "Main" / "val.txt").write_text("c\nlost\n", encoding="utf-8")
    report = inspect(folder)
    assert "1 listed image does not exist, such as 'lost'" in report.summaries["val"].dataset.problems[0].message
    scene(9).save(folder / "JPEGImages" / "lost.png")
    notice = inspect(folder).summaries["val"].dataset.notices[0].message
    assert "1 image is in ImageSets/Main/val.txt, ImageSets/Main/train.txt, but without labels" in notice


def test_unusable_split_does_not_hide_the_others(folder: Path) -> None:
    (folder / "JPEGImages" / "c.png").write_bytes(b"nothing")
    report = inspect(folder)
    assert list(report.summaries) == ["train"]
    assert "c.png" in report.unusable["val"]
    assert report_lines(report)[0].startswith("val: cannot be used: ")
    for options in ({"split": "val"}, {"strict": True}):
        with pytest.raises(DataError, match=r"c\.png"):
            inspect(folder, **options)


def test_duplicate_file_across_splits_is_reported(folder: Path) -> None:
    shutil.copy(folder / "JPEGImages" / "a.png", folder / "JPEGImages" / "c.png")
    shutil.copy(folder / "JPEGImages" / "a.png", folder / "JPEGImages" / "b.png")
    report = inspect(folder)
    (group,) = report.duplicates
    assert (group.near, group.across) == (False, True)
    images = [(split, path.name) for split, path in group.images]
    assert images == [("train", "a.png"), ("train", "b.png"), ("val", "c.png")]
    assert "ACROSS SPLITS (keep each group in one: edge-ssd data split --again): 1" in "\n".join(report_lines(report))
    with pytest.raises(DataError, match="the same file is in two splits"):
        inspect(folder, strict=True)


def test_reencoded_image_is_a_near_duplicate(folder: Path) -> None:
    scene(0).save(folder / "big.png")
    scene(0, (240, 160)).convert("RGB").save(folder / "JPEGImages" / "c.jpg", quality=60)
    (folder / "JPEGImages" / "c.png").unlink()
    report = inspect(folder)
    (group,) = report.duplicates
    assert (group.near, group.across) == (True, True)
    assert [path.name for _, path in group.images] == ["a.png", "c.jpg"]
    assert "near-duplicate images (by perceptual hash" in "\n".join(report_lines(report))
    assert inspect(folder, near=False).duplicates == ()


def test_find_duplicates_reads_only_files_of_equal_size(tmp_path: Path) -> None:
    for name, content in (("a", b"one"), ("b", b"two"), ("c", b"one"), ("d", b"longer")):
        (tmp_path / name).write_bytes(content)
    read: list[str] = []

    def digest(path: Path) -> bytes | None:
        read.append(path.name)
        return file_digest(path)

    splits = {"train": [tmp_path / name for name in "abd"], "val": [tmp_path / "c", tmp_path / "missing"]}
    groups = find_duplicates(splits, digest)
    assert [[path.name for _, path in group.images] for group in groups] == [["a", "c"]]
    assert sorted(read) == ["a", "b", "c"]


def test_perceptual_hash_applies_exif(tmp_path: Path) -> None:
    scene(3, (240, 160)).save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # displayed rotated by 90° clockwise
    scene(3, (240, 160)).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "rotated.png", exif=exif)
    thumbnails = [check_image(tmp_path / f"{name}.png").thumbnail for name in ("upright", "rotated")]
    pixels = np.frombuffer(b"".join(thumbnails), np.uint8).reshape(-1, *THUMBNAIL_SIZE)
    upright, rotated = perceptual_hashes(pixels)
    assert (upright != rotated).mean() < 0.02


def test_objects_on_uniform_background_are_not_near_duplicates(tmp_path: Path) -> None:
    # White, with a dark square: nearly all bits of the hashes are equal.
    paths = []
    for number, (x, y) in enumerate([(10, 10), (60, 20), (30, 60), (80, 80)]):
        image = Image.new("RGB", (120, 120), "white")
        image.paste((20, 20, 20), (x, y, x + 25, y + 25))
        paths.append(tmp_path / f"{number}.png")
        image.save(paths[-1])
    assert find_near_duplicates({"all": paths}, {path: check_image(path).thumbnail for path in paths}) == ()


def test_light_gradient_hides_no_near_duplicate(tmp_path: Path) -> None:
    """Under light from one side nearly all bits are set, whatever lies there."""
    light = np.linspace(230, 130, 160).astype(np.uint8)[None, :, None].repeat(120, 0).repeat(3, 2)
    thumbnails: dict[Path, bytes] = {}
    for name, (x, y) in {"same": (40, 50), "again": (41, 50), "elsewhere": (90, 70)}.items():
        pixels = light.copy()
        pixels[y : y + 12, x : x + 40] = 60
        Image.fromarray(pixels).save(tmp_path / f"{name}.jpg", quality=90)
        thumbnails[tmp_path / f"{name}.jpg"] = check_image(tmp_path / f"{name}.jpg").thumbnail
    (group,) = find_near_duplicates({"all": list(thumbnails)}, thumbnails)
    assert [path.stem for _, path in group.images] == ["again", "same"]


def test_many_near_duplicates_are_one_group(tmp_path: Path) -> None:
    """A group may be longer than the rows that are compared at once, and its ends may differ in many bits."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (16, 17), np.uint8)
    thumbnails: dict[Path, bytes] = {}
    for number in range(400):
        pixels = pixels.copy()
        pixels[number % 16, rng.integers(17)] = rng.integers(0, 255)
        thumbnails[tmp_path / f"{number:03}.png"] = pixels.tobytes()
        (tmp_path / f"{number:03}.png").write_bytes(pixels.tobytes())
    others = {tmp_path / f"other{number}.png": rng.integers(0, 255, 272, np.uint8).tobytes() for number in range(50)}
    (group,) = find_near_duplicates({"all": [*thumbnails, *others]}, thumbnails | others)
    assert [path for _, path in group.images] == list(thumbnails)


def test_inspect_real_datasets(shared_data: Path) -> None:
    """bccd has two photographs of one smear in different splits; raccoon has copies of files."""
    report = inspect(shared_data / "bccd")
    across = [[path.stem for _, path in group.images] for group in report.duplicates if group.across]
    assert across == [["BloodImage_00037", "BloodImage_00038"]]
    assert sum(len(summary.dataset.problems) for summary in report.summaries.values()) == 2
    report = inspect(shared_data / "raccoon")
    identical = [[path.stem for _, path in group.images] for group in report.duplicates if not group.near]
    pairs = [(11, 116), (120, 83), (52, 74), (65, 98)]
    assert identical == [[f"raccoon-{first}", f"raccoon-{second}"] for first, second in pairs]
    assert not any(group.across for group in report.duplicates)


def test_size_histogram_counts_every_box_once() -> None:
    network = tiny_ssd(("thing",))
    boxes = [[0.4, 0.4, 0.6, 0.6]] * 30 + [[0.5, 0.5, 0.52, 0.52]] * 15
    pytest.importorskip("matplotlib")
    histogram, anchors = size_histogram(boxes, network.levels, "things").axes
    matched, unmatched = (sum(bar.get_height() for bar in bars) for bars in histogram.containers)
    assert (matched, unmatched) == (30, 15)
    assert len(anchors.lines) == len(network.levels)
    empty, _ = size_histogram(np.zeros((0, 4)), network.levels, "nothing").axes
    assert sum(bar.get_height() for bars in empty.containers for bar in bars) == 0


def test_contact_sheet_size_with_long_labels(folder: Path) -> None:
    dataset = load_dataset(folder)
    one = contact_sheet(dataset, columns=2, rows=1, cell=100)
    two = contact_sheet(
        load_dataset(DataSource(folder, classes=r"fork=pièce à main\, très longue")), columns=2, rows=1, cell=100
    )
    assert one.size == two.size == (212, 124)


def test_read_network_without_tensorflow(tmp_path: Path) -> None:
    network = tiny_ssd(("cat", "dog"), input_size=(64, 96), width=0.5)
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "TinySSD", "config": {"network": network.to_dict()}}))
    assert read_network(path) == network
    for content in (b"", b"PK"):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"model\.keras: not a model"):
            read_network(path)
    with pytest.raises(ModelError, match="no such file"):
        read_network(tmp_path / "gone.keras")


def test_data_inspect_compares_with_a_model_and_writes_images(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped = Path(__file__).parent.parent / "converters" / "models" / "banana.keras"
    images = [tmp_path / "out" / name for name in ("sheet.png", "sizes.png")]
    arguments = ["--sheet", str(images[0]), "--histogram", str(images[1]), "--anchors-of", str(shipped)]
    assert main(["data", "inspect", str(folder), "--classes", "fork=cutlery", *arguments]) == 0
    out = capsys.readouterr().out
    assert "cutlery        2  100%, in 2 images" in out
    assert "by level, of which several may match a box: 32×32" in out
    for path in images:
        assert str(path) in out
        with Image.open(path) as image:
            assert image.format == "PNG"
    assert main(["data", "inspect", str(folder), "--json", "--no-near"]) == 0
    parsed = json.loads(capsys.readouterr().out)
    assert parsed["splits"]["val"]["anchors"]["levels"] == ["32×32", "16×16", "8×8", "4×4", "1×1"]
    assert (parsed["files"], parsed["duplicates"], parsed["unusable"]) == ([], [], {})
    assert main(["data", "inspect", str(folder), "--histogram", "sizes.txt"]) == 2
    assert "an image is written here" in capsys.readouterr().err


def test_ambiguous_format_is_reported_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(folder / "train" / "z.png")
    WRITERS["coco"](folder, [LabeledImage("z.png", objects=[BOX])], ("fork",))
    shutil.rmtree(folder / "Annotations" / "nothing", ignore_errors=True)
    assert main(["data", "inspect", str(folder), "--format", "voc"]) == 0
    assert "could also be" not in capsys.readouterr().out
    assert main(["data", "inspect", str(folder)]) == 0
    assert capsys.readouterr().out.count("could also be coco (COCO JSON): choose with --format") == 1
