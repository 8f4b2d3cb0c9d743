import numpy as np
import pytest
import torch
from PIL import Image

from workflow_scripts.search.build import Entry, write_index
from workflow_scripts.search.pictures import thumbnail


class ColourExtractor:
    """Stands in for a feature extractor where only search is tested: two queries, the mean colour and its opposite."""

    def transform(self, picture):
        return torch.from_numpy(np.asarray(picture.convert("RGB").resize((4, 4)), dtype=np.float32)).permute(2, 0, 1)

    def extract_images(self, pixel_values):
        colour = torch.nn.functional.normalize(pixel_values.mean(dim=(2, 3)) + 1e-3, dim=1)
        projection = torch.stack([colour, -colour], dim=1)
        return projection, projection


@pytest.fixture
def extractor():
    return ColourExtractor()


@pytest.fixture
def make_index(tmp_path):
    """Writes an index of projections [N, Q, P]."""

    def make(projection, name="index"):
        jpeg = thumbnail(Image.new("RGB", (40, 30), "red"), 32)
        entries = [
            Entry({"id": f"set/{row}", "file": f"set/{row}", "width": 40, "height": 30}, jpeg, one.astype(np.float16))
            for row, one in enumerate(np.asarray(projection))
        ]
        manifest = {"count": len(entries), "extractor_sha256": "x", "thumbnail_size": 32, "skipped": []}
        write_index(tmp_path / name, entries, manifest | {"feature_extractor": "../extractor"})
        return tmp_path / name

    return make
