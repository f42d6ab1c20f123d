"""Small HTTP client for cameras: logins, redirects, time limits, and connections that are kept between requests.

It is made of :mod:`http.client`, not of ``requests`` or ``httpx``: these are 10 MB more memory and dependencies of a
device that has neither, and ``requests`` with the urllib3 of Debian 12 (1.26) has no read that returns what has
arrived, which a stream needs. Missing there are logins and redirects, which are few lines.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import ssl
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit, urlunsplit

from device_apps.sources.http_login import HttpLogin, can_answer
from device_apps.sources.stream_url import INVALID_URL, describe_status, no_response
from edge_ssd.console.redact import redact_url
from edge_ssd.errors import SourceError

__all__ = ["HttpClient", "NotHttpError"]

_log = logging.getLogger(__name__)

_MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_DISCARDED = 65536  # Of an error page; the connection of a longer one is closed.
_TARGET_LETTERS = "/?&=%+,;:@!$'()*~[]|"
_unverified: set[str] = set()  # Hosts whose certificate was warned about.


class NotHttpError(SourceError):
    """The server answers, but in no HTTP that is understood."""


class HttpClient:
    """Client for the requests to one URL. Used by one thread.

    Args:
        url: http:// or https://, with user and password where needed.
        connect_seconds: maximum time for a connection to be made, and until the response begins.
        read_seconds: maximum time between two reads.

    Attributes:
        name: the URL for messages, without password.
        url: the URL that was answered last, after redirects.
    """

    def __init__(self, url: str, *, connect_seconds: float, read_seconds: float) -> None:
        self.name = redact_url(url)
        self.url = url
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._connection: http.client.HTTPConnection | None = None
        self._origin: tuple[str, str, int | None] | None = None
        self._connected = False
        self._response: http.client.HTTPResponse | None = None
        self._headers = http.client.HTTPMessage()
        self._remaining: int | None = None  # Bytes of the content; None if only its end shows.
        parts = self._split(url)
        self._home = _origin(parts)
        self._login = None
        if parts.username is not None:
            self._login = HttpLogin(unquote(parts.username), unquote(parts.password or ""))

    @property
    def content_type(self) -> str:
        """Type of the content, such as "image/jpeg", in lower case and without parameters; "" if it is not stated."""
        value = self._headers.get("Content-Type") or ""
        return value.partition(";")[0].strip().lower()

    def header(self, name: str) -> str | None:
        """Return a header of the response."""
        return self._headers.get(name)

    def get(self, headers: dict[str, str] | None = None) -> int:
        """Request the URL and return 200, or 304 if ``headers`` have a condition; then :meth:`read` its content.

        Raises:
            NotHttpError: the response is not HTTP.
            SourceError: no connection, no response in time, or another status.
        """
        url = self.url
        for _ in range(_MAX_REDIRECTS + 2):  # One more for a login.
            response = self._request(url, headers or {})
            status = response.status
            if status in _REDIRECTS and (location := response.getheader("Location")):
                self._discard(response)
                url = self._target_of(url, location)
            elif status == 401 and self._may_log_in(url, response):
                self._discard(response)
            elif status in (200, 206) or (status == 304 and headers):
                self.url, self._response, self._headers = url, response, response.headers
                self._remaining = response.length
                if status == 304:
                    self._discard(response)
                return 304 if status == 304 else 200
            else:
                obstacle = self._login_obstacle(url, response) if status == 401 else None
                response.close()
                reason = "".join(letter for letter in response.reason or "" if letter.isprintable())
                self.close()
                text = f"{status} {reason}".strip()
                if obstacle is not None:
                    raise SourceError(f"{self.name}: the server responds {text}; {obstacle}")
                raise SourceError(f"{self.name}: {describe_status(text, self._home[0])}")
        self.close()
        raise SourceError(f"{self.name}: the server redirects more than {_MAX_REDIRECTS} times; check the URL")

    def read(self, size: int) -> bytes:
        """Return what has arrived, 1 to ``size`` bytes, waiting for the first one; b"" at the end of the content.

        Raises SourceError when nothing comes in time, or the connection breaks.
        """
        if self._response is None:
            return b""
        try:
            # Versions of Python differ in whether read1() counts what it has read.
            data = self._response.read1(size if self._remaining is None else min(size, self._remaining))
        except TimeoutError:
            self.close()
            raise SourceError(
                f"{self.name}: the server responds, but sends no video (nothing for {self._read_seconds:g} s); "
                "is it a camera, and has it too many viewers?"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise SourceError(f"{self.name}: the connection broke ({_reason(error)})") from None
        if self._remaining is not None:
            self._remaining -= len(data)
        if not data:
            self._response.close()
            self._response = None
        return data

    def close(self) -> None:
        """Close the connection; another request makes a new one."""
        if self._response is not None:
            self._response.close()
            self._response = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _request(self, url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        """Send a request, again on a new connection if a kept one turns out to be closed."""
        parts = self._split(url)
        kept = self._connection is not None and self._origin == _origin(parts) and self._response is None
        if not kept:
            self.close()
        try:
            return self._send(parts, headers)
        except (http.client.RemoteDisconnected, ConnectionError, http.client.CannotSendRequest) as error:
            self.close()
            if not kept:
                raise SourceError(f"{self.name}: {self._failure(parts, error)}") from None
        except http.client.HTTPException as error:
            self.close()
            raise NotHttpError(f"{self.name}: the server does not respond in HTTP ({_reason(error)})") from None
        except OSError as error:
            self.close()
            raise SourceError(f"{self.name}: {self._failure(parts, error)}") from None
        except UnicodeError:  # A host name that is too long, for example.
            self.close()
            raise SourceError(f"{self.name}: {INVALID_URL}") from None
        return self._request(url, headers)

    def _failure(self, parts: SplitResult, error: Exception) -> str:
        if self._connected and not isinstance(error, ConnectionRefusedError):
            return describe_status(None, parts.scheme)
        return no_response(parts.hostname or "", _origin(parts)[2] or 0, _reason(error))

    def _send(self, parts: SplitResult, headers: dict[str, str]) -> http.client.HTTPResponse:
        if self._connection is None:
            self._connected = False
            self._connection = self._connect(parts)
            self._connected = True
        target = urlunsplit(("", "", quote(parts.path or "/", safe=_TARGET_LETTERS), "", ""))
        if parts.query:
            target += "?" + quote(parts.query, safe=_TARGET_LETTERS)
        sent = {"User-Agent": "edge-ssd", "Accept": "*/*", **headers}
        if self._login is not None and self._is_trusted(parts):
            authorization = self._login.authorization("GET", target)
            if authorization is not None:
                sent["Authorization"] = authorization
        if self._connection.sock is not None:
            self._connection.sock.settimeout(self._connect_seconds)
        self._connection.request("GET", target, headers=sent)
        # getresponse() drops the socket of a connection that is not kept; the response goes on reading from it.
        connected = self._connection.sock
        response = self._connection.getresponse()
        connected.settimeout(self._read_seconds)
        return response

    def _connect(self, parts: SplitResult) -> http.client.HTTPConnection:
        host, port = parts.hostname or "", parts.port
        self._origin = _origin(parts)
        if parts.scheme.lower() == "http":
            plain = http.client.HTTPConnection(host, port, timeout=self._connect_seconds)
            plain.connect()
            return plain
        if host not in _unverified:
            secure = http.client.HTTPSConnection(
                host, port, timeout=self._connect_seconds, context=ssl.create_default_context()
            )
            try:
                secure.connect()
                return secure
            except ssl.SSLCertVerificationError as error:
                secure.close()
                _unverified.add(host)
                # Nearly all cameras have certificates that they signed themselves, also for FFmpeg no reason to stop.
                _log.warning(
                    "%s: its certificate cannot be verified (%s); the connection is encrypted, but another machine "
                    "could pass for the camera",
                    self.name,
                    error.verify_message,
                )
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        secure = http.client.HTTPSConnection(host, port, timeout=self._connect_seconds, context=context)
        try:
            secure.connect()
        except BaseException:
            secure.close()
            raise
        return secure

    def _may_log_in(self, url: str, response: http.client.HTTPResponse) -> bool:
        if self._login is None or not self._is_trusted(self._split(url)):
            return False
        return self._login.challenge(response.headers.get_all("WWW-Authenticate") or [])

    def _login_obstacle(self, url: str, response: http.client.HTTPResponse) -> str | None:
        """Return why the login of the URL was not tried for a 401; None if it was, or there is none."""
        if self._login is None:
            return None
        parts = self._split(url)
        if not self._is_trusted(parts):
            target = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "", "", ""))
            return (
                f"it redirected to {target}, which is not sent the password of {self._home[1]}; give the URL there, "
                "with user and password, if it is the camera's"
            )
        headers = response.headers.get_all("WWW-Authenticate") or []
        if headers and not can_answer(headers):
            kinds = ", ".join(sorted({header.split()[0] for header in headers if header.strip()}))
            return (
                f"it asks for a login ({kinds}) other than Basic, or Digest with MD5 or SHA-256; choose one of these "
                "in the camera's settings"
            )
        return None

    def _is_trusted(self, parts: SplitResult) -> bool:
        """Return whether a server may get the password: not another host, nor the same one without encryption."""
        scheme, host, _ = _origin(parts)
        return host == self._home[1] and (scheme == "https" or self._home[0] == "http")

    def _target_of(self, url: str, location: str) -> str:
        """Return the URL that a redirect leads to."""
        try:
            target = urljoin(url, location)
            _ = urlsplit(target).port
        except ValueError:
            self.close()
            raise SourceError(
                f"{self.name}: the server redirects to an invalid URL ({redact_url(location)[:200]}); give the URL of "
                "its images or video"
            ) from None
        if urlsplit(target).scheme.lower() not in ("http", "https"):
            self.close()
            raise SourceError(
                f"{self.name}: the server redirects to {redact_url(target)}; give this URL, if it is the camera's"
            )
        return target

    def _discard(self, response: http.client.HTTPResponse) -> None:
        """Read the rest of a response so that its connection can be used again, or close it."""
        self._response = None
        try:
            rest = response.read(_MAX_DISCARDED)
            if len(rest) < _MAX_DISCARDED or response.isclosed():
                response.close()
                return
        except (OSError, http.client.HTTPException):
            pass
        response.close()
        self.close()

    def _split(self, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            raise SourceError(f"{redact_url(url)}: {INVALID_URL}") from None
        if not parts.hostname:
            raise SourceError(f"{redact_url(url)}: {INVALID_URL}")
        return parts


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or {"http": 80, "https": 443}.get(scheme)


def _reason(error: Exception) -> str:
    if isinstance(error, http.client.IncompleteRead):
        return "its content is incomplete"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    with contextlib.suppress(Exception):
        return str(error).strip() or type(error).__name__
    return type(error).__name__
