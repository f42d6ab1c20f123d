"""The page in a real browser (Chromium), with the shipped model on the shipped clip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from web_browser import IMAGE_STATE, lines, live, moves, text, wait
from web_camera import Camera, LoopedFrames, RecentEvents, SeenEvent
from web_client import SECRET, request, write_token

from device_apps.web.limits import WebLimits
from edge_ssd.errors import SettingError
from edge_ssd.runtime.bundle import read_bundle
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.shipped_models import find_model


@pytest.fixture(scope="module")
def camera() -> Iterator[Camera]:
    with Camera(events=RecentEvents()) as camera:
        yield camera


@pytest.fixture
def page(browser: webdriver.Chrome, camera: Camera) -> Iterator[webdriver.Chrome]:
    """The page of the camera, live."""
    browser.get_log("browser")
    browser.get(camera.url)
    wait(browser, live)
    yield browser
    camera.detector.configure(score_threshold=None)
    messages = [entry["message"] for entry in browser.get_log("browser")]
    assert not [line for line in messages if "Content Security Policy" in line or "Uncaught" in line]


def test_live_image_moves_and_shows_boxes(page: webdriver.Chrome) -> None:
    assert moves(page)
    wait(page, lambda b: b.execute_script(IMAGE_STATE)[1] > 100)
    assert text(page, "source") == "bananas.mp4"
    assert float(wait(page, lambda b: text(b, "fps").replace("–", ""))) > 0
    stages = [line.split() for line in lines(page, "#stages tr")]
    assert [row[0] for row in stages[:4]] == ["Preprocess", "Network", "Postprocess", "Detection"]
    assert all(float(row[-1]) >= float(row[-2]) >= 0 for row in stages)
    assert "Frames used" in text(page, "counts")
    assert "Memory" in text(page, "machine")


def test_statistics_are_updated(page: webdriver.Chrome) -> None:
    first = text(page, "counts")
    wait(page, lambda b: text(b, "counts") != first)


def green(browser: webdriver.Chrome) -> int:
    return browser.execute_script(IMAGE_STATE)[1]


def test_slider_changes_only_what_is_shown(page: webdriver.Chrome, camera: Camera) -> None:
    slider = page.find_element(By.ID, "show-score")
    wait(page, lambda b: slider.get_attribute("min") == slider.get_attribute("value") == "50")
    wait(page, lambda b: green(b) > 100)
    slider.send_keys(Keys.END)
    assert text(page, "shown") == "from 100 %"
    wait(page, lambda b: green(b) == 0)
    assert camera.detector.min_score_threshold == 0.5
    slider.send_keys(Keys.HOME)
    assert text(page, "shown") == "all, from 50 %"
    wait(page, lambda b: green(b) > 100)


def open_form(browser: webdriver.Chrome) -> None:
    browser.execute_script("document.getElementById('detector').open = true")


def enter_threshold(browser: webdriver.Chrome, percent: str) -> None:
    """Fill in the form and ask for the change, which waits for its confirmation."""
    open_form(browser)
    field = browser.find_element(By.ID, "threshold")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(percent, Keys.ENTER)


def answer_question(browser: webdriver.Chrome, value: str) -> None:
    wait(browser, lambda b: b.find_element(By.ID, "confirm").get_attribute("open"))
    browser.find_element(By.CSS_SELECTOR, f"#confirm button[value='{value}']").click()


def test_threshold_is_changed_after_a_confirmation_and_reset(page: webdriver.Chrome, camera: Camera) -> None:
    enter_threshold(page, "33")
    assert text(page, "question") == "Change the score threshold from 50 % to 33 %?"
    answer_question(page, "")
    # The browser tells the page that the dialog is closed in a later task.
    wait(page, lambda b: b.find_element(By.ID, "threshold").get_attribute("value") == "50")
    assert camera.detector.min_score_threshold == 0.5
    enter_threshold(page, "33")
    answer_question(page, "yes")
    wait(page, lambda b: text(b, "answer").startswith("In effect since "))
    assert text(page, "detector-now") == "33 %"
    assert camera.detector.min_score_threshold == 0.33
    page.find_element(By.ID, "reset").click()
    assert text(page, "question") == "Return to the model's own: 50 %?"
    answer_question(page, "yes")
    wait(page, lambda b: text(b, "detector-now") == "50 %")
    assert camera.detector.min_score_threshold == 0.5


def test_threshold_has_a_minimum(page: webdriver.Chrome, camera: Camera) -> None:
    enter_threshold(page, "0")
    assert page.execute_script("return document.getElementById('threshold').validity.rangeUnderflow")
    assert not page.find_element(By.ID, "confirm").get_attribute("open")
    assert "From 10 to 100 %. The model's own is 50 %." in text(page, "threshold-hint")


def test_settings_of_another_viewer_are_shown(page: webdriver.Chrome, camera: Camera) -> None:
    request(camera.port, "/api/settings", "POST", b'{"score_threshold": 0.33}', Content_Type="application/json")
    wait(page, lambda b: text(b, "detector-now") == "33 %")
    assert page.find_element(By.ID, "show-score").get_attribute("min") == "33"
    assert page.find_element(By.ID, "threshold").get_attribute("value") == "33"


def test_editor_of_zones_that_nothing_keeps_says_what_to_do(page: webdriver.Chrome) -> None:
    wait(page, lambda b: b.find_element(By.ID, "edit-zones").is_displayed())
    page.find_element(By.ID, "edit-zones").click()
    assert "start edge-ssd with --config camera.toml or --zones-file zones.toml" in text(page, "zone-note")
    assert not page.find_element(By.ID, "zone-editor").is_displayed()


def test_events_are_listed_newest_first_and_escaped(page: webdriver.Chrome, camera: Camera) -> None:
    label = "<img src=x onerror=document.title='gone'>"
    camera.events.add(SeenEvent("enter", 7, label))
    camera.events.add(SeenEvent("leave", 7, label, duration_s=2.25))
    wait(page, lambda b: len(b.find_elements(By.CSS_SELECTOR, "#recent li")) == 2)
    newest, oldest = lines(page, "#recent li")
    assert newest.startswith(f"{label} #7 left after 2.3 s")
    assert oldest.startswith(f"{label} #7 entered")
    page.refresh()
    wait(page, lambda b: len(b.find_elements(By.CSS_SELECTOR, "#recent li")) == 2)
    wait(page, lambda b: b.title == "bananas.mp4 – Edge SSD")  # It begins with "Starting" until an image is there.


def test_lost_source_is_shown_until_it_returns(page: webdriver.Chrome, camera: Camera) -> None:
    camera.source.lost = True
    wait(page, lambda b: text(b, "state") == "Reconnecting")
    assert "The source is lost" in text(page, "veil")
    camera.source.lost = False
    wait(page, live)


def test_hidden_page_stops_the_stream(page: webdriver.Chrome, camera: Camera) -> None:
    def viewers(_: object) -> int:
        return request(camera.port, "/api/stats").json["viewers"]

    wait(page, lambda b: viewers(b) == 1)
    original = page.current_window_handle
    page.switch_to.new_window("tab")
    try:
        wait(page, lambda b: viewers(b) == 0)
    finally:
        page.close()
        page.switch_to.window(original)
    wait(page, lambda b: viewers(b) == 1)
    assert moves(page)


@pytest.mark.parametrize(("width", "height"), [(390, 844), (320, 568), (844, 390)])
def test_page_fits_a_phone(page: webdriver.Chrome, camera: Camera, width: int, height: int) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        page.get(camera.url)
        wait(page, live)
        assert page.execute_script("return [document.documentElement.scrollWidth, innerWidth]") == [width, width]
        assert (
            page.execute_script("return document.getElementById('image').getBoundingClientRect().width") > width * 0.8
        )
        assert moves(page)
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_page_reconnects_after_a_restart(browser: webdriver.Chrome) -> None:
    with Camera() as first:
        browser.get(first.url)
        wait(browser, live)
        request(first.port, "/api/settings", "POST", b'{"score_threshold": 0.2}', Content_Type="application/json")
        wait(browser, lambda b: text(b, "detector-now") == "20 %")
    wait(browser, lambda b: text(b, "state") == "No connection")
    assert browser.execute_script(IMAGE_STATE)[0] != 0, "the last image stays"
    with Camera("--web", str(first.port)) as second:
        second.source.name = "another"
        wait(browser, lambda b: live(b) and text(b, "detector-now") == "50 %")
        assert moves(browser)
        assert second.stats.snapshot().frames > 0


def test_login_page_accepts_the_token(browser: webdriver.Chrome, tmp_path: Path) -> None:
    with Camera("--web-token-file", str(write_token(tmp_path)), events=RecentEvents()) as camera:
        browser.get(camera.url)
        assert browser.current_url == f"{camera.url}/login"
        browser.find_element(By.ID, "token").send_keys("not the token at all", Keys.ENTER)
        wait(browser, lambda b: b.find_element(By.CLASS_NAME, "error").text == "That is not the token.")
        browser.find_element(By.ID, "token").send_keys(SECRET, Keys.ENTER)
        wait(browser, lambda b: b.current_url == f"{camera.url}/")
        wait(browser, live)
        assert moves(browser)
        assert browser.execute_script("return document.cookie") == "", "no script can read it"
        (cookie,) = browser.get_cookies()
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Strict"
        camera.events.add(SeenEvent("enter", 1, "apple", score=0.9))
        address = f"{camera.url}/events?label=apple#{camera.events.recent[0].id}"
        browser.delete_all_cookies()
        browser.get(address)
        wait(browser, lambda b: "/login?next=" in b.current_url and b.find_element(By.ID, "token").is_displayed())
        browser.find_element(By.ID, "token").send_keys("not the token at all", Keys.ENTER)
        wait(browser, lambda b: b.find_element(By.CLASS_NAME, "error").text == "That is not the token.")
        browser.find_element(By.ID, "token").send_keys(SECRET, Keys.ENTER)
        wait(browser, lambda b: b.current_url == address)
        for place in (address, f"{camera.url}/login?next=%2F%2Fevil.example"):
            browser.execute_script("sessionStorage.clear()")
            browser.get(f"data:text/html,<a href='{place.replace('#', '%23')}'>link</a>")
            browser.find_element(By.TAG_NAME, "a").click()
            opened = address if place == address else f"{camera.url}/"
            wait(browser, lambda b, opened=opened: b.current_url == opened, 20)
        browser.get(address)
        browser.delete_all_cookies()
        browser.execute_script("signInAgain()")
        wait(browser, lambda b: "/login?next=" in b.current_url)
        browser.find_element(By.ID, "token").send_keys(SECRET, Keys.ENTER)
        wait(browser, lambda b: b.current_url == address)
        browser.get(camera.url)
        wait(browser, live)
        browser.find_element(By.CSS_SELECTOR, "#logout button").click()
        wait(browser, lambda b: b.current_url == f"{camera.url}/login")
        browser.get(camera.url)
        assert browser.current_url == f"{camera.url}/login"


def test_print_and_page_without_script(page: webdriver.Chrome) -> None:
    def is_shown(selector: str) -> bool:
        return page.find_element(By.CSS_SELECTOR, selector).is_displayed()

    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert (is_shown("#stages"), is_shown("#pause"), is_shown("#show-score")) == (True, False, False)
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    slider = page.find_element(By.ID, "show-score")
    assert slider.get_attribute("aria-valuetext") == text(page, "shown")
    assert "banana" in lines(page, "#event-class option"), "although no event is of it"
    page.execute_script("shown = null; showFrame = () => {}; showState()")
    assert text(page, "veil") == "Waiting for an image …"
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.refresh()
        script = "['main', '.notice'].map((name) => document.querySelector(name).offsetHeight)"
        heights = page.execute_cdp_cmd("Runtime.evaluate", {"expression": script, "returnByValue": True})
    finally:
        page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    dead, notice = heights["result"]["value"]
    assert dead == 0 < notice


def test_name_of_the_camera_is_shown(browser: webdriver.Chrome) -> None:
    with Camera("--name", "Front <door>") as camera:
        browser.get(camera.url)
        wait(browser, live)
        assert (text(browser, "name"), text(browser, "source")) == ("Front <door>", "bananas.mp4")
        assert browser.title == "Front <door> – Edge SSD"


def test_viewer_limit_is_shown(browser: webdriver.Chrome) -> None:
    with Camera(limits=WebLimits(max_viewers=0)) as camera:
        browser.get(camera.url)
        wait(browser, lambda b: text(b, "state") == "Waiting")
        assert text(browser, "veil") == "The viewer limit is reached. Retrying …"


class TwoClassDetector:
    """Fake detector that sees two classes in gray images."""

    labels = ("red", "blue")
    backend, num_threads = "two-classes", 1

    def __init__(self) -> None:
        self.bundle = read_bundle(find_model("fruit-small"))
        self.classes: tuple[str, ...] = self.labels
        self.min_score_threshold = 0.5
        self.timings = {"preprocess": 0.0, "invoke": 0.0, "postprocess": 0.0}

    @property
    def score_thresholds(self) -> dict[str, float]:
        return dict.fromkeys(self.labels, self.min_score_threshold)

    def configure(self, score_threshold: Any = ..., *, classes: Any = ...) -> None:
        if classes is not ...:
            if classes == []:
                raise SettingError("the model needs at least one class to look for")
            self.classes = self.labels if classes is None else tuple(classes)

    def detect(self, image: np.ndarray) -> Detections:
        objects = [
            (i, [60 + 200 * i, 60, 200 + 200 * i, 180]) for i, name in enumerate(self.labels) if name in self.classes
        ]
        return Detections(
            np.array([box for _, box in objects], np.float32).reshape(-1, 4),
            np.full(len(objects), 0.9, np.float32),
            np.array([i for i, _ in objects], np.int64),
            [self.labels[i] for i, _ in objects],
            (image.shape[0], image.shape[1]),
        )


def boxes(browser: webdriver.Chrome, parent: str) -> dict[str, Any]:
    return {box.get_attribute("value"): box for box in browser.find_elements(By.CSS_SELECTOR, f"#{parent} input")}


def test_classes_are_hidden_in_a_tab_or_not_detected_at_all(browser: webdriver.Chrome) -> None:
    frames = [np.full((240, 480, 3), value, np.uint8) for value in (60, 70, 80)]
    detector: Any = TwoClassDetector()
    with Camera(source=LoopedFrames(frames, 15), detector=detector) as camera:
        browser.get(camera.url)
        wait(browser, lambda b: live(b) and boxes(b, "show-classes"))
        wait(browser, lambda b: green(b) > 100)
        boxes(browser, "show-classes")["red"].click()
        wait(browser, lambda b: green(b) == 0)
        assert detector.classes == ("red", "blue"), "events go on"
        boxes(browser, "show-classes")["red"].click()
        wait(browser, lambda b: green(b) > 100)
        open_form(browser)
        boxes(browser, "classes")["red"].click()
        browser.find_element(By.ID, "apply").click()
        assert text(browser, "question") == "Change the classes to blue?"
        answer_question(browser, "yes")
        wait(browser, lambda b: text(b, "detector-now") == "50 %; blue only")
        assert detector.classes == ("blue",)
        wait(browser, lambda b: green(b) == 0)
        boxes(browser, "classes")["blue"].click()
        browser.find_element(By.ID, "apply").click()
        assert text(browser, "answer") == "At least one class is needed."
        browser.find_element(By.ID, "reset").click()
        answer_question(browser, "yes")
        wait(browser, lambda b: text(b, "detector-now") == "50 %")
        assert detector.classes == ("red", "blue")
        wait(browser, lambda b: green(b) > 100)
