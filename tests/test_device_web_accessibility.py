"""Accessibility of the pages in a real browser (Chromium), by axe-core and at large text."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from web_browser import lines, live, text, wait
from web_camera import Camera, RecentEvents, SeenEvent
from web_client import write_token

RUN_AXE = """
const done = arguments[0];
axe.run().then((result) => done(result.violations.map((fault) => [fault.id, fault.nodes.map((node) => node.html)])));
"""


@pytest.fixture(scope="module")
def camera() -> Iterator[Camera]:
    with Camera(events=RecentEvents()) as camera:
        for number in range(40):
            camera.events.add(SeenEvent("enter", number, "banana"))
        yield camera


@pytest.fixture(params=[(390, 844), (1440, 900)], ids=["phone", "desktop"])
def page(request: pytest.FixtureRequest, browser: webdriver.Chrome, camera: Camera) -> Iterator[webdriver.Chrome]:
    width, height = request.param
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(camera.url)
    wait(browser, live)
    wait(browser, lambda b: len(lines(b, "#stages tr")) > 3 and len(lines(b, "#recent li")) >= 40)
    browser.execute_script("document.getElementById('detector').open = true")
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def faults(browser: webdriver.Chrome) -> Any:
    browser.execute_script((files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8"))
    return browser.execute_async_script(RUN_AXE)


def use_colors(browser: webdriver.Chrome, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_has_no_fault(page: webdriver.Chrome, scheme: str) -> None:
    use_colors(page, scheme)
    try:
        assert faults(page) == []
    finally:
        use_colors(page, "")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_login_page_has_no_fault(browser: webdriver.Chrome, tmp_path: Path, scheme: str) -> None:
    use_colors(browser, scheme)
    try:
        with Camera("--web-token-file", str(write_token(tmp_path))) as camera:
            browser.get(camera.url)
            assert faults(browser) == []
    finally:
        use_colors(browser, "")


def test_text_of_twice_the_size_needs_no_scrolling_sideways(page: webdriver.Chrome) -> None:
    page.execute_script("document.documentElement.style.fontSize = '200%'")
    assert page.execute_script("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.execute_script("return innerWidth") in (390, 1440), "a phone does not zoom out to fit"


def test_explanations_events_and_pause_are_reached_by_keyboard(page: webdriver.Chrome, camera: Camera) -> None:
    hint = page.find_element(By.CSS_SELECTOR, "#stages .hint")
    hint.send_keys(Keys.ENTER)
    assert "Resizing the frame" in text(page, "stages")
    assert hint.get_attribute("aria-expanded") == "true"
    scroll = page.find_element(By.CSS_SELECTOR, "#events .scroll")
    scroll.send_keys(Keys.END)
    assert page.switch_to.active_element == scroll
    wait(page, lambda b: b.execute_script("return document.querySelector('#events .scroll').scrollTop > 0"))
    pause = page.find_element(By.ID, "pause")
    pause.send_keys(Keys.ENTER)
    wait(page, lambda b: text(b, "state") == "Paused")
    number = len(lines(page, "#recent li"))
    camera.events.add(SeenEvent("enter", 1000 + number, "banana"))
    pause.send_keys(Keys.ENTER)
    wait(page, lambda b: len(lines(b, "#recent li")) == number + 1)
    camera.events.add(SeenEvent("leave", 1000 + number, "banana", duration_s=2.0))
    script = "return document.getElementById('spoken').textContent"
    wait(page, lambda b: b.execute_script(script) == f"banana #{1000 + number} left after 2.0 s")
