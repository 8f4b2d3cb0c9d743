import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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
    import torch

    from workflow_scripts.config.vision import QformerGeometry
    from workflow_scripts.models.blip2 import SPECIAL_TOKENS, build_blip2_qformer
    from workflow_scripts.models.feature_extractor import save_feature_extractor

    folder = tmp_path_factory.mktemp("extractor")
    vocabulary = [*SPECIAL_TOKENS, *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    small = {"image_size": 32, "vit_width": 32, "vit_depth": 1, "vit_heads": 2, "embed_dim": 16, "max_text_length": 8}
    q_former = {"qformer_width": 32, "qformer_layers": 2, "qformer_heads": 2, "qformer_intermediate": 32}
    torch.manual_seed(1)
    model = build_blip2_qformer(QformerGeometry(**small, **q_former, cross_attention_freq=1), folder / "vocab.txt")
    save_feature_extractor(model, folder, vocabulary)
    return folder
