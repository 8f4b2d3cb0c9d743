"""Settings of the small language model."""

from typing import Self

from pydantic import Field, model_validator

from workflow_scripts.config.base import Section


class LanguageModelSettings(Section):
    """A small LLaMA, trained on text only; the defaults are those of scale mini."""

    hidden_size: int = Field(128, ge=8, le=8192, description="Width of the model.")
    intermediate_size: int = Field(352, ge=8, le=32768, description="Width of the feed-forward layers.")
    layers: int = Field(4, ge=1, le=80, description="Transformer layers.")
    attention_heads: int = Field(4, ge=1, le=128, description="Attention heads; they divide the width.")
    max_positions: int = Field(512, ge=64, le=32768, description="Longest sequence in tokens.")
    rope_theta: float = Field(
        500_000.0, gt=1, description="Base of the rotary positions; a large one leaves more of a head to content."
    )
    vocabulary_size: int = Field(4000, ge=300, le=200_000, description="Upper bound of the tokenizer's entries.")
    whole_words: bool = Field(
        True, description="Every word of the corpus is one token; if not, rare words of real text are several."
    )
    soft_tokens: int = Field(
        32, ge=1, le=1024, description="How many soft tokens stand in for a context, as image tokens will."
    )
    soft_context_share: float = Field(
        0.88,
        ge=0,
        le=1,
        description="Share of contexts that are read as soft tokens (noisy sums of word embeddings), others as words.",
    )
    samples: str | None = Field(
        None,
        description="Samples with questions and descriptions that the corpus has beside captions, without a world.",
        json_schema_extra={"identity": False},
    )
    documents: int | None = Field(None, ge=1, description="Read only that many lines of the corpus; null reads all.")
    epochs: float = Field(1.0, gt=0, le=1000, description="Passes over the corpus.")
    batch_size: int = Field(8, ge=1, le=4096, description="Contexts, with all their turns, in one optimizer step.")
    learning_rate: float = Field(
        3e-3, gt=0, le=1, description="AdamW's highest learning rate, for embeddings and norms."
    )
    matrix_learning_rate: float = Field(
        0.012, gt=0, le=1, description="Muon's highest learning rate, for the matrices inside the layers."
    )
    warmup_share: float = Field(0.05, ge=0, le=1, description="Share of the steps over which the rate rises.")
    weight_decay: float = Field(0.01, ge=0, le=1, description="AdamW's decoupled weight decay.")
    seed: int = Field(0, ge=0, description="Seed of weights, order and soft contexts.")

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.hidden_size % (2 * self.attention_heads):
            raise ValueError(
                f"hidden_size ({self.hidden_size}) must be a multiple of twice attention_heads ({self.attention_heads})"
            )
        return self
