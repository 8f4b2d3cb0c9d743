"""Settings of a training run of the adaptor: pretraining and every finetuning."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from workflow_scripts.config.base import Section

# How a run is carried out: it may be resumed under other values of the fields that are marked so.
OPERATIONAL = {"identity": False}
# Came when there were trainings already: at its default a field is no part of an identity, and these keep theirs.
ADDED = {"identity": "unless default"}


class TrainingSettings(Section):
    """What is trained, for how long, in which steps; the learning rate rises linearly, then falls as a cosine."""

    adaptor: Literal["linear", "mlp"] = Field("linear", description="Kind of adaptor: one affine map, or two.")
    features: Literal["cached", "online"] = Field(
        "cached",
        description="cached: features were computed once and are read; online: the feature extractor runs inside the "
        "training, from the pictures, and no cache takes disk.",
        json_schema_extra=ADDED,
    )
    q_former_query: bool = Field(
        False,
        description="Give the Q-Former the query too, as InstructBLIP does; an empty one adds nothing. "
        "Needs online features.",
        json_schema_extra=ADDED,
    )
    train_q_former: bool = Field(
        False,
        description="Train the Q-Former with the adaptor, without dropout; its vision encoder stays frozen. "
        "Needs online features.",
        json_schema_extra=ADDED,
    )
    q_former_learning_rate_share: float = Field(
        0.1,
        gt=0,
        le=1,
        description="A trained Q-Former's learning rate as a share of the adaptor's: it knows its task, and the "
        "adaptor begins from nothing.",
        json_schema_extra=ADDED,
    )
    low_rank: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="Train additions of this rank to the language model's matrices with the adaptor (LoRA); null "
        "leaves the language model frozen.",
        json_schema_extra=ADDED,
    )
    low_rank_learning_rate_share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="The learning rate of these additions as a share of the adaptor's.",
        json_schema_extra=ADDED,
    )
    standardise_features: bool = Field(
        False,
        description="Start the adaptor as if features were standardised and soft tokens as wide as the "
        "language model's embeddings; constants that fold into its affine map. Without effect on a given adaptor.",
    )
    batch_size: int = Field(ge=1, le=65536, description="Samples in one optimizer step, over all processes.")
    micro_batch_size: int | None = Field(
        None,
        ge=1,
        description="Samples in one forward pass of a process; null takes its whole share at once.",
        json_schema_extra=OPERATIONAL,
    )
    epochs: int = Field(ge=1, le=10_000, description="Passes over the samples.")
    learning_rate_start: float = Field(1e-6, ge=0, le=1, description="Learning rate of the first step.")
    learning_rate: float = Field(gt=0, le=1, description="Highest learning rate, at the end of the warm-up.")
    learning_rate_end: float = Field(ge=0, le=1, description="Learning rate of the last step.")
    warmup_epochs: float = Field(1.0, ge=0, description="Epochs over which the learning rate rises linearly.")
    weight_decay: float = Field(0.01, ge=0, le=1, description="AdamW's decoupled weight decay.")
    beta1: float = Field(0.9, ge=0, lt=1, description="AdamW's decay of the mean of gradients.")
    beta2: float = Field(0.999, ge=0, lt=1, description="AdamW's decay of the mean of squared gradients.")
    gradient_clipping: float = Field(1.0, ge=0, description="Largest norm of the gradient; 0 does not clip.")
    zero_stage: Literal[0, 1, 2, 3] = Field(
        2,
        description="ZeRO stage; 3 shards the frozen language model over the processes as well.",
        json_schema_extra=OPERATIONAL,
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="auto: bf16 where the device has it, fp16 with loss scaling on other GPUs, fp32 on CPUs."
    )
    seed: int = Field(0, ge=0, description="Seed of the order of samples and of the adaptor's first weights.")
    length_window: int = Field(
        32, ge=1, le=4096, description="Batches whose samples are grouped by length; 1 leaves batches at random."
    )
    validation_samples: int = Field(
        512, ge=1, description="Samples of the validation table, where one is given, that the loss is taken on."
    )
    samples_per_image: int = Field(
        1,
        ge=1,
        le=64,
        description="Samples about one image that stand together in a batch, behind one copy of its image tokens: "
        "several cost little more than one. 1 draws samples one by one.",
    )
    checkpoint_every: int = Field(
        500, ge=1, description="Steps between two checkpoints.", json_schema_extra=OPERATIONAL
    )
    keep_checkpoints: int = Field(
        2, ge=1, le=100, description="How many of the last checkpoints stay.", json_schema_extra=OPERATIONAL
    )
    log_every: int = Field(10, ge=1, description="Steps between two lines of metrics.", json_schema_extra=OPERATIONAL)
    wall_time_minutes: float | None = Field(
        None,
        gt=0,
        description="Stop with a checkpoint before this time is over; null trains to the end.",
        json_schema_extra=OPERATIONAL,
    )
    wall_time_margin_seconds: float = Field(
        20.0,
        ge=0,
        description="Kept free at the end of the wall time, beside the time that a checkpoint takes.",
        json_schema_extra=OPERATIONAL,
    )

    def defining(self) -> dict[str, Any]:
        """The values that decide a result; of fields marked `unless default` those that were set."""
        fields = type(self).model_fields
        return {
            name: value
            for name, value in super().defining().items()
            if fields[name].json_schema_extra != ADDED or value != fields[name].default
        }

    @model_validator(mode="after")
    def _q_former_has_pictures(self) -> Self:
        for name in ("q_former_query", "train_q_former"):
            if getattr(self, name) and self.features != "online":
                raise ValueError(f"{name} needs features = 'online': cached features are what the Q-Former gave before")
        return self

    @model_validator(mode="after")
    def _rates_and_epochs_fit(self) -> Self:
        if max(self.learning_rate_start, self.learning_rate_end) > self.learning_rate:
            raise ValueError(
                f"learning_rate ({self.learning_rate:g}) is the peak of the schedule and must not be below "
                f"learning_rate_start ({self.learning_rate_start:g}) or learning_rate_end ({self.learning_rate_end:g})"
            )
        if self.warmup_epochs > self.epochs:
            raise ValueError(f"warmup_epochs ({self.warmup_epochs:g}) must not exceed epochs ({self.epochs})")
        return self
