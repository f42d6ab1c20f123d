"""The zones that a camera uses now: read from a file, changed and saved while it runs."""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import json
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from device_apps.config_file import decode_toml, parse_toml, read_toml
from device_apps.zones.shapes import ZoneSet
from device_apps.zones.tables import KINDS, check_labels, parse_zones, to_tables
from device_apps.zones.toml_edit import replace_zones
from edge_ssd.atomic_write import atomic_path
from edge_ssd.console.text import utf8_text
from edge_ssd.errors import EdgeSSDError, SettingError

__all__ = ["ActiveZones", "StaleZonesError"]

_log = logging.getLogger(__name__)

_SAVING = threading.Lock()  # Several cameras may have their zones in one file.


class StaleZonesError(EdgeSSDError):
    """The zones were changed after the sender had read them."""


class ActiveZones:
    """Zones, lines and masks that are in use; thread-safe.

    A zone or line of the file that cannot be used is left out with a warning, and the others work. A mask that cannot
    be used is an error: it would show what is to be hidden.

    Args:
        path: the file that they are saved to; None cannot save.
        tables: the parsed file, and ``read_from`` its name in messages.
        camera: position from 0 of the table [[cameras]] that has them in ``read_from``; None for the file itself.
    """

    def __init__(
        self,
        path: Path | None = None,
        tables: Mapping[str, Any] | None = None,
        read_from: str = "",
        camera: int | None = None,
    ) -> None:
        self.path = path
        self.read_from = read_from
        self._camera = camera
        self.labels: tuple[str, ...] = ()
        self._parsed = parse_zones(tables or {})
        # What the file had when it was read or saved: whatever else it has then was written by somebody else.
        self._in_file = _watched(tables or {}, camera) if self._is_own_file else {}
        self._has_options = camera is not None or any(key not in KINDS for key in tables or {})
        for problem in self._parsed.problems:
            if problem.kind == "masks":
                raise SettingError(f"{read_from}: {problem.message}; nothing is hidden without it")

    @property
    def shapes(self) -> ZoneSet:
        """The set in use. It is replaced as a whole: whoever holds it compares by identity."""
        return self._parsed.shapes

    @property
    def problems(self) -> list[str]:
        """Why tables of the file are left out."""
        return [problem.message for problem in self._parsed.problems]

    @property
    def revision(self) -> str:
        """Digest of the set in use: the same for equal sets, also after a restart."""
        return _digest(to_tables(self.shapes))

    @classmethod
    def open(cls, config: Path | None, zones_file: Path | None, camera: int | None = None) -> ActiveZones:
        """Read the zones of ``zones_file``, or if it does not exist, those of ``config``; either may be None.

        Those of one of several cameras are in the table [[cameras]] number ``camera`` of ``config``, counted from 0.

        Raises EdgeSSDError if a file cannot be read, SettingError if it is not TOML or a mask is not valid.
        """
        if zones_file is not None and zones_file.exists():
            tables = read_toml(zones_file, "--zones-file")
            unknown = [key for key in tables if key not in KINDS]
            if unknown:
                raise SettingError(
                    f"{zones_file}: unknown key {unknown[0]!r}; expected [[zones]], [[lines]], [[masks]]"
                )
            return cls(zones_file, tables, str(zones_file))
        if config is not None:
            tables = read_toml(config)
            tables = tables if camera is None else tables["cameras"][camera]
            return cls(zones_file or config, tables, str(config), camera)
        return cls(zones_file)

    def check(self, labels: Sequence[str]) -> None:
        """Leave out the zones and lines with unknown classes, and log all that is left out."""
        self.labels = tuple(labels)
        self._parsed = check_labels(self._parsed, labels)
        for message in self.problems:
            _log.warning("%s: %s; it is left out", utf8_text(self.read_from), message)

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raise SettingError if a zone or line names a class that is not in ``labels``."""
        known = len(self._parsed.problems)
        new = check_labels(self._parsed, labels).problems[known:]
        if new:
            raise SettingError(new[0].message)

    def model_replaced(self, labels: Sequence[str]) -> None:
        """Use the same zones and lines for other labels, which were checked."""
        self.labels = tuple(labels)

    def to_dict(self) -> dict[str, Any]:
        """Return the set in plain JSON types, with the problems of the file and the name of the file that saves it."""
        parsed = self._parsed  # Another thread may replace it.
        tables = to_tables(parsed.shapes)
        return {
            **tables,
            "problems": [problem.message for problem in parsed.problems],
            "labels": list(self.labels),
            "revision": _digest(tables),
            "file": None if self.path is None else utf8_text(str(self.path)),
        }

    def replace(self, tables: Any, revision: str | None = None) -> None:
        """Use the zones, lines and masks of ``tables`` in place of the present ones, and save them to the file.

        Args:
            revision: of the set that ``tables`` is to replace; None for any.

        Raises SettingError if anything is not valid, StaleZonesError if the present set has another revision,
        EdgeSSDError if the file cannot be written; nothing is changed then.
        """
        if not isinstance(tables, Mapping):
            raise SettingError("the body must be a JSON object with zones, lines and masks")
        unknown = [key for key in tables if key not in KINDS]
        if unknown:
            raise SettingError(f"unknown key {str(unknown[0])[:40]!r}; keys are {', '.join(KINDS)}")
        missing = [kind for kind in KINDS if kind not in tables]
        if missing:
            raise SettingError(f"{missing[0]} is missing; send all of {', '.join(KINDS)}, an empty list for none")
        parsed = check_labels(parse_zones(tables), self.labels)
        if parsed.problems:
            raise SettingError(parsed.problems[0].message)
        with _SAVING:
            if revision not in (None, self.revision):
                raise StaleZonesError("the zones were changed meanwhile; read them again with GET")
            if parsed.shapes == self.shapes and not self.problems and self._is_own_file:
                return  # Nothing to save.
            self._save(parsed.shapes)
            self._parsed = parsed

    def _save(self, shapes: ZoneSet) -> None:
        if self.path is None:
            raise EdgeSSDError("there is no file to save zones to; start edge-ssd with --zones-file FILE")
        own = self._is_own_file
        camera = self._camera if own else None
        broken = {(problem.kind, problem.number) for problem in self._parsed.problems} if own else set()
        try:
            data = self.path.read_bytes() if self.path.exists() else b""
            if own and self._has_options and not data.strip():
                raise EdgeSSDError(f"{self.path}: its options are gone; put them back, and save again")
            old_text = decode_toml(data)
            before = _table_of(parse_toml(old_text), camera)
            if data and _watched(before, camera) != self._in_file:
                raise EdgeSSDError(
                    f"{self.path}: its zones were changed since they were read; to use those, restart edge-ssd"
                )
            text = replace_zones(old_text, shapes, broken, camera)
            mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
            _replace_file(self.path, mark + text.replace("\n", "\r\n" if b"\r\n" in data else "\n").encode())
        except SettingError as error:
            raise SettingError(f"{self.path}: {error}") from None
        except (ValueError, RecursionError):
            raise EdgeSSDError(f"{self.path}: cannot be saved: it is not valid TOML any more") from None
        except OSError as error:
            raise EdgeSSDError(
                f"{self.path}: cannot be saved: {error.strerror}; name a file that can be written: --zones-file FILE"
            ) from None
        self.read_from, self._camera = str(self.path), camera
        self._in_file = _watched(_table_of(parse_toml(text), camera), camera)

    @property
    def _is_own_file(self) -> bool:
        """Whether the file that the zones were read from is the one that they are saved to."""
        return str(self.path) == self.read_from


def _watched(table: Mapping[str, Any], camera: int | None) -> dict[str, Any]:
    """Return the zones, lines and masks of a table; of one of several cameras also what tells it from the others."""
    keys = KINDS if camera is None else (*KINDS, "name", "source")
    return {key: table[key] for key in keys if key in table}


def _table_of(tables: Mapping[str, Any], camera: int | None) -> Mapping[str, Any]:
    """Return the table of a camera, or all of them without one; an empty one if it is not there."""
    if camera is None:
        return tables
    cameras = tables.get("cameras")
    return cameras[camera] if isinstance(cameras, list) and camera < len(cameras) else {}


def _replace_file(path: Path, content: bytes) -> None:
    """Replace a file at once, with the same permissions: it may hold a password."""
    mode = path.stat().st_mode & 0o777 if path.exists() else None
    # A link stays a link: the file it leads to is replaced.
    with atomic_path(Path(os.path.realpath(path))) as temporary:
        if mode is not None:
            temporary.touch(mode)
            with contextlib.suppress(OSError):
                temporary.chmod(mode)
        temporary.write_bytes(content)


def _digest(tables: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(tables).encode()).hexdigest()[:16]
