"""The text side of a feature extractor alone, in numpy: a query is embedded without importing torch or LAVIS.

An index carries it as `text_encoder.safetensors` and `tokenizer.json`, so that a search needs no extractor. The network
is the Q-Former's text path, a BERT without token types (Devlin et al. 2018), behind a projection of its [CLS] output.
In shapes: B texts, T tokens, D width, H heads, P projection width.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

WEIGHTS = "text_encoder.safetensors"
TOKENIZER = "tokenizer.json"
_EPSILON = 1e-12  # BERT's and LAVIS's
_TEXTS_AT_ONCE = 64


class TextEncoder:
    """Texts to embeddings, equal to those of the feature extractor that it was exported from up to rounding."""

    def __init__(self, weights: Mapping[str, np.ndarray], tokenizer: Path, heads: int, max_length: int) -> None:
        from tokenizers import Tokenizer

        self._weights = weights
        self._heads = heads
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(max_length)
        self._tokenizer.enable_padding()
        self._layers = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("layer."))

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Texts -> the projection of their [CLS] output, [B, P] float32 of length 1."""
        if not texts:
            raise ValueError("There is no text to embed; give at least one.")
        parts = [self._embed(texts[start : start + _TEXTS_AT_ONCE]) for start in range(0, len(texts), _TEXTS_AT_ONCE)]
        return np.concatenate(parts)

    def _embed(self, texts: Sequence[str]) -> np.ndarray:
        tokens = self._tokenizer.encode_batch(list(texts))
        ids = np.array([one.ids for one in tokens])
        mask = np.array([one.attention_mask for one in tokens])
        hidden = self._weights["embeddings.word_embeddings.weight"][ids]
        hidden = hidden + self._weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        hidden = self._normalise(hidden, "embeddings.LayerNorm")
        hidden_from = np.where(mask, 0.0, np.finfo(np.float32).min).astype(np.float32)[:, None, None, :]
        for number in range(self._layers):
            hidden = self._layer(hidden, hidden_from, f"layer.{number}.")
        projection = self._linear(hidden[:, 0], "text_proj")
        return projection / np.linalg.norm(projection, axis=1, keepdims=True)

    def _layer(self, hidden: np.ndarray, mask: np.ndarray, layer: str) -> np.ndarray:
        """One transformer layer, [B, T, D] -> [B, T, D]."""
        from scipy.special import erf

        query, key, value = (self._split(hidden, f"{layer}attention.self.{part}") for part in ("query", "key", "value"))
        scores = query @ key.swapaxes(2, 3) / np.float32(np.sqrt(query.shape[3])) + mask
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        context = (scores / scores.sum(axis=-1, keepdims=True)) @ value
        context = context.swapaxes(1, 2).reshape(hidden.shape)
        context = self._linear(context, f"{layer}attention.output.dense")
        hidden = self._normalise(context + hidden, f"{layer}attention.output.LayerNorm")
        inner = self._linear(hidden, f"{layer}intermediate.dense")
        inner = inner * np.float32(0.5) * (1 + erf(inner / np.float32(np.sqrt(2))))
        return self._normalise(self._linear(inner, f"{layer}output.dense") + hidden, f"{layer}output.LayerNorm")

    def _split(self, hidden: np.ndarray, name: str) -> np.ndarray:
        """[B, T, D] -> [B, H, T, D / H]."""
        batch, length, width = hidden.shape
        return self._linear(hidden, name).reshape(batch, length, self._heads, width // self._heads).swapaxes(1, 2)

    def _linear(self, hidden: np.ndarray, name: str) -> np.ndarray:
        return hidden @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _normalise(self, hidden: np.ndarray, name: str) -> np.ndarray:
        centred = hidden - hidden.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + np.float32(_EPSILON))
        return centred / deviation * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


def load_text_encoder(folder: Path) -> TextEncoder:
    """The text encoder that an index carries; ValueError where it carries none or a damaged one."""
    from safetensors import SafetensorError, safe_open
    from safetensors.numpy import load_file

    path = Path(folder) / WEIGHTS
    if not path.is_file() or not (folder / TOKENIZER).is_file():
        raise ValueError(f"{folder} holds no text encoder ({WEIGHTS}, {TOKENIZER}); build the index again.")
    try:
        with safe_open(path, framework="numpy") as file:
            sizes = json.loads(file.metadata()["sizes"])
        weights = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} cannot be read ({error}); build the index again.") from error
    return TextEncoder(weights, folder / TOKENIZER, sizes["heads"], sizes["max_length"])
