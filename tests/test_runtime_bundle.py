from __future__ import annotations

import copy
import hashlib
import io
import json
import os
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_factory import FLATBUFFER, entries, metadata, npy, selftest, write_bundle
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ssd.errors import BundleError
from edge_ssd.network import tiny_ssd
from edge_ssd.runtime import archive
from edge_ssd.runtime.archive import read_archive, read_array
from edge_ssd.runtime.bundle import read_bundle
from edge_ssd.runtime.detections import Detection
from edge_ssd.runtime.metadata import parse_metadata
from edge_ssd.runtime.selftest import delta_decode, delta_encode

NETWORK = tiny_ssd(["banana", "Gabel – groß"], input_size=(32, 32), sizes=[(0.3, 0.4)] * 3)


def assert_rejected(path: Path, *messages: str) -> str:
    """Check that reading raises one line that starts with the path and holds ``messages``; return the line."""
    with pytest.raises(BundleError) as caught:
        read_bundle(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    for message in messages:
        assert message in line
    return line


def with_metadata(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    data = copy.deepcopy(metadata(NETWORK))
    change(data)
    return write_bundle(path, NETWORK, replace={"edge_ssd.json": json.dumps(data).encode()})


def with_anchors(path: Path, content: bytes) -> Path:
    """Write a bundle with these bytes as anchor table, and their digest."""
    data = metadata(NETWORK)
    data["sha256"]["anchors"] = hashlib.sha256(content).hexdigest()
    return write_bundle(path, NETWORK, replace={"anchors.npy": content, "edge_ssd.json": json.dumps(data).encode()})


# Valid bundles


def test_read_bundle_returns_every_part(tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "model.tflite", NETWORK)
    bundle = read_bundle(str(path))
    assert bundle.path == path
    assert bundle.name == "test"
    assert bundle.flatbuffer == FLATBUFFER
    assert bundle.network == NETWORK
    assert bundle.labels == ("banana", "Gabel – groß")
    assert bundle.metadata["quantization"] == bundle.details.quantization == "int8"
    defaults = bundle.defaults
    assert (defaults.score_threshold, defaults.iou_threshold, defaults.max_detections) == (0.5, 0.5, 100)
    np.testing.assert_allclose(bundle.anchors, NETWORK.anchors(), atol=1e-6)
    assert [head.output for head in bundle.heads[:3]] == ["classes_0", "boxes_0", "classes_1"]
    assert [head.level for head in bundle.details.box_heads] == [0, 1, 2]


def test_read_bundle_reads_selftest(tmp_path: Path) -> None:
    image = np.arange(32 * 32 * 3, dtype=np.uint32).astype(np.uint8).reshape(32, 32, 3)
    path = write_bundle(tmp_path / "m.tflite", NETWORK, replace={"selftest.npz": selftest(NETWORK, image=image)})
    embedded = read_bundle(path).selftest
    assert (embedded.image == image).all()
    assert list(embedded.detections) == [Detection("banana", 0.75, (10, 20, 30, 40), 0)]
    assert (embedded.detections.image_size, embedded.score_threshold) == ((32, 32), 0.5)


@pytest.mark.machine_independent
def test_read_bundle_accepts_heads_in_any_order(tmp_path: Path) -> None:
    path = with_metadata(tmp_path / "m.tflite", lambda data: data["heads"].reverse())
    assert [head.output for head in read_bundle(path).details.class_heads] == ["classes_0", "classes_1", "classes_2"]


@pytest.mark.machine_independent
def test_read_bundle_ignores_unknown_fields_and_entries(tmp_path: Path) -> None:
    data = {**metadata(NETWORK), "new": {"field": 1}}
    replace = {"edge_ssd.json": json.dumps(data).encode(), "extra.bin": b"x" * 100}
    assert read_bundle(write_bundle(tmp_path / "m.tflite", NETWORK, replace=replace)).metadata["new"] == {"field": 1}


# Files that are not bundles


@pytest.mark.machine_independent
def test_read_image_rejects_missing_files(tmp_path: Path) -> None:
    assert_rejected(tmp_path / "absent.tflite", "no such file")
    assert_rejected(tmp_path, "not a file")
    with pytest.raises(BundleError):
        read_bundle("nul\0byte")


@pytest.mark.machine_independent
@pytest.mark.parametrize(
    ("content", "message"),
    [(b, "is not a .tflite file") for b in (b"", b"TFL3", b"PK\x05\x06" + bytes(18), b"\x89PNG\r\n\x1a\n" + bytes(100))]
    + [(FLATBUFFER, "is a .tflite but not an Edge SSD bundle; make one with")],
)
def test_read_bundle_rejects_other_file_types(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "other.tflite"
    path.write_bytes(content)
    assert_rejected(path, message, "edge-ssd convert")


@pytest.mark.machine_independent
def test_read_bundle_rejects_keras_file(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", "{}")
    assert_rejected(path, "is not a .tflite file")


@pytest.mark.machine_independent
def test_read_bundle_rejects_foreign_archive(tmp_path: Path) -> None:
    path = tmp_path / "task.tflite"
    path.write_bytes(FLATBUFFER)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("labels.txt", "cat\n")
    assert_rejected(path, "is a .tflite but not an Edge SSD bundle")


@pytest.mark.machine_independent
def test_read_bundle_rejects_oversized_file(tmp_path: Path) -> None:
    path = tmp_path / "huge.tflite"
    path.write_bytes(FLATBUFFER)
    os.truncate(path, 300 * 2**20)  # sparse
    assert_rejected(path, "larger than 256 MB")


# Damage


@pytest.mark.machine_independent
@pytest.mark.parametrize("missing", ["anchors.npy", "labels.txt", "selftest.npz"])
def test_read_bundle_names_missing_entry(tmp_path: Path, missing: str) -> None:
    assert_rejected(write_bundle(tmp_path / "m.tflite", NETWORK, replace={missing: None}), missing)


def test_read_bundle_detects_changed_flatbuffer(tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "m.tflite", NETWORK)
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    assert_rejected(path, "SHA-256 of its flatbuffer")


def test_read_bundle_detects_changed_anchors(tmp_path: Path) -> None:
    anchors = NETWORK.anchors()
    anchors[5, 2] += 1e-3
    path = write_bundle(tmp_path / "m.tflite", NETWORK, replace={"anchors.npy": npy(anchors)})
    assert_rejected(path, "SHA-256 of its anchors")


@pytest.mark.parametrize("change", ["shifted", "nan", "too few", "float64", "transposed", "garbage"])
def test_read_bundle_rejects_anchors_of_another_network(tmp_path: Path, change: str) -> None:
    """The digest is valid, so that the table itself is checked."""
    anchors = NETWORK.anchors()
    content = {
        "shifted": npy(anchors + np.float32(1e-4)),
        "nan": npy(np.where(anchors > 0.9, np.float32(np.nan), anchors)),
        "too few": npy(anchors[:-1]),
        "float64": npy(anchors.astype(np.float64)),
        "transposed": npy(np.asfortranarray(anchors)),
        "garbage": b"\x93NUMPY" + bytes(50),
    }[change]
    assert_rejected(with_anchors(tmp_path / "m.tflite", content), "anchors.npy")


def test_read_bundle_tolerates_rounding_of_anchors(tmp_path: Path) -> None:
    read_bundle(with_anchors(tmp_path / "m.tflite", npy(NETWORK.anchors() + np.float32(2e-7))))


@pytest.mark.machine_independent
def test_read_bundle_rejects_labels_that_differ(tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "m.tflite", NETWORK, replace={"labels.txt": b"banana\nspoon\n"})
    assert_rejected(path, "labels.txt and edge_ssd.json name different labels")


@pytest.mark.machine_independent
def test_read_archive_rejects_compressed_entries(tmp_path: Path) -> None:
    assert_rejected(write_bundle(tmp_path / "m.tflite", NETWORK, compression=zipfile.ZIP_DEFLATED), "must be stored")


@pytest.mark.machine_independent
def test_read_bundle_rejects_trailing_bytes(tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "m.tflite", NETWORK)
    path.write_bytes(path.read_bytes() + b"\0")
    assert_rejected(path, "damaged or cut short")


@pytest.mark.machine_independent
def test_read_bundle_rejects_every_truncation(tmp_path: Path) -> None:
    data = write_bundle(tmp_path / "m.tflite", NETWORK).read_bytes()
    path = tmp_path / "cut.tflite"
    for length in {*range(0, 300, 7), *range(300, len(data) - 300, 1009), *range(len(data) - 300, len(data))}:
        path.write_bytes(data[:length])
        assert_rejected(path)


# The archive


def bytes_of(path: Path) -> bytes:
    return write_bundle(path / "m.tflite", NETWORK).read_bytes()


@pytest.mark.machine_independent
def test_read_archive_bounds_entry_size(tmp_path: Path) -> None:
    data = bytes_of(tmp_path)
    assert read_archive(data, {"labels.txt": 100}).entries.keys() == {"labels.txt"}
    with pytest.raises(BundleError, match=r"labels.txt.* more than 5"):
        read_archive(data, {"labels.txt": 5})


def test_read_archive_start_is_end_of_flatbuffer(tmp_path: Path) -> None:
    assert read_archive(bytes_of(tmp_path), {}).start == len(FLATBUFFER)


@pytest.mark.machine_independent
@pytest.mark.parametrize(
    ("offset", "form", "value"),
    [(8, "<H", 60000), (10, "<H", 60000), (12, "<L", 2**31), (16, "<L", 2**31), (20, "<H", 9)],
)
def test_read_archive_rejects_inconsistent_end_record(tmp_path: Path, offset: int, form: str, value: int) -> None:
    data = bytearray(bytes_of(tmp_path))
    struct.pack_into(form, data, len(data) - 22 + offset, value)
    with pytest.raises(BundleError):
        read_archive(bytes(data), {"labels.txt": 100})


@pytest.mark.machine_independent
def test_read_archive_rejects_too_many_entries() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for i in range(archive.MAX_ENTRIES + 1):
            file.writestr(str(i), b"")
    with pytest.raises(BundleError, match="65 entries"):
        read_archive(buffer.getvalue(), {})


@pytest.mark.machine_independent
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_read_archive_rejects_duplicate_entry() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a", b"1")
        file.writestr("a", b"2")
    with pytest.raises(BundleError, match="twice"):
        read_archive(buffer.getvalue(), {"a": 10})


@pytest.mark.machine_independent
def test_read_archive_rejects_empty_archive() -> None:
    buffer = io.BytesIO()
    zipfile.ZipFile(buffer, "w").close()
    with pytest.raises(BundleError, match="empty"):
        read_archive(buffer.getvalue(), {})


# Arrays


@given(st.sampled_from(["<f4", "<f8", "<i8", "|u1"]), st.lists(st.integers(0, 4), max_size=4))
@settings(deadline=None)
def test_read_array_round_trip(dtype: str, shape: list[int]) -> None:
    array = np.arange(int(np.prod(shape))).astype(dtype).reshape(shape)
    again = read_array(npy(array), "x", dtype, tuple(shape))
    assert again.dtype == array.dtype
    assert again.shape == array.shape
    assert again.tolist() == array.tolist()
    assert read_array(npy(array), "x", dtype, (None,) * len(shape)).shape == array.shape


@pytest.mark.machine_independent
@pytest.mark.parametrize(
    "data",
    [
        b"",
        npy(np.zeros((2, 4), np.float32))[:-1],
        npy(np.zeros((2, 4), np.float32)) + b"\0",
        npy(np.zeros((4, 2), np.float32)),
        npy(np.zeros((2, 4), np.float64)),
        npy(np.zeros((2, 4), ">f4")),
        npy(np.zeros(8, np.float32)),
        npy(np.array([[None] * 4] * 2, dtype=object)),
        npy(np.zeros((2, 4), np.float32)).replace(b"(2, 4)", b"(9,4) "),
        npy(np.zeros((2, 4), np.float32)).replace(b"'<f4'", b"'<f4' "),
        npy(np.zeros((2, 4), np.float32)).replace(b"(2, 4)", b"(1<1,)"),
    ],
)
def test_read_array_rejects_other_headers(data: bytes) -> None:
    with pytest.raises(BundleError, match="corners"):
        read_array(data, "corners", "<f4", (2, 4))


# The self-test


@pytest.mark.parametrize(
    "replace",
    [
        {"image": np.zeros((31, 32, 3), np.uint8)},
        {"image": np.zeros((32, 32, 3), np.float32)},
        {"xyxy": np.zeros((2, 4), np.float32)},
        {"xyxy": np.full((1, 4), np.nan, np.float32)},
        {"confidence": np.array([np.inf], np.float32)},
        {"class_id": np.array([2])},
        {"class_id": np.array([-1])},
        {"score_threshold": np.array(1.5)},
        {"score_threshold": np.array(np.nan)},
    ],
    ids=str,
)
def test_read_bundle_rejects_invalid_selftest(tmp_path: Path, replace: dict[str, np.ndarray]) -> None:
    path = write_bundle(tmp_path / "m.tflite", NETWORK, replace={"selftest.npz": selftest(NETWORK, **replace)})
    bundle = read_bundle(path)  # the self-test is read at access
    with pytest.raises(BundleError, match=r"selftest\.npz"):
        _ = bundle.selftest


@pytest.mark.machine_independent
@pytest.mark.parametrize("content", [b"", b"PK", npy(np.zeros(3))])
def test_read_bundle_rejects_selftest_that_is_no_archive(tmp_path: Path, content: bytes) -> None:
    bundle = read_bundle(write_bundle(tmp_path / "m.tflite", NETWORK, replace={"selftest.npz": content}))
    with pytest.raises(BundleError, match=r"selftest\.npz"):
        _ = bundle.selftest


def packed(arrays: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in arrays.items():
            file.writestr(name, data)
    return buffer.getvalue()


def unpacked() -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(selftest(NETWORK))) as file:
        return {name: file.read(name) for name in file.namelist()}


def test_read_bundle_reads_deflated_selftest(tmp_path: Path) -> None:
    image = np.random.default_rng(1).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    arrays = unpacked()
    del arrays["image.npy"]
    arrays["image_differences.npy"] = npy(delta_encode(image))
    path = write_bundle(tmp_path / "m.tflite", NETWORK, replace={"selftest.npz": packed(arrays)})
    embedded = read_bundle(path).selftest
    assert (embedded.image == image).all()
    assert embedded.image.flags.c_contiguous
    assert embedded.detections.xyxy.tolist() == [[10, 20, 30, 40]]


def test_delta_encode_by_hand() -> None:
    # Two rows of one pixel; the second is slightly larger in every channel.
    image = np.array([[[255, 0, 1]], [[255, 3, 2]]], np.uint8)
    assert delta_encode(image).tolist() == [[[255], [253]], [[0], [3]], [[1], [254]]]
    assert delta_decode(delta_encode(image)).tolist() == image.tolist()


@pytest.mark.machine_independent
def test_read_archive_bounds_unpacked_size(tmp_path: Path) -> None:
    arrays = {**unpacked(), "image.npy": bytes(2**26)}
    with pytest.raises(BundleError, match=r"image\.npy.* more than 3328"):
        _ = read_bundle(write_bundle(tmp_path / "m.tflite", NETWORK, replace={"selftest.npz": packed(arrays)})).selftest


@pytest.mark.machine_independent
def test_read_archive_rejects_entry_larger_than_stated() -> None:
    """Only the stated number of bytes is unpacked, whose checksum is wrong."""
    data = bytearray(packed({"image.npy": bytes(2**26)}))
    struct.pack_into("<L", data, data.index(b"PK\x01\x02") + 24, 1000)  # the size after unpacking
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match="damaged"):
            read_archive(bytes(data), {"image.npy": 1000}, deflated=True)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


# The metadata


@pytest.mark.machine_independent
def test_read_bundle_of_version_1_keeps_the_resampling_of_its_time(tmp_path: Path) -> None:
    def as_version_1(data: dict[str, Any]) -> None:
        data["format_version"] = 1
        del data["network"]["input"]["resampling"]

    path = with_metadata(tmp_path / "m.tflite", as_version_1)
    assert read_bundle(path).network.input.resampling == "pillow-bilinear"


@pytest.mark.machine_independent
def test_read_bundle_rejects_unknown_resampling(tmp_path: Path) -> None:
    path = with_metadata(tmp_path / "m.tflite", lambda data: data["network"]["input"].update(resampling="nearest"))
    assert_rejected(path, "must be one of halve-bilinear, pillow-bilinear; got 'nearest'", "upgrade edge-ssd")


@pytest.mark.machine_independent
@pytest.mark.parametrize("version", [3, 99, 10**30])
def test_read_bundle_rejects_newer_format_with_upgrade_advice(tmp_path: Path, version: int) -> None:
    path = with_metadata(tmp_path / "m.tflite", lambda data: data.update(format_version=version))
    assert_rejected(path, f"bundle format {version}", "pip install --upgrade edge-ssd")


@pytest.mark.machine_independent
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"format_version": NaN}', b"[" * 100000, b'{"format_version": 1}'],
    ids=lambda content: content[:12].decode("latin-1"),
)
def test_read_bundle_rejects_invalid_metadata(content: bytes) -> None:
    with pytest.raises(BundleError, match=r"edge_ssd\.json"):
        parse_metadata(content)


def set_at(data: Any, path: str, value: object) -> None:
    *parents, last = path.split(".")
    for key in parents:
        data = data[int(key) if key.isdigit() else key]
    if value is KeyError:
        del data[last]
    else:
        data[last] = value


# Field → values that are invalid there; KeyError removes the field.
INVALID_FIELDS = {
    "format_version": (KeyError, True, 0, "1"),
    "name": (KeyError, 7),
    "network": (KeyError, []),
    "network.levels": ([],),
    "network.input.height": (64,),
    "input": (KeyError, None),
    "input.name": (KeyError,),
    "input.dtype": ("float32",),
    "background_index": (KeyError, 1, False),
    "labels": (KeyError, ["banana"], ["Gabel – groß", "banana"], "banana"),
    "quantization": (KeyError,),
    "defaults": (KeyError,),
    "defaults.score_threshold": (-0.1, "0.5"),
    "defaults.iou_threshold": (1.5, True),
    "defaults.max_detections": (0, 10.5),
    "sha256": (KeyError,),
    "sha256.flatbuffer": ("abc", "A" * 64),
    "sha256.anchors": (None,),
    "sha256.calibration": (5,),
    "heads": (KeyError, [], [None]),
    "heads.0.level": (3, -1, 1),
    "heads.0.kind": ("scores", "boxes"),
    "heads.0.output": (KeyError, "boxes_0", 0),
    "heads.0.height": (5,),
    "heads.0.anchors_per_cell": (3,),
}


@pytest.mark.machine_independent
@pytest.mark.parametrize(
    ("path", "value"), [(path, value) for path, values in INVALID_FIELDS.items() for value in values]
)
def test_parse_metadata_checks_each_field(tmp_path: Path, path: str, value: object) -> None:
    bundle = with_metadata(tmp_path / "m.tflite", lambda data: set_at(data, path, value))
    assert_rejected(bundle, path.split(".")[0] if path != "network.input.height" else "feature maps")


@pytest.mark.machine_independent
def test_metadata_accepts_integer_for_float(tmp_path: Path) -> None:
    path = with_metadata(tmp_path / "m.tflite", lambda data: data["defaults"].update(score_threshold=1))
    assert read_bundle(path).defaults.score_threshold == 1.0


@pytest.mark.machine_independent
def test_error_messages_shorten_long_values(tmp_path: Path) -> None:
    path = with_metadata(tmp_path / "m.tflite", lambda data: data.update(background_index="x" * 10000))
    assert len(assert_rejected(path)) < len(str(path)) + 200


json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PATHS = [
    *metadata(NETWORK),
    *(f"{name}.{key}" for name in ("network", "input", "defaults", "sha256") for key in metadata(NETWORK)[name]),
    *(f"network.levels.0.{key}" for key in ("height", "width", "sizes", "ratios")),
    *(f"network.coding.{key}" for key in ("xy_scale", "wh_scale")),
    *(f"network.input.{key}" for key in ("height", "width", "scale", "offset", "resize")),
    *(f"heads.1.{key}" for key in metadata(NETWORK)["heads"][0]),
]


@pytest.mark.machine_independent
@given(st.sampled_from(PATHS), json_value)
@settings(deadline=None, max_examples=300)
def test_parse_metadata_accepts_or_rejects_any_json(path: str, value: Any) -> None:
    data = copy.deepcopy(metadata(NETWORK))
    set_at(data, path, value)
    try:
        details = parse_metadata(json.dumps(data).encode())
    except BundleError as error:
        assert "\n" not in str(error)  # noqa: PT017 (both outcomes are valid)
    else:
        assert details.network.labels == NETWORK.labels


# Mutations


@pytest.mark.machine_independent
def test_read_bundle_of_mutated_file_rejects_or_is_unchanged(tmp_path: Path) -> None:
    """Damage raises BundleError with the path, or leaves the model bit-exact."""
    valid = write_bundle(tmp_path / "valid.tflite", NETWORK).read_bytes()
    path, random, rejections = tmp_path / "damaged.tflite", np.random.default_rng(0), 0
    directory = len(valid) - 600  # directory entry of the last file, and the end record
    for i in range(500):
        damaged = bytearray(valid)
        low = (0, len(FLATBUFFER), directory)[i % 3]
        for _ in range(random.integers(1, 4)):
            damaged[random.integers(low, len(damaged))] = random.integers(0, 256)
        if i % 10 == 0:  # lost or duplicated bytes
            cut = int(random.integers(8, len(damaged)))
            damaged[cut : cut + 5] = b"" if i % 20 else damaged[cut : cut + 5] * 2
        path.write_bytes(damaged)
        try:
            bundle = read_bundle(path)
            _ = bundle.selftest
        except BundleError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017 (both outcomes are valid)
            rejections += 1
        else:
            assert bundle.flatbuffer == FLATBUFFER
            assert bundle.network.labels == NETWORK.labels
            assert (bundle.anchors == NETWORK.anchors()).all()
    assert 300 < rejections < 500


@pytest.mark.machine_independent
@given(st.binary(max_size=300), st.booleans())
@settings(deadline=None)
def test_read_archive_rejects_any_bytes(content: bytes, flatbuffer: bool) -> None:
    with pytest.raises(BundleError):
        read_archive(FLATBUFFER + content if flatbuffer else content, {"edge_ssd.json": 1000})


@pytest.mark.machine_independent
def test_bundle_factory_writes_documented_entries() -> None:
    assert set(entries(NETWORK)) == {"edge_ssd.json", "anchors.npy", "labels.txt", "selftest.npz"}
