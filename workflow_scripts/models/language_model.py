"""The language model: any causal model of a Hugging Face folder, frozen."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase


def load_language_model(
    folder: Path, dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu"
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a language model and its tokenizer from a local folder, frozen and in eval mode.

    Gradients still flow through it to its input, which is how the adaptor learns. Nothing is downloaded; a missing
    or damaged folder is a ValueError that names it.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise ValueError(
            f"{folder} holds no language model (config.json is missing); run the rule that makes it, "
            "or name a Hugging Face folder."
        )
    if not list(folder.glob("*.safetensors")):
        raise ValueError(f"{folder} holds no weights (*.safetensors); the download or training is incomplete.")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model, loading = AutoModelForCausalLM.from_pretrained(
            folder, torch_dtype=dtype, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (SafetensorError, OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"The language model in {folder} cannot be loaded ({reason}); delete the folder and make it again."
        ) from error
    if loading["missing_keys"] or loading["mismatched_keys"]:
        names = [*loading["missing_keys"], *(key for key, *_ in loading["mismatched_keys"])]
        raise ValueError(
            f"The weights in {folder} lack or misshape {len(names)} parameters ({', '.join(names[:3])}, ...); "
            "the folder is damaged, make it again."
        )
    return model.to(device).requires_grad_(False).eval(), tokenizer
