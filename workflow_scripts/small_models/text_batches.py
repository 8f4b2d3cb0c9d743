"""From lines of the text corpus to batches: turns about one context are packed behind it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from workflow_scripts.config.language import LanguageModelSettings
from workflow_scripts.models.prompt import Prompt
from workflow_scripts.small_models import soft_context

MAXIMAL_TURNS = 16


@dataclass(frozen=True)
class Group:
    """A context as token ids by phrase, and the turns behind it: ids of a prompt's rest and of its answer."""

    phrases: list[list[int]]
    turns: list[tuple[list[int], list[int]]]


def read_corpus(path: Path, limit: int | None = None) -> list[dict[str, str]]:
    """Read the lines of a corpus; a missing or damaged one is a ValueError that names file and line."""
    lines = []
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                record = json.loads(line)
                if not record.get("answer"):
                    raise ValueError(f"{path} has no answer in line {number}; make the corpus again.")
                lines.append(record)
                if number == limit:
                    break
    except FileNotFoundError:
        raise ValueError(f"The corpus {path} does not exist; run the rule that writes it first.") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is damaged ({error}); make the corpus again.") from error
    if not lines:
        raise ValueError(f"The corpus {path} is empty; make it again.")
    return lines


def group_lines(lines: Sequence[dict[str, str]], prompt: Prompt) -> list[Group]:
    """Tokenise lines and group those in a row that share a context."""
    cache: dict[str, list[int]] = {}

    def ids(text: str) -> list[int]:
        if text not in cache:
            cache[text] = prompt.context_ids(text)
        return cache[text]

    groups: list[Group] = []
    last: str | None = None
    for line in lines:
        context = line.get("context", "")
        if context != last or len(groups[-1].turns) >= MAXIMAL_TURNS:
            groups.append(Group([ids(phrase) for phrase in context.split("; ")] if context else [], []))
            last = context
        after = prompt.prefix_ids(line["prompt"])[1] if context else prompt.text_ids(line["prompt"])
        groups[-1].turns.append((after, prompt.answer_ids(line["answer"])))
    return groups


@dataclass
class Batch:
    """Embeddings [B, T, W]; [B, T] each: segments (0 context, k turn, -1 padding), positions, labels, label weights."""

    embeds: Tensor
    segments: Tensor
    positions: Tensor
    labels: Tensor
    weights: Tensor


def collate(
    groups: Sequence[Group],
    prompt: Prompt,
    embedding: torch.nn.Embedding,
    settings: LanguageModelSettings,
    rng: np.random.Generator,
    cues: Sequence[list[int]],
    disorder: float = 1.0,
) -> Batch:
    """Lay out groups as rows: the context once, then its turns, each of which begins at the same position."""
    before = prompt.prefix_ids("")[0]
    rows, segments, positions, labels, weights = [], [], [], [], []
    weight = embedding.weight
    for group in groups:
        parts, segment, position, label, importance = [], [], [], [], []
        start = 0
        if group.phrases:
            if rng.random() < settings.soft_context_share:
                common = [token for phrase in group.phrases if phrase in cues for token in phrase]
                phrases = [phrase for phrase in group.phrases if phrase not in cues] or group.phrases
                soft = soft_context.spread(phrases, common, settings.soft_tokens, rng, disorder)
                context = soft_context.embed(soft, settings.soft_tokens, weight, disorder)
            else:
                context = embedding(torch.tensor([token for phrase in group.phrases for token in phrase]))
            parts += [embedding(torch.tensor(before)), context]
            start = len(before) + len(context)
            segment += [0] * start
            position += range(start)
            label += [-100] * start
            importance += [0.0] * start
        ids: list[int] = []
        for number, (after, answer) in enumerate(group.turns, 1):
            length = len(after) + len(answer)
            if len(segment) + length > settings.max_positions:
                break
            ids += after + answer
            segment += [number] * length
            position += range(start, start + length)
            label += [-100] * len(after) + answer
            # Long answers shall not drown short ones: a turn counts with the root of its length.
            importance += [len(answer) ** -0.5] * length
        parts.append(embedding(torch.tensor(ids)))
        rows.append(torch.cat(parts))
        segments.append(segment)
        positions.append(position)
        labels.append(label)
        weights.append(importance)
    longest = max(map(len, segments))
    return Batch(
        torch.stack([functional.pad(row, (0, 0, 0, longest - len(row))) for row in rows]),
        *(
            torch.tensor([row + [fill] * (longest - len(row)) for row in table])
            for table, fill in ((segments, -1), (positions, 0), (labels, -100), (weights, 0.0))
        ),
    )
