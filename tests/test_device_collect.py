"""Collecting: which frames are kept, and the COCO dataset that they become."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clocks import wait_until

from device_apps.collect.chooser import FrameChooser
from device_apps.collect.coco_folder import CocoFolder
from device_apps.collect.collector import Collector
from device_apps.collect.options import open_collector
from device_apps.collect.thumbnail import difference, thumbnail
from device_apps.jpeg import with_comment
from device_apps.results import FrameResult
from device_apps.seen_frame import SeenFrame, SeenObject
from device_apps.sources.frames import Frame
from edge_ssd import cli
from edge_ssd.cli import command_parser
from edge_ssd.data.load import load_dataset
from edge_ssd.errors import DataError, EdgeSSDError, SettingError
from edge_ssd.runtime.detections import Detections

LABELS = ("banana", "apple")
SIZE = (120, 160)


def image(seed: int) -> np.ndarray:
    """Return a scene of colored areas; each seed another one."""
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return blocks.repeat(SIZE[0] // 6, axis=0).repeat(SIZE[1] // 8, axis=1)


def result(
    at: float, pixels: np.ndarray, *boxes: tuple[str, float, tuple[int, int, int, int]], sequence: int = 0
) -> FrameResult:
    detections = Detections(
        np.array([box for _, _, box in boxes], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in boxes], np.float32),
        np.array([LABELS.index(label) for label, _, _ in boxes], np.int64),
        [label for label, _, _ in boxes],
        SIZE,
    )
    return FrameResult(Frame(pixels, sequence, at, "camera"), detections, {})


def chooser(every: float | None = None) -> FrameChooser:
    return FrameChooser(lambda: {"banana": 0.5, "apple": 0.7}, every)


SURE = ("banana", 0.9, (10, 10, 50, 40))


def test_first_frame_is_a_new_scene_and_its_repetition_is_not() -> None:
    chosen = chooser()
    frames = [result(at, image(1), SURE) for at in range(10)]
    choices = [chosen.choose(frame) for frame in frames]
    assert choices[0] == (frames[0], "scene")
    assert choices[1:] == [None] * 9
    other = result(20.0, image(2), SURE)
    assert chosen.choose(other) == (other, "scene")


def test_noise_and_brightness_make_no_new_scene() -> None:
    chosen = chooser()
    rng = np.random.default_rng(0)
    pixels = image(1) // 2 + 40
    assert chosen.choose(result(0.0, pixels)) is not None
    for at in range(3, 30):
        noisy = np.clip(pixels + rng.normal(at % 20, 8, pixels.shape), 0, 255).astype(np.uint8)
        assert chosen.choose(result(at, noisy)) is None
    assert difference(thumbnail(pixels), thumbnail(pixels + np.uint8(20))) < 0.5


@pytest.mark.parametrize(
    ("label", "score", "unsure"), [("banana", 0.6, True), ("banana", 0.7, False), ("apple", 0.8, True)]
)
def test_score_just_above_the_threshold_of_its_class_is_unsure(label: str, score: float, unsure: bool) -> None:
    chosen = chooser()
    chosen.choose(result(0.0, image(1)))
    choice = chosen.choose(result(2.5, image(1) // 2, (label, score, (10, 10, 50, 40))))
    assert (choice is not None and choice.reason == "unsure") == unsure


def test_frame_in_which_an_object_is_missing_is_kept() -> None:
    chosen = chooser()
    chosen.choose(result(0.0, image(1)))
    moved = ("banana", 0.9, (12, 11, 52, 41))
    chosen.choose(result(5.0, image(2), SURE))
    missing = result(7.5, image(3) // 2)
    chosen._looked_at = 7.4  # the scene is not due
    assert chosen.choose(missing) is None
    choice = chosen.choose(result(7.6, image(3), moved))
    assert choice == (missing, "flicker")


def test_object_that_comes_or_goes_does_not_flicker() -> None:
    chosen = chooser()
    for step, boxes in enumerate([(), (), (SURE,), (SURE,), (), (), (), (), (), (SURE,)]):
        choice = chosen.choose(result(3.0 * step, image(step), *boxes))
        assert choice is None or choice.reason == "scene"


def test_regular_frames_are_kept_unless_nothing_changed() -> None:
    chosen = chooser(every=60.0)
    kept = [at for at in range(0, 400, 5) if chosen.choose(result(at, image(at // 200), SURE))]
    assert kept == [0, 200]


def test_pause_between_kept_frames() -> None:
    chosen = chooser()
    kept = [at / 10 for at in range(100) if chosen.choose(result(at / 10, image(at), ("banana", 0.55, (5, 5, 40, 40))))]
    assert len(kept) == 5
    assert min(np.diff(kept)) >= 2.0


def test_folder_is_a_coco_dataset_with_proposals(tmp_path: Path) -> None:
    with Collector(tmp_path / "new", LABELS, lambda: {"banana": 0.5, "apple": 0.5}, 10**9) as collector:
        for number in range(3):
            at = time.monotonic() + 10 * number
            collector.write(result(at, image(number), SURE, ("apple", 0.6, (60, 20, 90, 70)), sequence=number))
            wait_until(lambda: len(collector._folder) == number + 1)  # noqa: B023
    dataset = load_dataset(tmp_path / "new", strict=True)
    assert dataset.labels == LABELS
    assert len(dataset) == 3
    assert dataset.samples[0].boxes_xyxy.tolist() == [[10, 10, 50, 40], [60, 20, 90, 70]]
    assert not (tmp_path / "new" / ".collected.jsonl").exists()


def jpeg() -> bytes:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image(0)).save(buffer, "JPEG")
    return buffer.getvalue()


def test_images_of_a_killed_program_and_of_earlier_runs_are_kept(tmp_path: Path) -> None:
    folder = CocoFolder(tmp_path, LABELS)
    for second in range(3):
        folder.add(
            jpeg(),
            datetime(2026, 1, 1, second=second, tzinfo=timezone.utc),
            second,
            "scene",
            result(0, image(0), SURE).detections,
        )
    # As after a kill: not written, and the last line of the journal cut.
    journal = tmp_path / ".collected.jsonl"
    journal.write_text(journal.read_text() + '{"file_name": "cut')
    again = CocoFolder(tmp_path, LABELS)
    assert len(again) == 3
    again.add(jpeg(), datetime(2026, 1, 2, tzinfo=timezone.utc), 7, "unsure", Detections.empty(SIZE))
    again.write_labels()
    content = json.loads((tmp_path / "annotations" / "instances.json").read_text())
    assert [entry["id"] for entry in content["images"]] == [1, 2, 3, 4]
    assert len(content["annotations"]) == 3
    gone = tmp_path / "images" / content["images"][0]["file_name"]
    gone.unlink()
    gone.symlink_to(tmp_path / "nowhere.jpg")
    assert len(CocoFolder(tmp_path, LABELS)) == 3


def test_folder_of_other_classes_is_one_line_and_unchanged(tmp_path: Path) -> None:
    CocoFolder(tmp_path, ("fork",))
    before = (tmp_path / "annotations" / "instances.json").read_bytes()
    with pytest.raises(DataError, match="its classes are fork, and the detector's are banana, apple: name another"):
        CocoFolder(tmp_path, LABELS)
    assert (tmp_path / "annotations" / "instances.json").read_bytes() == before
    (tmp_path / "annotations" / "instances.json").write_text("[1]")
    with pytest.raises(DataError, match="not as --collect writes it"):
        CocoFolder(tmp_path, LABELS)


def test_labels_that_were_corrected_meanwhile_are_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = CocoFolder(tmp_path, LABELS)
    path = tmp_path / "annotations" / "instances.json"
    for second in range(2):
        taken = datetime(2026, 1, 1, second=second, tzinfo=timezone.utc)
        folder.add(jpeg(), taken, second, "scene", result(0, image(0), SURE).detections)
        folder.write_labels()
    assert not caplog.messages
    path.write_text('{"corrected": true}')
    folder.add(jpeg(), datetime(2026, 1, 2, tzinfo=timezone.utc), 2, "scene", result(0, image(0), SURE).detections)
    folder.write_labels()
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"{path}: was changed by another program, and is kept as instances.json.edit")
    assert len(json.loads(path.read_text())["images"]) == 3
    assert (path.parent / "instances.json.edited-1").read_text() == '{"corrected": true}'
    load_dataset(tmp_path, strict=True)  # It is no second label file.


@pytest.mark.parametrize(
    "damage",
    [
        {"file_name": 5},
        {"file_name": None},
        {"width": float("nan")},
        {"proposals": [{"label": "banana", "score": 0.5, "box": [1, "2", 3, 4]}]},
        {"proposals": [{"label": "banana", "score": 0.5}]},
        {"proposals": [{"label": "fork", "score": 0.5, "box": [1, 2, 3, 4]}]},
        [],
    ],
)
def test_damaged_line_of_the_journal_is_left_out(tmp_path: Path, damage: Any) -> None:
    folder = CocoFolder(tmp_path, LABELS)
    folder.add(jpeg(), datetime(2026, 1, 1, tzinfo=timezone.utc), 1, "scene", result(0, image(0), SURE).detections)
    journal = tmp_path / ".collected.jsonl"
    line = json.loads(journal.read_text())
    bad = {**line, "file_name": "other.jpg", **damage} if damage else damage
    (tmp_path / "images" / "other.jpg").touch()
    journal.write_text(f"{json.dumps(bad)}\n{'[' * 100_000}\n{json.dumps(line)}\n")
    assert len(CocoFolder(tmp_path, LABELS)) == 1
    path = tmp_path / "annotations" / "instances.json"
    content = json.loads(path.read_text())
    for text in ("[" * 100_000, json.dumps({**content, "images": [{**content["images"][0], "file_name": 5}]})):
        path.write_text(text)
        with pytest.raises(DataError, match="not as --collect writes it"):
            CocoFolder(tmp_path, LABELS)
        assert path.read_text() == text


def test_second_program_is_refused_and_loses_no_labels(tmp_path: Path) -> None:
    args = command_parser("camera").parse_args(["--collect", str(tmp_path)])
    detector = type("Labels", (), {"labels": LABELS, "score_thresholds": {}})()
    with ExitStack() as first:
        assert open_collector(args, first, detector) is not None
        with ExitStack() as second, pytest.raises(EdgeSSDError, match="another edge-ssd writes to this folder; end it"):
            open_collector(args, second, detector)
    with ExitStack() as again:
        assert open_collector(args, again, detector) is not None


def test_collecting_refuses_a_model_of_other_classes(tmp_path: Path) -> None:
    with Collector(tmp_path, LABELS, dict, 10**6) as collector:
        collector.check_labels(list(LABELS))
        with pytest.raises(SettingError, match="has the classes banana, apple, and the new model has apple; start"):
            collector.check_labels(["apple"])


def test_full_folder_ends_collecting_with_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Collector(tmp_path, LABELS, dict, 5000) as collector:
        for number in range(20):
            collector.write(result(10.0 * number, image(number)))
            time.sleep(0.005)
    lines = [record.getMessage() for record in caplog.records if "no more images" in record.getMessage()]
    assert len(lines) == 1
    assert sum(path.stat().st_size for path in (tmp_path / "images").iterdir()) <= 5000


def test_vanished_folder_is_one_line_and_detection_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "stick"
    with Collector(folder, LABELS, dict, 10**9) as collector:
        shutil.rmtree(folder)
        for number in range(4):
            collector.write(result(10.0 * number, image(number)))
        wait_until(lambda: "cannot be written" in caplog.text)
        assert not folder.exists()
    assert caplog.text.count("No such file or directory; detection goes on") == 1


def test_file_in_place_of_the_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgeSSDError, match="cannot write to this folder"):
        Collector(tmp_path / "file", LABELS, dict, 10**9)


def test_camera_collects_what_can_be_trained_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = Path(__file__).resolve().parents[1] / "device_apps" / "clips" / "bananas.mp4"
    options = ["--headless", "--model", "banana-nano", "--collect", str(tmp_path), "--max-frames", "10"]
    assert cli.main(["camera", "--source", str(clip), *options]) == 0
    assert "1 image collected" in capsys.readouterr().err
    assert cli.main(["data", "inspect", str(tmp_path)]) == 0
    assert "1 image, 3 boxes (coco)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--collect-every", "5"], "needs --collect"), (["--collect", "a", "--collect-max-mb", "0"], "--collect-max-mb")],
)
def test_invalid_options_are_one_line(capsys: pytest.CaptureFixture[str], options: list[str], message: str) -> None:
    assert cli.main(["camera", "--headless", *options]) == 2
    assert message in capsys.readouterr().err


def seen(*labels: str, sequence: int = 7, second: int = 5) -> SeenFrame:
    """A frame with an object of each label, of which the first is the subject."""
    objects = tuple(
        SeenObject(label, 0.6, (10.0 + 30 * number, 10.0, 35.25 + 30 * number, 40.5))
        for number, label in enumerate(labels)
    )
    time = datetime(2026, 1, 1, second=second, tzinfo=timezone.utc)
    return SeenFrame(time, sequence, (160, 120), objects, objects[0])


def about(frame: SeenFrame, number: int) -> SeenFrame:
    """The same frame, kept for another of its objects."""
    return replace(frame, subject=frame.objects[number])


def contents(folder: Path) -> list[tuple[str, list[tuple[str, str | None]]]]:
    """Return the file name of each image that training reads, and the label and verdict of its boxes."""
    content = json.loads((folder / "annotations" / "instances.json").read_text())
    names = {category["id"]: category["name"] for category in content["categories"]}
    found = [
        (
            image["file_name"],
            [
                (names[entry["category_id"]], entry.get("verdict"))
                for entry in content["annotations"]
                if entry["image_id"] == image["id"]
            ],
        )
        for image in content["images"]
    ]
    assert [name for name, _ in found] == sorted(path.name for path in (folder / "images").iterdir())
    dataset = load_dataset(folder, strict=True)
    assert [[dataset.labels[i] for i in sample.class_ids] for sample in dataset.samples] == [
        [label for label, _ in boxes] for _, boxes in found
    ]
    return found


RIGHT, WRONG = "20260101T000005000Z-000007-right.jpg", "20260101T000005000Z-000007-wrong.jpg"


def test_wrong_detection_becomes_a_hard_negative_and_a_right_one_is_marked(tmp_path: Path) -> None:
    folder = CocoFolder(tmp_path, LABELS)
    assert folder.judge(jpeg(), seen("banana"), "wrong") == WRONG
    assert contents(tmp_path) == [(WRONG, [])]
    assert folder.judge(jpeg(), seen("banana"), "right") == RIGHT, "a person may change their mind"
    assert contents(tmp_path) == [(RIGHT, [("banana", "right")])]
    assert load_dataset(tmp_path).samples[0].boxes_xyxy.tolist() == [[10.0, 10.0, 35.25, 40.5]]
    assert folder.judge(jpeg(), seen("banana"), None) is None
    assert (list((tmp_path / "images").iterdir()), folder.total_bytes, len(folder)) == ([], 0, 0)
    assert folder.judge(jpeg(), seen("banana"), None) is None


def test_image_that_was_collected_before_is_judged_and_stays(tmp_path: Path) -> None:
    frame = seen("banana", "apple")
    detections = Detections(
        np.array([found.box for found in frame.objects], np.float32),
        np.array([0.6, 0.6], np.float32),
        np.array([0, 1]),
        list(LABELS),
        SIZE,
    )
    folder = CocoFolder(tmp_path, LABELS)
    folder.add(jpeg(), frame.time + timedelta(milliseconds=3), frame.sequence, "unsure", detections)
    folder.add(jpeg(), frame.time + timedelta(minutes=3), frame.sequence, "scene", detections)
    folder.write_labels()
    (name, _), other = contents(tmp_path)
    assert folder.judge(jpeg(), frame, "wrong") == name
    assert folder.judge(jpeg(), about(frame, 1), "right") == name
    assert contents(tmp_path) == [(name, [("apple", "right")]), other]
    again = CocoFolder(tmp_path, LABELS)
    assert again.judge(jpeg(), frame, None) == again.judge(jpeg(), about(frame, 1), None) == name
    assert contents(tmp_path) == [(name, [("banana", None), ("apple", None)]), other]


def test_verdicts_on_two_objects_of_a_frame_are_one_image(tmp_path: Path) -> None:
    frame = seen("banana", "apple")
    folder = CocoFolder(tmp_path, LABELS)
    assert folder.judge(jpeg(), frame, "right") == RIGHT
    assert folder.judge(jpeg(), about(frame, 1), "wrong") == WRONG, "a wrong one is to be looked at"
    again = CocoFolder(tmp_path, LABELS)
    assert again.judge(jpeg(), about(frame, 1), None) == RIGHT
    assert contents(tmp_path) == [(RIGHT, [("banana", "right"), ("apple", None)])]
    (tmp_path / "images" / RIGHT).rename(tmp_path / "moved.jpg")
    assert again.judge(jpeg(), frame, "right") == RIGHT
    assert contents(tmp_path) == [(RIGHT, [("apple", None), ("banana", "right")])]


def test_verdict_of_a_killed_program_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = CocoFolder(tmp_path, LABELS)
    folder.judge(jpeg(), seen("banana"), "right")
    monkeypatch.setattr(folder, "write_labels", lambda: None)  # As if it was killed before.
    folder.judge(jpeg(), seen("banana"), "wrong")
    CocoFolder(tmp_path, LABELS)
    assert contents(tmp_path) == [(WRONG, [])]


def test_verdict_that_cannot_be_kept_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with Collector(folder, LABELS, dict, 4000) as collector:
        image = with_comment(jpeg(), seen("fork").to_json().encode())
        with pytest.raises(EdgeSSDError, match="have the classes banana, apple, and this is fork: another model"):
            collector.judge(image, "wrong")
        with pytest.raises(EdgeSSDError, match="has no detections with it"):
            collector.judge(jpeg(), "wrong")
        image = with_comment(jpeg(), seen("banana").to_json().encode())
        assert collector.judge(image, "wrong") == WRONG
        other = with_comment(jpeg(), seen("banana", second=9).to_json().encode())
        with pytest.raises(EdgeSSDError, match=r"have no room: .* MB are reached \(--collect-max-mb\); move them away"):
            collector.judge(other, "wrong")
        assert collector.judge(image, "right") == RIGHT, "it needs no room"
        shutil.rmtree(folder)
        with pytest.raises(EdgeSSDError, match="No such file or directory"):
            collector.judge(image, "wrong")
