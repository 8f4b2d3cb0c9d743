"""Trains the small feature extractor: LAVIS's first-stage BLIP-2 on the pictures and texts of a vision corpus.

Three stages: the vision encoder learns to align its tokens with phrases (BLIP-2 takes an encoder that others
pretrained); then queries and texts learn by contrast; then LAVIS's whole first-stage loss is trained.
"""

import argparse
import json
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from workflow_scripts.command_line import run_command, write_atomically
from workflow_scripts.config.vision import FeatureExtractorSettings
from workflow_scripts.models.blip2 import SPECIAL_TOKENS, OfflineBlip2Qformer, build_blip2_qformer
from workflow_scripts.models.feature_extractor import FeatureExtractor, save_feature_extractor
from workflow_scripts.small_models.contrast import contrastive_loss
from workflow_scripts.small_models.phrase_alignment import PhraseAlignment
from workflow_scripts.small_models.publish_model import write_card, write_checksums
from workflow_scripts.small_models.retrieval_check import recall
from workflow_scripts.small_models.vision_data import VisionCorpus, batches, read_vision_corpus, vocabulary

log = logging.getLogger(__name__)
WARM_UP_STEPS = 40
CARD = """\
LAVIS's Blip2Qformer with a small EVA vision transformer, trained on the vision corpus only: vision encoder by
phrases, queries and texts by contrast, then LAVIS's whole first-stage loss for a few steps.

Rank by the projections (max over the queries). The matching head needs far more steps than the few of the
miniature; metrics.jsonl shows its loss, and 0.637 is guessing.
"""


