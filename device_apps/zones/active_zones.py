"""The zones that a camera uses now: read from a file, changed and saved while it runs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from device_apps.config_file import read_toml
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
            self._save(parsed.shapes)
            self._parsed = parsed

    def _save(self, shapes: ZoneSet) -> None:
        if self.path is None:
            raise EdgeSSDError("there is no file to save zones to; start edge-ssd with --zones-file FILE")
        try:
            exists = self.path.exists()
            text = self.path.read_text(encoding="utf-8") if exists else ""
            broken = {(problem.kind, problem.number) for problem in self._parsed.problems}
            same = str(self.path) == self.read_from
            text = replace_zones(text, shapes, broken if same else (), self._camera if same else None)
            if not same:
                self.read_from, self._camera = str(self.path), None
            mode = self.path.stat().st_mode & 0o777 if exists else None
            # A link stays a link: the file it leads to is replaced.
            target = Path(os.path.realpath(self.path))
            with atomic_path(target) as temporary:
                if mode is not None:  # It may hold a password.
                    temporary.touch(mode)
                    with contextlib.suppress(OSError):
                        temporary.chmod(mode)
                temporary.write_text(text, encoding="utf-8")
        except SettingError as error:
            raise SettingError(f"{self.path}: {error}") from None
        except UnicodeError:
            raise EdgeSSDError(f"{self.path}: cannot be saved: it is not UTF-8") from None
        except OSError as error:
            raise EdgeSSDError(
                f"{self.path}: cannot be saved: {error.strerror}; name a file that can be written: --zones-file FILE"
            ) from None


def _digest(tables: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(tables).encode()).hexdigest()[:16]
