"""Take the screenshots of docs/web.md and, with --zones, of the editor in docs/zones.md: python tests/web_screenshot.py

The real command on a real stream of the shipped clip, in Chromium; a minute long, so that there is something to see.
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

REPOSITORY = Path(__file__).resolve().parent.parent
WIDTH, HEIGHT = 1240, 850
FPS = 15
EDIT = "document.getElementById('edit-zones').click(); document.querySelector('#zone-list button').click();"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zones", action="store_true", help="edit the zones of docs/zones.md")
    parser.add_argument("--to", type=Path, help="default: docs/images/web.png or zone-editor.png")
    parser.add_argument("--seconds", type=float, default=62, help="time before the screenshot is taken")
    args = parser.parse_args()
    path = args.to or REPOSITORY / "docs" / "images" / ("zone-editor.png" if args.zones else "web.png")
    server = ClipServer(FPS)
    server.port = 8000
    with server, tempfile.TemporaryDirectory() as profile:
        command = [sys.executable, "-m", "edge_ssd", "camera", "--source", server.url, "--web", "8080"]
        if args.zones:
            zones = Path(profile, "zones.toml")
            zones.write_text(documented_zones(), encoding="utf-8")
            command += ["--zones-file", str(zones)]
        camera = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
        try:
            while "web preview" not in camera.stderr.readline():
                assert camera.poll() is None
            png = screenshot("http://localhost:8080/", profile, args.seconds, EDIT if args.zones else "")
        finally:
            camera.terminate()
            camera.communicate()
    # 256 colors are enough for a page, and half the bytes; those of thin lines too.
    Image.open(io.BytesIO(png)).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        path, optimize=True
    )
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


def documented_zones() -> str:
    """Return the zones, lines and masks of the example in docs/zones.md."""
    example = re.search(r"```toml\n(.*?)```", (REPOSITORY / "docs" / "zones.md").read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    return example[1][example[1].index("[[zones]]") :]


def screenshot(url: str, profile: str, seconds: float, script: str) -> bytes:
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
        size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(url)
        time.sleep(seconds)
        browser.execute_script(script)
        time.sleep(0.5)
        return browser.get_screenshot_as_png()
    finally:
        browser.quit()


if __name__ == "__main__":
    main()
