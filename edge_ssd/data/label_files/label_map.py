"""``label_map.pbtxt``, the class names of TensorFlow's object detection API.

item { id: 1 name: 'cat' }
item { name: "/m/01yrx" id: 2 display_name: "dog" }
"""

from __future__ import annotations

import re
from pathlib import Path

from edge_ssd.data.label_files.file_limits import UnsuitableFileError, read_label_file
from edge_ssd.errors import DataError

__all__ = ["read_label_map"]

_MAX_BYTES = 4 << 20
_ITEM = re.compile(r"\bitem\s*(:\s*)?\{")
_STRING = r"""\s*:\s*("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
_ID = re.compile(r"\bid\s*:\s*(\d{1,9})(?!\d)")
_NAME = re.compile(rf"(?<![\w])name{_STRING}")
_DISPLAY_NAME = re.compile(rf"\bdisplay_name{_STRING}")


def read_label_map(path: Path) -> dict[int, tuple[str, str]]:
    """Return class id → (name, name to display), in ascending order; empty for a file of something else.

    Raises:
        DataError: the file is not UTF-8 text.
    """
    try:
        text = read_label_file(path, _MAX_BYTES).decode("utf-8-sig")
    except UnsuitableFileError as error:
        raise DataError(f"{path}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}): expected a label map in UTF-8") from None
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    names: dict[int, tuple[str, str]] = {}
    for block in "\n".join(lines).split("}")[:-1]:
        start = _ITEM.search(block)
        item = block[start.end() :] if start else ""
        class_id, name, display = _ID.search(item), _NAME.search(item), _DISPLAY_NAME.search(item)
        if class_id and (name or display):
            stated = _unquote((name or display)[1])  # type: ignore[index]
            names[int(class_id[1])] = (stated, _unquote(display[1]) if display else stated)
    return dict(sorted(names.items()))


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]).strip()
