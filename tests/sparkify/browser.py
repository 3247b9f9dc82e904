"""A real browser for tests: Chromium without a window, from Debian's packages."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGES = ("chromium", "chromium-driver")
INSTALL_S = 300


def open_browser(downloads: Path):
    """Headless Chromium that keeps its logs; skips the test, with the reason, where there is "
    "none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    browser, driver = find("chromium"), find("chromedriver")
    if not (browser and driver):
        install()
        browser, driver = find("chromium"), find("chromedriver")
    if not (browser and driver):
        pytest.skip(f"no browser: install the packages {' and '.join(PACKAGES)}")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    # Chromium's own sandbox needs rights that a container has not; the page is this project's.
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    opened.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)}
    )
    return opened


def find(program: str) -> str | None:
    return shutil.which(program)


def install() -> None:
    """Install the packages where that is allowed and possible; else do nothing."""
    if os.geteuid() != 0 or not find("apt-get"):
        return
    quiet = {"capture_output": True, "timeout": INSTALL_S}
    try:
        subprocess.run(["apt-get", "update"], **quiet)
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", *PACKAGES], **quiet)
    except subprocess.TimeoutExpired:
        return
