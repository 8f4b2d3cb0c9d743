"""Trains a small CLIP from nothing on the vision corpus: the baseline of Table 1.

It sees the same pictures and texts as the feature extractor and is trained with CLIP's own symmetric contrastive loss.
"""

import argparse
import json
import logging
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import nn
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, PreTrainedTokenizerFast

from workflow_scripts.command_line import run_command
from workflow_scripts.config.vision import ClipSettings
from workflow_scripts.models.clip import Clip
from workflow_scripts.small_models.publish_model import write_card, write_checksums
from workflow_scripts.small_models.retrieval_check import recall
from workflow_scripts.small_models.vision_data import (
    MEAN,
    STD,
    VisionCorpus,
    batches,
    read_vision_corpus,
    vocabulary,
)

log = logging.getLogger(__name__)
START, END, UNKNOWN = "<|startoftext|>", "<|endoftext|>", "<|unknown|>"
MAX_TOKENS = 40
GROUPED_BATCHES = 0.25


def build_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """One token a word of the corpus; a text is framed and padded as CLIP does."""
    words = {word: i for i, word in enumerate(vocabulary(texts, (END, START, UNKNOWN)))}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, words[START]), (END, words[END])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=START,
        eos_token=END,
        unk_token=UNKNOWN,
        pad_token=END,
        model_max_length=MAX_TOKENS,
    )


def build_clip(settings: ClipSettings, tokenizer: PreTrainedTokenizerFast) -> CLIPModel:
    """A CLIPModel with random weights."""
    common = {
        "hidden_size": settings.width,
        "intermediate_size": 2 * settings.width,
        "num_attention_heads": settings.heads,
    }
    text = common | {
        "vocab_size": len(tokenizer),
        "num_hidden_layers": settings.text_layers,
        "max_position_embeddings": MAX_TOKENS,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = common | {
        "image_size": settings.image_size,
        "patch_size": settings.patch_size,
        "num_hidden_layers": settings.vision_layers,
    }
    # CLIP's own initial weights scale with initializer_factor; 1 is meant for widths of 512 and more.
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=settings.projection_width)
    return CLIPModel(config)


def train_clip(corpus: Path, settings: ClipSettings, output: Path) -> dict[str, float]:
    """Train on a corpus folder, write a Hugging Face folder and return the validation figures in per cent."""
    data = read_vision_corpus(corpus)
    if data.images.shape[1:3] != (settings.image_size, settings.image_size):
        raise ValueError(
            f"The pictures of {corpus} are {data.images.shape[2]} pixels wide, but image_size is "
            f"{settings.image_size}; make both the same."
        )
    output.mkdir(parents=True, exist_ok=True)
    (output / "SHA256SUMS").unlink(missing_ok=True)
    torch.manual_seed(settings.seed)
    tokenizer = build_tokenizer([text for record in data.records for text in _texts(record)])
    model = build_clip(settings, tokenizer)
    with (output / "metrics.jsonl").open("w", encoding="utf-8") as stream:
        for row in _train(model, tokenizer, data, settings):
            print(json.dumps(row), file=stream, flush=True)
            log.info(" ".join(f"{key} {value}" for key, value in row.items()))
    size = {"height": settings.image_size, "width": settings.image_size}
    processor = CLIPImageProcessor(size=size, do_center_crop=False, image_mean=list(MEAN), image_std=list(STD))
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    processor.save_pretrained(output)
    figures = _validate(Clip(model, tokenizer, processor), data)
    write_card(
        output,
        "CLIP, small",
        "A Hugging Face CLIPModel trained on the vision corpus only: the baseline of text-to-picture retrieval.",
        settings,
        {f"validation {key}": value for key, value in figures.items()},
    )
    write_checksums(output)
    return figures


def _train(
    model: CLIPModel, tokenizer: PreTrainedTokenizerFast, corpus: VisionCorpus, settings: ClipSettings
) -> Iterator[dict[str, float]]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=settings.learning_rate, total_steps=settings.steps + 1, pct_start=0.1
    )
    rng = random.Random(settings.seed)
    source = batches(corpus, corpus.indices("train"), settings.batch_size, GROUPED_BATCHES, settings.seed)
    model.train()
    began, since, started = time.time(), 0, time.time()
    for step in range(1, settings.steps + 1):
        indices = next(source)
        texts = [rng.choice(_texts(corpus.records[index])) for index in indices]
        tokens = tokenizer(texts, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        loss = model(
            input_ids=tokens.input_ids,
            attention_mask=tokens.attention_mask,
            pixel_values=corpus.pixels(indices),
            return_loss=True,
        ).loss
        if not torch.isfinite(loss):
            raise ValueError(f"The loss is not finite at step {step}; lower the learning rate.")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % settings.log_every == 0 or step == settings.steps:
            yield {
                "step": step,
                "loss": round(loss.item(), 4),
                "steps_per_second": round((step - since) / (time.time() - began), 3),
                "seconds": round(time.time() - started, 1),
            }
            began, since = time.time(), step


def _texts(record: dict) -> list[str]:
    """All that is said of a picture."""
    more = [record["list"]] if "list" in record else []
    return [*record["captions"], *more]


def _validate(clip: Clip, corpus: VisionCorpus) -> dict[str, float]:
    indices = corpus.indices("validation")[:500]
    if not indices:
        return {}
    images, texts = [], []
    with torch.inference_mode():
        for start in range(0, len(indices), 50):
            part = indices[start : start + 50]
            features = clip.model.get_image_features(pixel_values=corpus.pixels(part))
            images.append(nn.functional.normalize(features, dim=-1))
            texts.append(clip.embed_texts([corpus.records[index]["captions"][0] for index in part]))
    return recall(torch.cat(texts) @ torch.cat(images).t())


def main(argv: Sequence[str] | None = None) -> None:
    """Train the small CLIP."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--corpus", required=True, type=Path, help="folder with images.npy and captions.jsonl")
    parser.add_argument("--settings", required=True, help="ClipSettings as JSON")
    parser.add_argument("--output", required=True, type=Path, help="folder of the model")
    arguments = parser.parse_args(argv)
    train_clip(arguments.corpus, ClipSettings.model_validate_json(arguments.settings), arguments.output)


if __name__ == "__main__":
    run_command(main)
