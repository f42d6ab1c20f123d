"""Hook for PyInstaller, found through the entry point ``pyinstaller40``: frozen programs have the shipped models.

Source: PyInstaller's manual, "Providing PyInstaller Hooks with your Package".
"""

from __future__ import annotations

import os

__all__ = ["hook_dirs"]


def hook_dirs() -> list[str]:
    """Return the folders of the hooks."""
    return [os.path.dirname(__file__)]  # noqa: PTH120 (PyInstaller expects text)
