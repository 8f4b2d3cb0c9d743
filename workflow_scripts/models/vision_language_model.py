"""Feature extractor's query output -> adaptor -> frozen language model: the loss and the answers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import DynamicCache, PreTrainedModel

from workflow_scripts.models.adaptor import Adaptor
from workflow_scripts.models.low_rank import is_low_rank
from workflow_scripts.models.packing import Row, attention_mask, lay_out
from workflow_scripts.models.prompt import Prompt

if TYPE_CHECKING:
    from workflow_scripts.models.online_features import OnlineFeatures

Ids = Sequence[Sequence[int]]


class VisionLanguageModel(nn.Module):
    """The system behind one image and one query; only its adaptor has parameters that require gradients, and where
    they are trained too the Q-Former and low-rank additions to the language model.

    An image is given as its cached query output [B, Q, D], or, where there are `features`, as pixels [B, 3, H, W].
    In shapes: B batch, Q queries, D feature width, W width of the language model, T tokens.
    """

    def __init__(
        self,
        adaptor: Adaptor,
        language_model: PreTrainedModel,
        prompt: Prompt,
        features: "OnlineFeatures | None" = None,
    ) -> None:
        super().__init__()
        width = language_model.get_input_embeddings().embedding_dim
        if adaptor.out_features != width:
            raise ValueError(
                f"The adaptor writes soft tokens of width {adaptor.out_features}, but the language model's "
                f"embeddings are {width} wide; train an adaptor for this language model."
            )
        self.adaptor = adaptor
        for name, parameter in language_model.named_parameters():
            parameter.requires_grad_(parameter.requires_grad and is_low_rank(name))
        self.language_model = language_model.eval()
        self.prompt = prompt
        self.features = features
        self.q_former = features.q_former if features is not None and features.trained else None

    def train(self, mode: bool = True) -> "VisionLanguageModel":
        """Set the adaptor's mode; the language model and a trained Q-Former stay in eval mode.

        A Q-Former with dropout would make what a resumed training does depend on more than its step.
        """
        super().train(mode)
        self.language_model.eval()
        if self.q_former is not None:
            self.q_former.eval()
        return self

    def loss(self, images: Tensor, queries: Sequence[str], answers: Sequence[str]) -> Tensor:
        """Return the mean cross-entropy of the answer tokens, end token included, for B images."""
        before, after = zip(*(self.prompt.prefix_ids(query) for query in queries), strict=True)
        ids = [self.prompt.answer_ids(answer) for answer in answers]
        return self(images, before, after, ids, texts=self._texts(queries))

    def forward(
        self,
        images: Tensor,
        before: Ids,
        after: Ids,
        answers: Ids,
        image_of: Sequence[int] | None = None,
        texts: Ids | None = None,
    ) -> Tensor:
        """Return the loss from token ids: those before and after the image tokens and those of the answer.

        Logits are computed at answer positions only; the labels follow from lengths, never from token ids. With
        `image_of`, several samples share an image: sample k asks about images[image_of[k]], and its tokens
        are computed once. The loss is the same as that of samples with an image each. `texts` are the queries' ids for
        a Q-Former that is given them.
        """
        query_output = images
        if self.features is not None:
            query_output, image_of = self.features(images, texts, image_of)
        if image_of is None:
            embeds, attention_mask, labels = self.training_inputs(query_output, before, after, answers)
            hidden = self.language_model.get_decoder()(
                inputs_embeds=embeds, attention_mask=attention_mask, use_cache=False
            ).last_hidden_state
        else:
            hidden, labels = self._packed(query_output, before, after, answers, image_of)
        predicts = labels[:, 1:] != -100
        logits = self.language_model.get_output_embeddings()(hidden[:, :-1][predicts])
        return functional.cross_entropy(logits.float(), labels[:, 1:][predicts])

    def _packed(
        self, query_output: Tensor, before: Ids, after: Ids, answers: Ids, image_of: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """Return hidden states [I, T, W] and labels [I, T], one row an image with all samples about it.

        What stands before the image is the same for all: its keys and values are computed once for the batch.
        """
        self._check_answers(answers)
        left = list(before[0])
        assert all(list(ids) == left for ids in before), "what stands before the image depends on the sample"
        soft_tokens = self._soft_tokens(query_output)
        turns: list[list[tuple[Sequence[int], Sequence[int]]]] = [[] for _ in soft_tokens]
        for image, following, answer in zip(image_of, after, answers, strict=True):
            turns[image].append((following, answer))
        rows = [Row(soft_tokens.shape[1], of_image) for of_image in turns]
        segments, positions, labels = lay_out(rows, soft_tokens.device)
        before_all, *behind = self._embed([left, *(row.ids for row in rows)])
        parts = [torch.cat([image, text]) for image, text in zip(soft_tokens, behind, strict=True)]
        embeds = torch.stack([functional.pad(part, (0, 0, 0, segments.shape[1] - len(part))) for part in parts])
        decoder = self.language_model.get_decoder()
        past = DynamicCache()
        if left:
            decoder(inputs_embeds=before_all[None], past_key_values=past, use_cache=True)
            past.batch_repeat_interleave(len(rows))
        hidden = decoder(
            inputs_embeds=embeds,
            attention_mask=attention_mask(segments, len(left), embeds.dtype),
            position_ids=positions + len(left),
            past_key_values=past,
            use_cache=True,
        ).last_hidden_state
        return hidden, labels

    def training_inputs(
        self, query_output: Tensor, before: Ids, after: Ids, answers: Ids
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return embeddings [B, T, W], attention mask [B, T] and labels [B, T], padded on the right.

        Labels are -100 for everything but the answer and its end token.
        """
        self._check_answers(answers)
        rows = self._rows(query_output, before, after, answers)
        length = max(len(row) for row in rows)
        labels = torch.full((len(rows), length), -100, device=rows[0].device)
        attention_mask = torch.zeros((len(rows), length), dtype=torch.long, device=rows[0].device)
        for index, (row, ids) in enumerate(zip(rows, answers, strict=True)):
            labels[index, len(row) - len(ids) : len(row)] = torch.tensor(ids, device=labels.device)
            attention_mask[index, : len(row)] = 1
        embeds = torch.stack([functional.pad(row, (0, 0, 0, length - len(row))) for row in rows])
        return embeds, attention_mask, labels

    @torch.no_grad()
    def generate(
        self,
        images: Tensor | None,
        queries: Sequence[str],
        max_new_tokens: int,
        num_beams: int = 1,
        temperature: float = 0.0,
    ) -> list[str]:
        """Answer a batch of queries about B images, or about none where that is None.

        Prefixes are padded on the left, with attention mask, so that a batch answers as its samples
        would alone. With temperature 0 the answer is the most probable one (greedy, or of the beams); above
        it is sampled.
        """
        if images is None:
            prefixes = self._embed([self.prompt.text_ids(query) for query in queries])
        else:
            query_output = images
            if self.features is not None:
                query_output, _ = self.features(images, self._texts(queries))
            before, after = zip(*(self.prompt.prefix_ids(query) for query in queries), strict=True)
            prefixes = self._rows(query_output, before, after)
        length = max(len(prefix) for prefix in prefixes)
        embeds = torch.stack([functional.pad(row, (0, 0, length - len(row), 0)) for row in prefixes])
        attention_mask = torch.stack(
            [functional.pad(row.new_ones(len(row), dtype=torch.long), (length - len(row), 0)) for row in prefixes]
        )
        tokenizer = self.prompt.tokenizer
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self.prompt.end_id
        sampling = (
            {"do_sample": True, "temperature": temperature}
            if temperature > 0
            else {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        )
        # With inputs_embeds alone, generate() returns the new tokens only and derives position ids from the mask.
        ids = self.language_model.generate(
            inputs_embeds=embeds,
            attention_mask=attention_mask,
            max_new_tokens=max_new_tokens,
            num_beams=num_beams,
            eos_token_id=self.prompt.end_id,
            pad_token_id=pad,
            **sampling,
        )
        return [self.prompt.decode(_until(row, self.prompt.end_id)) for row in ids.tolist()]

    def _texts(self, queries: Sequence[str]) -> list[list[int]] | None:
        return [self.features.text_ids(query) for query in queries] if self.features is not None else None

    def _rows(self, query_output: Tensor, before: Ids, *behind: Ids) -> list[Tensor]:
        """Return each sample's embeddings [T, W]: of ids, its image, and more ids; training and inference share it."""
        embeds = self._embed([ids for column in (before, *behind) for ids in column])
        left, *right = (embeds[start : start + len(before)] for start in range(0, len(embeds), len(before)))
        return [torch.cat(parts) for parts in zip(left, self._soft_tokens(query_output), *right, strict=True)]

    def _soft_tokens(self, query_output: Tensor) -> Tensor:
        weight = self.adaptor.first_layer.weight
        soft_tokens = self.adaptor(query_output.to(weight.device, weight.dtype))
        return soft_tokens.to(self.language_model.get_input_embeddings().weight.dtype)

    @staticmethod
    def _check_answers(answers: Ids) -> None:
        for index, ids in enumerate(answers):
            if len(ids) < 2:
                raise ValueError(f"The answer of sample {index} of the batch is empty: there is nothing to learn.")

    def _embed(self, sequences: Ids) -> list[Tensor]:
        """Return the embeddings [T, W] of sequences of ids, looked up at once.

        At ZeRO stage 3 each call of a module may gather its weights from all processes, which therefore have to call it
        equally often, however many samples or images are theirs.
        """
        embedding = self.language_model.get_input_embeddings()
        ids = torch.tensor([token for sequence in sequences for token in sequence], dtype=torch.long)
        return list(embedding(ids.to(embedding.weight.device)).split([len(sequence) for sequence in sequences]))


def _until(ids: list[int], end: int) -> list[int]:
    return ids[: ids.index(end)] if end in ids else ids
