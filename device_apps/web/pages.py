"""Self-contained HTML pages and their Content-Security-Policy.

The files are in the folder ``page``. A line ``/* include NAME */`` or ``<!-- include NAME -->`` stands
for the file of this name.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

__all__ = ["Page", "Script", "accepts_html"]

_FOLDER = Path(__file__).parent / "page"
_INCLUDE = re.compile(r"^(?:/\*|<!--) include ([\w.]+) (?:\*/|-->)\n", re.MULTILINE)
_MESSAGE = "<!-- message -->"
_NEXT = "<!-- next -->"
_POLICY = (
    "default-src 'none'; script-src {script}; style-src {style}; img-src 'self' data:; "
    "media-src 'self'; connect-src 'self'; worker-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_WORKER_POLICY = "default-src 'none'; connect-src 'self'"


class Page:
    """HTML page in the file ``name``, with its Content-Security-Policy.

    ``parts`` are HTML for placeholders.

    The Content-Security-Policy allows its inline style and script by their hashes
    (https://www.w3.org/TR/CSP3/#match-element-to-source-list), so that nothing else runs, whatever a label contains.
    """

    def __init__(self, name: str, parts: Mapping[str, str] = MappingProxyType({})) -> None:
        self._text = _read(name)
        for placeholder, part in parts.items():
            self._text = self._text.replace(placeholder, part)
        self._policy = _POLICY.format(script=_hashes("script", self._text), style=_hashes("style", self._text))

    def response(
        self, status: int = 200, message: str = "", headers: dict[str, str] | None = None, next_path: str = ""
    ) -> HTMLResponse:
        """Return the page with HTTP ``status``, extra ``headers``, and escaped texts at their placeholders."""
        text = self._text.replace(_NEXT, html.escape(next_path)).replace(_MESSAGE, html.escape(message))
        return HTMLResponse(text, status, {"Content-Security-Policy": self._policy, **(headers or {})})


class Script:
    """Script in the file ``name``, which a page starts as a worker."""

    def __init__(self, name: str) -> None:
        self._text = _read(name)

    @property
    def digest(self) -> str:
        """Digest of the text: a page starts the worker of its own version, whatever older tabs have started."""
        return hashlib.sha256(self._text.encode()).hexdigest()[:16]

    def response(self) -> Response:
        return Response(self._text, headers={"Content-Security-Policy": _WORKER_POLICY}, media_type="text/javascript")


def accepts_html(request: Request) -> bool:
    """Return whether a browser asks for a page, not a script or program for data."""
    return "text/html" in request.headers.get("accept", "")


def _read(name: str) -> str:
    """Return the text of a file with the files that it includes."""
    text = (_FOLDER / name).read_text(encoding="utf-8")
    return _INCLUDE.sub(lambda match: _read(match[1]), text)


def _hashes(tag: str, text: str) -> str:
    contents = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(content.encode()).digest()).decode() for content in contents]
    return " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
