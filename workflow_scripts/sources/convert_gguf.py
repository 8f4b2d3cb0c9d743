"""Turn a language model in one GGUF file into a Hugging Face folder: weights, configuration, tokenizer, chat template.

GGUF is llama.cpp's format; its weights are quantised, and what they stand for is written out as float16. The tokenizer
is built here from the file's own tables, since transformers' conversion takes every byte-level tokenizer for LLaMA-3's:
SmolLM2's cuts numbers into digits, and its first and last token have names of their own.
"""

import argparse
import json
import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflow_scripts.command_line import progress, run_command, write_atomically
from workflow_scripts.identity import sha256_of_file

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# How llama.cpp names the ways of cutting text before byte pairs are merged: whether digits stand alone.
DIGITS_ALONE = {"smollm": True, "gpt-2": False}
# token_type of llama.cpp: 3 is control; others are plain text.
CONTROL = 3

CARD = """# {name}

A language model converted from `{file}` (GGUF, sha256 `{sha256}`) with its own tokenizer and chat template.
Licence: {licence}.

The weights of the file are quantised; here they stand as float16, with what quantising lost still lost: {kinds}.
{parameters} parameters, width {width}, {layers} layers, vocabulary {vocabulary}; {tied} input and output embeddings.
The tokenizer puts {bos} before a text; an answer ends with `{eos}`.
"""


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the key-value pairs of a GGUF file, and under "tensor_types" how many tensors are stored how.

    A file that is missing or damaged is a ValueError that names it.
    """
    from gguf import GGUFReader

    if not path.is_file():
        raise ValueError(f"{path} does not exist; fetch the model first.")
    try:
        reader = GGUFReader(path)
        metadata = {name: field.contents() for name, field in reader.fields.items()}
    except (ValueError, IndexError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a readable GGUF file ({error}); fetch it again.") from error
    kinds: dict[str, int] = {}
    for tensor in reader.tensors:
        kinds[tensor.tensor_type.name] = kinds.get(tensor.tensor_type.name, 0) + 1
    return {**metadata, "tensor_types": kinds}


def build_tokenizer(metadata: Mapping[str, Any]) -> "PreTrainedTokenizerFast":
    """Build the tokenizer that a GGUF file describes; one of another family is a ValueError."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    def of(key: str) -> Any:
        return metadata.get(f"tokenizer.ggml.{key}")

    if of("model") != "gpt2" or of("pre") not in DIGITS_ALONE:
        raise ValueError(
            f"The tokenizer of this GGUF file is of the kind {of('model')}/{of('pre')}; only byte-level byte-pair "
            f"encoding (gpt2/{', gpt2/'.join(DIGITS_ALONE)}) can be converted."
        )
    tokens: list[str] = of("tokens")
    merges = [tuple(merge.split(" ")) for merge in of("merges")]
    raw = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    digits = pre_tokenizers.Digits(individual_digits=True)
    raw.pre_tokenizer = pre_tokenizers.Sequence([digits, byte_level]) if DIGITS_ALONE[of("pre")] else byte_level
    raw.decoder = decoders.ByteLevel()
    control = [
        AddedToken(tokens[n], special=True, normalized=False) for n, t in enumerate(of("token_type")) if t == CONTROL
    ]
    raw.add_special_tokens(control)
    roles = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
    numbers = {role: of(f"{key}_token_id") for role, key in roles.items()}
    if of("add_bos_token"):
        first = tokens[numbers["bos"]]
        raw.post_processor = processors.TemplateProcessing(
            single=f"{first} $A", special_tokens=[(first, numbers["bos"])]
        )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        **{f"{role}_token": tokens[number] for role, number in numbers.items() if number is not None},
        model_max_length=metadata[f"{metadata['general.architecture']}.context_length"],
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = metadata.get("tokenizer.chat_template")
    if not tokenizer.chat_template:
        raise ValueError("This GGUF file has no chat template; take a model that was trained to answer.")
    return tokenizer


def convert(path: Path, folder: Path) -> None:
    """Write the Hugging Face folder of a GGUF file, SHA256SUMS last."""
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig
    from transformers import modeling_gguf_pytorch_utils as reading

    metadata = read_metadata(path)
    tokenizer = build_tokenizer(metadata)
    reading.tqdm = lambda tensors, desc: progress(tensors, len(tensors), "dequantise")
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, local_files_only=True)
    special = {f"{role}_token_id": getattr(tokenizer, f"{role}_token_id") for role in ("bos", "eos", "pad")}
    model.config.update(special)
    model.generation_config = GenerationConfig(**special)
    if len(tokenizer) != model.config.vocab_size:
        raise ValueError(
            f"{path} has {len(tokenizer)} tokens and {model.config.vocab_size} embeddings; it is damaged, "
            "fetch it again."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        part = Path(temporary) / "model"
        model.to(torch.float16).save_pretrained(part)
        tokenizer.save_pretrained(part)
        write_atomically(part / "README.md", card(path, metadata, model.config.to_dict(), model.num_parameters()))
        sums = [f"{sha256_of_file(file)}  {file.name}\n" for file in sorted(part.iterdir())]
        write_atomically(part / "SHA256SUMS", "".join(sums))
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)
    logging.getLogger("convert_gguf").info("%s: %s parameters", folder, f"{model.num_parameters():,}")


def card(path: Path, metadata: Mapping[str, Any], config: Mapping[str, Any], parameters: int) -> str:
    """Return the model's README."""
    tokens = metadata["tokenizer.ggml.tokens"]
    begin = f"`{tokens[config['bos_token_id']]}`" if metadata.get("tokenizer.ggml.add_bos_token") else "nothing"
    return CARD.format(
        name=metadata.get("general.name", path.stem),
        file=path.name,
        sha256=sha256_of_file(path),
        licence=metadata.get("general.license", "not stated in the file"),
        kinds=", ".join(f"{count} tensors {kind}" for kind, count in sorted(metadata["tensor_types"].items())),
        parameters=f"{parameters:,}",
        width=config["hidden_size"],
        layers=config["num_hidden_layers"],
        vocabulary=f"{config['vocab_size']:,}",
        tied="tied" if config["tie_word_embeddings"] else "separate",
        bos=begin,
        eos=tokens[config["eos_token_id"]],
    )


def only_gguf(path: Path) -> Path:
    """Return the GGUF file at a path: itself, or the only one in a folder."""
    if path.is_dir():
        found = sorted(path.glob("*.gguf"))
        if len(found) != 1:
            names = json.dumps([file.name for file in found])
            raise ValueError(f"{path} should hold one GGUF file and holds {names}; name the file.")
        return found[0]
    return path


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", type=Path, required=True, help="GGUF file, or the fetched folder that holds one")
    parser.add_argument("--output", type=Path, required=True, help="Hugging Face folder to write")
    arguments = parser.parse_args(argv)
    convert(only_gguf(arguments.gguf), arguments.output)


if __name__ == "__main__":
    run_command(main)
