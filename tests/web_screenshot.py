"""Take a screenshot for the docs: python tests/web_screenshot.py [--zones | --several | --events | --event | --phone]

Without an option it is that of the live page in docs/web.md; --zones takes the editor in docs/zones.md, --several
three cameras in docs/cameras.md, one of which is away, --events and --event the list of events and one of them,
--phone the QR code of a login link.

The real command on a real stream of a shipped clip (photographs of fruit), in Chromium; a minute long, so that there
is something to see.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent))

from web_browser import FLAGS
from web_camera import ClipServer
from web_client import SECRET, request, write_token

REPOSITORY = Path(__file__).resolve().parent.parent
WIDTH, HEIGHT = 1240, 850
FPS = 15
CAMERAS = """\
[[cameras]]
name = "Kitchen"
source = "{url}"
[[cameras]]
name = "Market stall"
source = "{url}?2"
score-threshold = 0.85
[[cameras]]
name = "Garden"
source = "http://127.0.0.1:9/video"
"""
EVENTS = ("--leave-after", "0.4", "--clip-before", "2", "--clip-max-seconds", "8")  # More of them in a minute.
PAGE_URL = "http://192.168.1.20:8080"
# By the name of the image.
SCRIPTS = {
    "event": "openEvent(events.find(({ event: e }) => e.urls.verdict && e.urls.clip && !e.recording).event.id)",
    "zone-editor": "$('edit-zones').click(); document.querySelector('#zone-list button').click();",
    "phone": "$('open-phone').click();",
}
SIZES = {"web": (WIDTH, 1010), "cameras": (WIDTH, 440), "events": (WIDTH, 620), "phone": (560, 640)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    page = parser.add_mutually_exclusive_group()
    page.add_argument("--zones", action="store_true", help="edit the zones of docs/zones.md")
    page.add_argument("--several", action="store_true", help="the page of several cameras")
    page.add_argument("--events", action="store_true", help="the list of events")
    page.add_argument("--event", action="store_true", help="one of the events")
    page.add_argument("--phone", action="store_true", help="the QR code of a login link")
    parser.add_argument("--to", type=Path, help="default: the image in docs/images")
    parser.add_argument("--seconds", type=float, default=62, help="time before the screenshot is taken")
    args = parser.parse_args()
    names = {
        "zone-editor": args.zones,
        "cameras": args.several,
        "events": args.events,
        "event": args.event,
        "phone": args.phone,
    }
    name = next((name for name, is_asked in names.items() if is_asked), "web")
    path = args.to or REPOSITORY / "docs" / "images" / f"{name}.png"
    server = ClipServer(FPS)
    server.port = 8000
    server.clip = REPOSITORY / "device_apps" / "clips" / "fruit.mp4"
    with server, tempfile.TemporaryDirectory() as profile:
        source = ["--source", server.url]
        if args.several:
            config = Path(profile, "cameras.toml")
            config.write_text(CAMERAS.format(url=server.url), encoding="utf-8")
            source = ["--config", str(config)]
        command = [sys.executable, "-m", "edge_ssd", "camera", *source, "--web", "8080"]
        if name in ("web", "zone-editor"):
            zones = Path(profile, "zones.toml")
            zones.write_text(documented_zones(), encoding="utf-8")
            command += ["--zones-file", str(zones)]
        if name in ("web", "events", "event"):
            folders = ("event-snapshots", "event-clips", "collect")
            options = [part for folder in folders for part in (f"--{folder}", str(Path(profile, folder)))]
            command += [*options, *EVENTS, "--name", "Kitchen"]
        if args.phone:
            command += ["--web-token-file", str(write_token(Path(profile))), "--web-url", PAGE_URL]
        camera = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
        try:
            while "web preview" not in camera.stderr.readline():
                assert camera.poll() is None
            size = SIZES.get(name, (WIDTH, HEIGHT))
            url = f"http://localhost:8080/{'events' if args.events or args.event else ''}"
            if args.phone:
                made = request(8080, "/api/login-link", "POST", b"", Authorization=f"Bearer {SECRET}").json["url"]
                url = made.replace(PAGE_URL, url.rstrip("/"))
            png = screenshot(url, profile, 5 if args.phone else args.seconds, SCRIPTS.get(name, ""), size)
        finally:
            camera.terminate()
            camera.communicate()
    # 256 colors are enough for a page, and half the bytes; k-means keeps those of thin lines and of the background.
    palette = {"method": Image.Quantize.MEDIANCUT, "kmeans": 1, "dither": Image.Dither.NONE}
    image = Image.open(io.BytesIO(png)).convert("RGB").quantize(256, **palette)
    image.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


def documented_zones() -> str:
    """Return the zones, lines and masks of the example in docs/zones.md."""
    example = re.search(r"```toml\n(.*?)```", (REPOSITORY / "docs" / "zones.md").read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    return example[1][example[1].index("[[zones]]") :]


def screenshot(url: str, profile: str, seconds: float, script: str, size: tuple[int, int]) -> bytes:
    """Return the image, PNG, of a page after ``seconds`` and a script."""
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*FLAGS, f"--user-data-dir={profile}", "--hide-scrollbars"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get(url)
        time.sleep(seconds)
        browser.execute_script(script)
        time.sleep(2)
        return browser.get_screenshot_as_png()
    finally:
        browser.quit()


if __name__ == "__main__":
    main()
