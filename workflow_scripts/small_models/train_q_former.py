"""Trains a Q-Former, from a BERT's weights, on the tokens of a frozen vision encoder: BLIP-2's first stage.

Before them the linear solution, where it is asked for: the text side learns it by distillation, the queries are given
it. Then two stages: queries and texts by contrast, and LAVIS's whole first-stage loss (contrast, matching, captioning).
"""

import argparse
import json
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from workflow_scripts.command_line import run_command
from workflow_scripts.config.vision import LinearStartSettings, QFormerSettings
from workflow_scripts.models.blip2 import build_blip2_qformer, start_from_bert
from workflow_scripts.models.feature_extractor import FeatureExtractor, save_feature_extractor
from workflow_scripts.small_models.contrast import contrastive_loss
from workflow_scripts.small_models.linear_start import start_queries
from workflow_scripts.small_models.publish_model import write_card, write_checksums
from workflow_scripts.small_models.resume_point import ResumePoint
from workflow_scripts.small_models.retrieval_check import recall
from workflow_scripts.small_models.retrieval_teacher import solve_teacher
from workflow_scripts.small_models.text_distillation import TextDistillation
from workflow_scripts.small_models.token_data import TokenCorpus, mirrored

log = logging.getLogger(__name__)
BERT_WEIGHTS, BERT_VOCABULARY = "model.safetensors", "vocab.txt"
TEXT = "text"
CARD = """\
LAVIS's Blip2Qformer behind a frozen, pretrained vision encoder. The Q-Former started from a pretrained text encoder
and learned on the training captions only: queries and texts by contrast, then LAVIS's whole first-stage loss.

The text encoder (all-MiniLM-L6-v2) was trained by others on a billion sentence pairs, among them captions of Flickr30k
and COCO, as text. It never saw a picture, but it may have read captions of photographs that are evaluated here.
"""
# What BERT has not: it learns from nothing, at a higher rate.
_NEW = ("crossattention", "query_tokens", "vision_proj", "text_proj", "itm_head", "ln_vision", "temp")


