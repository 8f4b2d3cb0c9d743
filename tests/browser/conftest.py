import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "demo"))

from chromium import PROGRAM, Chromium
from tiny_results import write_tiny_results


@pytest.fixture(scope="session")
def tiny_results(tmp_path_factory):
    return write_tiny_results(tmp_path_factory.mktemp("results") / "tiny_scale")


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    if PROGRAM is None:
        pytest.skip("Chromium is not installed")
    chromium = Chromium(tmp_path_factory.mktemp("profile"))
    yield chromium
    chromium.close()


@pytest.fixture(scope="session")
def screenshots():
    """The folder in which pictures of the pages are kept, to be looked at; a part of results/, so never committed."""
    folder = Path(__file__).resolve().parents[2] / "results" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
