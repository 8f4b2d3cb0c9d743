"""Answers about a picture as they grow: the evaluation's inference, which a visitor can follow and stop.

In shapes: Q queries, D feature width, P projection width, H x W the extractor's picture.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from workflow_scripts.config.demo import AnswerSettings
from workflow_scripts.models.adaptor import has_low_rank, load_adaptor
from workflow_scripts.models.feature_extractor import FeatureExtractor
from workflow_scripts.models.language_model import load_language_model
from workflow_scripts.models.low_rank import load_language_model_of
from workflow_scripts.models.online_features import needs_pictures, online_features_of
from workflow_scripts.models.prompt import Prompt
from workflow_scripts.models.vision_language_model import VisionLanguageModel

_HEARTBEAT_SECONDS = 0.25


class Stopped(Exception):
    """The answer is not wanted any more."""


@dataclass(frozen=True)
class Look:
    """A picture as models are given it: query output [1, Q, D], and pixels [1, 3, H, W] for an adaptor whose Q-Former
    is not the extractor's, or is given the question too."""

    query_output: np.ndarray
    pixels: torch.Tensor


class Conversation:
    """One language model that answers about pictures through one of several adaptors, one question at a time.

    An adaptor that was trained with additions to the language model has a copy of it to itself.
    """

    def __init__(self, extractor: FeatureExtractor, language_model: Path, adaptors: Mapping[str, Path]) -> None:
        # Precision and device as in `evaluation.predict`.
        cuda = torch.cuda.is_available()
        self._device = "cuda" if cuda else "cpu"
        dtype = torch.bfloat16 if cuda and torch.cuda.is_bf16_supported() else torch.float16 if cuda else torch.float32
        self._extractor = extractor
        frozen, tokenizer = load_language_model(language_model, dtype=dtype, device=self._device)
        prompt = Prompt(tokenizer)
        self._models = {
            name: VisionLanguageModel(
                load_adaptor(path).to(self._device),
                load_language_model_of(path, language_model, dtype, self._device)[0] if has_low_rank(path) else frozen,
                prompt,
                online_features_of(path, extractor) if needs_pictures(path) else None,
            ).eval()
            for name, path in adaptors.items()
        }
        self._prompt = prompt
        self._one_at_a_time = threading.Lock()

    @property
    def adaptors(self) -> list[str]:
        """The names of the adaptors that can answer; the first one is the usual one."""
        return list(self._models)

    def look_at(self, picture: Image.Image) -> tuple[Look, np.ndarray]:
        """Look at a picture; its query output is rounded as in the feature stores, which the evaluation reads.
        Beside it the projection [Q, P]."""
        pixels = self._extractor.transform(picture).unsqueeze(0)
        query_output, projection = self._extractor.extract_images(pixels)
        rounded = query_output.cpu().numpy().astype(np.float16).astype(np.float32)
        return Look(rounded, pixels), projection[0].cpu().numpy()

    def answer(
        self,
        look: Look,
        question: str,
        settings: AnswerSettings,
        stop: threading.Event,
        adaptor: str | None = None,
    ) -> Iterator[str]:
        """Yield the answer about a picture as it grows, the whole of it last.

        Several times a second something is yielded even where nothing is new, so that whoever takes the answers can
        stop taking them. Setting `stop` ends the work at the next token, and then Stopped is raised; closing this
        generator ends it too. With several beams there is nothing to show before the end.
        """
        model = self._models[adaptor or self.adaptors[0]]
        news: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        left = threading.Event()

        def unwanted() -> bool:
            return stop.is_set() or left.is_set()

        def work() -> None:
            try:
                with self._one_at_a_time:
                    news.put(("whole", self._generate(model, look, question, settings, unwanted, news)))
            except BaseException as error:  # raised again where the answer is taken
                news.put(("failed", error))

        threading.Thread(target=work, name="answer", daemon=True).start()
        text = ""
        try:
            while True:
                try:
                    kind, value = news.get(timeout=_HEARTBEAT_SECONDS)
                except queue.Empty:
                    yield text
                    continue
                if kind == "failed":
                    raise value
                text = value
                yield text
                if kind == "whole":
                    return
        finally:
            left.set()

    def _generate(
        self,
        model: VisionLanguageModel,
        look: Look,
        question: str,
        settings: AnswerSettings,
        unwanted: Callable[[], bool],
        news: "queue.SimpleQueue[tuple[str, Any]]",
    ) -> str:
        tokens: list[int] = []

        def before_each_token(_: torch.nn.Module, arguments: tuple, options: dict) -> None:
            if unwanted():
                raise Stopped
            ids = options.get("input_ids")
            if settings.num_beams == 1 and ids is not None and ids.numel():
                tokens.append(int(ids[0, -1]))
                news.put(("part", self._prompt.decode(tokens).rstrip("\ufffd")))

        hook = model.language_model.register_forward_pre_hook(before_each_token, with_kwargs=True)
        try:
            images = torch.from_numpy(look.query_output) if model.features is None else look.pixels
            return model.generate(
                images.to(self._device),
                [question],
                max_new_tokens=settings.max_new_tokens,
                num_beams=settings.num_beams,
                temperature=settings.temperature,
            )[0]
        finally:
            hook.remove()