class Trainer:
    """The model, what is needed beside it while training, and the three stages."""

    def __init__(self, corpus: VisionCorpus, settings: FeatureExtractorSettings, folder: Path) -> None:
        torch.manual_seed(settings.seed)
        self.corpus, self.settings, self.folder = corpus, settings, folder
        self.vocabulary = vocabulary([text for record in corpus.records for text in _all_texts(record)], SPECIAL_TOKENS)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "vocab.txt", "\n".join(self.vocabulary) + "\n")
        self.model: OfflineBlip2Qformer = build_blip2_qformer(settings.geometry, folder / "vocab.txt")
        width = self.model.visual_encoder.num_features
        self.alignment = PhraseAlignment(self.vocabulary, width)
        self.query_map = nn.Linear(settings.geometry.qformer_width, width)
        self.train_indices = corpus.indices("train")
        self.validation_indices = corpus.indices("validation")[:500]
        self.metrics = (folder / "metrics.jsonl").open("w", encoding="utf-8")
        self.rng = random.Random(settings.seed)
        self.started = time.time()

    def run(self) -> dict[str, float]:
        """Train all stages; returns the last validation figures."""
        s = self.settings
        self._stage("vision", s.vision_steps, s.batch_size, s.vision_learning_rate, 1.0, self._vision_loss)
        rate = s.contrast_learning_rate
        self._stage("contrast", s.contrast_steps, s.batch_size, rate, s.vision_factor, self._contrast_loss)
        rate, size = s.first_stage_learning_rate, s.first_stage_batch_size
        self._stage("first_stage", s.first_stage_steps, size, rate, s.vision_factor, self._first_stage_loss)
        return self.validate("end")

    def _stage(
        self,
        name: str,
        steps: int,
        batch_size: int,
        learning_rate: float,
        vision_factor: float,
        loss: Callable[[list[int]], tuple[Tensor, dict[str, float]]],
    ) -> None:
        s = self.settings
        model = self.model.train()
        vision = [*model.visual_encoder.parameters(), *model.ln_vision.parameters()]
        known = {id(parameter) for parameter in vision}
        others = [parameter for parameter in model.parameters() if id(parameter) not in known]
        others += [*self.alignment.parameters(), *self.query_map.parameters()]
        groups = [{"params": vision, "factor": vision_factor}, {"params": others, "factor": 1.0}]
        optimizer = torch.optim.AdamW(groups, lr=learning_rate, weight_decay=s.weight_decay, betas=(0.9, 0.98))
        source = batches(self.corpus, self.train_indices, batch_size, s.grouped_batches, self.rng.randrange(2**31))
        began, since = time.time(), 0
        for step in range(1, steps + 1):
            factor = min(step / WARM_UP_STEPS, 1.0) * max(0.02, min(1.0, 1.4 * (1 - step / steps)))
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * factor * group["factor"]
            total, parts = loss(next(source))
            if not torch.isfinite(total):
                raise ValueError(f"The loss of stage {name} is not finite at step {step}; lower its learning rate.")
            optimizer.zero_grad(set_to_none=True)
            total.backward()
            nn.utils.clip_grad_norm_([*vision, *others], 1.0)
            optimizer.step()
            if step % s.log_every == 0 or step == steps:
                speed = (step - since) / (time.time() - began)
                began, since = time.time(), step
                self._log(
                    {"stage": name, "step": step, "of": steps, "loss": total.item(), "steps_per_second": speed} | parts
                )
        if steps:
            save_feature_extractor(self.model, self.folder, self.vocabulary)
            self.validate(name)

    def _tokens(self, indices: list[int]) -> Tensor:
        return self.model.ln_vision(self.model.visual_encoder(self.corpus.pixels(indices)))

    def _phrases(self, indices: Sequence[int]) -> list[list[str]]:
        return [self.corpus.phrases(index) for index in indices]

    def _texts(self, indices: Sequence[int]) -> list[str]:
        """One text a picture, of one kind in a batch so that little is padded."""
        kind = self.rng.random()
        records = [self.corpus.records[index] for index in indices]
        if kind < 0.2 and all("list" in record for record in records):
            return [record["list"] for record in records]
        if kind < 0.4 and all("phrases" in record for record in records):
            return [self.rng.choice(record["phrases"]) for record in records]
        return [self.rng.choice(record["captions"]) for record in records]

    def _vision_loss(self, indices: list[int]) -> tuple[Tensor, dict[str, float]]:
        return self.alignment(self._tokens(indices), self._phrases(indices)), {}

    def _contrast_loss(self, indices: list[int]) -> tuple[Tensor, dict[str, float]]:
        """The phrases' loss on tokens and queries, and the contrast of whole pictures and texts."""
        tokens = self._tokens(indices)
        phrases = self._phrases(indices)
        queries = self.model.Qformer.bert(
            query_embeds=self.model.query_tokens.expand(len(indices), -1, -1),
            encoder_hidden_states=tokens,
            encoder_attention_mask=torch.ones(tokens.shape[:2], dtype=torch.long),
            return_dict=True,
        ).last_hidden_state
        aligned = self.alignment(self.query_map(queries), phrases, self.settings.purity_weight)
        contrast = self._contrast(queries, self._texts(indices))
        total = aligned + self.settings.itc_weight * contrast
        if self.settings.vision_factor:
            total = total + self.settings.alignment_weight * self.alignment(tokens, phrases)
        return total, {"alignment": aligned.item(), "itc": contrast.item()}

    def _contrast(self, queries: Tensor, texts: list[str]) -> Tensor:
        """LAVIS's contrastive loss with gradients on both sides and without equal texts as negatives."""
        model = self.model
        tokens = model.tokenizer(
            texts, padding=True, truncation=True, max_length=model.max_txt_len, return_tensors="pt"
        )
        text = F.normalize(model.text_proj(model.forward_text(tokens)), dim=-1)
        image = F.normalize(model.vision_proj(queries), dim=-1)
        similarity = torch.einsum("bqp,np->bnq", image, text).amax(-1) / model.temp
        equal = torch.tensor([[a == b for b in texts] for a in texts]) & ~torch.eye(len(texts), dtype=torch.bool)
        similarity = similarity.masked_fill(equal, -1e4)
        return contrastive_loss(similarity)

    def _first_stage_loss(self, indices: list[int]) -> tuple[Tensor, dict[str, float]]:
        """LAVIS's `forward`, its three losses weighted, and the phrases' loss on the same query output."""
        s = self.settings
        texts = self._texts(indices)
        longest = self.model.tokenizer(texts, padding=True, return_tensors="pt").input_ids.shape[1]
        self.model.max_txt_len = min(longest, s.geometry.max_text_length)
        seen: list[Tensor] = []
        hook = self.model.vision_proj.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
        output = self.model({"image": self.corpus.pixels(indices), "text_input": texts})
        hook.remove()
        self.model.max_txt_len = s.geometry.max_text_length
        total = s.itc_weight * output.loss_itc + s.itm_weight * output.loss_itm + s.lm_weight * output.loss_lm
        parts = {"itc": output.loss_itc.item(), "itm": output.loss_itm.item(), "lm": output.loss_lm.item()}
        if s.alignment_weight:
            aligned = self.alignment(self.query_map(seen[0]), self._phrases(indices), s.purity_weight)
            total, parts["alignment"] = total + s.alignment_weight * aligned, aligned.item()
        return total, parts

    def validate(self, stage: str) -> dict[str, float]:
        """Text-to-picture recall among the validation pictures with the first caption of each."""
        if not self.validation_indices:
            return {}
        extractor = FeatureExtractor(self.model)
        indices = self.validation_indices
        images = torch.cat([extractor.extract_images(self.corpus.pixels(part))[1] for part in _parts(indices)])
        captions = [self.corpus.records[index]["captions"][0] for index in indices]
        texts = torch.cat([extractor.embed_texts(part) for part in _parts(captions)])
        figures = recall(torch.einsum("np,bqp->nbq", texts, images).amax(-1))
        self._log({"stage": stage, "pictures": len(indices), **{f"validation_{k}": v for k, v in figures.items()}})
        self.model.train().requires_grad_(True)
        return figures

    def _log(self, row: dict[str, object]) -> None:
        row = {**row, "seconds": round(time.time() - self.started, 1)}
        row = {key: float(f"{value:.5g}") if isinstance(value, float) else value for key, value in row.items()}
        print(json.dumps(row), file=self.metrics, flush=True)
        log.info(" ".join(f"{key} {value}" for key, value in row.items()))

    def save(self, figures: dict[str, float]) -> None:
        """Write checkpoint, sizes, vocabulary, card and, last, the checksums."""
        self.metrics.close()
        save_feature_extractor(self.model, self.folder, self.vocabulary)
        write_card(
            self.folder,
            "Feature extractor (BLIP-2's first stage, small)",
            CARD,
            self.settings,
            {f"validation {key}": value for key, value in figures.items()},
        )
        write_checksums(self.folder)


