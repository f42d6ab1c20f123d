"""The zones of a file: read, replaced and saved."""

from __future__ import annotations

import codecs
import logging
import re
import resource
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_apps.config_file import read_toml
from device_apps.zones.active_zones import ActiveZones
from device_apps.zones.shapes import Zone, ZoneSet
from device_apps.zones.tables import parse_zones
from device_apps.zones.toml_edit import replace_zones
from edge_ssd.errors import EdgeSSDError, SettingError

CONFIG = """\
# The camera at the door.
source = "rtsp://me:secret@camera/1"  # its main stream
classes = [
    "banana", # ripe
]

[[zones]]
name = "gate"  # in front
points = [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]

[[zones]]
name = "broken"
points = [[0.1, 0.1]]

[[lines]]
name = "door"
points = [
    [0.0, 0.5],
    [1.0, 0.5],
]
"""
NEW: dict[str, Any] = {
    "zones": [{"name": 'a "b" Ä', "points": [[0, 0], [1, 0], [0.25, 1]], "classes": ["banana"], "anchor": "center"}],
    "lines": [],
    "masks": [{"name": "screen", "points": [[0, 0], [1, 0], [0.5, 0.5]]}],
}


def active(path: Path, text: str | None = CONFIG) -> ActiveZones:
    if text is not None:
        path.write_text(text, encoding="utf-8")
    zones = ActiveZones.open(path, None)
    zones.check(["banana", "apple"])
    return zones


def test_config_without_zones_has_none(tmp_path: Path) -> None:
    assert not active(tmp_path / "camera.toml", "").shapes
    assert not ActiveZones.open(None, None).shapes


def test_zones_that_cannot_be_used_are_left_out_with_one_warning_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "camera.toml"
    with caplog.at_level(logging.WARNING):
        zones = active(path, CONFIG + 'classes = ["aple"]\n')
    assert [zone.name for zone in zones.shapes.zones] == ["gate"]
    assert zones.shapes.lines == ()
    assert caplog.messages == [
        f"{path}: zone 'broken': a polygon needs at least 3 points, got 1; it is left out",
        f"{path}: line 'door': there is no class 'aple' (did you mean apple?); it is left out",
    ]


def test_mask_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"mask 1: a polygon needs at least 3 points, got 2; nothing is hidden"):
        active(tmp_path / "camera.toml", "[[masks]]\npoints = [[0, 0], [1, 1]]\n")


def test_replace_saves_zones_and_keeps_the_rest_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "camera.toml"
    zones = active(path)
    path.chmod(0o640)
    zones.replace(NEW)
    text = path.read_text(encoding="utf-8")
    assert text.startswith(CONFIG.partition("\n[[zones]]")[0])
    assert '# name = "broken"\n# points = [[0.1, 0.1]]\n' in text
    assert "gate" not in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    again = active(path, None)
    assert again.shapes == zones.shapes == parse_zones(NEW).shapes
    assert again.to_dict()["problems"] == zones.to_dict()["problems"] == []
    zones.replace({"zones": [], "lines": [], "masks": []})
    assert set(read_toml(path)) == {"source", "classes"}


def test_zones_file_is_used_if_it_exists_and_is_saved_to(tmp_path: Path) -> None:
    config, own = tmp_path / "camera.toml", tmp_path / "zones.toml"
    config.write_text(CONFIG, encoding="utf-8")
    zones = ActiveZones.open(config, own)
    assert [zone.name for zone in zones.shapes.zones] == ["gate"]
    zones.check(["banana"])
    zones.replace(NEW)
    assert config.read_text(encoding="utf-8") == CONFIG
    assert ActiveZones.open(config, own).shapes == parse_zones(NEW).shapes
    own.write_text("width = 640\n")
    with pytest.raises(SettingError, match="unknown key 'width'"):
        ActiveZones.open(config, own)


