"""What a Q-Former has to beat: mean-pooled tokens and a bag of words, each by one linear map into a common space."""

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

WEIGHTS = "linear_baseline.safetensors"
VOCABULARY = "vocab.txt"
_WORD = re.compile(r"\w+")


class LinearBaseline(nn.Module):
    """B batch, T tokens, D their width, P width of the common space."""

    def __init__(self, vocabulary: Sequence[str], token_width: int, width: int) -> None:
        super().__init__()
        self.vocabulary = list(vocabulary)
        self._ids = {word: index for index, word in enumerate(self.vocabulary)}
        self.image_map = nn.Linear(token_width, width)
        self.words = nn.EmbeddingBag(len(self.vocabulary), width, mode="sum")
        # Small, so that a word that is hardly ever seen says hardly anything.
        nn.init.normal_(self.words.weight, std=0.01)

    def embed_tokens(self, tokens: Tensor) -> Tensor:
        """Pictures [B, T, D] -> [B, P] of length 1."""
        return self.embed_means(tokens.mean(1))

    def embed_means(self, means: Tensor) -> Tensor:
        """Mean tokens [B, D] -> [B, P] of length 1."""
        return F.normalize(self.image_map(scaled(means)), dim=-1)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Texts -> [B, P] of length 1; unknown words are left out, a text of such words only is the zero vector."""
        known = [[self._ids[word] for word in words_of(text) if word in self._ids] for text in texts]
        return self.embed_words(known)

    def embed_words(self, ids: Sequence[Sequence[int]]) -> Tensor:
        """Word ids of each text -> [B, P] of length 1."""
        starts = torch.tensor([0, *(len(row) for row in ids)][:-1]).cumsum(0)
        flat = torch.tensor([index for row in ids for index in row], dtype=torch.long)
        return F.normalize(self.words(flat, starts), dim=-1)

    def word_ids(self, text: str) -> list[int]:
        """The ids of a text's known words."""
        return [self._ids[word] for word in words_of(text) if word in self._ids]

    def save(self, folder: Path) -> None:
        """Write weights and vocabulary."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.state_dict(), folder / WEIGHTS)
        (folder / VOCABULARY).write_text("\n".join(self.vocabulary) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "LinearBaseline":
        """Load a saved baseline, in eval mode; a missing or damaged file is a ValueError that names the folder."""
        try:
            vocabulary = (folder / VOCABULARY).read_bytes().decode().removesuffix("\n").split("\n")
            with safe_open(folder / WEIGHTS, framework="pt") as file:
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            width, token_width = state["image_map.weight"].shape
            model = cls(vocabulary, token_width, width)
            model.load_state_dict(state)
        except (OSError, KeyError, RuntimeError, SafetensorError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"{folder} holds no linear baseline ({reason}); train it again.") from None
        return model.eval().requires_grad_(False)


def scaled(means: Tensor) -> Tensor:
    """Mean tokens [B, D] with root mean square 1, so that bright and dull pictures weigh alike."""
    return F.normalize(means, dim=-1) * means.shape[-1] ** 0.5


def words_of(text: str) -> list[str]:
    """The words of a text, lower-case."""
    return _WORD.findall(text.lower())
