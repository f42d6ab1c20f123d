"""The page of events in a real browser (Chromium), with files on disk and a clip that plays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clocks import wait_until
from event_factory import LABELS, event
from kept_events import KeptEvents
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from web_browser import DESKTOP, PHONE, accessibility_faults, colors, fits_width, lines, page_size, text, wait
from web_camera import Camera, LoopedFrames, RecentEvents, clip_frames
from web_client import request

from device_apps.collect.collector import Collector
from device_apps.results import FrameResult
from device_apps.sources.frames import Frame
from device_apps.video_writer import VideoWriter
from edge_ssd.runtime.detections import Detections

HTML = "<img src=x onerror=document.title='gone'>"


def write_clip(path: Path) -> bytes:
    """Return a WebM of half a second."""
    with VideoWriter(path, 10, live=True) as writer:
        for number in range(5):
            image = clip_frames()[number]
            writer.write(FrameResult(Frame(image, number, number / 10, "clip"), Detections.empty(image.shape[:2]), {}))
    return path.read_bytes()


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Camera]:
    """Events: 60 without files, then those of KeptEvents, number 5 in a zone, then one with a label of HTML."""
    folder = tmp_path_factory.mktemp("events")
    older = [event(number, "leave", number, duration_s=1.5) for number in range(100, 160)]
    events = KeptEvents(folder, write_clip(folder / "clip.webm"), older)
    events.add(event(6, label=HTML))
    source = LoopedFrames(clip_frames()[:1], None)
    source.paused.set()
    with (
        Collector(folder / "collected", LABELS, dict, 10**7) as collector,
        Camera("--name", "Front <door>", source=source, events=events, collector=collector) as camera,
    ):
        yield camera
    events.close()


@pytest.fixture
def page(browser: webdriver.Chrome, camera: Camera) -> Iterator[webdriver.Chrome]:
    browser.get_log("browser")
    show(browser, camera)
    yield browser
    messages = [entry["message"] for entry in browser.get_log("browser")]
    assert not [line for line in messages if "Content Security Policy" in line or "Uncaught" in line]


def show(browser: webdriver.Chrome, camera: Camera, address: str = "") -> None:
    browser.get("about:blank")
    browser.get(f"{camera.url}/events{address}")
    wait(browser, lambda b: text(b, "state") == "Connected")


def titles(browser: webdriver.Chrome) -> list[str]:
    return lines(browser, "#list strong")


def choose(browser: webdriver.Chrome, name: str, value: str) -> None:
    Select(browser.find_element(By.ID, name)).select_by_value(value)


def is_open(browser: webdriver.Chrome) -> bool:
    return bool(browser.find_element(By.ID, "event").get_attribute("open"))


def spoken(browser: webdriver.Chrome) -> str:
    return browser.execute_script("return document.getElementById('spoken').textContent")


def test_events_are_listed_by_pages_and_escaped(page: webdriver.Chrome) -> None:
    assert len(titles(page)) == 48
    assert titles(page)[:2] == [f"{HTML} #1 entered", "apple #1 entered Bed"]
    assert (text(page, "name"), page.title) == ("Events – Front <door>",) * 2
    placeholder = "return getComputedStyle(document.querySelector('#list .image')).backgroundColor"
    assert page.execute_script(placeholder) == "rgb(230, 233, 228)", "not black, as an image at night"
    assert lines(page, "#list .more")[-3:] == ["75 % · Front <door>"] * 3
    assert "2026" in lines(page, "#list time")[0]
    for key, title in ((Keys.TAB, f"{HTML} #1"), (Keys.ARROW_DOWN, "apple #1"), (Keys.END, "banana #118")):
        at = page.switch_to.active_element if key != Keys.TAB else page.find_element(By.ID, "period")
        at.send_keys(key)
        assert page.switch_to.active_element.text.startswith(title)
    page.switch_to.active_element.send_keys(Keys.TAB)
    assert page.switch_to.active_element == page.find_element(By.ID, "more"), "the list is one stop"
    page.find_element(By.ID, "more").send_keys(Keys.ENTER)
    wait(page, lambda b: len(titles(b)) == 66)
    assert titles(page)[-1] == "banana #100 left after 1.5 s"
    assert not page.find_element(By.ID, "more").is_displayed()
    assert page.switch_to.active_element.text.startswith("banana #117 left"), "the first one that was added"
    assert spoken(page) == "18 older events shown"


def test_filter_is_applied_and_kept_in_the_address(page: webdriver.Chrome, camera: Camera) -> None:
    choose(page, "zone", "Bed")
    wait(page, lambda b: titles(b) == ["apple #1 entered Bed"])
    choose(page, "label", "banana")
    wait(page, lambda b: text(b, "nothing") == "No event matches.")
    assert page.current_url.endswith("/events?label=banana&zone=Bed")
    page.refresh()
    wait(page, lambda b: text(b, "nothing") == "No event matches.")
    choose(page, "zone", "")
    wait(page, lambda b: len(titles(b)) == 48)
    # The time of this device: the browser of the test has that of the machine.
    show(page, camera, "?period=range&from=2026-11-24T11:59&to=2026-11-24T12:00&label=banana&zone=gone")
    wait(page, lambda b: text(b, "nothing") == "No event matches.")
    assert page.find_element(By.ID, "from").get_attribute("value") == "2026-11-24T11:59"
    assert Select(page.find_element(By.ID, "zone")).first_selected_option.text == "gone"


def test_time_zone_of_the_device_is_used(page: webdriver.Chrome, camera: Camera) -> None:
    page.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Kolkata"})
    try:
        show(page, camera, "?period=range&from=2026-11-24T17:30&to=2026-11-24T17:30&label=apple")
        wait(page, lambda b: titles(b) == ["apple #1 entered Bed"])
        assert "5:30" in lines(page, "#list time")[0]
        assert text(page, "zone-of-time") == "Times in Asia/Calcutta"
        show(page, camera, "?period=range&from=2026-11-24T17:31")
        wait(page, lambda b: text(b, "nothing") == "No event matches.")
    finally:
        page.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": ""})


def test_dialog_shows_images_and_clip_by_keyboard(page: webdriver.Chrome, camera: Camera) -> None:
    show(page, camera, "#12ab-1")  # As links of Home Assistant.
    wait(page, is_open)
    assert text(page, "event-title") == "banana #1 entered"
    wait(page, lambda b: b.execute_script("return document.getElementById('snapshot').naturalWidth") == 600)
    assert page.find_element(By.ID, "snapshot").get_attribute("src").endswith("/12ab-1/snapshot.jpg")
    mark = (
        "const [image, mark] = ['snapshot', 'mark'].map((id) => document.getElementById(id).getBoundingClientRect());"
    )
    mark += "const rect = document.querySelector('#mark rect').getBoundingClientRect(), k = image.width / 600;"
    mark += "return [rect.left - image.left, rect.right - image.left].map((x) => Math.round(x / k))"
    left, right = page.execute_script(mark)
    assert (left, right) == pytest.approx((20 - 7, 90 + 7), abs=4), "the object of the event is marked"
    address = "showEvent({ ...shown, source: '/media/usb/2026-11-30/front-door/recording-of-the-day.mp4' });"
    address += "const [score, source] = ['#facts dd', '.address dd'].map((name) => document.querySelector(name));"
    address += "return [source.offsetHeight / score.offsetHeight, source.innerHTML]"
    number_of_lines, source = page.execute_script(address)
    assert number_of_lines == 1
    assert source == "/<wbr>media/<wbr>usb/<wbr>2026-11-30/<wbr>front-door/<wbr>recording-of-the-day.mp4"
    boxes = page.find_element(By.ID, "boxes")
    boxes.send_keys(Keys.SPACE)
    wait(page, lambda b: b.find_element(By.ID, "snapshot").get_attribute("src").endswith("snapshot.jpg?boxes=0"))
    boxes.send_keys(Keys.SPACE)
    wait(page, lambda b: b.execute_script("return document.getElementById('clip').readyState") > 0)
    assert page.execute_script("return document.getElementById('clip').duration") > 0.3
    assert page.find_element(By.ID, "clip").is_displayed()
    assert lines(page, "#files a") == ["Save image", "Save image without boxes", "Save clip"]
    page.find_element(By.ID, "newer").send_keys(Keys.ENTER)
    wait(page, lambda b: b.current_url.endswith("#12ab-2"))
    assert not boxes.is_displayed(), "there is no image without boxes"
    page.find_element(By.ID, "newer").send_keys(Keys.ENTER)
    wait(page, lambda b: b.current_url.endswith("#12ab-3"))
    assert text(page, "snapshot-problem") == "The image is no longer there: it was deleted, mostly to make room."
    assert text(page, "clip-problem") == "The clip is not there: it was deleted to make room, or could not be written."
    camera.events.history.update("12ab-3", snapshot=None, snapshot_lost=True)
    page.execute_script("refresh()")
    wait(page, lambda b: text(b, "snapshot-problem") == "The image was lost: the disk was full, or too slow.")
    assert not page.find_element(By.ID, "unjudged").is_displayed()
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    wait(page, lambda b: not is_open(b))
    assert page.current_url.endswith("/events")
    card = "return itemOf('12ab-3').element.firstChild === document.activeElement"
    assert page.execute_script(card), "that of the event that was shown last"
    first = page.find_element(By.CSS_SELECTOR, "#list .event")
    first.send_keys(Keys.ENTER)
    wait(page, is_open)
    page.back()
    wait(page, lambda b: not is_open(b))
    assert page.switch_to.active_element == first


def test_verdict_is_given_by_keyboard_shown_to_all_and_withdrawn(page: webdriver.Chrome, camera: Camera) -> None:
    assert camera.collector is not None
    show(page, camera, "#12ab-1")
    wait(page, is_open)
    wrong = page.find_element(By.ID, "wrong")
    wrong.send_keys(Keys.ENTER)
    wait(page, lambda b: text(b, "verdict-answer") == "Saved: wrong.")
    assert wrong.get_attribute("aria-pressed") == "true"
    assert page.switch_to.active_element == wrong
    assert "-000001-wrong.jpg. Press again to withdraw it." in text(page, "verdict-help")
    assert "75 % · Front <door> · clip · wrong" in lines(page, "#list .more")
    record = camera.events.history.get("12ab-1")
    assert record is not None
    assert record["verdict"] == "wrong"
    body = b'{"verdict": "right"}'  # As from another tab.
    request(camera.port, "/api/events/12ab-1/verdict", "POST", body, Content_Type="application/json")
    page.execute_script("refresh()")
    right = page.find_element(By.ID, "right")
    wait(page, lambda b: right.get_attribute("aria-pressed") == "true")
    camera.collector._max_bytes, before = 0, camera.collector._max_bytes
    right.send_keys(Keys.ENTER)
    wait(page, lambda b: text(b, "verdict-answer") == "Withdrawn.")
    right.send_keys(Keys.ENTER)
    wait(page, lambda b: "the images to train on have no room: 0 MB are reached" in text(b, "verdict-answer"))
    assert right.get_attribute("aria-pressed") == "false"
    camera.collector._max_bytes = before
    page.find_element(By.ID, "newer").click()
    wait(page, lambda b: b.current_url.endswith("#12ab-2"))
    assert not right.is_displayed()
    assert text(page, "unjudged").startswith("To say whether it is right: the event in which the object entered.")


def test_unknown_event_is_said(page: webdriver.Chrome, camera: Camera) -> None:
    show(page, camera, "#99zz-1")
    wait(page, lambda b: text(b, "missing").startswith("There is no such event; the newest "))
    assert spoken(page).startswith("there is no such event")
    assert not is_open(page)
    page.find_element(By.CSS_SELECTOR, "#list .event").send_keys(Keys.ENTER)
    wait(page, is_open)
    assert not page.find_element(By.ID, "missing").is_displayed()


def test_new_event_is_shown_and_said_and_its_clip_when_it_is_complete(page: webdriver.Chrome, camera: Camera) -> None:
    events: Any = camera.events
    clip = events.clips.clip_for(event(7), 0.0)
    camera.events.add(event(7, clip=clip))
    page.execute_script("refresh()")
    wait(page, lambda b: lines(b, "#list .more")[0] == "75 % · Front <door> · recording")
    wait(page, lambda b: spoken(b) == "New: banana #1 entered")
    page.execute_script("announceEvents([events[0].event])")
    assert page.execute_script("return announcedAt + SUMMARY_MS - performance.now()") > 10_000, "the next one waits"
    page.find_element(By.CSS_SELECTOR, "#list .event").click()
    wait(page, lambda b: text(b, "clip-problem") == "The clip is still being recorded.")
    clip.write_bytes(events.clip.read_bytes())
    events.clips._encoder.put(None)
    wait_until(lambda: not events.clips.is_recording(clip.name))
    page.execute_script("refresh()")
    wait(page, lambda b: b.execute_script("return document.getElementById('clip').readyState") > 0)
    assert text(page, "clip-problem") == ""


@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "light"), (DESKTOP, "dark")])
def test_page_has_no_fault_and_fits(page: webdriver.Chrome, camera: Camera, size: tuple[int, int], scheme: str) -> None:
    with page_size(page, size), colors(page, scheme):
        show(page, camera, "?period=range")
        assert accessibility_faults(page) == []
        page.execute_script("openEvent('12ab-1')")
        wait(page, is_open)
        assert accessibility_faults(page) == []
        page.execute_script("document.documentElement.style.fontSize = '200%'")
        assert fits_width(page)
        dialog = "return ['scrollWidth', 'clientWidth'].map((name) => document.getElementById('event')[name])"
        assert len(set(page.execute_script(dialog))) == 1
        assert page.execute_script("return innerWidth") == size[0], "a phone does not zoom out to fit"


def test_lost_program_is_said(browser: webdriver.Chrome) -> None:
    with Camera(events=RecentEvents()) as camera:
        browser.get(f"{camera.url}/events")
        wait(browser, lambda b: text(b, "nothing") == "Nothing yet.")
        assert lines(browser, "#label option") == ["all classes", "banana"], (
            "the classes of the model, before any event"
        )
    wait(browser, lambda b: text(b, "state") == "No connection")
