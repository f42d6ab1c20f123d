"""Causes of failed connections to a broker, with their cures, as one line for the log.

Sources: MQTT 5.0 §3.2.2.2 (CONNACK reason codes); OpenSSL, x509_vfy.h (X509_V_ERR_…) and ssl_err.c (alerts).
"""

from __future__ import annotations

import ssl

__all__ = ["closed_before_answer", "describe_error", "describe_refusal", "describe_takeover"]

_LOG = "see the broker's log"
_CURES = {
    "Bad user name or password": "check user name and password",
    "Not authorized": "check user name and password",
    "Bad authentication method": "check user name and password",
    "Client identifier not valid": "the broker must allow its client id, or choose another topic prefix in --mqtt",
    "Banned": f"the broker has banned this client; {_LOG}",
    "QoS not supported": "events need QoS 1; allow it in the broker (Mosquitto: max_qos 2)",
    "Packet too large": "allow larger packets in the broker (Mosquitto: max_packet_size)",
    "Quota exceeded": f"the broker limits its clients or messages; {_LOG}",
    "Connection rate exceeded": f"the broker limits its connections; {_LOG}",
    "Server unavailable": "the broker is not ready; wait, or see its log",
    "Server busy": "the broker is not ready; wait, or see its log",
    "Use another server": "the broker moved; change --mqtt",
    "Server moved": "the broker moved; change --mqtt",
}

_CLOCK = "check this machine's clock (timedatectl)"
_UNTRUSTED = "--mqtt-ca takes the certificate of the authority that signed the broker's"
_VERIFY_CURES = {
    9: f"it is not valid yet: {_CLOCK}",
    10: f"it has expired: renew it, or {_CLOCK}",
    18: _UNTRUSTED,
    19: _UNTRUSTED,
    20: _UNTRUSTED,
    21: _UNTRUSTED,
    62: "it is for another host name: write the name of the certificate in --mqtt",
    64: "it is not for this IP address: write the name of the certificate in --mqtt",
}
_OWN_CERTIFICATE = "the broker needs a client certificate: --mqtt-cert and --mqtt-key"
_ALERT_CURES = {
    "WRONG_VERSION_NUMBER": "this port has no TLS; write mqtt://, or use the broker's port for TLS",
    "HTTP_REQUEST": "this port has no TLS; write mqtt://, or use the broker's port for TLS",
    "RECORD_LAYER_FAILURE": "this port has no TLS; write mqtt://, or use the broker's port for TLS",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _OWN_CERTIFICATE,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": _OWN_CERTIFICATE,
    "TLSV1_ALERT_UNKNOWN_CA": "the broker does not trust the client certificate (--mqtt-cert)",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the broker does not accept the client certificate (--mqtt-cert)",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the client certificate (--mqtt-cert) has expired",
    "UNSUPPORTED_PROTOCOL": "the broker offers only old versions of TLS",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the broker offers only old versions of TLS",
}


def describe_refusal(reason: str) -> str:
    """Return the line for a CONNACK with a failure code, by its name."""
    return f"the broker refuses the connection: {reason}; {_CURES.get(reason, _LOG)}"


def describe_takeover(client_id: str, prefix: str) -> str:
    """Return the line for a connection that another program with the same client id ended."""
    return (
        f"another program connects under the same client id ({client_id}), and each ends the connection of the other; "
        f"give each camera a topic prefix of its own: --mqtt mqtt://HOST/{prefix}-2"
    )


def closed_before_answer(*, tls: bool, own_certificate: bool) -> str:
    """Return the line for a connection that the broker closed without an answer."""
    if not tls:
        return "the broker closes the connection without an answer; if this is its port for TLS, write mqtts://"
    if own_certificate:
        return "the broker closes the connection without an answer; does it trust the client certificate (--mqtt-cert)?"
    return (
        "the broker closes the connection without an answer; perhaps this port has no TLS (write mqtt://), or "
        f"{_OWN_CERTIFICATE}"
    )


def describe_error(error: Exception) -> str:
    """Return the line for an exception of the network, the name service, TLS or paho."""
    if isinstance(error, ssl.SSLCertVerificationError):
        cure = _VERIFY_CURES.get(error.verify_code)
        more = f" ({cure})" if cure else ""
        return f"its certificate is not trusted: {error.verify_message}; check --mqtt-ca and the host name{more}"
    if isinstance(error, ssl.SSLError):
        cure = _ALERT_CURES.get(error.reason or "", "check the port")
        return f"the TLS handshake failed; {cure}"
    if isinstance(error, OSError):
        return f"cannot be reached: {error.strerror or error}"
    return str(error) or type(error).__name__