def _all_texts(record: dict) -> list[str]:
    return [*record["captions"], *record.get("phrases", ()), record.get("list", "")]


def _parts(items: Sequence, size: int = 50) -> Iterator[Sequence]:
    return (items[i : i + size] for i in range(0, len(items), size))


def train_feature_extractor(corpus: Path, settings: FeatureExtractorSettings, output: Path) -> dict[str, float]:
    """Train on a corpus folder, write the model's folder and return the validation figures in per cent."""
    data = read_vision_corpus(corpus)
    size = settings.geometry.image_size
    if data.images.shape[1:3] != (size, size):
        raise ValueError(
            f"The pictures of {corpus} are {data.images.shape[2]} pixels wide, but geometry.image_size is {size}; "
            "make both the same."
        )
    (output / "SHA256SUMS").unlink(missing_ok=True)
    own_group = not dist.is_initialized()
    if own_group:  # LAVIS's losses gather over processes; one process is its own group
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        trainer = Trainer(data, settings, output)
        figures = trainer.run()
        trainer.save(figures)
    finally:
        if own_group:
            dist.destroy_process_group()
    return figures


def main(argv: Sequence[str] | None = None) -> None:
    """Train the small feature extractor."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--corpus", required=True, type=Path, help="folder with images.npy and captions.jsonl")
    parser.add_argument("--settings", required=True, help="FeatureExtractorSettings as JSON")
    parser.add_argument("--output", required=True, type=Path, help="folder of the model")
    arguments = parser.parse_args(argv)
    settings = FeatureExtractorSettings.model_validate_json(arguments.settings)
    train_feature_extractor(arguments.corpus, settings, arguments.output)


if __name__ == "__main__":
    run_command(main)
