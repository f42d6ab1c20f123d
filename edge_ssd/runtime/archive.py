"""The archive at the end of a bundle: a ZIP, read with every size bounded first.

The directory is parsed by :mod:`zipfile`, but only after the end record has said that it is small. Arrays are read
by a parser of the one ``.npy`` header that NumPy writes for plain arrays: nothing is evaluated, and nothing is
allocated before the header agrees with the number of bytes.
Sources: PKWARE APPNOTE 6.3.9, section 4.3.16; NumPy's ``numpy.lib.format``, version 1.0.
"""

from __future__ import annotations

import io
import math
import re
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_ssd.errors import BundleError

__all__ = ["MAX_ENTRIES", "Archive", "read_archive", "read_array"]

MAX_ENTRIES = 64
_MAX_DIRECTORY = 64 * 1024
_END = struct.Struct("<4s4H2LH")  # signature, disks and entry counts, directory's size and offset, comment's length
_NPY = re.compile(
    rb"\x93NUMPY\x01\x00(..)"
    rb"\{'descr': '([<|][a-z]\d)', 'fortran_order': False, 'shape': \(([0-9, ]{0,64})\), \} *\n",
    re.DOTALL,
)


class Archive(NamedTuple):
    """Where the archive starts in the file, and the entries that were asked for."""

    start: int
    entries: dict[str, bytes]


def read_archive(data: bytes, limits: Mapping[str, int], *, deflated: bool = False) -> Archive:
    """Read the entries named in ``limits`` (name → most bytes) from the archive that ends ``data``.

    Entries that are absent are absent from the result; entries of other names are not read. All must be stored, or
    with ``deflated`` may be; what one unpacks to is never more than it says, and that never more than its limit.
    Raises :class:`BundleError` when there is no whole archive, or it is not as this project writes it.
    """
    import zipfile

    _check_end(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            if not infos or len(set(names)) != len(names):
                raise BundleError("its archive is empty or holds an entry twice")
            entries = {}
            for info in infos:
                stored = info.compress_type == zipfile.ZIP_STORED and info.compress_size == info.file_size
                if not stored and not (deflated and info.compress_type == zipfile.ZIP_DEFLATED):
                    raise BundleError(f"its entry {info.filename!r} is compressed; entries must be stored")
                if info.filename in limits:
                    limit = min(limits[info.filename], len(data)) if stored else limits[info.filename]
                    if info.file_size > limit:
                        raise BundleError(f"its entry {info.filename!r} has {info.file_size} bytes, more than {limit}")
                    # With the size: without it, zipfile first unpacks all that comes, however much that is.
                    with archive.open(info) as entry:
                        entries[info.filename] = entry.read(info.file_size)
            return Archive(min(info.header_offset for info in infos), entries)
    except BundleError:
        raise
    # BadZipFile is the usual one; a damaged directory also brings struct.error, RuntimeError, EOFError and more.
    except Exception as error:
        raise BundleError(f"its archive is damaged ({error})") from None


def _check_end(data: bytes) -> None:
    """The end record closes the file and promises a directory of a sane size."""
    if len(data) < _END.size or data[-_END.size :][:4] != b"PK\x05\x06":
        raise BundleError("it does not end with an archive")
    _, _, _, here, entries, size, _, comment = _END.unpack(data[-_END.size :])
    if entries > MAX_ENTRIES or here != entries or size > _MAX_DIRECTORY or comment:
        raise BundleError(f"its archive claims {entries} entries in a directory of {size} bytes")


def read_array(data: bytes, name: str, dtype: str, shape: tuple[int | None, ...]) -> npt.NDArray[Any]:
    """Read a ``.npy`` file of the given type (``"<f4"``) and shape (None: any length); the array is read-only.

    Raises :class:`BundleError` naming ``name`` when it is anything else.
    """
    match = _NPY.match(data[:256])
    if match is None or match.end() != 10 + int.from_bytes(match[1], "little"):
        raise BundleError(f"{name} is not a plain .npy array")
    found_dtype = match[2].decode()
    found_shape = tuple(int(size) for size in match[3].replace(b" ", b"").split(b",") if size)
    fits = len(found_shape) == len(shape) and all(
        wanted in (None, found) for wanted, found in zip(shape, found_shape, strict=True)
    )
    if found_dtype != dtype or not fits:
        expected = f"{dtype} of shape {list(shape)}".replace("None", "any")
        raise BundleError(f"{name} is {found_dtype} of shape {list(found_shape)}, expected {expected}")
    size = math.prod(found_shape) * np.dtype(dtype).itemsize
    if len(data) - match.end() != size:
        raise BundleError(f"{name} needs {size} bytes of numbers, has {len(data) - match.end()}")
    return np.frombuffer(data, dtype, offset=match.end()).reshape(found_shape)
