"""A phone that is signed in by a link or its QR code, and the pages without scripts, in a real browser (Chromium)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import cv2
import numpy as np
import pytest
from clocks import Clock
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from web_browser import DESKTOP, PHONE, accessibility_faults, colors, fits_width, live, page_size, text, wait
from web_camera import Camera
from web_client import SECRET, request, write_token

from device_apps.web.options import WebCamera, open_web_cameras

PAGE_URL = "https://camera.example/cam1"


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[Camera]:
    token = write_token(tmp_path_factory.mktemp("token"))
    with Camera("--web-token-file", str(token), "--web-url", PAGE_URL, clock=clock) as camera:
        yield camera


def new_link(port: int) -> str:
    """Return a link to the server itself, where the test has no proxy."""
    answer = request(port, "/api/login-link", "POST", b"", Authorization=f"Bearer {SECRET}")
    return answer.json["url"].replace(PAGE_URL, f"http://127.0.0.1:{port}")


def shown(browser: webdriver.Chrome, name: str) -> bool:
    return browser.find_element(By.ID, name).is_displayed()


def value(browser: webdriver.Chrome) -> str:
    return browser.find_element(By.ID, "phone-link").get_attribute("value")


def open_dialog(browser: webdriver.Chrome) -> str:
    """Open the dialog by keyboard and return its link."""
    wait(browser, lambda b: shown(b, "open-phone"))
    browser.find_element(By.ID, "open-phone").send_keys(Keys.ENTER)
    return wait(browser, lambda b: shown(b, "phone-code") and value(b))


def scan(browser: webdriver.Chrome) -> str:
    """Return what a phone reads from the QR code on the screen."""
    png = browser.find_element(By.ID, "phone-code").screenshot_as_png
    return cv2.QRCodeDetector().detectAndDecode(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR))[0]


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_link_of_the_page_signs_in_another_device(
    browser: webdriver.Chrome, camera: Camera, size: tuple[int, int]
) -> None:
    browser.get_log("browser")
    with page_size(browser, size):
        browser.get(camera.url)
        assert browser.current_url == f"{camera.url}/login"
        browser.get(new_link(camera.port))
        wait(browser, live)
        url = open_dialog(browser)
        assert url.startswith(f"{PAGE_URL}/login#")
        assert scan(browser) == url
        assert "for 5 min 0 s" in text(browser, "phone-time") or "for 4 min 59 s" in text(browser, "phone-time")
        for scheme in ("light", "dark"):
            with colors(browser, scheme):
                assert accessibility_faults(browser) == []
        assert fits_width(browser)
        browser.find_element(By.ID, "phone-new").click()
        newer = wait(browser, lambda b: value(b) not in ("", url) and value(b))
        browser.find_element(By.ID, "phone-link").send_keys(Keys.ESCAPE)
        assert not shown(browser, "phone")
        assert value(browser) == "", "it stays nowhere in the page"
        assert browser.switch_to.active_element.get_attribute("id") == "open-phone"
        # On the phone.
        link = newer.replace(PAGE_URL, camera.url)
        browser.delete_all_cookies()
        browser.get(link)
        wait(browser, live)
        assert browser.current_url == f"{camera.url}/"
        browser.back()
        assert "#" not in browser.current_url
        # On a second one.
        browser.delete_all_cookies()
        browser.get("about:blank")
        browser.get(link)
        wait(browser, lambda b: "This link has been used already." in b.find_element(By.CLASS_NAME, "error").text)
        assert accessibility_faults(browser) == []
        assert browser.current_url == f"{camera.url}/login"
        browser.find_element(By.ID, "token").send_keys(SECRET, Keys.ENTER)
        wait(browser, live)
        browser.delete_all_cookies()
    messages = [entry["message"] for entry in browser.get_log("browser")]
    assert not [line for line in messages if "Content Security Policy" in line or "Uncaught" in line]


def test_page_says_when_a_link_has_expired_or_was_not_made(
    browser: webdriver.Chrome, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.get(new_link(camera.port))
    open_dialog(browser)
    browser.execute_script("showLink({ url: 'x', valid_s: 0.2, qr: null, hint: 'for a QR code: …' })")
    assert not shown(browser, "phone-code")
    assert text(browser, "phone-hint") == "For a QR code: …"
    wait(browser, lambda b: text(b, "phone-answer") == "The link has expired.")
    assert not shown(browser, "phone-valid")
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/api/login-link"]})
    try:
        browser.find_element(By.ID, "phone-new").click()
        wait(browser, lambda b: text(b, "phone-answer") == "No link was made: the camera does not answer.")
    finally:
        browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
        browser.execute_cdp_cmd("Network.disable", {})
    browser.find_element(By.ID, "phone-new").click()
    wait(browser, value)
    browser.find_element(By.ID, "phone-close").click()
    assert not shown(browser, "phone")
    browser.delete_all_cookies()


def test_expired_link_is_refused(browser: webdriver.Chrome, camera: Camera, clock: Clock) -> None:
    link = new_link(camera.port)
    clock.now += 300
    browser.get("about:blank")
    browser.get(link)
    wait(browser, lambda b: "expired: it was valid for 5 minutes." in b.find_element(By.CLASS_NAME, "error").text)


def test_pages_of_several_cameras_make_links(browser: webdriver.Chrome, camera: Camera) -> None:
    with ExitStack() as stack:
        door = WebCamera("Front door", "front_door", camera.source, camera.detector, camera.stats, None, None)
        before = len(camera.log)
        open_web_cameras(camera.args, [door], stack)
        (line,) = camera.log[before:]
        port = int(line.partition("127.0.0.1:")[2].partition("/")[0])
        browser.get(new_link(port))
        for path in ("", "cameras/front_door/"):
            browser.get(f"http://127.0.0.1:{port}/{path}")
            assert open_dialog(browser).startswith(f"{PAGE_URL}/login#"), "one login is for all"
            assert accessibility_faults(browser) == []
        browser.delete_all_cookies()


def test_pages_without_scripts_say_what_there_is(browser: webdriver.Chrome, camera: Camera) -> None:
    browser.get(new_link(camera.port))
    wait(browser, live)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(camera.url)
        notice = browser.find_element(By.CSS_SELECTOR, "noscript .notice")
        assert notice.text.startswith("Without JavaScript this page shows the image alone, which may be old.")
        image = browser.find_element(By.CSS_SELECTOR, "noscript img")
        wait(browser, lambda b: image.get_property("naturalWidth") == 480)
        browser.delete_all_cookies()
        browser.get(camera.url)
        assert "needs JavaScript; the token does not." in browser.find_element(By.TAG_NAME, "noscript").text
        browser.find_element(By.ID, "token").send_keys(SECRET, Keys.ENTER)
        wait(browser, lambda b: b.current_url == f"{camera.url}/")
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        browser.delete_all_cookies()


def test_full_screen_shows_the_state(browser: webdriver.Chrome, camera: Camera) -> None:
    browser.get(new_link(camera.port))
    wait(browser, live)
    assert not shown(browser, "badge")
    browser.find_element(By.ID, "full").click()
    try:
        wait(
            browser,
            lambda b: b.execute_script("return document.fullscreenElement?.contains(document.getElementById('badge'))"),
        )
        assert (shown(browser, "badge"), text(browser, "badge")) == (True, "Live")
        camera.source.lost = True
        wait(browser, lambda b: text(b, "badge") == "Reconnecting")
        box = browser.find_element(By.ID, "badge").rect
        assert box["y"] + box["height"] <= browser.execute_script("return innerHeight")
        assert "The source is lost" in text(browser, "veil")
    finally:
        camera.source.lost = False
        browser.find_element(By.ID, "full").click()
        browser.delete_all_cookies()
    wait(browser, lambda b: not b.execute_script("return document.fullscreenElement"))
