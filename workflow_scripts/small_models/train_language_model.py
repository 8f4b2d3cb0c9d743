"""Train the small language model on text only and save it as a Hugging Face folder.

The corpus is text.jsonl, a line {"prompt", "answer"} or {"context", "prompt", "answer"}. Lines in a row that share a
context are packed behind it: each of them sees the context and itself, so that the context is paid for once.
"""

import argparse
import hashlib
import math
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedTokenizerBase

from workflow_scripts.command_line import progress, run_command, write_atomically
from workflow_scripts.config.language import LanguageModelSettings
from workflow_scripts.models.packing import attention_mask
from workflow_scripts.models.prompt import Prompt
from workflow_scripts.small_models.text_batches import Batch, Group, collate, group_lines, read_corpus
from workflow_scripts.small_models.text_validation import losses_in_words, validate
from workflow_scripts.small_models.tokenizer import build_tokenizer

# Phrases on how to answer: as part of a soft context they stand in most of its positions.
CUES = ("briefly", "usually")
MATCHING_GAIN = 1.0
VALUE_GAIN = 0.7
# Soft contexts begin tidy; after this share of the steps they are as disorderly as they get.
SETTLING_SHARE = 0.4


def loss_of(model: torch.nn.Module, batch: Batch) -> Tensor:
    """The weighted mean cross-entropy of the answers' tokens."""
    hidden = model.get_decoder()(
        inputs_embeds=batch.embeds,
        attention_mask=attention_mask(batch.segments),
        position_ids=batch.positions,
        use_cache=False,
    ).last_hidden_state
    predicts = batch.labels[:, 1:] != -100
    logits = model.get_output_embeddings()(hidden[:, :-1][predicts])
    losses = functional.cross_entropy(logits, batch.labels[:, 1:][predicts], reduction="none")
    weights = batch.weights[:, 1:][predicts]
    return (losses * weights).sum() / weights.sum()


def build_model(settings: LanguageModelSettings, tokenizer: PreTrainedTokenizerBase) -> torch.nn.Module:
    """An untrained LlamaForCausalLM."""
    from transformers import LlamaConfig, LlamaForCausalLM

    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=settings.hidden_size,
            intermediate_size=settings.intermediate_size,
            num_hidden_layers=settings.layers,
            num_attention_heads=settings.attention_heads,
            max_position_embeddings=settings.max_positions,
            rope_theta=settings.rope_theta,
            tie_word_embeddings=True,
            initializer_range=settings.hidden_size**-0.5,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=None,
        )
    )
    _start_by_matching(model)
    return model


@torch.no_grad()
def _start_by_matching(model: torch.nn.Module) -> None:
    """Let every head begin by looking for what resembles the token that asks, and by handing on what it finds.

    Keys start equal to queries and the output projection as the transpose of the values' (mimetic initialisation,
    Trockman and Kolter, 2023). From there a model finds out how to look things up sooner than from random matrices.
    """
    for layer in model.get_decoder().layers:
        attention = layer.self_attn
        torch.nn.init.orthogonal_(attention.q_proj.weight, gain=MATCHING_GAIN)
        attention.k_proj.weight.copy_(attention.q_proj.weight)
        torch.nn.init.orthogonal_(attention.v_proj.weight, gain=VALUE_GAIN)
        attention.o_proj.weight.copy_(attention.v_proj.weight.T)


def batches(groups: Sequence[Group], settings: LanguageModelSettings) -> Iterator[list[Group]]:
    """Yield the batches of all epochs, in the corpus's order but for the order inside a window of batches.

    A corpus may begin with what is easy. In a window, groups of similar length come together.
    """
    rng = random.Random(settings.seed)
    window = 16 * settings.batch_size
    left = round(settings.epochs * len(groups))
    while left > 0:
        for start in range(0, min(left, len(groups)), window):
            part = sorted(groups[start : min(left, start + window)], key=_tokens)
            slices = [part[i : i + settings.batch_size] for i in range(0, len(part), settings.batch_size)]
            yield from rng.sample(slices, len(slices))
        left -= len(groups)


def _tokens(group: Group) -> int:
    return sum(len(after) + len(answer) for after, answer in group.turns)


