import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_feature_extractor import write_tiny_extractor

sys.path.insert(0, str(Path(__file__).parent))

from colour_extractor import ColourExtractor

from workflow_scripts.search.entries import Entry
from workflow_scripts.search.pictures import thumbnail
from workflow_scripts.search.write_index import write_index

WORDS = ["a", "astronaut", "cat", "coffee", "cup", "of", "the"]


@pytest.fixture
def extractor():
    return ColourExtractor()


@pytest.fixture
def make_index(tmp_path):
    """Writes an index of projections [N, Q, P]."""

    def make(projection, name="index", approximate_from=10**9):
        jpeg = thumbnail(Image.new("RGB", (40, 30), "red"), 32)
        entries = [
            Entry({"id": f"set/{row}", "file": f"set/{row}", "width": 40, "height": 30}, jpeg, one.astype(np.float16))
            for row, one in enumerate(np.asarray(projection))
        ]
        manifest = {"count": len(entries), "extractor_sha256": "x", "thumbnail_size": 32, "skipped": []}
        write_index(tmp_path / name, entries, manifest | {"feature_extractor": "../extractor"}, approximate_from)
        return tmp_path / name

    return make


@pytest.fixture(scope="session")
def extractor_folder(tmp_path_factory):
    return write_tiny_extractor(tmp_path_factory.mktemp("extractor"), WORDS, seed=1)
