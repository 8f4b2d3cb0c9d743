import subprocess
import sys

import numpy as np
import pytest

from workflow_scripts.search.export_text_encoder import export_text_encoder
from workflow_scripts.search.text_encoder import WEIGHTS, load_text_encoder

TEXTS = [
    "a cup of coffee",
    "The ASTRONAUT, of a cat!",
    "",
    "犬 🪁",
    "x" * 1000,
    "cat " * 500,
    "[MASK] [DEC] <b>",
    "Café",
]


@pytest.fixture(scope="module")
def exported(extractor_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    export_text_encoder(extractor_folder, folder)
    return folder


def test_embeddings_are_those_of_lavis_alone_and_together(exported, extractor_folder):
    from workflow_scripts.models.feature_extractor import load_feature_extractor

    encoder, extractor = load_text_encoder(exported), load_feature_extractor(extractor_folder)
    expected = extractor.embed_texts(TEXTS).numpy()
    assert np.abs(encoder.embed_texts(TEXTS) - expected).max() < 1e-5
    assert np.abs(np.concatenate([encoder.embed_texts([text]) for text in TEXTS]) - expected).max() < 1e-5
    assert np.abs(expected[0] - expected[1]).max() > 1e-2


def test_tokens_are_those_of_lavis(exported, extractor_folder):
    from workflow_scripts.models.feature_extractor import load_feature_extractor

    encoder, extractor = load_text_encoder(exported), load_feature_extractor(extractor_folder)
    for text in TEXTS:
        assert encoder._tokenizer.encode(text).ids == extractor._tokens([text]).input_ids[0].tolist()


def test_a_search_by_text_imports_neither_torch_nor_lavis():
    program = "import sys, workflow_scripts.search.query; print({'torch', 'lavis', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_missing_and_a_damaged_text_encoder_are_errors(exported, tmp_path):
    with pytest.raises(ValueError, match="holds no text encoder"):
        load_text_encoder(tmp_path)
    for path in exported.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / WEIGHTS).write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="cannot be read"):
        load_text_encoder(tmp_path)


def test_a_checkpoint_without_the_first_stage_is_refused(extractor_folder, tmp_path):
    import torch

    for path in extractor_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    torch.save({"model": {"query_tokens": torch.zeros(1)}}, tmp_path / "blip2_qformer.pth")
    with pytest.raises(ValueError, match="not a first-stage BLIP-2"):
        export_text_encoder(tmp_path, tmp_path / "index")
