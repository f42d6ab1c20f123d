"""Why a broker ended a connection or refused a message."""

from __future__ import annotations

__all__ = [
    "BrokerRefusedError",
    "RetainUnavailableError",
    "SessionTakenOverError",
    "TopicRefusedError",
    "UnsupportedProtocolVersion",
]


class BrokerRefusedError(Exception):
    """The broker refused the connection or a publication (CONNACK, PUBACK or DISCONNECT with a failure code).

    Retrying soon does not help. Not Python's ConnectionRefusedError, which means that no broker listens.
    """


class UnsupportedProtocolVersion(Exception):
    """The broker does not support MQTT 5."""


class RetainUnavailableError(Exception):
    """The broker does not support retained messages."""


class SessionTakenOverError(Exception):
    """Another program connected under the same client id."""


class TopicRefusedError(Exception):
    """The broker refuses a retained topic.

    Attributes:
        topic, reason: the topic, and why, such as the name of the reason code.
        advice: what to change.
    """

    def __init__(self, topic: str, reason: str, advice: str) -> None:
        super().__init__(topic, reason)
        self.topic = topic
        self.reason = reason
        self.advice = advice
