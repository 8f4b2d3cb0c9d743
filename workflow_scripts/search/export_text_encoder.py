"""Write the text side of a feature extractor into an index, where a search finds it without LAVIS."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from workflow_scripts.command_line import read_json, write_atomically
from workflow_scripts.config.vision import QformerGeometry
from workflow_scripts.search.text_encoder import TOKENIZER, WEIGHTS

if TYPE_CHECKING:
    import torch

CHECKPOINT = "blip2_qformer.pth"
_BERT = "Qformer.bert."
# What pictures go through has other names (`_query`, `crossattention`).
_TEXT_PATH = re.compile(
    r"embeddings\.(word_embeddings|position_embeddings|LayerNorm)\."
    r"|encoder\.layer\.\d+\.(attention\.|intermediate\.|output\.)"
)


def export_text_encoder(extractor: Path, index: Path) -> None:
    """Write text_encoder.safetensors and tokenizer.json; ValueError where the checkpoint has no text side."""
    import torch
    from safetensors.numpy import save

    geometry = QformerGeometry.model_validate(read_json(extractor / "config.json"))
    try:
        state = torch.load(extractor / CHECKPOINT, map_location="cpu", weights_only=True, mmap=True)["model"]
    except (OSError, KeyError, RuntimeError) as error:
        raise ValueError(f"{extractor / CHECKPOINT} cannot be read as a LAVIS checkpoint ({error}).") from error
    weights = text_weights(state)
    if "text_proj.weight" not in weights:
        raise ValueError(f"{extractor / CHECKPOINT} is not a first-stage BLIP-2: it has no projection of texts.")
    sizes = {"heads": geometry.qformer_heads, "max_length": geometry.max_text_length}
    arrays = {name: value.float().contiguous().numpy() for name, value in weights.items()}
    write_atomically(index / WEIGHTS, save(arrays, metadata={"sizes": json.dumps(sizes)}))
    write_atomically(index / TOKENIZER, wordpiece_json(extractor / "vocab.txt"))


def text_weights(state: "dict[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """The entries of a LAVIS first-stage checkpoint that texts go through, under shorter names."""
    weights = {name: value for name, value in state.items() if name.startswith("text_proj.")}
    for name, value in state.items():
        short = name.removeprefix(_BERT)
        if short != name and _TEXT_PATH.match(short):
            weights[short.removeprefix("encoder.")] = value
    return weights


def wordpiece_json(vocabulary: Path) -> str:
    """The tokenizer of a BERT vocabulary with LAVIS's [DEC], as the `tokenizers` library reads it."""
    from tokenizers import AddedToken, BertWordPieceTokenizer

    tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]")
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return tokenizer.to_str()
