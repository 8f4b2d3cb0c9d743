"""How much a language model reads in its context: losses on held-out text with the right context, another, and none."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedModel

from workflow_scripts.config.language import LanguageModelSettings
from workflow_scripts.models.packing import attention_mask
from workflow_scripts.models.prompt import Prompt
from workflow_scripts.small_models.text_batches import Group, collate, group_lines

CONTEXTS = ("right", "another", "none")
MAXIMAL_GROUPS = 240
BATCH = 16
Losses = dict[str, dict[str, float]]


def validate(
    model: PreTrainedModel, prompt: Prompt, lines: Sequence[Mapping[str, str]], settings: LanguageModelSettings
) -> Losses:
    """Return for each task of held-out lines the mean loss of an answer token in nats, by context.

    Contexts are soft tokens, as pictures will be; "another" is that of the next group.
    """
    soft = settings.model_copy(update={"soft_context_share": 1.0})
    model.eval()
    losses: Losses = {}
    for task in sorted({line.get("task", "all") for line in lines}):
        chosen = [dict(line) for line in lines if line.get("task", "all") == task and line.get("context")]
        groups = group_lines(chosen, prompt)[:MAXIMAL_GROUPS]
        number = sum(len(group.turns) for group in groups)
        if not groups:
            continue
        moved = [replace(group, phrases=other.phrases) for group, other in zip(groups, _next(groups), strict=True)]
        bare = group_lines([{**line, "context": ""} for line in chosen[:number]], prompt)
        variants = zip(CONTEXTS, (groups, moved, bare), strict=True)
        losses[task] = {name: _mean_loss(model, prompt, variant, soft) for name, variant in variants}
    log = logging.getLogger("validation")
    for task, of in losses.items():
        log.info("%s: %s", task, ", ".join(f"{name} context {loss:.3f}" for name, loss in of.items()))
    return losses


def losses_in_words(losses: Losses) -> str:
    """Return a paragraph for the card of a model."""
    lines = [
        f"- {task}: " + ", ".join(f"{name} context {loss:.3f}" for name, loss in of.items())
        for task, of in losses.items()
    ]
    return "\n".join(["", "Mean loss of an answer token on held-out text (nats):", "", *lines, ""])


def _next(groups: Sequence[Group]) -> list[Group]:
    return [*groups[1:], groups[0]]


@torch.no_grad()
def _mean_loss(
    model: PreTrainedModel, prompt: Prompt, groups: Sequence[Group], settings: LanguageModelSettings
) -> float:
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    total, count = 0.0, 0
    for start in range(0, len(groups), BATCH):
        part = groups[start : start + BATCH]
        batch = collate(part, prompt, model.get_input_embeddings(), settings, rng, [])
        hidden = model.get_decoder()(
            inputs_embeds=batch.embeds,
            attention_mask=attention_mask(batch.segments),
            position_ids=batch.positions,
            use_cache=False,
        ).last_hidden_state
        predicts = batch.labels[:, 1:] != -100
        labels = batch.labels[:, 1:][predicts]
        total += functional.cross_entropy(
            model.get_output_embeddings()(hidden[:, :-1][predicts]), labels, reduction="sum"
        ).item()
        count += len(labels)
    return total / count
