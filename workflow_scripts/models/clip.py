"""A frozen Hugging Face CLIP, small or of full size, that embeds pictures and texts."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel, PreTrainedTokenizerBase


class Clip:
    """CLIP in evaluation mode; B batch, P projection width."""

    def __init__(
        self,
        model: CLIPModel,
        tokenizer: PreTrainedTokenizerBase,
        processor: CLIPImageProcessor,
        device: str = "cpu",
    ) -> None:
        self.model = model.to(device).eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.processor = processor
        self.device = torch.device(device)

    @property
    def image_size(self) -> int:
        return self.model.config.vision_config.image_size

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Image.Image]) -> Tensor:
        """Pictures -> [B, P] of length 1, with the transform that the folder's processor describes."""
        pictures = [image.convert("RGB") for image in images]
        pixels = self.processor(images=pictures, return_tensors="pt")["pixel_values"]
        return F.normalize(self.model.get_image_features(pixel_values=pixels.to(self.device)), dim=-1).float()

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Texts -> [B, P] of length 1."""
        if not texts:
            raise ValueError("There is no text to embed; give at least one.")
        tokens = self.tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=self.model.config.text_config.max_position_embeddings,
            return_tensors="pt",
        ).to(self.device)
        features = self.model.get_text_features(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask)
        return F.normalize(features, dim=-1).float()


def load_clip(folder: Path, device: str = "cpu") -> Clip:
    """Load a Hugging Face folder of a CLIPModel with its tokenizer and image processor; nothing is downloaded."""
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} is no CLIP model: it has no config.json; run the rule that makes it.")
    try:
        model = CLIPModel.from_pretrained(
            folder, local_files_only=True, torch_dtype=torch.float32, use_safetensors=True
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        processor = CLIPImageProcessor.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # transformers and safetensors raise many kinds for a damaged file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{folder} cannot be loaded as a CLIP model ({reason}); run the rule that makes it."
        ) from error
    return Clip(model, tokenizer, processor, device)