def build_optimizers(model: torch.nn.Module, settings: LanguageModelSettings) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, which learn to look things up much faster by it, AdamW for the rest."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers." in name]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    return [
        torch.optim.Muon(matrices, lr=settings.matrix_learning_rate, weight_decay=settings.weight_decay),
        torch.optim.AdamW(rest, lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def train(
    groups: Sequence[Group], model: torch.nn.Module, prompt: Prompt, settings: LanguageModelSettings
) -> list[float]:
    """Train a model and return the loss of every step."""
    plan = list(batches(groups, settings))
    optimizers = build_optimizers(model, settings)
    warmup = max(1, round(settings.warmup_share * len(plan)))

    def rate(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.02 + 0.98 * (1 + math.cos(math.pi * (step - warmup) / max(1, len(plan) - warmup))) / 2

    schedules = [torch.optim.lr_scheduler.LambdaLR(optimizer, rate) for optimizer in optimizers]
    rng = np.random.default_rng(settings.seed)
    cues = [prompt.context_ids(word) for word in CUES]
    embedding = model.get_input_embeddings()
    losses = []
    model.train()
    for number, part in enumerate(progress(plan, len(plan), "language model")):
        disorder = min(1.0, number / (SETTLING_SHARE * len(plan)))
        loss = loss_of(model, collate(part, prompt, embedding, settings, rng, cues, disorder))
        if not torch.isfinite(loss):
            raise ValueError(f"The loss is {loss.item()} at step {number}; lower learning_rate.")
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
        losses.append(loss.item())
    return losses


CARD = """# A small language model

A `LlamaForCausalLM` with {parameters} parameters, trained on {lines} lines of text (no pictures) in
{seconds:.0f} s; final loss {loss:.3f}. Its tokenizer has LLaMA-2's chat template. Some contexts were given as noisy
sums of word embeddings in the place of image tokens, so that it copes with input embeddings that are no word's. It
answers in whole sentences unless it is asked to be brief. It knows the words of its corpus; anything else it
reads byte by byte.
"""


def save(
    folder: Path, model: torch.nn.Module, tokenizer: PreTrainedTokenizerBase, card: str, settings: LanguageModelSettings
) -> None:
    """Write the Hugging Face folder, its card, and SHA256SUMS last."""
    folder.mkdir(parents=True, exist_ok=True)
    sums = folder / "SHA256SUMS"
    sums.unlink(missing_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_atomically(folder / "README.md", card)
    write_atomically(folder / "training_settings.json", settings.model_dump_json(indent=1) + "\n")
    files = sorted(path for path in folder.iterdir() if path.is_file())
    write_atomically(sums, "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files))


def main(argv: Sequence[str] | None = None) -> None:
    """Train the small language model on text.jsonl of a corpus folder and write its Hugging Face folder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="folder that holds text.jsonl")
    parser.add_argument("--settings", required=True, help="LanguageModelSettings as JSON")
    parser.add_argument("--output", type=Path, required=True, help="folder of the model")
    arguments = parser.parse_args(argv)
    settings = LanguageModelSettings.model_validate_json(arguments.settings)
    lines = read_corpus(arguments.corpus / "text.jsonl", settings.documents)
    started = time.monotonic()
    texts = (line.get(part, "") for line in lines for part in ("context", "prompt", "answer"))
    tokenizer = build_tokenizer(texts, settings.vocabulary_size, settings.whole_words)
    prompt = Prompt(tokenizer)
    torch.manual_seed(settings.seed)
    model = build_model(settings, tokenizer)
    losses = train(group_lines(lines, prompt), model, prompt, settings)
    card = CARD.format(
        parameters=f"{model.num_parameters():,}",
        lines=f"{len(lines):,}",
        seconds=time.monotonic() - started,
        loss=float(np.mean(losses[-20:])),
    )
    held_out = arguments.corpus / "validation.jsonl"
    if held_out.is_file():
        card += losses_in_words(validate(model, prompt, read_corpus(held_out), settings))
    save(arguments.output, model, tokenizer, card, settings)


if __name__ == "__main__":
    run_command(main)
