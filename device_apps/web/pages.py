"""Self-contained HTML pages and their Content-Security-Policy."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from starlette.responses import HTMLResponse

__all__ = ["Page"]

_MESSAGE = "<!-- message -->"
_POLICY = (
    "default-src 'none'; script-src {script}; style-src {style}; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Page:
    """HTML page in the file ``name`` of this package, with its Content-Security-Policy.

    ``parts`` are HTML for placeholders.

    The Content-Security-Policy allows its inline style and script by their hashes
    (https://www.w3.org/TR/CSP3/#match-element-to-source-list), so that nothing else runs, whatever a label contains.
    """

    def __init__(self, name: str, parts: Mapping[str, str] = MappingProxyType({})) -> None:
        self._text = (Path(__file__).parent / name).read_text(encoding="utf-8")
        for placeholder, part in parts.items():
            self._text = self._text.replace(placeholder, part)
        self._policy = _POLICY.format(script=_hashes("script", self._text), style=_hashes("style", self._text))

    def response(self, status: int = 200, message: str = "", headers: dict[str, str] | None = None) -> HTMLResponse:
        """Return the page with HTTP ``status``, extra ``headers``, and the escaped ``message`` at its placeholder."""
        text = self._text.replace(_MESSAGE, html.escape(message))
        return HTMLResponse(text, status, {"Content-Security-Policy": self._policy, **(headers or {})})


def _hashes(tag: str, text: str) -> str:
    contents = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(content.encode()).digest()).decode() for content in contents]
    return " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