class Trainer:
    """The model and its stages."""

    def __init__(self, corpus: TokenCorpus, text_encoder: Path, settings: QFormerSettings, folder: Path) -> None:
        torch.manual_seed(settings.seed)
        self.corpus, self.settings = corpus, settings
        # Not splitlines: a vocabulary may hold a character that ends a line elsewhere, and all later ids would move.
        self.vocabulary = (text_encoder / BERT_VOCABULARY).read_text(encoding="utf-8").removesuffix("\n").split("\n")
        self.model = build_blip2_qformer(settings.geometry, text_encoder / BERT_VOCABULARY)
        start_from_bert(self.model, load_file(text_encoder / BERT_WEIGHTS))
        self.model.visual_encoder.requires_grad_(False)
        self.rng = random.Random(settings.seed)
        self.resume = ResumePoint(folder, {"settings": settings.defining(), "pictures": corpus.digest})
        self.metrics = self.resume.open_metrics()
        self.started = time.time() - self.resume.seconds

    def run(self) -> dict[str, float]:
        """Train all stages; returns the last validation figures."""
        s = self.settings
        if s.linear_start and "queries" not in self.resume.stages_done:
            self._start_from_linear(s.linear_start)
        size = min(s.batch_size, len(self.corpus.train))
        steps = round(s.contrast_epochs * (len(self.corpus.train) // size))
        rates = (s.learning_rate, s.text_learning_rate)
        self._stage("contrast", steps, self._pictures(size, "contrast"), rates, self._contrast_loss)
        share = s.first_stage_learning_rate_share
        rates = (s.learning_rate * share, s.text_learning_rate * share)
        pictures = self._pictures(s.first_stage_batch_size, "first_stage")
        self._stage("first_stage", s.first_stage_steps, pictures, rates, self._first_stage_loss)
        return self.validate("end")

    def _start_from_linear(self, settings: LinearStartSettings) -> None:
        s = self.settings
        teacher = solve_teacher(self.model, self.corpus, settings, s.seed)
        distillation = TextDistillation(teacher, settings, s.seed)
        if not self.resume.inside_a_stage:
            self._log({"stage": "teacher", "pictures": len(self.corpus.train), "captions": len(teacher.texts)})
            distillation.start(self.model)
        rates = (3 * settings.text_learning_rate, settings.text_learning_rate)
        self._stage(
            TEXT,
            distillation.steps,
            distillation.batches,
            rates,
            lambda rows: (distillation.loss(self.model, rows), {}),
        )
        self.resume.restore("queries", self.model, None, self.rng)
        self._log({"stage": "queries", **start_queries(self.model, self.corpus, teacher, settings, s.seed)})
        self.validate("queries")
        self.resume.save("queries", 0, self.model, None, self.rng, time.time() - self.started, finished=True)

    def _pictures(self, batch_size: int, name: str) -> Callable[[int], Iterator[list[str]]]:
        return lambda done: islice(self.corpus.batches(batch_size, f"{self.settings.seed} {name}"), done, None)

    def _stage(
        self,
        name: str,
        steps: int,
        batches: Callable[[int], Iterator[Any]],
        rates: tuple[float, float],
        loss: Callable[[Any], tuple[Tensor, dict[str, float]]],
    ) -> None:
        """Train one stage; `batches` gives those after the steps that are done, `rates` those of new and old parts."""
        s = self.settings
        model = self._training()
        groups: tuple[list[nn.Parameter], list[nn.Parameter]] = ([], [])
        for key, parameter in model.named_parameters():
            if parameter.requires_grad:
                groups[0 if any(part in key for part in _NEW) else 1].append(parameter)
        parameters = [parameter for group in groups for parameter in group]
        optimizer = torch.optim.AdamW(
            [{"params": group, "peak": rate} for rate, group in zip(rates, groups, strict=True)],
            weight_decay=s.weight_decay,
            betas=(0.9, 0.98),
        )
        done = self.resume.restore(name, model, optimizer, self.rng)
        if name in self.resume.stages_done:
            return
        source = batches(done)
        began, since = time.time(), done
        warm_up = max(1, min(40, steps // 10))
        for step in range(done + 1, steps + 1):
            factor = min(step / warm_up, 1.0) * max(0.02, 1 - max(0, step - warm_up) / max(1, steps - warm_up))
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * factor
            total, parts = loss(next(source))
            if not torch.isfinite(total):
                raise ValueError(f"The loss of stage {name} is not finite at step {step}; lower its learning rate.")
            optimizer.zero_grad(set_to_none=True)
            total.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            if step % s.log_every == 0 or step == steps:
                speed = (step - since) / (time.time() - began)
                row = {"stage": name, "step": step, "of": steps, "loss": total.item(), "steps_per_second": speed}
                self._log(row | parts)
                began, since = time.time(), step
            if step % s.checkpoint_every == 0 or step == steps:
                if step == steps and name != TEXT:  # the queries know nothing yet
                    self.validate(name)
                seconds = time.time() - self.started
                self.resume.save(name, step, model, optimizer, self.rng, seconds, finished=step == steps)

    def _training(self) -> nn.Module:
        self.model.train()
        self.model.visual_encoder.eval()
        return self.model

    def _augmented(self, keys: Sequence[str]) -> Tensor:
        """Tokens of training pictures, half of them mirrored, some of their values left out."""
        tokens = mirrored(self.corpus.tokens_of(keys), torch.rand(len(keys)) < 0.5)
        return F.dropout(tokens, self.settings.feature_dropout)

    def _texts(self, keys: Sequence[str]) -> list[str]:
        return [self.rng.choice(self.corpus.captions[key]) for key in keys]

    def _contrast_loss(self, keys: list[str]) -> tuple[Tensor, dict[str, float]]:
        """LAVIS's contrastive loss (max over the queries) with gradients on both sides."""
        model, texts = self.model, self._texts(keys)
        tokens = model.visual_encoder(self._augmented(keys))
        if self.settings.token_dropout:
            share = 1 - self.settings.token_dropout
            tokens = tokens[:, torch.rand(tokens.shape[1]).argsort()[: max(1, round(tokens.shape[1] * share))]]
        queries = model.Qformer.bert(
            query_embeds=model.query_tokens.expand(len(keys), -1, -1),
            encoder_hidden_states=model.ln_vision(tokens),
            encoder_attention_mask=torch.ones(tokens.shape[:2], dtype=torch.long),
            return_dict=True,
        ).last_hidden_state
        encoded = model.tokenizer(
            texts, padding=True, truncation=True, max_length=model.max_txt_len, return_tensors="pt"
        )
        text = F.normalize(model.text_proj(model.forward_text(encoded)), dim=-1)
        image = F.normalize(model.vision_proj(queries), dim=-1)
        similarity = torch.einsum("bqp,np->bnq", image, text).amax(-1) / model.temp
        loss = contrastive_loss(similarity, self.settings.label_smoothing)
        return loss, {"temperature": model.temp.item()}

    def _first_stage_loss(self, keys: list[str]) -> tuple[Tensor, dict[str, float]]:
        """LAVIS's `forward` with its three losses."""
        texts = self._texts(keys)
        model, longest = self.model, self.settings.geometry.max_text_length
        model.max_txt_len = min(model.tokenizer(texts, padding=True, return_tensors="pt").input_ids.shape[1], longest)
        output = model({"image": self._augmented(keys), "text_input": texts})
        model.max_txt_len = longest
        return output.loss, {part: output[f"loss_{part}"].item() for part in ("itc", "itm", "lm")}

    def validate(self, stage: str) -> dict[str, float]:
        """Text-to-picture recall among the validation pictures with the first caption of each."""
        keys = self.corpus.validation
        if not keys:
            return {}
        extractor = FeatureExtractor(self.model)
        images = torch.cat([extractor.extract_images(self.corpus.tokens_of(part))[1] for part in _parts(keys)])
        captions = [self.corpus.captions[key][0] for key in keys]
        texts = torch.cat([extractor.embed_texts(part) for part in _parts(captions)])
        figures = recall(torch.einsum("np,bqp->nbq", texts, images).amax(-1))
        self._log({"stage": stage, "pictures": len(keys), **{f"validation_{k}": v for k, v in figures.items()}})
        self.model.requires_grad_(True)
        self.model.visual_encoder.requires_grad_(False)
        self._training()
        return figures

    def _log(self, row: dict[str, object]) -> None:
        row = {**row, "seconds": round(time.time() - self.started, 1)}
        row = {key: float(f"{value:.5g}") if isinstance(value, float) else value for key, value in row.items()}
        print(json.dumps(row), file=self.metrics, flush=True)
        log.info(" ".join(f"{key} {value}" for key, value in row.items()))


def _parts(items: Sequence[str], size: int = 100) -> list[Sequence[str]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def train_q_former(
    pairs: Path,
    stores: Sequence[Path],
    vision_weights: Path,
    text_encoder: Path,
    settings: QFormerSettings,
    output: Path,
) -> dict[str, float]:
    """Train, write the feature extractor's folder and return the validation figures in per cent."""
    corpus = TokenCorpus(pairs, stores)
    output.mkdir(parents=True, exist_ok=True)
    (output / "SHA256SUMS").unlink(missing_ok=True)
    own_group = not dist.is_initialized()
    if own_group:  # LAVIS's losses gather over processes; one process is its own group
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        trainer = Trainer(corpus, text_encoder, settings, output)
        figures = trainer.run()
    finally:
        if own_group:
            dist.destroy_process_group()
    trainer.metrics.close()
    trainer.resume.remove()
    save_feature_extractor(trainer.model, output, trainer.vocabulary, vision_weights)
    named = {f"validation {name}, {len(corpus.validation)} pictures": value for name, value in figures.items()}
    write_card(output, "Feature extractor (BLIP-2's first stage on pretrained parts)", CARD, settings, named)
    write_checksums(output)
    return figures


def main(argv: Sequence[str] | None = None) -> None:
    """Train a Q-Former on the tokens of a frozen vision encoder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--pairs", required=True, type=Path, help="samples.parquet of the filtered pairs")
    parser.add_argument("--tokens", required=True, type=Path, nargs="+", help="token stores of their image sets")
    parser.add_argument("--vision-weights", required=True, type=Path, help="the vision encoder's published file")
    parser.add_argument("--text-encoder", required=True, type=Path, help="folder of a BERT (safetensors, vocab.txt)")
    parser.add_argument("--settings", required=True, help="QFormerSettings as JSON")
    parser.add_argument("--output", required=True, type=Path, help="folder of the model")
    arguments = parser.parse_args(argv)
    settings = QFormerSettings.model_validate_json(arguments.settings)
    train_q_former(
        arguments.pairs,
        arguments.tokens,
        arguments.vision_weights,
        arguments.text_encoder,
        settings,
        arguments.output,
    )


if __name__ == "__main__":
    run_command(main)
