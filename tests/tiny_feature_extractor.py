"""A LAVIS feature extractor with random weights, in sizes that are built in a fraction of a second."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflow_scripts.config.vision import QformerGeometry

if TYPE_CHECKING:
    from workflow_scripts.models.blip2 import OfflineBlip2Qformer

SIZES = {
    "image_size": 32,
    "vit_width": 32,
    "vit_depth": 1,
    "vit_heads": 2,
    "qformer_width": 32,
    "qformer_layers": 2,
    "qformer_heads": 2,
    "qformer_intermediate": 32,
    "cross_attention_freq": 1,
    "embed_dim": 16,
    "max_text_length": 8,
}


def tiny_geometry(**changes: Any) -> QformerGeometry:
    return QformerGeometry(**SIZES | changes)


def build_tiny_model(folder: Path, words: Sequence[str], seed: int = 0, **changes: Any) -> "OfflineBlip2Qformer":
    """Build a model whose vocabulary, with these words beside BERT's special tokens, is written into a folder."""
    import torch

    from workflow_scripts.models.blip2 import SPECIAL_TOKENS, build_blip2_qformer

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join([*SPECIAL_TOKENS, *words]) + "\n")
    torch.manual_seed(seed)
    return build_blip2_qformer(tiny_geometry(**changes), folder / "vocab.txt")


def write_tiny_extractor(
    folder: Path, words: Sequence[str], seed: int = 0, vision_weights: Path | None = None, **changes: Any
) -> Path:
    """Write the folder of a feature extractor and return it; `changes` are to the sizes."""
    model = build_tiny_model(folder, words, seed, **changes)
    from workflow_scripts.models.feature_extractor import save_feature_extractor

    save_feature_extractor(model, folder, (folder / "vocab.txt").read_text().split(), vision_weights)
    return folder
