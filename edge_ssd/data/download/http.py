"""Downloading a file over HTTP so that a dropped connection costs only what was under way."""

from __future__ import annotations

import errno
import http.client
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import IO

from edge_ssd.errors import DataError

__all__ = ["download"]

Report = Callable[[int, "int | None"], None]

_ATTEMPTS = 5  # in a row without a single new byte
_PAUSE_SECONDS = 1.0  # before the next of these
_CHUNK = 1 << 16
_MAX_DOWNLOAD = 512 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)


class _Dropped(Exception):
    """The connection ended early; what came is kept."""


def download(url: str, part: Path, progress: Report | None = None, timeout: float = 30.0) -> None:
    """Bring the file at ``url`` to ``part``, going on where an earlier call left it.

    A dropped connection is taken up again at once, by HTTP Range, as long as bytes keep coming. A server that does
    not know Range sends everything again. Whether the bytes are the right ones is for the caller to verify.

    Args:
        url: http or https, also after redirects.
        part: kept when the download fails; what is in it is taken for the file's beginning.
        progress: called with (bytes so far, bytes in all or None).
        timeout: seconds without a byte after which the connection counts as dropped.

    Raises DataError, saying what to do next, where the server cannot be reached, answers with an error, or keeps
    dropping the connection.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise DataError(f"{url}: only http and https addresses are fetched")
    failures = 0
    while True:
        before = _size(part)
        try:
            return _download_once(url, part, progress, timeout)
        except urllib.error.HTTPError as error:
            error.close()
            raise DataError(f"{url}: the server answered {error.code} {error.reason}: check the address") from None
        except urllib.error.URLError as error:
            raise _failure(url, str(error.reason), part) from None
        except (_Dropped, OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and (error.filename is not None or error.errno in _FULL):
                raise  # the disk's fault, and no reason to knock again
            failures = failures + 1 if _size(part) <= before else 0
            if failures >= _ATTEMPTS:
                raise _failure(url, str(error) or type(error).__name__, part) from None
            if failures:
                time.sleep(_PAUSE_SECONDS)


def _failure(url: str, reason: str, part: Path) -> DataError:
    kept = f"; {_size(part)} bytes are kept, run the command again to go on" if _size(part) else ""
    return DataError(
        f"{url}: the download failed ({reason}){kept or ': check the network and try again'}. "
        "Without a network, edge-ssd data make draws a set to work with"
    )


def _download_once(url: str, part: Path, progress: Report | None, timeout: float) -> None:
    have = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = _opener().open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
        # Nothing after what we have: it is complete, or it is no part of that file.
        error.close()
        if _total_of_range(error.headers) == have:
            return
        part.unlink()
        raise _Dropped("the part kept from last time does not belong to this file") from None
    with response:
        resumed = response.status == http.client.PARTIAL_CONTENT and _start_of_range(response.headers) == have
        if response.status == http.client.PARTIAL_CONTENT and not resumed:
            part.unlink(missing_ok=True)
            raise _Dropped("the server sent another range than was asked for")
        if not resumed:
            have = 0
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdigit() else None
        if total is not None and total > _MAX_DOWNLOAD:
            raise DataError(f"{url}: {total} bytes is more than a data set should be: check the address")
        with part.open("ab" if resumed else "wb") as file:
            have = _copy(response, file, have, total, progress, url)
        if total is not None and have < total:
            raise _Dropped(f"the connection ended after {have} of {total} bytes")


def _copy(
    response: http.client.HTTPResponse, file: IO[bytes], have: int, total: int | None, progress: Report | None, url: str
) -> int:
    while chunk := response.read(_CHUNK):
        have += len(chunk)
        if have > _MAX_DOWNLOAD:
            raise DataError(f"{url}: more than {_MAX_DOWNLOAD >> 20} MB came: check the address")
        file.write(chunk)
        if progress is not None:
            progress(have, total)
    return have


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _start_of_range(headers: Message) -> int | None:
    match = re.fullmatch(r"bytes (\d+)-\d+/(?:\d+|\*)", headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _total_of_range(headers: Message) -> int | None:
    match = re.fullmatch(r"bytes \*/(\d+)", headers.get("Content-Range", ""))
    return int(match[1]) if match else None


class _OnlyHttpRedirects(urllib.request.HTTPRedirectHandler):
    """The standard handler would follow to ftp as well."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urllib.parse.urlsplit(newurl).scheme not in ("http", "https"):
            fp.close()
            raise DataError(f"{req.full_url}: the server redirects to {newurl!r}, which is not http or https: refused")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """Like ``urllib.request.build_opener`` without its handlers for files, ftp and data."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        _OnlyHttpRedirects(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener
