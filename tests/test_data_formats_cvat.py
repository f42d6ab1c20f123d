"""CVAT's XML: edge_ssd.data.formats.cvat."""

from __future__ import annotations

from pathlib import Path

import pytest
from label_writers import write_image

from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.errors import DataError

BOX = '<box label="cat" xtl="1" ytl="2" xbr="30" ybr="20"/>'


def write_cvat(root: Path, *shapes: str, labels: str = "") -> None:
    """Write an annotations.xml with an image for each argument, whose shapes it is: 0.png, 1.png …"""
    images = ""
    for number, text in enumerate(shapes):
        write_image(root / "images" / f"{number}.png")
        images += f'<image id="{number}" name="{number}.png" width="60" height="40">{text}</image>'
    meta = f"<meta><task><labels>{labels}</labels></task></meta>"
    (root / "annotations.xml").write_text(f"<annotations><version>1.1</version>{meta}{images}</annotations>")


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        (BOX, [1, 2, 30, 20]),
        ('<box label="cat" xtl="10" ytl="10" xbr="30" ybr="20" rotation="90.00"/>', [15, 5, 25, 25]),
        ('<polygon label="cat" points="1.00,2.00;30.00,2.00;12.5,20"/>', [1, 2, 30, 20]),
        ('<mask label="cat" rle="3, 5, 4" left="4" top="3" width="4" height="3"/>', [4, 3, 8, 6]),
        ('<ellipse label="cat" cx="20" cy="15" rx="10" ry="5"/>', [10, 10, 30, 20]),
        ('<ellipse label="cat" cx="20" cy="15" rx="10" ry="5" rotation="90"/>', [15, 5, 25, 25]),
        (
            '<cuboid label="cat" xtl1="1" ytl1="2" xbl1="1" ybl1="9" xtr1="8" ytr1="2" xbr1="8" ybr1="9" '
            'xtl2="12" ytl2="1" xbl2="12" ybl2="8" xtr2="5" ytr2="1" xbr2="5" ybr2="8"/>',
            [1, 1, 12, 9],
        ),
    ],
    ids=["box", "rotated box", "polygon", "mask", "ellipse", "rotated ellipse", "cuboid"],
)
def test_shape_gives_its_enclosing_box(tmp_path: Path, shape: str, box: list[float]) -> None:
    write_cvat(tmp_path, shape)
    dataset = load_dataset(tmp_path, strict=True)
    assert dataset.samples[0].boxes_xyxy.tolist() == [pytest.approx(box, abs=1e-4)]
    assert bool(dataset.notices) == (shape != BOX)


def test_points_and_lines_are_ignored_and_never_make_background(tmp_path: Path) -> None:
    points = '<points label="eye" points="1,2"/><polyline label="edge" points="1,2;3,4"/>'
    write_cvat(tmp_path, BOX + points, points, '<tag label="blurred"/>', "")
    dataset = load_dataset(tmp_path)
    assert {sample.path.name: len(sample.class_ids) for sample in dataset.samples} == {
        "0.png": 1,
        "2.png": 0,
        "3.png": 0,
    }
    assert [notice.message for notice in dataset.notices] == ["labels without a box ignored: 2 × points, 2 × polyline"]
    message = "labeled only with what has no box (polyline); 1.png is dropped"
    assert [problem.message for problem in dataset.problems] == [message]
    with pytest.raises(DataError, match=r"1\.png is dropped"):
        load_dataset(tmp_path, strict=True)


def test_classes_are_in_the_order_of_the_labels(tmp_path: Path) -> None:
    labels = (
        "<label><name>dog</name><type>any</type><attributes><attribute><name>age</name></attribute></attributes></label>"
        "<label><name>blurred</name><type>tag</type></label>"
        "<label><name>cat</name><type>rectangle</type></label>"
        "<label><name>1</name><type>points</type><parent>pose</parent></label>"
    )
    write_cvat(tmp_path, BOX, labels=labels)
    assert load_dataset(tmp_path, strict=True).labels == ("dog", "cat")


