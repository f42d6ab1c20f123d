"""A real browser (Chromium) for tests of the page, and what they read from it."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from conftest import skip_or_fail
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

__all__ = [
    "DESKTOP",
    "FLAGS",
    "IMAGE_STATE",
    "PHONE",
    "Relay",
    "accessibility_faults",
    "colors",
    "fits_width",
    "lines",
    "live",
    "moves",
    "open_browser",
    "page_size",
    "text",
    "wait",
]

DEADLINE_S = 60.0

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
    "--force-prefers-reduced-motion",  # An animation is drawn sixty times a second, in every window.
)

PHONE, DESKTOP = (390, 844), (1440, 900)
"""Sizes of pages in pixels."""

_RUN_AXE = """
const done = arguments[0];
axe.run().then((result) => done(result.violations.map((fault) => [fault.id, fault.nodes.map((node) => node.html)])));
"""

# A hash of the live image, and the number of its pixels in the green of the first class's boxes.
IMAGE_STATE = """
const canvas = document.getElementById("image");
if (canvas.width < 10) return [0, 0];
const bytes = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
let hash = 0, green = 0;
for (let i = 0; i < bytes.length; i += 4) {
  hash = (hash * 31 + bytes[i]) | 0;
  if (2 * bytes[i + 1] - bytes[i] - bytes[i + 2] > 300) green++;
}
return [hash, green];
"""


def open_browser(profile: Path) -> webdriver.Chrome:
    """Start Chromium with a new profile; skip or fail if it is not installed."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        skip_or_fail("chromium or chromedriver is not installed")
    options = Options()
    options.binary_location = str(chromium)
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(str(driver)))
    browser.set_page_load_timeout(DEADLINE_S)
    return browser


def wait(browser: webdriver.Chrome, condition: Callable[[webdriver.Chrome], Any], seconds: float = DEADLINE_S) -> Any:
    return WebDriverWait(browser, seconds, 0.1, [StaleElementReferenceException]).until(condition)


@contextmanager
def page_size(browser: webdriver.Chrome, size: tuple[int, int]) -> Iterator[None]:
    """Show pages at a size in pixels, such as :data:`PHONE`."""
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@contextmanager
def colors(browser: webdriver.Chrome, scheme: str) -> Iterator[None]:
    """Show pages in "light" or "dark" colors."""

    def use(value: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": value}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    use(scheme)
    try:
        yield
    finally:
        use("")


def accessibility_faults(browser: webdriver.Chrome) -> Any:
    """Return what axe-core finds in the page: the rule, and the elements."""
    browser.execute_script((files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8"))
    return browser.execute_async_script(_RUN_AXE)


def fits_width(browser: webdriver.Chrome) -> bool:
    """Return whether the page needs no scrolling sideways."""
    root = "document.documentElement"
    return bool(browser.execute_script(f"return {root}.scrollWidth <= {root}.clientWidth"))


def text(browser: webdriver.Chrome, name: str) -> str:
    return browser.find_element(By.ID, name).text


def lines(browser: webdriver.Chrome, selector: str) -> list[str]:
    """Return the text of each element, all read at the same moment."""
    script = "return [...document.querySelectorAll(arguments[0])].map((element) => element.innerText)"
    return browser.execute_script(script, selector)


def live(browser: webdriver.Chrome) -> bool:
    return text(browser, "state") == "Live"


def moves(browser: webdriver.Chrome) -> bool:
    """Wait for the image to change; False on timeout."""
    first = browser.execute_script(IMAGE_STATE)[0]
    return bool(wait(browser, lambda b: b.execute_script(IMAGE_STATE)[0] not in (0, first)))


class Relay:
    """A network between browser and preview: a TCP relay to ``port`` that can lose everything; a context manager.

    While ``broken`` is set no byte passes and connections stay open, as with a cable that was pulled.
    """

    def __init__(self, port: int) -> None:
        self.broken = threading.Event()
        self._target = port
        self._closed = threading.Event()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Relay:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._closed.set()
        self._listener.close()
        for connection in self._sockets:
            connection.close()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client = self._listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._sockets += client, server
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                while self.broken.is_set():
                    if self._closed.wait(0.02):
                        return
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return
