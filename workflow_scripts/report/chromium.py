"""Where Chromium is on this machine, if it is."""

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def find_chromium() -> str | None:
    """The program that prints pages and that browser tests drive; None where none is installed."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)
