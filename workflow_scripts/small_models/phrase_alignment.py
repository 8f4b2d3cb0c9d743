"""Aligns parts of a picture with phrases: one of its tokens has to fit all words of a phrase at once.

A phrase is the sum of its words' vectors; its score for a picture is the soft maximum over the picture's tokens, as
in BLIP-2's contrastive loss the maximum over queries. It is compared with phrases of other pictures and with itself
after the exchange of one word ("small red kite" against "small red boat"), so that the words of one object are bound
together. This is what stands in for the pretraining that the vision encoder of BLIP-2 comes with.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workflow_scripts.small_models.vision_data import words

EXCHANGES = 8
SHARPNESS = 4.0


class PhraseAlignment(nn.Module):
    """Word vectors and the loss; B pictures, T tokens, D width, N phrases, L words, K exchanges."""

    def __init__(self, vocabulary: Sequence[str], width: int) -> None:
        super().__init__()
        self.index = {word: i for i, word in enumerate(vocabulary)}
        self.vectors = nn.Embedding(len(vocabulary), width, padding_idx=0)
        nn.init.normal_(self.vectors.weight, std=width**-0.5)
        self.scale = SHARPNESS * width**-0.5

    def ids(self, phrases: Sequence[str]) -> Tensor:
        """Word indices, 0 where a phrase is shorter than the longest; [N, L]."""
        rows = [[self.index[word] for word in words(phrase)] for phrase in phrases]
        longest = max(map(len, rows))
        return torch.tensor([row + [0] * (longest - len(row)) for row in rows])

    def embed(self, ids: Tensor) -> Tensor:
        """[..., L] -> the sum of the words' vectors [..., D]."""
        return (self.vectors(ids) * (ids > 0).unsqueeze(-1)).sum(-2)

    def forward(self, tokens: Tensor, phrases: Sequence[Sequence[str]], purity: float = 0.0) -> Tensor:
        """The loss for tokens [B, T, D] and the phrases of each of the B pictures.

        `purity` weighs the other direction: every token has to look like some phrase of its own picture, so that
        a token stands for one object and not for a mixture. Tokens that are bound to places need not.
        """
        flat = [phrase for own in phrases for phrase in own]
        owner = torch.tensor([b for b, own in enumerate(phrases) for _ in own])
        ids = self.ids(flat)
        count = torch.arange(len(flat))
        fits = torch.einsum("btd,nd->bnt", tokens, self.embed(ids)) * self.scale
        told = [set(own) for own in phrases]
        true = torch.tensor([[phrase in own for phrase in flat] for own in told])
        also_true = true.clone()
        also_true[owner, count] = False
        scores = torch.logsumexp(fits, -1).masked_fill(also_true, -1e4)
        exchanged = self._exchange(ids)
        wrong = torch.einsum("ntd,nkd->nkt", tokens[owner], self.embed(exchanged)) * self.scale
        by_chance_true = (exchanged.unsqueeze(2) == ids).all(-1) & (owner.view(-1, 1, 1) == owner)
        wrong = torch.logsumexp(wrong, -1).masked_fill(by_chance_true.any(-1), -1e4)
        to_phrase = F.cross_entropy(torch.cat([scores[owner], wrong], 1), count)
        to_picture = F.cross_entropy(scores.t(), owner)
        loss = to_phrase + to_picture
        if purity:
            own = torch.logsumexp(fits.masked_fill(~true.unsqueeze(-1), -1e4), 1)
            loss = loss + purity * (torch.logsumexp(fits, 1) - own).mean()
        return loss

    def _exchange(self, ids: Tensor) -> Tensor:
        """Each phrase K times with one word replaced by another phrase's word at the same position; [N, K, L]."""
        lengths = (ids > 0).sum(1)
        n = len(ids)
        position = (torch.rand(n, EXCHANGES) * lengths.unsqueeze(1)).long()
        result = ids.unsqueeze(1).repeat(1, EXCHANGES, 1)
        # Phrases of about the same length have the same build; sorted by length, neighbours are exchanged.
        order = torch.argsort(lengths + torch.rand(n))
        rank = torch.argsort(order)
        span = max(2, min(n, 64))
        for k in range(EXCHANGES):
            shift = torch.randint(1, span, (n,))
            other = order[(rank + shift) % n]
            word = ids[other, position[:, k]]
            word = torch.where(word > 0, word, ids[torch.arange(n), position[:, k]])
            result[torch.arange(n), k, position[:, k]] = word
        return result
