"""The language model's corpus from captions of pretraining pairs, where there is no miniature world.

A line of text.jsonl is {"context", "prompt", "answer"}: the context stands where the image tokens will stand. It
holds the longer words of one caption, in random order, and the answer is another caption of the same picture (or the
same one, where there is only one): the model learns to make a sentence of what is in the picture's place. Pictures
play no part, and those that the vision corpus holds out for validation are held out here too.
"""

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.command_line import run_command, write_atomically, write_json
from workflow_scripts.identity import sha256_of_file
from workflow_scripts.small_models.write_vision_corpus import read_captions, split_of

SHORTEST_KEYWORD = 4


def keywords(caption: str, rng: random.Random) -> str:
    """The words of at least four letters in random order, set apart by semicolons; all words where none is as long."""
    words = caption.replace(",", " ").split()
    chosen = [word for word in words if len(word) >= SHORTEST_KEYWORD] or words
    rng.shuffle(chosen)
    return "; ".join(chosen)


def corpus_lines(captions: dict[str, list[str]], seed: int) -> list[dict[str, str]]:
    """One line for each training caption."""
    rng = random.Random(f"text corpus {seed}")
    lines = []
    for image, texts in captions.items():
        if split_of(image) == "train":
            for position, text in enumerate(texts):
                other = texts[(position + 1) % len(texts)]
                lines.append({"context": keywords(other, rng), "prompt": "", "answer": text})
    return lines


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, required=True, help="samples.parquet of the filtered pairs")
    parser.add_argument("--seed", type=int, default=0, help="seed of the order of keywords")
    parser.add_argument("--output", type=Path, required=True, help="folder of the corpus")
    arguments = parser.parse_args(argv)
    lines = corpus_lines(read_captions(arguments.pairs), arguments.seed)
    path = arguments.output / "text.jsonl"
    write_atomically(path, "\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\n")
    write_json(
        arguments.output / "manifest.json",
        {"count": len(lines), "files": {"text.jsonl": {"sha256": sha256_of_file(path)}}},
    )


if __name__ == "__main__":
    run_command(main)
