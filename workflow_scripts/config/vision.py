"""Settings of the feature extractor (BLIP-2's first stage) and of the CLIP baseline: geometry and training."""

from typing import Literal

from pydantic import Field, field_validator

from workflow_scripts.config.base import Section
from workflow_scripts.config.timm_names import PREFIX, check_timm_name

LAVIS_ENCODERS = ("eva_small", "eva_clip_g", "clip_L")


class QformerGeometry(Section):
    """What a LAVIS `Blip2Qformer` is built from; kept as config.json beside its checkpoint.

    With `vit_model` "eva_clip_g" or "clip_L" the vision encoder is LAVIS's own in full size, with "timm/<name>" that
    network of timm's, as "timm/tf_efficientnet_lite0"; the fields of the small one are without effect then.
    """

    vit_model: str = Field(
        "eva_small",
        description="LAVIS's EVA vision transformer in small, or one that others pretrained: eva_clip_g, clip_L, "
        "timm/<name>.",
    )
    image_size: int = Field(96, ge=32, le=1024, description="Side of the pictures in pixels.")
    vit_patch_size: int = Field(16, ge=4, le=32, description="Side of a patch, which is one token.")
    vit_width: int = Field(192, ge=16, le=4096, description="Width of the small vision transformer.")
    vit_depth: int = Field(2, ge=1, le=48, description="Blocks of the small vision transformer.")
    vit_heads: int = Field(4, ge=1, le=64, description="Attention heads of the small vision transformer.")
    vit_stem: Literal["patch", "convolution"] = Field(
        "convolution", description="One linear map a patch as in EVA, or a few convolutions that learn faster."
    )
    num_query_token: int = Field(32, ge=1, le=256, description="Learned queries.")
    qformer_width: int = Field(768, ge=16, le=4096, description="Width of the Q-Former and of the query output.")
    qformer_layers: int = Field(12, ge=1, le=48, description="Layers of the Q-Former.")
    qformer_heads: int = Field(12, ge=1, le=64, description="Attention heads of the Q-Former.")
    qformer_intermediate: int = Field(3072, ge=16, le=16384, description="Inner width of its feed-forward layers.")
    qformer_dropout: float = Field(0.1, ge=0, lt=1, description="Dropout of the Q-Former while training.")
    cross_attention_freq: int = Field(2, ge=1, le=12, description="Every which layer looks at the picture.")
    embed_dim: int = Field(256, ge=8, le=2048, description="Width of the space in which pictures and texts meet.")
    max_text_length: int = Field(32, ge=4, le=512, description="Longest text in tokens.")

    @field_validator("vit_model")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name.startswith(PREFIX):
            check_timm_name(name.removeprefix(PREFIX))
        elif name not in LAVIS_ENCODERS:
            raise ValueError(
                f"{name!r} is no vision encoder; it is one of {', '.join(LAVIS_ENCODERS)}, or {PREFIX} and the name of "
                f"one of timm's networks, as {PREFIX}tf_efficientnet_lite0"
            )
        return name


class FeatureExtractorSettings(Section):
    """Geometry and training of the small feature extractor.

    Three stages: the vision encoder alone (alignment of its tokens with phrases, in place of a pretrained one), the
    Q-Former's queries and texts by contrast, and LAVIS's whole first-stage loss (contrast, matching, captioning).
    """

    geometry: QformerGeometry = Field(description="Sizes of the model.")
    seed: int = Field(1, ge=0, description="Seed of weights and batches.")
    batch_size: int = Field(64, ge=2, le=4096, description="Pictures in one step.")
    first_stage_batch_size: int = Field(
        24, ge=2, le=4096, description="The same in the last stage, where many small steps teach matching sooner."
    )
    grouped_batches: float = Field(0.5, ge=0, le=1, description="Share of batches made of hard negatives.")
    vision_steps: int = Field(600, ge=0, description="Steps of the vision encoder alone.")
    contrast_steps: int = Field(600, ge=0, description="Steps of the contrastive stage.")
    first_stage_steps: int = Field(300, ge=1, description="Steps with LAVIS's whole first-stage loss.")
    vision_learning_rate: float = Field(2e-3, gt=0, le=1, description="Highest learning rate of the first stage.")
    contrast_learning_rate: float = Field(1.5e-3, gt=0, le=1, description="The same of the contrastive stage.")
    first_stage_learning_rate: float = Field(8e-4, gt=0, le=1, description="The same of the last stage.")
    vision_factor: float = Field(0.3, ge=0, le=1, description="The vision encoder's share of later learning rates.")
    weight_decay: float = Field(0.02, ge=0, le=1, description="AdamW's weight decay.")
    alignment_weight: float = Field(0.5, ge=0, description="Weight of the phrases' loss on tokens and queries.")
    purity_weight: float = Field(
        1.0, ge=0, description="Weight in that loss of each query being like one phrase of its own picture."
    )
    itc_weight: float = Field(1.0, ge=0, description="Weight of the contrastive loss.")
    itm_weight: float = Field(1.0, ge=0, description="Weight of the matching loss.")
    lm_weight: float = Field(0.3, ge=0, description="Weight of the captioning loss.")
    log_every: int = Field(
        25, ge=1, description="Steps between two lines of metrics.", json_schema_extra={"identity": False}
    )


