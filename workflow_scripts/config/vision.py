"""Settings of the feature extractor (BLIP-2's first stage) and of the CLIP baseline: geometry and training."""

from typing import Literal

from pydantic import Field

from workflow_scripts.config.base import Section


class QformerGeometry(Section):
    """What a LAVIS `Blip2Qformer` is built from; kept as config.json beside its checkpoint.

    With `vit_model` "eva_clip_g" or "clip_L" the vision encoder is LAVIS's own in full size and the fields of the
    small one are without effect.
    """

    vit_model: Literal["eva_small", "eva_clip_g", "clip_L"] = Field(
        "eva_small", description="LAVIS's EVA vision transformer in small, or one of its full-size encoders."
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


class FeatureExtractorSettings(Section):
    """Geometry and training of the miniature's feature extractor."""

    geometry: QformerGeometry = Field(description="Sizes of the model.")
    seed: int = Field(1, ge=0, description="Seed of weights and batches.")
