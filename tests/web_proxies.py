"""Real nginx and Caddy on loopback, with the configurations of docs/web.md."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import REPOSITORY, skip_or_fail
from mqtt_broker import free_port

__all__ = ["caddy", "documented", "nginx", "nginx_location"]

_NGINX = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {server}
}}
"""


def documented(language: str) -> str:
    """Return the only block of this language in docs/web.md."""
    text = (REPOSITORY / "docs" / "web.md").read_text()
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return block


def nginx_location(*lines: str, path: str = "/", passed: str = "") -> str:
    """Return an nginx server without TLS that passes ``path`` on, with further lines; see :func:`nginx`."""
    directives = " ".join(f"{line};" for line in lines)
    return f"server {{ listen PORT; location {path} {{ proxy_pass http://127.0.0.1:8080{passed}; {directives} }} }}"


@contextmanager
def nginx(folder: Path, server: str, target_port: int) -> Iterator[int]:
    """Run nginx before a preview on ``target_port``, and yield its port.

    ``server`` listens on ``PORT`` or ``443``, passes on to 127.0.0.1:8080, and has its certificate in /etc/ssl/.
    """
    program = _program("nginx")
    port = free_port()
    server = server.replace("listen PORT", f"listen 127.0.0.1:{port}").replace("listen 443", f"listen 127.0.0.1:{port}")
    server = server.replace("127.0.0.1:8080", f"127.0.0.1:{target_port}").replace("/etc/ssl/camera", f"{folder}/camera")
    if "ssl_certificate" in server:
        _create_certificate(folder)
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, server=server))
    with _running([program, "-p", str(folder), "-e", f"{folder}/error.log", "-c", str(config)], folder, port):
        yield port


@contextmanager
def caddy(folder: Path, site: str, target_port: int) -> Iterator[int]:
    """Run Caddy without TLS before a preview on ``target_port``, and yield its port."""
    program = _program("caddy")
    port = free_port()
    site = site.replace("camera.example", f"http://127.0.0.1:{port}").replace(
        "127.0.0.1:8080", f"127.0.0.1:{target_port}"
    )
    config = folder / "Caddyfile"
    config.write_text(f"{{\n\tadmin off\n}}\n{site}")
    with _running([program, "run", "--config", str(config), "--adapter", "caddyfile"], folder, port):
        yield port


def _program(name: str) -> str:
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if program is None:
        skip_or_fail(f"{name} is not installed")
    assert program is not None
    return program


def _create_certificate(folder: Path) -> None:
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "camera.key",
        "-out",
        "camera.pem",
    ]
    options = ["-days", "2", "-subj", "/CN=camera.example"]
    subprocess.run([*command, *options], cwd=folder, check=True, capture_output=True, timeout=60)


@contextmanager
def _running(command: list[str], folder: Path, port: int) -> Iterator[None]:
    log = folder / "proxy.log"
    environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin"}
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file, env=environment) as process:
        try:
            end = time.monotonic() + 30
            while True:
                assert process.poll() is None, log.read_text()
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    assert time.monotonic() < end, log.read_text()
                    time.sleep(0.02)
            yield
        finally:
            process.terminate()
            process.wait(30)
