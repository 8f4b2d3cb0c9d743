"""LAVIS's `Blip2Qformer` built without downloads, in full size or in small.

Only what LAVIS fetches or hard-codes is replaced: the tokenizer's vocabulary, the sizes of the vision encoder and of
the Q-Former, and, for the small sizes, the initial weights. `forward`, its losses and the extraction are LAVIS's.
"""

import logging
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from lavis.models.blip2_models.blip2 import LayerNorm
from lavis.models.blip2_models.blip2_qformer import Blip2Qformer
from lavis.models.blip2_models.Qformer import BertConfig, BertLMHeadModel
from lavis.models.clip_vit import VisionTransformer as ClipVisionTransformer
from lavis.models.eva_vit import VisionTransformer
from torch import Tensor, nn
from transformers import BertTokenizerFast

from workflow_scripts.config.timm_names import PREFIX
from workflow_scripts.config.vision import QformerGeometry
from workflow_scripts.models.timm_encoder import TimmEncoder

log = logging.getLogger(__name__)
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


class ConvolutionalStem(nn.Module):
    """Patch embedding by convolutions of stride 2 in place of one linear map.

    [B, 3, H, W] -> [B, T, D] with B batch, T tokens (one a patch), D width.
    """

    def __init__(self, image_size: int, patch_size: int, width: int) -> None:
        super().__init__()
        steps = int(math.log2(patch_size))
        if 2**steps != patch_size or image_size % patch_size:
            raise ValueError(
                f"A convolutional stem needs a patch size that is a power of 2 and divides the image size, "
                f"not {patch_size} for {image_size}; choose 8 or 16."
            )
        layers: list[nn.Module] = []
        channels = 3
        for step in range(steps):
            wider = width if step == steps - 1 else max(16, width // 2 ** (steps - 1 - step))
            layers += [nn.Conv2d(channels, wider, 3, stride=2, padding=1), nn.BatchNorm2d(wider), nn.ReLU()]
            channels = wider
        layers.append(nn.Conv2d(channels, width, 1))
        self.layers = nn.Sequential(*layers)
        self.patch_shape = (image_size // patch_size,) * 2
        self.num_patches = self.patch_shape[0] ** 2

    def forward(self, pictures: Tensor) -> Tensor:
        return self.layers(pictures).flatten(2).transpose(1, 2)


class OfflineBlip2Qformer(Blip2Qformer):
    """LAVIS's first-stage BLIP-2 with sizes and vocabulary from our own files; nothing is downloaded."""

    def __init__(self, geometry: QformerGeometry, vocabulary: Path) -> None:
        # LAVIS calls the init_* methods below from its constructor, before any attribute of a module can be set.
        self.__dict__["geometry"] = geometry
        self.__dict__["vocabulary"] = Path(vocabulary)
        super().__init__(
            vit_model=geometry.vit_model,
            img_size=geometry.image_size,
            vit_precision="fp32",
            freeze_vit=False,
            num_query_token=geometry.num_query_token,
            cross_attention_freq=geometry.cross_attention_freq,
            embed_dim=geometry.embed_dim,
            max_txt_len=geometry.max_text_length,
        )

    def init_tokenizer(self) -> BertTokenizerFast:
        tokenizer = BertTokenizerFast(vocab_file=str(self.vocabulary), do_lower_case=True)
        tokenizer.add_special_tokens({"bos_token": "[DEC]"})
        return tokenizer

    def init_vision_encoder(
        self, model_name: str, img_size: int, drop_path_rate: float, use_grad_checkpoint: bool, precision: str
    ) -> tuple[nn.Module, nn.Module]:
        geometry = self.geometry
        if model_name.startswith(PREFIX):
            encoder: nn.Module = TimmEncoder(model_name, img_size)
        elif model_name == "eva_clip_g":  # the sizes of LAVIS's create_eva_vit_g, without its download
            encoder = VisionTransformer(
                img_size=img_size,
                patch_size=14,
                use_mean_pooling=False,
                embed_dim=1408,
                depth=39,
                num_heads=16,
                mlp_ratio=4.3637,
                qkv_bias=True,
                norm_layer=partial(nn.LayerNorm, eps=1e-6),
            )
        elif model_name == "clip_L":
            encoder = ClipVisionTransformer(
                input_resolution=img_size, patch_size=14, width=1024, layers=22, heads=16, use_grad_checkpointing=False
            )
        else:
            encoder = VisionTransformer(
                img_size=img_size,
                patch_size=geometry.vit_patch_size,
                use_mean_pooling=False,
                embed_dim=geometry.vit_width,
                depth=geometry.vit_depth,
                num_heads=geometry.vit_heads,
                mlp_ratio=4,
                qkv_bias=True,
                norm_layer=partial(nn.LayerNorm, eps=1e-6),
            )
            if geometry.vit_stem == "convolution":
                encoder.patch_embed = ConvolutionalStem(img_size, geometry.vit_patch_size, geometry.vit_width)
            _spread_weights(encoder)
        return encoder, LayerNorm(encoder.num_features)

    def init_Qformer(
        self, num_query_token: int, vision_width: int, cross_attention_freq: int = 2
    ) -> tuple[nn.Module, nn.Parameter]:
        geometry = self.geometry
        config = BertConfig(
            vocab_size=len(self.tokenizer),
            hidden_size=geometry.qformer_width,
            num_hidden_layers=geometry.qformer_layers,
            num_attention_heads=geometry.qformer_heads,
            intermediate_size=geometry.qformer_intermediate,
            hidden_dropout_prob=geometry.qformer_dropout,
            attention_probs_dropout_prob=geometry.qformer_dropout,
        )
        config.encoder_width = vision_width
        config.add_cross_attention = True
        config.cross_attention_freq = cross_attention_freq
        config.query_length = num_query_token
        qformer = BertLMHeadModel(config)
        queries = torch.empty(1, num_query_token, config.hidden_size).normal_(std=config.initializer_range)
        if geometry.vit_model == "eva_small":
            _spread_weights(qformer)
            queries.normal_(std=config.hidden_size**-0.5)
        return qformer, nn.Parameter(queries)


def _spread_weights(module: nn.Module) -> None:
    """Initial weights for small widths: LAVIS's standard deviation of 0.02 hardly passes any signal there."""
    for name, part in module.named_modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=part.in_features**-0.5)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
        elif isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight, std=part.embedding_dim**-0.5 * (0.5 if "position" in name else 1.0))
    if isinstance(module, VisionTransformer):
        nn.init.normal_(module.pos_embed, std=0.5)
        for block in module.blocks:
            for last in (block.attn.proj, block.mlp.fc2):
                last.weight.data.div_(math.sqrt(2 * len(module.blocks)))


