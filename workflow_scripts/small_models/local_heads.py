"""Lets the heads of a cross-attention that the linear solution leaves free carry what is seen at a place.

Each query looks at a place of its own, so that the queries of a picture differ by what is there: retrieval asks for
the whole picture only, a language model also for its parts.
In shapes: B pictures, Q queries, T tokens, D width of a token without its place, H width of a head, L of the free ones.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from workflow_scripts.models.blip2 import OfflineBlip2Qformer
from workflow_scripts.models.timm_encoder import PLACE_WIDTH
from workflow_scripts.small_models.retrieval_teacher import normed_tokens, parts
from workflow_scripts.small_models.token_data import TokenCorpus

_PEAK = 6.0  # what a query's own place has in its attention's logits, where the mean place has 0
_LENGTH = 10.0  # of what these heads add to a query


@torch.no_grad()
def look_at_places(
    model: OfflineBlip2Qformer, corpus: TokenCorpus, keys: Sequence[str], attention: nn.Module, used: int
) -> None:
    """Give the heads of a cross-attention behind its first `used` dimensions places to look at and contents to carry.

    The contents are the principal directions of what tokens of a picture differ by; `keys` are the pictures to learn
    them and the queries' states from.
    """
    own = attention.self
    head = own.attention_head_size
    free = [at for at in range(own.num_attention_heads) if at * head >= used]
    if not free:
        return
    tokens = torch.cat([normed_tokens(model, corpus, part) for part in parts(keys)])
    states = torch.cat([_states_before(model, attention, normed_tokens(model, corpus, part)) for part in parts(keys)])
    places = tokens[..., -PLACE_WIDTH:].mean(0)  # [T, 32]
    directions = torch.linalg.svd(places - places.mean(0), full_matrices=False).Vh[:head]
    seen = (places - places.mean(0)) @ directions.t()  # [T, H], less where places have fewer dimensions
    peaks = seen[_spread(len(seen), states.shape[1])]
    peaks = peaks * (_PEAK * head**0.5 / peaks.pow(2).sum(1, keepdim=True))
    query = _map_of(states.mean(0), peaks)
    contents = _contents(tokens[..., :-PLACE_WIDTH], len(free) * head)
    for position, at in enumerate(free):
        rows = slice(at * head, (at + 1) * head)
        for linear in (own.query, own.key, own.value):
            linear.weight[rows].zero_()
            linear.bias[rows].zero_()
        chosen = slice(at * head, at * head + len(directions))
        own.key.weight[chosen, -PLACE_WIDTH:].copy_(directions)
        own.query.weight[chosen].copy_(query.weight)
        own.query.bias[chosen].copy_(query.bias)
        own.value.weight[rows, :-PLACE_WIDTH].copy_(contents[position * head : (position + 1) * head])


def _states_before(model: OfflineBlip2Qformer, attention: nn.Module, tokens: Tensor) -> Tensor:
    """The queries' states [B, Q, W] with which a cross-attention asks."""
    taken: list[Tensor] = []
    hook = attention.self.query.register_forward_pre_hook(lambda _, inputs: taken.append(inputs[0]))
    try:
        model.Qformer.bert(
            query_embeds=model.query_tokens.expand(len(tokens), -1, -1),
            encoder_hidden_states=tokens,
            encoder_attention_mask=torch.ones(tokens.shape[:2], dtype=torch.long),
            return_dict=True,
        )
    finally:
        hook.remove()
    return taken[0]


def _spread(places: int, queries: int) -> list[int]:
    """A place for each query, spread over all of them."""
    return [round(at) for at in torch.linspace(0, places - 1, queries).tolist()]


def _map_of(states: Tensor, wanted: Tensor) -> nn.Linear:
    """The smallest linear map that gives every query's mean state [Q, W] what is wanted [Q, H]."""
    centre, goal = states.mean(0), wanted.mean(0)
    weight = torch.linalg.pinv(states - centre, rtol=1e-3) @ (wanted - goal)
    linear = nn.Linear(*weight.shape)
    linear.weight.copy_(weight.t())
    linear.bias.copy_(goal - centre @ weight)
    return linear


def _contents(tokens: Tensor, width: int) -> Tensor:
    """Directions [L, D] in which tokens [B, T, D] differ within a picture, scaled to add the same length together."""
    differences = (tokens - tokens.mean(1, keepdim=True)).flatten(0, 1)
    directions = torch.linalg.eigh(differences.t() @ differences).eigenvectors[:, -width:].t()
    return directions * (_LENGTH / (differences @ directions.t()).norm(dim=1).mean())