class ClipSettings(Section):
    """Geometry and training of the small CLIP baseline."""

    image_size: int = Field(96, ge=32, le=1024, description="Side of the pictures in pixels.")
    patch_size: int = Field(16, ge=4, le=32, description="Side of a patch.")
    width: int = Field(128, ge=16, le=2048, description="Width of both transformers.")
    vision_layers: int = Field(3, ge=1, le=48, description="Layers of the vision transformer.")
    text_layers: int = Field(2, ge=1, le=48, description="Layers of the text transformer.")
    heads: int = Field(4, ge=1, le=64, description="Attention heads of both.")
    projection_width: int = Field(128, ge=8, le=2048, description="Width of the common space.")
    seed: int = Field(1, ge=0, description="Seed of weights and batches.")
    batch_size: int = Field(64, ge=2, le=4096, description="Pairs in one step.")
    steps: int = Field(600, ge=1, description="Steps of training.")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="Highest learning rate.")
    weight_decay: float = Field(0.02, ge=0, le=1, description="AdamW's weight decay.")
    log_every: int = Field(
        25, ge=1, description="Steps between two lines of metrics.", json_schema_extra={"identity": False}
    )


class LinearStartSettings(Section):
    """How a Q-Former starts from the linear solution: several by contrast, joined, and taught to the text side."""

    members: int = Field(4, ge=1, le=64, description="Solutions of each of the two views of the texts.")
    epochs: int = Field(20, ge=1, le=1000, description="Passes over the pictures for each solution.")
    batch_size: int = Field(256, ge=2, le=4096, description="Pictures in one step.")
    learning_rate: float = Field(2e-3, gt=0, le=1, description="Highest learning rate.")
    weight_decay: float = Field(0.05, ge=0, le=1, description="AdamW's weight decay.")
    dropout: float = Field(0.5, ge=0, lt=1, description="Dropout of the mean tokens' values.")
    word_dropout: float = Field(0.1, ge=0, lt=1, description="Share of a caption's words that are left out.")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="Of the contrastive loss.")
    text_epochs: float = Field(1.5, ge=0, le=100, description="Passes of the text side over all captions.")
    text_batch_size: int = Field(128, ge=2, le=4096, description="Captions in one of its steps.")
    text_learning_rate: float = Field(1e-4, gt=0, le=1, description="Its highest learning rate.")
    fitted_pictures: int = Field(3000, ge=1, description="Pictures on which the queries' projection is fitted.")


class QFormerSettings(Section):
    """Geometry and training of a Q-Former in front of which a pretrained vision encoder stands, frozen.

    It starts from a BERT, and then from the linear solution, and sees the encoder's tokens of every picture, which are
    computed once. Two stages follow: queries and texts by contrast alone, and LAVIS's whole first-stage loss.
    """

    geometry: QformerGeometry = Field(description="Sizes of the model.")
    seed: int = Field(1, ge=0, description="Seed of weights and batches.")
    linear_start: LinearStartSettings | None = Field(
        LinearStartSettings(), description="The linear solution to start from; null starts from the BERT alone."
    )
    batch_size: int = Field(128, ge=2, le=4096, description="Pictures in one step of the contrastive stage.")
    contrast_epochs: float = Field(10, ge=0, le=1000, description="Passes over the pictures by contrast.")
    first_stage_batch_size: int = Field(32, ge=2, le=4096, description="Pictures in one step of the last stage.")
    first_stage_steps: int = Field(100, ge=0, description="Steps with LAVIS's whole first-stage loss.")
    first_stage_learning_rate_share: float = Field(
        0.3, gt=0, le=1, description="The last stage's learning rates as a share of those of the first."
    )
    token_dropout: float = Field(0.2, ge=0, lt=1, description="Share of the tokens that a batch leaves out.")
    feature_dropout: float = Field(0.1, ge=0, lt=1, description="Dropout of the tokens' values.")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Of the contrastive loss in the first stage.")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="Highest learning rate of what is new.")
    text_learning_rate: float = Field(1e-4, gt=0, le=1, description="The same of what the BERT gave.")
    weight_decay: float = Field(0.05, ge=0, le=1, description="AdamW's weight decay.")
    log_every: int = Field(
        10, ge=1, description="Steps between two lines of metrics.", json_schema_extra={"identity": False}
    )
    checkpoint_every: int = Field(
        50,
        ge=1,
        description="Steps between two states that an interrupted training goes on from.",
        json_schema_extra={"identity": False},
    )


class LinearBaselineSettings(Section):
    """Training of the linear retrieval baseline: mean-pooled tokens and a bag of words, each by one linear map."""

    width: int = Field(1024, ge=8, le=4096, description="Width of the common space.")
    seed: int = Field(1, ge=0, description="Seed of weights and batches.")
    batch_size: int = Field(500, ge=2, le=4096, description="Pictures in one step.")
    dropout: float = Field(0.3, ge=0, lt=1, description="Dropout of the mean tokens' values.")
    word_dropout: float = Field(0.1, ge=0, lt=1, description="Share of a caption's words that are left out.")
    epochs: int = Field(20, ge=1, le=1000, description="Passes over the pictures.")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="Highest learning rate.")
    weight_decay: float = Field(0.05, ge=0, le=1, description="AdamW's weight decay.")