def test_saving_follows_a_link(tmp_path: Path) -> None:
    path, link = tmp_path / "real.toml", tmp_path / "camera.toml"
    path.write_text(CONFIG, encoding="utf-8")
    link.symlink_to(path)
    active(link, None).replace(NEW)
    assert link.is_symlink()
    assert "screen" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([], "the body must be a JSON object with zones, lines and masks"),
        ({}, "zones is missing; send all of zones, lines, masks"),
        ({**NEW, "more": []}, "unknown key 'more'; keys are zones, lines, masks"),
        ({**NEW, "zones": NEW["zones"] * 2}, "an earlier one has this name"),
        ({**NEW, "zones": [{**NEW["zones"][0], "classes": ["pear"]}]}, "there is no class 'pear'"),
        ({**NEW, "masks": [{"points": []}]}, "mask 1: a polygon needs at least 3 points"),
    ],
)
def test_invalid_zones_are_refused_and_nothing_changes(tmp_path: Path, tables: Any, message: str) -> None:
    path = tmp_path / "camera.toml"
    zones = active(path)
    before = zones.shapes
    with pytest.raises(SettingError, match=message):
        zones.replace(tables)
    assert zones.shapes is before
    assert path.read_text(encoding="utf-8") == CONFIG


def test_zones_that_cannot_be_saved_are_refused(tmp_path: Path) -> None:
    zones = ActiveZones()
    zones.check(["banana"])
    with pytest.raises(EdgeSSDError, match="no file to save zones to; start edge-ssd with --zones-file FILE"):
        zones.replace(NEW)
    (tmp_path / "file").write_text("")
    zones = ActiveZones(tmp_path / "file" / "zones.toml")
    zones.check(["banana"])
    with pytest.raises(EdgeSSDError, match=r"cannot be saved: .*; name a file that can be written: --zones-file FILE"):
        zones.replace(NEW)
    inline = tmp_path / "inline.toml"
    zones = active(inline, 'zones = [{name = "gate", points = [[0, 0], [1, 0], [0, 1]]}]\n')
    assert [zone.name for zone in zones.shapes.zones] == ["gate"]
    with pytest.raises(SettingError, match="cannot be replaced without changing the rest"):
        zones.replace(NEW)
    assert {path.name for path in tmp_path.iterdir()} == {"file", "inline.toml"}


def test_text_that_looks_like_a_table_is_not_damaged() -> None:
    text = 'note = """\n[[zones]]\nname = 1\n"""\n'
    with pytest.raises(SettingError, match="cannot be replaced"):
        replace_zones(text, ZoneSet((Zone("a", ((0, 0), (1, 0), (0, 1))),)))


COMMENTED = """\
# of the gate
[[zones]]
name = "gate"  # in front
points = [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]   # measured
margin = 0.1 # the default
enter_after = 2

# ---- lines ----

[[lines]]
name = "door"
points = [
    [0.0, 0.5], # left
    [1.0, 0.5],
]

# the other door
[[lines]]
name = "exit"
points = [[0, 0], [1, 1]]

[other]  # stays
x = 1
"""
GATE: dict[str, Any] = {"name": "gate", "points": [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]], "enter_after": 2}
DOOR: dict[str, Any] = {"name": "door", "points": [[0.0, 0.5], [1.0, 0.5]]}


def replaced(text: str, camera: int | None = None, **tables: Any) -> str:
    return replace_zones(text, parse_zones(tables).shapes, (), camera)


def test_comments_and_text_of_what_stays_are_kept() -> None:
    exit_line = {"name": "exit", "points": [[0, 0], [1, 1]]}
    assert replaced(COMMENTED, zones=[GATE], lines=[DOOR, exit_line]) == COMMENTED
    moved = {**GATE, "name": "front", "points": [[0.2, 0.1], [0.9, 0.1], [0.5, 0.9]], "enter_after": 0}
    expected = COMMENTED.replace('"gate"  # in', '"front"  # in').replace("[[0.1, 0.1], [0.9", "[[0.2, 0.1], [0.9")
    expected = expected.replace("enter_after = 2\n", "")
    assert replaced(COMMENTED, zones=[moved], lines=[DOOR, exit_line]) == expected
    without = replaced(COMMENTED, zones=[GATE], lines=[DOOR])
    assert without == COMMENTED.replace('# the other door\n[[lines]]\nname = "exit"\npoints = [[0, 0], [1, 1]]\n\n', "")
    swapped = replaced(COMMENTED, zones=[GATE], lines=[exit_line, DOOR])
    assert swapped.index("# the other door\n[[lines]]") < swapped.index("    [0.0, 0.5], # left")
    added = replaced(COMMENTED, zones=[GATE, {**GATE, "name": "yard"}], lines=[DOOR, exit_line])
    assert added == COMMENTED.replace(
        "enter_after = 2\n",
        'enter_after = 2\n\n[[zones]]\nname = "yard"\npoints = [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]\nenter-after = 2\n',
    )
    assert replaced(COMMENTED) == "# ---- lines ----\n\n[other]  # stays\nx = 1\n"


