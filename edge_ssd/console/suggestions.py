"""Similar names for one that does not exist, for error messages."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path

from edge_ssd.console.text import printable

__all__ = ["did_you_mean", "missing_path_hint", "similar_path"]

_CUTOFF = 0.6
# Listing a folder with more entries than this would take longer than reading the message.
_MAX_ENTRIES = 10_000


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return " (did you mean X?)" for the name that is most similar to ``name``, or "" if none is."""
    by_lower = {known.lower(): known for known in names}
    similar = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=_CUTOFF)
    return f" (did you mean {by_lower[similar[0]]}?)" if similar else ""


def missing_path_hint(path: str | os.PathLike[str]) -> str:
    """Return " (did you mean X?)" for a path that exists in place of a missing ``path``, or "" if there is none."""
    similar = similar_path(Path(path))
    return "" if similar is None else f" (did you mean {printable(str(similar))}?)"


def similar_path(path: Path) -> Path | None:
    """Return a path that exists and differs from the missing ``path`` in one misspelled name, or None.

    The rest of the path must exist below the similar name. Names of hidden files are not suggested.
    """
    try:
        missing = path
        while not missing.parent.exists():
            if missing.parent == missing:
                return None
            missing = missing.parent
        rest = path.relative_to(missing)
        with os.scandir(missing.parent) as listing:
            names = [entry.name for entry, _ in zip(listing, range(_MAX_ENTRIES), strict=False)]
    except (OSError, ValueError):  # ValueError: a NUL byte in the name
        return None
    by_lower = {name.lower(): name for name in sorted(names) if not name.startswith(".")}
    for similar in difflib.get_close_matches(missing.name.lower(), by_lower, n=5, cutoff=_CUTOFF):
        candidate = missing.with_name(by_lower[similar]) / rest
        if candidate.exists() and _similar_kind(path.suffix.lower(), candidate.suffix.lower()):
            return candidate
    return None


def _similar_kind(given: str, found: str) -> bool:
    """Return whether a suffix is missing, equal or misspelled: by the name of an image no model is meant."""
    return not given or difflib.SequenceMatcher(None, given, found).ratio() > _CUTOFF
