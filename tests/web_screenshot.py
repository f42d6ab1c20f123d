"""Take the screenshot of the preview in docs/web.md: python tests/web_screenshot.py [--to FILE.png]

The real command on a real stream of the shipped clip, in Chromium; a minute long, so that there is something to see.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent))

from web_browser import FLAGS
from web_camera import ClipServer

REPOSITORY = Path(__file__).resolve().parent.parent
WIDTH, HEIGHT = 1240, 850
FPS = 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=REPOSITORY / "docs" / "images" / "web.png")
    parser.add_argument("--seconds", type=float, default=62, help="time before the screenshot is taken")
    args = parser.parse_args()
    server = ClipServer(FPS)
    server.port = 8000
    with server, tempfile.TemporaryDirectory() as profile:
        command = [sys.executable, "-m", "edge_ssd", "camera", "--source", server.url, "--web", "8080"]
        camera = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
        try:
            while "web preview" not in camera.stderr.readline():
                assert camera.poll() is None
            png = screenshot("http://localhost:8080/", profile, args.seconds)
        finally:
            camera.terminate()
            camera.communicate()
    # 256 colours are enough for a page, and half the bytes.
    Image.open(io.BytesIO(png)).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(args.to, optimize=True)
    print(f"{args.to}: {args.to.stat().st_size / 1e3:.0f} kB")


def screenshot(url: str, profile: str, seconds: float) -> bytes:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*FLAGS, f"--user-data-dir={profile}", "--hide-scrollbars"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(url)
        time.sleep(seconds)
        return browser.get_screenshot_as_png()
    finally:
        browser.quit()


if __name__ == "__main__":
    main()
