"""Accessibility of the pages in a real browser (Chromium), by axe-core and at large text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from web_browser import DESKTOP, PHONE, accessibility_faults, colors, fits_width, lines, live, page_size, text, wait
from web_camera import Camera, RecentEvents, SeenEvent
from web_client import request as http_request
from web_client import write_token


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Camera]:
    with Camera(events=RecentEvents(), zones=tmp_path_factory.mktemp("zones") / "zones.toml") as camera:
        for number in range(40):
            camera.events.add(SeenEvent("enter", number, "banana"))
        yield camera


@pytest.fixture(params=[PHONE, DESKTOP], ids=["phone", "desktop"])
def page(request: pytest.FixtureRequest, browser: webdriver.Chrome, camera: Camera) -> Iterator[webdriver.Chrome]:
    with page_size(browser, request.param):
        browser.get(camera.url)
        wait(browser, live)
        wait(browser, lambda b: len(lines(b, "#stages tr")) > 3 and len(lines(b, "#recent li")) >= 40)
        browser.execute_script("document.getElementById('detector').open = true")
        yield browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_has_no_fault(page: webdriver.Chrome, scheme: str) -> None:
    with colors(page, scheme):
        assert accessibility_faults(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_login_page_has_no_fault(browser: webdriver.Chrome, tmp_path: Path, scheme: str) -> None:
    with colors(browser, scheme), Camera("--web-token-file", str(write_token(tmp_path))) as camera:
        browser.get(camera.url)
        assert accessibility_faults(browser) == []


def test_text_of_twice_the_size_needs_no_scrolling_sideways(page: webdriver.Chrome) -> None:
    page.execute_script("document.documentElement.style.fontSize = '200%'")
    assert fits_width(page)
    assert page.execute_script("return innerWidth") in (390, 1440), "a phone does not zoom out to fit"


def test_explanations_events_and_pause_are_reached_by_keyboard(page: webdriver.Chrome, camera: Camera) -> None:
    hint = page.find_element(By.CSS_SELECTOR, "#stages .hint")
    hint.send_keys(Keys.ENTER)
    assert "Resizing the frame" in text(page, "stages")
    assert hint.get_attribute("aria-expanded") == "true"
    links = page.find_elements(By.CSS_SELECTOR, "#recent a")
    page.find_element(By.ID, "event-period").send_keys(Keys.TAB)
    for key, place in ((None, 0), (Keys.ARROW_DOWN, 1), (Keys.END, -1), (Keys.ARROW_UP, -2)):
        if key is not None:
            page.switch_to.active_element.send_keys(key)
        assert page.switch_to.active_element == links[place]
    assert page.execute_script("return document.querySelector('#events .scroll').scrollTop > 0")
    assert page.find_element(By.ID, "recent-keys").is_displayed()
    page.switch_to.active_element.send_keys(Keys.TAB)
    assert not page.execute_script("return document.activeElement.closest('#events')"), "the list is one stop"
    page.execute_script("showRecent(events.map(({event}) => event).reverse())")  # As after a connection was lost.
    page.find_element(By.ID, "event-period").send_keys(Keys.TAB)
    assert page.switch_to.active_element == page.find_element(By.CSS_SELECTOR, "#recent a")
    said = "return document.getElementById('announced-state').textContent"
    page.execute_script("announceState('No new image')")
    wait(page, lambda b: b.execute_script("return newestState") == "Live")
    assert page.execute_script(said) in ("", "Live"), "what comes and goes is not said"
    pause = page.find_element(By.ID, "pause")
    pause.send_keys(Keys.ENTER)
    wait(page, lambda b: text(b, "state") == "Paused")
    image = page.find_element(By.ID, "image")
    assert (image.get_attribute("aria-label") or "").startswith("Image, not live (paused): ")
    assert text(page, "age").startswith("this image ")
    number = len(lines(page, "#recent li"))
    camera.events.add(SeenEvent("enter", 1000 + number, "banana"))
    pause.send_keys(Keys.ENTER)
    wait(page, lambda b: len(lines(b, "#recent li")) == number + 1)
    camera.events.add(SeenEvent("leave", 1000 + number, "banana", duration_s=2.0))
    script = "return document.getElementById('spoken').textContent"
    wait(page, lambda b: b.execute_script(script) == f"New: banana #{1000 + number} left after 2.0 s")


SCENE = """
const scene = document.getElementById("zone-scene");
scene.scrollIntoView({block: "center"});
return [scene.getBoundingClientRect(), innerWidth === 390];
"""


def press(browser: webdriver.Chrome, *path: tuple[float, float]) -> None:
    """Press at the first position, 0–1 of the live image, move over the others, and release: a finger on a phone."""
    scene, is_phone = browser.execute_script(SCENE)
    kind = "touch" if is_phone else "mouse"
    actions = ActionBuilder(browser, mouse=PointerInput(kind, kind), duration=0)
    places = [(scene["x"] + x * scene["width"], scene["y"] + y * scene["height"]) for x, y in path]
    actions.pointer_action.move_to_location(*map(int, places[0])).pointer_down()
    for place in places[1:]:
        actions.pointer_action.move_to_location(*map(int, place))
    actions.pointer_action.pointer_up()
    actions.perform()


def click(browser: webdriver.Chrome, selector: str) -> None:
    element = browser.find_element(By.CSS_SELECTOR, f"#zone-editor {selector}")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def points(browser: webdriver.Chrome) -> list[list[float]]:
    return browser.execute_script("return zoneEditor.draft.shape && zoneEditor.draft.shape.points")


def save_lines(camera: Camera, *saved: dict[str, Any]) -> None:
    """Save lines as another viewer."""
    body = json.dumps({"zones": [], "lines": saved, "masks": []}).encode()
    assert http_request(camera.port, "/api/zones", "PUT", body, Content_Type="application/json").status == 200


def test_zones_are_drawn_and_saved(page: webdriver.Chrome, camera: Camera) -> None:
    save_lines(camera)
    wait(page, lambda b: b.execute_script("return zones && !zones.zones.length && !zones.lines.length"))
    page.find_element(By.ID, "edit-zones").click()
    click(page, "[data-kind=zones]")
    corners = [(0.2, 0.2), (0.8, 0.2), (0.8, 0.8)]
    for corner in corners:
        press(page, corner)
    press(page, corners[0])
    assert points(page) == [pytest.approx(corner, abs=0.01) for corner in corners]
    press(page, (0.8, 0.8), (0.7, 0.75), (0.6, 0.7))
    assert points(page)[2] == pytest.approx([0.6, 0.7], abs=0.01)
    handle = page.switch_to.active_element
    assert handle.get_attribute("aria-label").startswith("Point 3 of zone 1: ")
    moved = points(page)[2]
    handle.send_keys(Keys.ARROW_LEFT)
    page.switch_to.active_element.send_keys(Keys.ARROW_LEFT)
    assert points(page)[2] == pytest.approx([moved[0] - 0.01, moved[1]])
    page.switch_to.active_element.send_keys(Keys.CONTROL, "z")
    assert points(page)[2] == moved, "both steps of the key are one"
    press(page, (0.5, 0.2), (0.5, 0.1))
    assert points(page)[1] == pytest.approx([0.5, 0.1], abs=0.01)
    page.switch_to.active_element.send_keys(Keys.DELETE)
    assert len(points(page)) == 3
    left = page.find_element(By.ID, "zone-x")
    left.clear()
    left.send_keys("40")
    assert points(page)[1][0] == 0.4
    name = page.find_element(By.ID, "zone-name")
    name.clear()
    name.send_keys("gate <1>")
    click(page, "[value=center]")
    page.find_element(By.CSS_SELECTOR, "[data-kind=lines]").send_keys(Keys.ENTER)
    page.switch_to.active_element.send_keys(Keys.SHIFT, Keys.ARROW_UP)
    click(page, "[data-kind=masks]")
    press(page, (0.1, 0.1))
    click(page, "#zone-save")
    assert text(page, "zone-problem").startswith("What is being drawn is not finished.")
    page.find_element(By.ID, "zone-scene").send_keys(Keys.ESCAPE)
    assert accessibility_faults(page) == []
    click(page, "#zone-save")
    wait(page, lambda b: text(b, "zone-note").startswith("Saved in "))
    saved = http_request(camera.port, "/api/zones").json
    (zone,) = saved["zones"]
    assert (zone["name"], zone["anchor"], zone["points"][0]) == (
        "gate <1>",
        "center",
        pytest.approx(corners[0], abs=0.01),
    )
    assert saved["lines"] == [{"name": "line 1", "points": [[0.3, 0.45], [0.7, 0.5]]}]
    assert saved["masks"] == []
    assert [zone.name for zone in camera.zones.active.shapes.zones] == ["gate <1>"]
    assert "gate <1>" in text(page, "zones")


def test_editor_keeps_the_focus_and_its_form_follows_its_points(page: webdriver.Chrome, camera: Camera) -> None:
    def focused() -> str:
        return page.execute_script("return document.activeElement.id || document.activeElement.textContent")

    def press_key(*keys: str) -> None:
        page.switch_to.active_element.send_keys(*keys)

    save_lines(camera)
    wait(page, lambda b: b.execute_script("return zones && !zones.zones.length && !zones.lines.length"))
    page.find_element(By.ID, "edit-zones").send_keys(Keys.ENTER)
    press_key(Keys.ENTER)
    for _ in range(4):
        press_key(Keys.TAB)
    assert page.execute_script("return !document.activeElement.closest('#zone-scene, #events')")
    page.execute_script("zoneEditor.scene.focusPoint(0)")
    press_key(Keys.ESCAPE)
    assert focused() == "zone 1"
    assert page.switch_to.active_element.get_attribute("aria-label") == "zone 1"
    press_key(Keys.ENTER)
    page.find_element(By.ID, "zone-name").send_keys(Keys.ESCAPE)
    assert focused() == "zone 1"
    press_key(Keys.ENTER)
    page.execute_script("zoneEditor.scene.focusPoint(1)")
    heights = "return ['zone-x', 'zone-name'].map((id) => document.getElementById(id).offsetHeight)"
    assert len(set(page.execute_script(heights))) == 1
    press_key(Keys.DELETE)
    assert "it cannot be deleted, as a zone has at least 3 points" in text(page, "zone-hint")
    page.find_element(By.ID, "zone-remove").send_keys(Keys.ENTER)
    assert focused() == "Zone"
    page.find_element(By.ID, "zone-undo").send_keys(Keys.ENTER, Keys.ENTER, Keys.ENTER)
    assert focused() == "zone-redo"
    page.find_element(By.ID, "zone-cancel").send_keys(Keys.ENTER)
    assert focused() == "edit-zones"


def test_refused_and_conflicting_zones_are_kept_in_the_editor(page: webdriver.Chrome, camera: Camera) -> None:
    save_lines(camera)
    wait(page, lambda b: b.execute_script("return zones && !zones.zones.length && !zones.lines.length"))
    page.find_element(By.ID, "edit-zones").click()
    click(page, "[data-kind=zones]")
    for corner in [(0.2, 0.2), (0.8, 0.8), (0.8, 0.2), (0.2, 0.8)]:
        press(page, corner)
    page.find_element(By.ID, "zone-scene").send_keys(Keys.ENTER)
    click(page, "#zone-save")
    wait(page, lambda b: "the polygon crosses itself" in text(b, "zone-problem"))
    save = page.find_element(By.ID, "zone-save")
    assert page.switch_to.active_element == save
    assert "zone-problem" in (save.get_attribute("aria-describedby") or "")
    page.find_element(By.ID, "zone-name").send_keys("!")
    assert text(page, "zone-problem") == "", "it may be mended"
    save_lines(camera, {"name": "belt", "points": [[0.1, 0.5], [0.9, 0.5]]})
    wait(page, lambda b: b.find_element(By.ID, "zone-conflict").is_displayed())
    assert len(points(page)) == 4
    assert save.get_attribute("aria-disabled") == "true"
    boxes = "const [a, b] = ['conflict', 'save'].map((id) => $(`zone-${id}`).getBoundingClientRect());"
    assert page.execute_script(f"{boxes} return b.top - a.bottom < 40 && a.top > 0 && b.bottom <= innerHeight")
    page.find_element(By.ID, "zone-keep-mine").send_keys(Keys.ENTER)
    assert page.switch_to.active_element == save
    page.execute_script("zoneEditor.showConflict(true)")
    click(page, "#zone-take-theirs")
    assert lines(page, "#zone-list li") == ["belt"]
    click(page, "#zone-cancel")
    assert not page.find_element(By.ID, "zone-editor").is_displayed()
