"""Publisher that posts each event to a server, from a spool on disk."""

from __future__ import annotations

import http.client
import logging
import socket
import ssl
import threading
import time

from device_apps.background_writer import BackgroundWriter
from device_apps.daemon_thread import DaemonThread
from device_apps.events.event import Event
from device_apps.events.event_payload import event_payload
from device_apps.events.spool import Message, Spool
from device_apps.events.webhook.target import Answer, Target
from device_apps.retry import FailureLog, backoff
from edge_ssd.console.counts import count
from edge_ssd.errors import EdgeSSDError

__all__ = ["RETRY_SECONDS", "WebhookPublisher"]

_log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0, 60.0
_MAX_RETRY_AFTER_S = 600.0
_QUEUE_CAPACITY = 1000  # Events that wait for a slow disk.

# RFC 9110 §15.5: what is wrong with one event, not with the server or with the settings ...
_BAD_EVENT = frozenset({400, 413, 415, 422})
_MAX_REFUSALS = 5  # ... unless the server refuses every event: the attempts before such a one is set aside.
_UNREACHABLE = "unreachable"  # One cause for all network errors, which alternate while a server restarts.

_CURES = {
    401: "check the password in --webhook, or --webhook-header-file",
    403: "check the password in --webhook, or --webhook-header-file",
    404: "check the path of --webhook",
    405: "it takes no POST; check the path of --webhook",
    410: "check the path of --webhook",
}


class WebhookPublisher:
    """Publisher that posts events as JSON, one after another, in a thread of its own.

    An event is removed from the spool when the server has answered with a status 2xx, so it is delivered at least
    once, and in order. After a failure it is sent again with growing pauses; the others wait. An event that the server
    refuses while it accepts others (400, 413, 415, 422) is set aside in the file of the spool.

    Args:
        spool: queue of unsent events on disk; closed with the publisher.
        retry_seconds: (first, maximum) pause before the next attempt; the maximum at once if the server refuses.
    """

    def __init__(self, target: Target, spool: Spool, retry_seconds: tuple[float, float] = RETRY_SECONDS) -> None:
        self.name = str(target)
        self._target = target
        self._spool = spool
        self._retry_seconds = retry_seconds
        self._failures = FailureLog(_log)
        self._accepted = False  # The last event that was answered for good.
        self._wake = threading.Event()  # There may be something to send.
        self._stop = threading.Event()
        self._deadline = float("inf")
        self._closed = False
        self._writer = BackgroundWriter(str(spool.path), self._add_to_spool, _QUEUE_CAPACITY)
        self._thread = DaemonThread(self._run, f"webhook {self.name}")
        self._thread.start()

    @property
    def lost(self) -> int:
        """Number of events that the queue or the spool dropped because it was full."""
        return self._writer.lost + self._spool.dropped

    @property
    def failure(self) -> BrokenPipeError | EdgeSSDError | None:
        """The error of the spool that should end the program, or None."""
        return self._writer.failure

    def publish(self, event: Event) -> None:
        self._writer.put(event)

    def close(self, deadline: float) -> None:
        """Send what is queued until ``deadline`` (``time.monotonic()``); the spool keeps the rest."""
        if self._closed:
            return
        self._closed = True
        self._writer.close(deadline)
        self._deadline = deadline
        self._stop.set()
        self._wake.set()
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._spool.dropped:
            _log.warning("%s: was full; dropped: the oldest %s", self._spool.path, count(self._spool.dropped, "event"))

    def _add_to_spool(self, event: Event) -> None:
        self._spool.add(f"{event.run}-{event.object_id}", event_payload(event))
        self._wake.set()

    def _run(self) -> None:
        try:
            self._send_all()
        finally:
            self._spool.close()  # Here, as an answer may come after the deadline.

    def _send_all(self) -> None:
        attempt = 0
        while not self._is_over():
            self._wake.clear()
            messages = self._spool.after(0, 1)
            if not messages:
                if self._stop.is_set():
                    return
                self._wake.wait()
                continue
            pause = self._send(messages[0], attempt)
            attempt = 0 if pause is None else attempt + 1
            if pause is not None and self._stop.wait(pause):
                return  # Another attempt would come too late.

    def _is_over(self) -> bool:
        return self._stop.is_set() and time.monotonic() >= self._deadline

    def _send(self, message: Message, attempt: int) -> float | None:
        """Send an event; return the seconds to wait before the next attempt, or None if it is done."""
        first_pause, max_pause = self._retry_seconds
        try:
            answer = self._target.post(message.payload)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._fail(describe_error(error, tls=self._target.tls), _UNREACHABLE)
            return backoff(attempt, base=first_pause, maximum=max_pause)
        if 200 <= answer.status < 300:
            self._accepted = True
            self._failures.recovered(f"webhook {self.name}: events are taken again")
            self._spool.remove([message.id])
            return None
        if answer.status in _BAD_EVENT and (self._accepted or attempt + 1 >= _MAX_REFUSALS):
            self._accepted = False
            self._spool.set_aside(message.id, f"webhook {self.name}: {describe_answer(answer)}")
            return None
        self._fail(describe_answer(answer), str(answer.status))
        if answer.retry_after is not None:
            return min(max(answer.retry_after, first_pause), _MAX_RETRY_AFTER_S)
        is_passing = answer.status >= 500 or answer.status in (408, 425, 429)
        return backoff(attempt, base=first_pause if is_passing else max_pause, maximum=max_pause)

    def _fail(self, reason: str, cause: str) -> None:
        self._failures.failed(f"webhook {self.name}: {reason}; detection goes on, events are kept, will retry", cause)


def describe_answer(answer: Answer) -> str:
    """Return the text for an answer other than 2xx."""
    cure = _CURES.get(answer.status, "")
    if 300 <= answer.status < 400:
        cure = "it redirects to another address, which --webhook must name itself"
    return f"the server answers {answer.status} {answer.reason}".rstrip() + (f"; {cure}" if cure else "")


def describe_error(error: Exception, *, tls: bool) -> str:
    """Return the text for a request without an answer."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted: {error.verify_message}; set the environment variable SSL_CERT_FILE to a "
            "file with the certificate of its authority"
        )
    if isinstance(error, ssl.SSLError):
        return "the TLS handshake failed; does this port need http://?"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return f"its name cannot be resolved: {error.strerror}"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer" + ("" if tls else "; does this port need https://?")
    if isinstance(error, OSError):
        return f"cannot be reached: {error.strerror or error}"
    return "the answer is not HTTP; check the port"