def test_zones_of_one_of_several_cameras_are_replaced() -> None:
    text = '# a\n[[cameras]]\nname = "a"\n\n[[cameras.lines]] # old\nname = "exit"\npoints = [[0, 0], [1, 1]]\n'
    second = '\n# b\n[[cameras]]\nname = "b"\n'
    new = '\n[[cameras.lines]]\nname = "door"\npoints = [[0.0, 0.5], [1.0, 0.5]]\n'
    assert replaced(text + second, 1, lines=[DOOR]) == text + second + new
    assert replaced(text + second, 0) == '# a\n[[cameras]]\nname = "a"\n' + second
    assert replaced(text + second, 0, lines=[DOOR]) == (
        '# a\n[[cameras]]\nname = "a"\n\n[[cameras.lines]] # old\nname = "door"\n'
        f"points = [[0.0, 0.5], [1.0, 0.5]]\n{second}"
    )


def test_zones_that_somebody_else_wrote_into_the_file_are_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "camera.toml"
    zones = active(path, "\ufeff" + CONFIG.replace("\n", "\r\n"))
    with path.open("a", encoding="utf-8", newline="") as file:
        file.write("\r\n[other]\r\nx = 1\r\n")
    zones.replace(NEW)
    content = path.read_bytes()
    assert content.count(b"\n") == content.count(b"\r\n") > 10, "line ends stay"
    assert content.startswith(codecs.BOM_UTF8), "and the byte order mark"
    zones.replace({"zones": [], "lines": [DOOR], "masks": []})
    path.write_text(path.read_text() + '[[zones]]\nname = "by hand"\npoints = [[0, 0], [1, 0], [1, 1]]\n')
    text = path.read_text()
    with pytest.raises(
        EdgeSSDError, match="its zones were changed since they were read; to use those, restart edge-ss"
    ):
        zones.replace(NEW)
    path.write_text("[[zones")
    with pytest.raises(EdgeSSDError, match=r"camera\.toml: cannot be saved: it is not valid TOML any more"):
        zones.replace(NEW)
    path.write_text("")  # As some editors do while they save.
    with pytest.raises(EdgeSSDError, match="its options are gone; put them back, and save again"):
        zones.replace(NEW)
    assert path.read_text() == ""
    path.write_text(text)
    assert [line.name for line in zones.shapes.lines] == ["door"]
    assert active(path, None).shapes.zones[0].name == "by hand"


def test_full_disk_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "camera.toml"
    zones = active(path)
    before = zones.shapes
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(EdgeSSDError, match=r"camera\.toml: cannot be saved: File too large; name a file"):
            zones.replace(NEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert zones.shapes is before
    assert path.read_text() == CONFIG
    assert [file.name for file in tmp_path.iterdir()] == ["camera.toml"]


def test_same_zones_are_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "camera.toml"
    zones = active(path)
    zones.replace(NEW)
    shapes, written = zones.shapes, path.stat().st_mtime_ns
    zones.replace(NEW)
    assert zones.shapes is shapes, "visits go on"
    assert path.stat().st_mtime_ns == written


SETS = (NEW, {"zones": [GATE], "lines": [DOOR]}, {"zones": [{**GATE, "name": "a"}, GATE]}, {"masks": NEW["masks"]}, {})


PARTS = [*re.split(r"(?<=\n)(?=\n|#|\[)", COMMENTED), "[[more]]\n", "[[masks]]\n", "# note\n\n", "\n"]


@given(st.lists(st.sampled_from(PARTS), max_size=8), st.sampled_from(SETS))
def test_edited_file_has_the_new_zones_and_everything_else(lines: list[str], tables: dict[str, Any]) -> None:
    """Parts of a file in any order: it is refused, or only the zones are replaced."""
    import tomllib

    shapes = parse_zones(tables).shapes
    try:
        before = tomllib.loads("".join(lines))
        text = replace_zones("".join(lines), shapes)
    except (tomllib.TOMLDecodeError, SettingError):
        return
    after = tomllib.loads(text)
    assert replace_zones(text, shapes) == text
    assert text.count("# note") == lines.count("# note\n\n"), "a comment before a blank line stays"
    kinds = ("zones", "lines", "masks")
    assert {key: value for key, value in after.items() if key not in kinds} == {
        key: value for key, value in before.items() if key not in kinds
    }
    assert parse_zones(after).shapes == shapes