def start_from_bert(model: OfflineBlip2Qformer, bert: Mapping[str, Tensor]) -> None:
    """Give the Q-Former a BERT's weights, as LAVIS starts it: what texts go through, and a copy of it for the queries.

    A BERT with more layers gives its first ones. Cross-attention, queries and heads stay as they are. ValueError where
    the BERT has another width than the Q-Former, or lacks something.
    """
    own = model.Qformer.bert.state_dict()
    given = {name.removeprefix("bert."): value for name, value in bert.items()}
    try:
        # A Q-Former has no token types; BERT adds that of a first sentence to every token.
        given["embeddings.position_embeddings.weight"] = (
            given["embeddings.position_embeddings.weight"] + given["embeddings.token_type_embeddings.weight"][0]
        )
        for name, value in own.items():
            source = name.replace("_query", "")
            if "crossattention" in name or name == "embeddings.position_ids":
                continue
            if name == "embeddings.word_embeddings.weight":
                value[: len(given[source])].copy_(given[source])  # [DEC] is our own
            else:
                value.copy_(given[source])
    except (KeyError, RuntimeError) as error:
        raise ValueError(
            f"The text encoder does not fit the Q-Former's geometry ({str(error).splitlines()[0]}); "
            "qformer_width, qformer_heads and qformer_intermediate must be those of the text encoder."
        ) from None


def build_blip2_qformer(geometry: QformerGeometry, vocabulary: Path) -> OfflineBlip2Qformer:
    """A `Blip2Qformer` with random weights; `vocabulary` is a BERT vocabulary file, one token a line."""
    if not Path(vocabulary).is_file():
        raise ValueError(f"The vocabulary {vocabulary} does not exist; it belongs beside the checkpoint as vocab.txt.")
    return OfflineBlip2Qformer(geometry, vocabulary)
