"""Secrets in messages, logs and reports."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge_ssd.cli import main
from edge_ssd.console.logs import log_to_stderr
from edge_ssd.console.redact import redact, redact_url

SECRET = "Zq9x7Kp4"

# URLs with SECRET in them, and what is shown.
URLS = {
    "rtsp://user:{}@10.0.0.1/x": "rtsp://user:***@10.0.0.1/x",
    "RTSP://user:{}@10.0.0.1:554/x": "RTSP://user:***@10.0.0.1:554/x",
    "rtsp://:{}@10.0.0.1/x": "rtsp://:***@10.0.0.1/x",
    "rtsp://user:{}@[fe80::1%25eth0]:554/x": "rtsp://user:***@[fe80::1%25eth0]:554/x",
    "rtsp://user:p@{}@10.0.0.1/x": "rtsp://user:***@10.0.0.1/x",
    "rtsp://user:{}@p@10.0.0.1/x": "rtsp://user:***@10.0.0.1/x",
    "rtsp://me@mail.example:{}@10.0.0.1/x": "rtsp://me@mail.example:***@10.0.0.1/x",
    "rtsp://user:{}/w?o#rd@10.0.0.1/x": "rtsp://user:***@10.0.0.1/x",
    "rtsp://user:p?key={}@10.0.0.1/x": "rtsp://user:***",
    "rtsp://user%3A{}@10.0.0.1/x": "rtsp://user%3A***@10.0.0.1/x",
    "rtsp://user:{}%40p@10.0.0.1/x": "rtsp://user:***@10.0.0.1/x",
    "rtsp://user:{}%40host/x": "rtsp://user:***@host/x",
    "rtsp%3A%2F%2Fuser%3A{}%40host%2Fx": "rtsp://user:***@host/x",
    "rtsp%253A%252F%252Fuser%253A{}%2540host%252Fx": "rtsp://user:***@host/x",
    "user:{}@host": "user:***@host",
    "user:{}@192.168.1.5:554/stream1": "user:***@192.168.1.5:554/stream1",
    "//user:{}@host/x": "//user:***@host/x",
    "rtsp:/user:{}@host/x": "rtsp:***@host/x",
    "rtsp//user:{}@host/x": "rtsp//user:***@host/x",
    "mqtt://user:{}@broker:1883/door": "mqtt://user:***@broker:1883/door",
    "mqtts://user:{}@broker": "mqtts://user:***@broker",
    "https://{}0123456789ABCDEF@host/x": "https://***@host/x",
    "http://cam/snap?pin={}": "http://cam/snap?pin=***",
    "http://cam/snap?PIN={}&x=1": "http://cam/snap?PIN=***&x=1",
    "http://cam/snap?x=1&userPin={}": "http://cam/snap?x=1&userPin=***",
    "http://cam/snap?%70in={}": "http://cam/snap?%70in=***",
    "http://cam/snap?pin%3D{}": "http://cam/snap?pin=***",
    "http://cam/cb?code={}&state=1": "http://cam/cb?code=***&state=1",
    "http://cam/v?token={}&fps=5": "http://cam/v?token=***&fps=5",
    "http://cam/v?key={}": "http://cam/v?key=***",
    "http://cam/v?api_key={}": "http://cam/v?api_key=***",
    "http://cam/v?apiKey={}": "http://cam/v?apiKey=***",
    "http://cam/v?password={}#x": "http://cam/v?password=***",
    "http://cam/v?password=a@{}": "http://cam/v?password=***",
    "http://cam:80/v?password=a@{}": "http://cam:***",
    "http://cam/v?usr=me&psd={}": "http://cam/v?usr=me&psd=***",
    "http://cam/v?contrasena={}": "http://cam/v?contrasena=***",
    "http://cam/v?Kennwort={}": "http://cam/v?Kennwort=***",
    "http://cam/v?PHPSESSID={}": "http://cam/v?PHPSESSID=***",
    "http://cam/v;password={}": "http://cam/v;password=***",
    "http://cam/v?user=me&pwd={}": "http://cam/v?user=me&pwd=***",
    "http://cam/v?loginuse=me&loginpas={}": "http://cam/v?loginuse=me&loginpas=***",
    "rtsp://cam/user=admin_password={}_channel=1.sdp": "rtsp://cam/user=admin_password=***",
    "http://cam/v#access_token={}&state=1": "http://cam/v#access_token=***&state=1",
    "https://a.blob.core.windows.net/c/b?sv=2020&sig={}%3D": "https://a.blob.core.windows.net/c/b?sv=2020&sig=***",
    "https://b.s3.amazonaws.com/k?X-Amz-Signature={}": "https://b.s3.amazonaws.com/k?X-Amz-Signature=***",
    "https://b.s3.amazonaws.com/k?X-Amz-Credential={}&X-Amz-Date=1": (
        "https://b.s3.amazonaws.com/k?X-Amz-Credential=***&X-Amz-Date=1"
    ),
    "https://b.s3.amazonaws.com/k?X-Amz-Security-Token={}": "https://b.s3.amazonaws.com/k?X-Amz-Security-Token=***",
    "https://b.s3.amazonaws.com/k?AWSAccessKeyId={}&Signature={}": (
        "https://b.s3.amazonaws.com/k?AWSAccessKeyId=***&Signature=***"
    ),
    "https://storage.googleapis.com/b/k?X-Goog-Signature={}": "https://storage.googleapis.com/b/k?X-Goog-Signature=***",
    "http://cam/v?url=rtsp%3A%2F%2Fu%3A{}%40h%2Fx": "http://cam/v?url=rtsp:***@h/x",
    "http://cam/v?next=%2Fx%3Ftoken%3D{}": "http://cam/v?next=/x?token=***",
}

TEXTS = {
    "Authorization: Basic {}": "Authorization: ***",
    "authorization:Bearer {}": "authorization:***",
    'GET /\r\nProxy-Authorization: Digest username="a", response="{}"\r\nHost: h': (
        "GET /\r\nProxy-Authorization: ***\r\nHost: h"
    ),
    "X-Api-Key: {}": "X-Api-Key: ***",
    "authorization=Bearer {}": "authorization=*** ***",
    "Cookie: session={}; a=b": "Cookie: ***",
    "Set-Cookie: sid={}; HttpOnly": "Set-Cookie: ***",
    '{{"password": "{}"}}': '{"password": "***"}',
    '{{"access_token":"{}","expires_in":60}}': '{"access_token":"***","expires_in":60}',
    '{{"pin": 12{}, "x": 1}}': '{"pin": ***, "x": 1}',
    "{{'secret': 'a \\'{}'}}": "{'secret': '***'}",
    '{{"password":"a@{}","x":1}}': '{"password":***,"x":1}',
    'password = "my {}"': 'password = "***"',
    "web_token='{}'": "web_token='***'",
    "password: {}": "password: ***",
    "the server got Bearer {}== from us": "the server got Bearer *** from us",
    "a token eyJhbGciOi.{}.sig-nature here": "a token *** here",
    "cannot open 'rtsp://user:my {}@host/x' now": "cannot open 'rtsp://user:***@host/x' now",
    "bad (user:{}@host), and http://cam/?pin={}; check it": "bad (user:***@host), and http://cam/?pin=***; check it",
    "unrecognized arguments: --sorce=rtsp://u:{}@h/x": "unrecognized arguments: --sorce=rtsp://u:***@h/x",
}

KEPT = [
    "",
    "http://user@10.0.0.1/x",
    "http://10.0.0.1:80/x?width=640&codec=h264",
    "http://10.0.0.5:8080/cam?user=me%40home.example",
    "rtsp://[fe80::1]:554/x",
    "/data/my photos/a=b 50%.jpg",
    "keyboard: 12 boxes",
    "check user and password (rtsp://USER:PASSWORD@…)",
    "config.toml: there is no setting 'kee'; did you mean 'key'?",
    "--mqtt-password-file: there is no --mqtt URL",
    "--mqtt: a password needs a user; write mqtt://USER@broker:1883",
    "AP=0.5 lr=0.1 (mean ± 0.2)",
    "mqtt-password-file=/etc/secret",
]


@pytest.mark.parametrize(("url", "shown"), URLS.items())
def test_secret_of_a_url_is_hidden(url: str, shown: str) -> None:
    url = url.format(SECRET, SECRET)
    assert redact_url(url) == shown
    assert redact(url) == shown
    assert redact(f"camera: cannot open {url}: no response; check it") == (
        f"camera: cannot open {shown}: no response; check it"
    )
    assert redact_url(shown) == shown


@pytest.mark.parametrize(("text", "shown"), TEXTS.items())
def test_secret_of_a_message_is_hidden(text: str, shown: str) -> None:
    assert redact(text.format(SECRET, SECRET)) == shown
    assert redact(shown) == shown


@pytest.mark.parametrize("text", KEPT)
def test_text_without_secrets_is_kept(text: str) -> None:
    assert redact(text) == text
    if " " not in text:
        assert redact_url(text) == text


@pytest.mark.parametrize("name", ["secret", "password", "token", "api-key", "authorization", "x-api-key", "cookie"])
def test_message_about_a_file_with_the_name_of_a_secret_is_kept(
    name: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    message = f"{name}: no such file (rtsp://user:{SECRET}@host/x)"
    shown = f"{name}: no such file (rtsp://user:***@host/x)"
    assert redact(message, [name]) == shown
    assert redact(f"--file {message}", [name]) == f"--file {shown}"
    assert SECRET not in redact(f"{name}: {SECRET}\n{name}: {SECRET}", ["another"])
    assert SECRET not in redact(f"{name}: is empty\n{name}: {SECRET}", [name])
    with log_to_stderr(logging.INFO):
        logging.getLogger("edge_ssd.test").warning("%s: is readable", Path(name))
        logging.getLogger("edge_ssd.test").warning("%s: %s", name, SECRET)
    assert capsys.readouterr().err == f"edge-ssd: warning: {name}: is readable\nedge-ssd: warning: {name}: ***\n"
    assert main(["inspect", name]) == 2
    assert "***" not in capsys.readouterr().err


ANY = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
WORD = st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), max_size=12)


@given(
    st.sampled_from(["rtsp://user:{}@host/x", "user:{}@host", "http://:{}@[::1]:80/?x=1", "mqtt://a@b:{}@h"]), ANY, ANY
)
@example("rtsp://user:{}@host/x", "%3A//", "?pin=&x")
@example("user:{}@host", "", "%40%2540://")
def test_password_of_a_url_never_occurs(template: str, before: str, after: str) -> None:
    for secret in (before + SECRET + after, quote(before + SECRET + after), quote(quote(before + SECRET + after))):
        assert SECRET not in redact_url(template.format(secret))


@given(
    st.sampled_from(["rtsp://user:{}@host/x", "user:{}@host", "http://:{}@[::1]:80/?x=1", "--source=u:{}@h"]),
    WORD,
    WORD,
)
@example("user:{}@host", '"key":\'', "'")
def test_password_in_a_message_never_occurs(template: str, before: str, after: str) -> None:
    url = template.format(before + SECRET + after)
    assert SECRET not in redact(f"cannot open {url}: it's away; the user's network?")
    assert SECRET not in redact(f"{url!r} is away")
    assert SECRET not in redact(json.dumps({"source": url}))


@given(st.sampled_from(["pin", "sig", "code", "token", "access_token", "X-Amz-Signature", "loginpas"]), WORD, WORD)
def test_secret_parameter_never_occurs(name: str, before: str, after: str) -> None:
    value = quote(before + SECRET + after)
    encoded_name = "".join(f"%{ord(letter):02x}" for letter in name)
    for url in (f"http://h/?a=1&{name}={value}&b=2", f"http://h:80/x#{name}={value}", f"h/?{encoded_name}={value}"):
        assert SECRET not in redact_url(url)
        assert SECRET not in redact(f"opening {url}, retrying")
        assert SECRET not in redact(f"opening {quote(url)}, retrying")


@given(st.text())
def test_any_text_can_be_redacted(text: str) -> None:
    assert isinstance(redact(text), str)
    assert redact_url(redact_url(text)) == redact_url(text)


@pytest.mark.parametrize(
    "part", ["a", "=", "key=", "x-key-", "'", '"k":', "eyJ", "eyJa.", "%25", "://", "a:b@", "pin = '", "bearer ", ": "]
)
def test_long_text_is_redacted_in_linear_time(part: str) -> None:
    start = time.perf_counter()
    redact(part * (200_000 // len(part)) + "@=")
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("url", ["rtsp://user:my {}@host/x", "http://cam/?pin={}", "user:{}@host"])
def test_commands_and_logs_show_no_secret(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    url = url.format(SECRET)
    assert main(["detect", "--source", f"{url}.jpg"]) == 2
    assert main(["detect", "--mdoel", url]) == 2
    assert main(["bench", "--source", url]) == 2
    assert main(["camera", "--headless", f"--sorce={url}"]) == 2
    assert main(["camera", "--headless", "--mqtt", url]) == 2
    assert main(["data", "inspect", url]) == 2
    assert main([url]) == 2
    with log_to_stderr(logging.INFO):
        logging.getLogger("edge_ssd.test").warning("cannot open %r", url)
    captured = capsys.readouterr()
    assert SECRET not in captured.err
    assert captured.err.count("***") >= 6
    assert SECRET not in captured.out


@pytest.mark.parametrize("option", ["--token", "--web-token", "--mqtt-password", "--pin", "-api_key"])
def test_value_of_an_unknown_secret_option_is_hidden(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["camera", "--headless", option, SECRET]) == 2
    assert main(["data", "inspect", "folder", option, SECRET]) == 2
    error = capsys.readouterr().err
    assert SECRET not in error
    assert error.count(f"{option} ***") == 2


def test_value_of_another_unknown_option_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["camera", "--snapshots", "a.jpg", "--frames", "5"]) == 2
    assert "--snapshots a.jpg --frames 5" in capsys.readouterr().err