def test_exports_of_two_tasks_are_read_together(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_cvat(tmp_path / split, BOX, BOX)
    assert open_dataset(tmp_path).splits == ("train", "val")
    for task in ("one", "two"):
        write_cvat(tmp_path / "tasks" / task, BOX, BOX)
    dataset = load_dataset(tmp_path / "tasks", strict=True)
    assert len({sample.path for sample in dataset.samples}) == 4


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ('<box label="cat" xtl="1" ytl="2" xbr="30"/>', r"shape 1: <box> has no box that can be read (ybr is missing)"),
        (
            '<box label="cat" xtl="1" ytl="2" xbr="3o" ybr="20"/>',
            r"shape 1: <box> has no box that can be read (xbr is '3o')",
        ),
        ('<polygon label="cat" points="1,2;x,4"/>', r"shape 1: <polygon> has no box that can be read (points is 'x')"),
        (
            '<polygon label="cat" points="1,2;34"/>',
            "shape 1: <polygon> has no box that can be read (points: expected x,y, got '34')",
        ),
        (
            f'<box label="cat" rotation="{"9x" * 50}"/>',
            f"shape 1: <box> has no box that can be read (rotation is '{'9x' * 20}…')",
        ),
        ('<hexagon label="cat"/>', "shape 1: <hexagon> has no box that can be read (unknown shape)"),
        ('<box label="" xtl="1" ytl="2" xbr="30" ybr="20"/>', r"shape 1: <box> has no label"),
    ],
)
def test_object_that_cannot_be_read_drops_its_image(tmp_path: Path, shape: str, message: str) -> None:
    write_cvat(tmp_path, shape + BOX, BOX)
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["1.png"]
    assert [problem.message for problem in dataset.problems] == [f"{message}; 0.png is dropped"]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("<annotations><version>1.1</version><image name=", r"annotations\.xml: invalid XML \(.*line 1"),
        (
            '<annotations><version>1.1</version><track id="0" label="cat"><box frame="0"/></track></annotations>',
            r'annotations\.xml: it labels frames of a video, which .* "CVAT for images 1.1"',
        ),
    ],
)
def test_unusable_file_raises(tmp_path: Path, text: str, match: str) -> None:
    write_image(tmp_path / "a.png")
    (tmp_path / "annotations.xml").write_text(text)
    with pytest.raises(DataError, match=match):
        load_dataset(tmp_path)


def test_other_xml_files_are_ignored(tmp_path: Path) -> None:
    write_cvat(tmp_path, BOX)
    (tmp_path / "notes.xml").write_text("<annotations><comment>by Ann</comment></annotations>")
    (tmp_path / "project.xml").write_text("<project/>")
    dataset = load_dataset(tmp_path, strict=True)
    assert (dataset.format, len(dataset), dataset.notices) == ("cvat", 1, ())


def write_video(root: Path, tracks: str, frames: int = 4) -> None:
    for number in range(frames):
        write_image(root / "images" / f"frame_{number:06d}.PNG")
    root.mkdir(exist_ok=True)
    text = (
        f"<annotations><version>1.1</version><meta><task><mode>interpolation</mode></task></meta>{tracks}</annotations>"
    )
    (root / "annotations.xml").write_text(text)


def box_in_frame(frame: int, xtl: int, outside: int = 0) -> str:
    return f'<box frame="{frame}" outside="{outside}" keyframe="1" xtl="{xtl}" ytl="2" xbr="{xtl + 10}" ybr="20"/>'


def test_tracks_give_boxes_in_the_frames_of_a_video(tmp_path: Path) -> None:
    track = box_in_frame(0, 1) + box_in_frame(2, 5) + box_in_frame(3, 5, outside=1)
    other = box_in_frame(2, 30)
    write_video(tmp_path, f'<track id="0" label="cat">{track}</track><track id="1" label="dog">{other}</track>')
    dataset = load_dataset(tmp_path, strict=True)
    assert dataset.labels == ("cat", "dog")
    assert [sample.boxes_xyxy.tolist() for sample in dataset.samples] == [
        [[1, 2, 11, 20]],
        [[3, 2, 13, 20]],
        [[5, 2, 15, 20], [30, 2, 40, 20]],
        [],
    ]


def test_frames_that_are_missing_or_cannot_be_read_are_reported(tmp_path: Path) -> None:
    shapes = box_in_frame(0, 1) + box_in_frame(1, 1).replace('"2"', '"x"') + box_in_frame(9, 1)
    write_video(tmp_path, f'<track id="7" label="cat">{shapes}</track>', frames=2)
    dataset = load_dataset(tmp_path)
    assert len(dataset) == 1
    assert "track 7 (cat) has no box that can be read in frame 1 (ytl is 'x'); frame_000001.PNG is dropped" in str(
        dataset.problems
    )
    assert "1 labeled frame is not in the folder, such as frame_000009; not used" in str(dataset.notices)


def test_frames_with_points_only_are_no_background(tmp_path: Path) -> None:
    points = '<points frame="1" outside="0" points="1,2"/>'
    track = f'<track id="0" label="cat">{box_in_frame(0, 1)}</track><track id="1" label="eye">{points}</track>'
    write_video(tmp_path, track, frames=2)
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["frame_000000.PNG"]
    assert "frame_000001.PNG is dropped" in dataset.problems[0].message


def test_repeated_export_is_read_once(tmp_path: Path) -> None:
    write_cvat(tmp_path, BOX)
    (tmp_path / "annotations (1).xml").write_bytes((tmp_path / "annotations.xml").read_bytes())
    dataset = load_dataset(tmp_path, strict=True)
    assert (len(dataset), dataset.num_boxes) == (1, 1)
    assert "remove one file" in dataset.notices[0].message


def test_frames_that_count_from_1_are_refused(tmp_path: Path) -> None:
    """As ffmpeg names them: each image would get the objects of the next one."""
    write_video(tmp_path, f'<track id="0" label="cat">{"".join(box_in_frame(n, n) for n in range(3))}</track>')
    (tmp_path / "images" / "frame_000000.PNG").unlink()
    with pytest.raises(DataError, match="its frames count from 0, the images from frame_000001: rename them"):
        load_dataset(tmp_path)
