"""The frozen feature extractor: pictures to query outputs and projections, texts to the same space."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from lavis.models.eva_vit import interpolate_pos_embed
from lavis.processors.blip_processors import BlipImageEvalProcessor
from PIL import Image
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional as F

from workflow_scripts.config.vision import QformerGeometry
from workflow_scripts.identity import sha256_of_file
from workflow_scripts.models.blip2 import OfflineBlip2Qformer, build_blip2_qformer
from workflow_scripts.models.timm_encoder import TimmEncoder

CHECKPOINT = "blip2_qformer.pth"
VISION_CHECKPOINT = "vision_encoder.pth"
GEOMETRY = "config.json"
VOCABULARY = "vocab.txt"
# LAVIS builds one block fewer than EVA-CLIP has and no head; these entries of its file are left over there too.
_UNUSED_VISION_PREFIXES = ("norm.", "head.", "fc_norm.", "blocks.39.", "ln_post.", "proj")


class FeatureExtractor:
    """BLIP-2's first stage in evaluation mode; B batch, Q queries, D width, P projection width."""

    def __init__(self, model: OfflineBlip2Qformer, device: str = "cpu", vision_weights: Path | None = None) -> None:
        self._vision_weights = vision_weights
        self.model = model.to(device).eval().requires_grad_(False)
        self.device = torch.device(device)
        self._processor = BlipImageEvalProcessor(image_size=model.geometry.image_size)

    @property
    def image_size(self) -> int:
        return self.model.geometry.image_size

    @property
    def num_queries(self) -> int:
        return self.model.query_tokens.shape[1]

    @property
    def width(self) -> int:
        return self.model.query_tokens.shape[2]

    @property
    def projection_width(self) -> int:
        return self.model.vision_proj.out_features

    def check_vision_weights(self, sha256: str) -> None:
        """Raise ValueError where tokens of an encoder with that checksum are not those of this one."""
        path = self._vision_weights
        if path is None or sha256_of_file(path) != sha256:
            raise ValueError(
                f"The tokens are of another vision encoder (weights {sha256[:12]}...) than this feature extractor "
                f"has ({path or 'no file of its own'}); encode the pictures again, or extract from the pictures."
            )

    def transform(self, image: Image.Image) -> Tensor:
        """LAVIS's evaluation transform: bicubic resize to a square, no crop, no flip, normalised; [3, H, W]."""
        return self._processor(image.convert("RGB"))

    @torch.inference_mode()
    def extract_images(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 3, H, W] -> query output [B, Q, D] and its projection [B, Q, P] of length 1, both float32.

        Where the vision encoder is a `TimmEncoder`, its tokens [B, T, width] may stand in the picture's place.
        """
        output = self.model.extract_features({"image": pixel_values.to(self.device)}, mode="image")
        return output.image_embeds.float(), output.image_embeds_proj.float()

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Texts -> the projection of their [CLS] output, [B, P] of length 1."""
        hidden = self.model.forward_text(self._tokens(texts))
        return F.normalize(self.model.text_proj(hidden), dim=-1).float()

    @torch.inference_mode()
    def itm_logits(self, pixel_values: Tensor, texts: Sequence[str]) -> Tensor:
        """How well the i-th picture [B, 3, H, W] and the i-th of B texts match, by the matching head; [B]."""
        image_embeds = self.model.ln_vision(self.model.visual_encoder(pixel_values.to(self.device)))
        tokens = self._tokens(texts)
        return self.model.compute_itm(image_embeds, tokens.input_ids, tokens.attention_mask).float()

    def _tokens(self, texts: Sequence[str]) -> "object":
        if not texts:
            raise ValueError("There is no text to embed; give at least one.")
        return self.model.tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=self.model.geometry.max_text_length,
            return_tensors="pt",
        ).to(self.device)


def load_feature_extractor(folder: Path, device: str = "cpu") -> FeatureExtractor:
    """Load a folder with config.json (sizes), vocab.txt, a LAVIS checkpoint and, where the checkpoint leaves the
    vision encoder out as LAVIS's published ones do, vision_encoder.pth.

    Raises ValueError where a file is missing or its weights are not exactly those of the model.
    """
    folder = Path(folder)
    try:
        geometry = QformerGeometry.model_validate_json((folder / GEOMETRY).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{folder} is no feature extractor: it has no {GEOMETRY}.") from None
    except ValidationError as error:
        raise ValueError(f"{folder / GEOMETRY} does not describe a feature extractor: {error}") from None
    model = build_blip2_qformer(geometry, folder / VOCABULARY)
    given = _load_vision(model, folder / VISION_CHECKPOINT)
    state = _read(folder / CHECKPOINT)
    if "model" not in state:
        raise ValueError(f'{folder / CHECKPOINT} is not a LAVIS checkpoint: it has no entry "model".')
    try:
        keys = model.load_state_dict(state["model"], strict=False)
    except RuntimeError as error:
        raise ValueError(f"{folder / CHECKPOINT} does not fit {GEOMETRY}: {error}") from None
    missing = [key for key in keys.missing_keys if key not in given and not key.endswith("position_ids")]
    if missing or keys.unexpected_keys:
        raise ValueError(
            f"{folder / CHECKPOINT} does not hold the weights of this model: missing {missing[:3]}, "
            f"unexpected {keys.unexpected_keys[:3]}; check that it is the checkpoint that {GEOMETRY} describes."
        )
    return FeatureExtractor(model, device, folder / VISION_CHECKPOINT if given else None)


def _load_vision(model: OfflineBlip2Qformer, path: Path) -> set[str]:
    """Load the separate file of the vision encoder, if there is one; returns the keys that it gave."""
    if not path.is_file():
        return set()
    encoder = model.visual_encoder
    if isinstance(encoder, TimmEncoder):
        encoder.load_weights(path)
    else:
        state = _read(path)
        interpolate_pos_embed(encoder, state)
        keys = encoder.load_state_dict(state, strict=False)
        unexpected = [key for key in keys.unexpected_keys if not key.startswith(_UNUSED_VISION_PREFIXES)]
        if keys.missing_keys or unexpected:
            raise ValueError(
                f"{path} does not hold the vision encoder of {GEOMETRY}: missing {keys.missing_keys[:3]}, "
                f"unexpected {unexpected[:3]}."
            )
    return {f"visual_encoder.{key}" for key in model.visual_encoder.state_dict()}


def _read(path: Path) -> dict:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; run the rule that makes the feature extractor.") from None
    except Exception as error:  # torch raises many kinds for a damaged file
        raise ValueError(
            f"{path} cannot be read as a checkpoint ({str(error).splitlines()[0]}); "
            "give another, or make the feature extractor again."
        ) from error


def save_feature_extractor(
    model: OfflineBlip2Qformer, folder: Path, vocabulary: Sequence[str], vision_weights: Path | None = None
) -> None:
    """Write checkpoint, config.json and vocab.txt in the form that `load_feature_extractor` and LAVIS read.

    A frozen vision encoder's own file, where `vision_weights` names it, is copied beside the checkpoint, which leaves
    that encoder out then, as LAVIS's published ones do.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / VOCABULARY).write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    (folder / GEOMETRY).write_text(json.dumps(model.geometry.model_dump(), indent=1) + "\n", encoding="utf-8")
    state = model.state_dict()
    if vision_weights is not None:
        shutil.copyfile(vision_weights, folder / VISION_CHECKPOINT)
        state = {name: value for name, value in state.items() if not name.startswith("visual_encoder.")}
    torch.save({"model": state}, folder / CHECKPOINT)
