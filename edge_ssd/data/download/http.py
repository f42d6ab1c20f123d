"""Resumable download of a file over HTTP."""

from __future__ import annotations

import errno
import http.client
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from email.message import Message
from pathlib import Path
from typing import IO, Any
from urllib.request import Request

from edge_ssd.console.progress import ProgressCallback, no_progress
from edge_ssd.console.redact import redact, redact_url
from edge_ssd.console.text import printable
from edge_ssd.data.download.limits import DownloadLimits, TooSlowError, response_class
from edge_ssd.errors import DataError

__all__ = ["download"]

_MAX_FAILURES = 5  # consecutive attempts without a new byte
_CHUNK_BYTES = 1 << 16
_MAX_BYTES = 512 << 20
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_MIN_BYTES_PER_S, _WINDOW_S, _MAX_SECONDS = 1000.0, 30.0, 3600.0
_SCHEMES = ("http", "https")


class _ConnectionDropped(Exception):
    """The connection ended early; received bytes are kept."""


def download(
    url: str,
    part: Path,
    progress: ProgressCallback = no_progress,
    timeout: float = 30.0,
    retry_delay: float = 1.0,
    limits: DownloadLimits | None = None,
) -> None:
    """Download ``url`` to the file ``part``, resuming an earlier download.

    A dropped connection is resumed at once with an HTTP range request as long as new bytes arrive. The caller verifies
    the content.

    Args:
        url: http or https, also after redirects.
        part: receives the file; its content is taken for the start of the file, and kept if the download fails.
        progress: called with (bytes received, bytes in total or None).
        timeout: seconds without a byte after which the connection counts as dropped.
        retry_delay: seconds to wait after an attempt without a new byte.
        limits: None for at least 1 kB/s over 30 s, and an hour in total.

    Raises:
        DataError: the server cannot be reached, answers with an error or not in HTTP, drops the connection repeatedly,
            or is too slow.
    """
    shown = redact_url(url)
    try:
        scheme = urllib.parse.urlsplit(url).scheme
    except ValueError:
        scheme = ""
    if scheme not in _SCHEMES:
        raise DataError(f"{shown}: only http and https addresses can be downloaded")
    limits = limits or DownloadLimits(
        min_bytes_per_s=_MIN_BYTES_PER_S, window=_WINDOW_S, max_seconds=_MAX_SECONDS, timeout=timeout
    )
    failures = 0
    while True:
        size_before = _size(part)
        try:
            return _download_once(url, part, progress, limits)
        except TooSlowError as error:
            raise _failure(shown, str(error), part) from None
        except urllib.error.HTTPError as error:
            error.close()
            # Python's own reason, of a circle of redirects, has several lines; any may quote the server.
            reason = redact(printable(str(error.reason).partition("\n")[0]))
            raise DataError(f"{shown}: the server answered {error.code} {reason}: check the address") from None
        except urllib.error.URLError as error:
            raise _failure(shown, str(error.reason), part) from None
        except ValueError as error:  # From the libraries: a host name, port or chunk that is none.
            if isinstance(error, http.client.HTTPException):
                raise _failure(shown, str(error), part) from None
            raise DataError(f"{shown}: the address, or that of a redirect, is malformed ({error}): check it") from None
        except (_ConnectionDropped, OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and (error.filename is not None or error.errno in _DISK_FULL):
                raise  # writing failed, not the connection
            failures = failures + 1 if _size(part) <= size_before else 0
            if failures >= _MAX_FAILURES:
                raise _failure(shown, str(error) or type(error).__name__, part) from None
            if failures:
                time.sleep(retry_delay)


def _failure(url: str, reason: str, part: Path) -> DataError:
    size = _size(part)
    reason = redact(printable(" ".join(reason.split())))  # It may quote the server.
    advice = f"; {size} bytes are kept, run the command again to continue" if size else ": check the network, try again"
    return DataError(
        f"{url}: the download failed ({reason}){advice}. Without a network, edge-ssd data make draws a dataset"
    )


def _download_once(url: str, part: Path, progress: ProgressCallback, limits: DownloadLimits) -> None:
    """Make one request for the missing bytes and append them to ``part``."""
    size = _size(part)
    request = Request(url, headers={"Range": f"bytes={size}-"} if size else {})
    try:
        response = _opener(limits).open(request, timeout=limits.next_timeout())
    except urllib.error.HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not size:
            raise
        # The file has no bytes after those in part: part is complete, or of another file.
        error.close()
        if _content_range(error.headers, r"bytes \*/([0-9]{1,18})") == size:
            return
        part.unlink()
        raise _ConnectionDropped("the part kept from an earlier download is not of this file") from None
    with response:
        resumed = response.status == http.client.PARTIAL_CONTENT
        if not resumed:
            size = 0
        elif _content_range(response.headers, r"bytes ([0-9]{1,18})-[0-9]+/(?:[0-9]+|\*)") != size:
            part.unlink(missing_ok=True)
            raise _ConnectionDropped("the server sent another range than requested")
        length = _content_length(response.headers, url)
        total = None if length is None else size + length
        if total is not None and total > _MAX_BYTES:
            raise DataError(f"{redact_url(url)}: {total} bytes is more than expected of a dataset: check the address")
        with part.open("ab" if resumed else "wb") as file:
            while chunk := response.read1(_CHUNK_BYTES):  # What has arrived: the limits see each byte.
                size += len(chunk)
                if size > _MAX_BYTES:
                    raise DataError(f"{redact_url(url)}: more than {_MAX_BYTES >> 20} MB received: check the address")
                file.write(chunk)
                progress(size, total)
        if total is not None and size < total:
            raise _ConnectionDropped(f"the connection ended after {size} of {total} bytes")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _content_length(headers: Message, url: str) -> int | None:
    """Return the stated size of the body in bytes, or None; raise DataError if it is not one number (RFC 9110 §8.6)."""
    values = {value.strip() for line in headers.get_all("Content-Length", []) for value in str(line).split(",")}
    if not values:
        return None
    (value,) = values if len(values) == 1 else ("",)
    if not re.fullmatch("[0-9]{1,18}", value):
        stated = printable(", ".join(sorted(values)))[:100]
        raise DataError(
            f"{redact_url(url)}: the server states an invalid size (Content-Length: {stated}): check the address, "
            "and whether a proxy is in between"
        )
    return int(value)


def _content_range(headers: Message, pattern: str) -> int | None:
    """Return the number that ``pattern`` captures in the header Content-Range, or None."""
    match = re.fullmatch(pattern, headers.get("Content-Range", ""))
    return int(match[1]) if match else None


class _HttpRedirectHandler(urllib.request.HTTPRedirectHandler):
    """Handler that follows redirects to http and https only; the standard one also follows to ftp."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> Request | None:
        if urllib.parse.urlsplit(newurl).scheme not in _SCHEMES:
            fp.close()
            raise DataError(
                f"{redact_url(req.full_url)}: the server redirects to {redact_url(newurl)!r}, which is not http or "
                "https: refused"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def http_error_302(self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage) -> Any:
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except ValueError:  # The address is malformed; the handler then leaves the response open.
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


class _HttpHandler(urllib.request.HTTPSHandler, urllib.request.HTTPHandler):
    """Handler of http and https whose responses are read under limits."""

    def __init__(self, limits: DownloadLimits) -> None:
        super().__init__()
        self._response_class = response_class(limits)

    def do_open(self, http_class: Any, req: Request, **options: Any) -> Any:
        def connect(*args: Any, **more: Any) -> http.client.HTTPConnection:
            connection: http.client.HTTPConnection = http_class(*args, **more)
            connection.response_class = self._response_class
            return connection

        return super().do_open(connect, req, **options)


def _opener(limits: DownloadLimits) -> urllib.request.OpenerDirector:
    """Return an opener as of ``urllib.request.build_opener``, without its handlers for files, ftp and data."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        _HttpHandler(limits),
        urllib.request.HTTPDefaultErrorHandler(),
        _HttpRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener
