"""XML label files, without document types and entities, with which a small file can become very large or read others.

The rules are those of defusedxml (https://pypi.org/project/defusedxml/), for the parser that is also fast.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from xml.etree.ElementTree import Element

__all__ = ["Element", "XmlError", "parse_xml", "read_elements", "read_first_tags"]

_DECLARATION = re.compile(rb"\s*<\?xml[^>]*?encoding=[\"']([A-Za-z0-9._-]+)[\"'][^>]*\?>")
_MAX_DECLARATION = 1024  # bytes
_BLOCK_BYTES = 1 << 16
_FIRST_BYTES = 8192
# Encodings of the parser itself.
_KNOWN_ENCODINGS = frozenset({b"utf-8", b"us-ascii"})
# Of Python, and of no XML file; decoding a large text in some of them takes very long.
_NO_ENCODINGS = frozenset({"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape"})


class XmlError(ValueError):
    """Invalid XML, or XML with a document type."""


class _Builder(ElementTree.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise XmlError(f"it has a document type ({name:.40}), which label files do not need: remove <!DOCTYPE …>")


class _ElementReader(_Builder):
    """Builder that passes elements to a function, and then forgets what precedes them."""

    def __init__(self, read: Callable[[Element], bool]) -> None:
        super().__init__()
        self._read = read
        self._root: Element | None = None

    def start(self, tag: str, attrs: dict[str, str]) -> Element:
        element = super().start(tag, attrs)
        if self._root is None:
            self._root = element
        return element

    def end(self, tag: str) -> Element:
        element = super().end(tag)
        if self._read(element) and self._root is not None:
            self._root.clear()  # else a large file takes many times its size in memory
        return element


def read_first_tags(path: Path) -> bytes:
    """Return the first bytes of a file as ASCII tags, to search for element names; empty if it cannot be read.

    UTF-16 has a zero byte beside each ASCII letter; without them its tags are those of UTF-8.
    """
    try:
        with path.open("rb") as file:
            return file.read(_FIRST_BYTES).replace(b"\0", b"")
    except OSError:
        return b""


def parse_xml(content: bytes) -> Element:
    """Return the root of an XML file in any encoding that Python knows; raise XmlError if it is invalid."""
    declaration = _DECLARATION.match(content[:_MAX_DECLARATION])
    text: bytes | str = content
    # The parser knows few encodings, and none of Chinese or Japanese.
    if declaration is not None and declaration[1].lower() not in _KNOWN_ENCODINGS:
        name = declaration[1].decode("ascii")
        if name.lower().replace("-", "_") in _NO_ENCODINGS:
            raise XmlError(f"its encoding {name} is that of no text")
        # .NET writes this name into files of UTF-8; in UTF-16 the declaration could not have been found as bytes.
        encoding = "utf-8" if name.lower() in ("utf-16", "unicode") else name
        try:
            text = content[declaration.end() :].decode(encoding)
        except (UnicodeError, LookupError) as error:
            raise XmlError(str(error)) from None
    parser = ElementTree.XMLParser(target=_Builder())
    try:
        parser.feed(text)
        root: Element = parser.close()
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise XmlError(str(error)) from None
    return root


def read_elements(file: BinaryIO, read: Callable[[Element], bool]) -> None:
    """Parse a large XML file, and pass every element to a function when it is complete.

    Args:
        read: returns whether the element, a child of the root, and those before it are not needed any more.

    Raises:
        XmlError: the XML is invalid. Exceptions of ``read`` are raised too.
    """
    parser = ElementTree.XMLParser(target=_ElementReader(read))
    try:
        while block := file.read(_BLOCK_BYTES):
            parser.feed(block)
        parser.close()
    except (ElementTree.ParseError, LookupError) as error:
        raise XmlError(str(error)) from None
