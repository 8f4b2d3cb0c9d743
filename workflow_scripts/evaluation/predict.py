"""Answer the questions of a benchmark with an adaptor, from cached features or from pictures."""

import argparse
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflow_scripts.command_line import progress, run_command
from workflow_scripts.config.evaluation import PredictSettings
from workflow_scripts.evaluation.predictions import read_questions, write_predictions

if TYPE_CHECKING:
    from workflow_scripts.features.image_inputs import ImageInputs
    from workflow_scripts.models.online_features import OnlineFeatures


def shuffle_images(images: Sequence[str], seed: int) -> list[str]:
    """Give each question [N] the image of another one: one cycle through all images, so that none keeps its own.

    Questions about one image share the other image, which keeps their groups as they were.
    """
    order = sorted(set(images))
    if len(order) < 2:
        raise ValueError("Images can be shuffled only among two or more; this benchmark has one.")
    random.Random(seed).shuffle(order)
    other = dict(zip(order, order[1:] + order[:1], strict=True))
    return [other[image] for image in images]


def batches_by_length(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Positions of the questions in batches of equal lengths as far as possible, so that little is padded."""
    order = sorted(range(len(lengths)), key=lambda position: (lengths[position], position))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


@dataclass(frozen=True)
class ImageFolders:
    """Where images come from: feature stores, or image sets and the feature extractor for their pictures."""

    features: Sequence[Path] = ()
    images: Sequence[Path] = ()
    feature_extractor: Path | None = None


def open_images(given: ImageFolders, adaptor: Path, device: str) -> "tuple[ImageInputs, OnlineFeatures | None]":
    """Open what the model is given of images, and for pixels what makes an adaptor's query output of them."""
    from workflow_scripts.features.image_inputs import open_cached, open_pixels
    from workflow_scripts.models.online_features import online_features_of

    if given.feature_extractor is None:
        instead = "name the pictures by --images and --feature-extractor"
        return open_cached(given.features, adaptor, instead), None
    pixels, extractor = open_pixels(given.images, given.feature_extractor, device)
    return pixels, online_features_of(adaptor, extractor)


def answer_questions(
    questions: Sequence[Mapping[str, Any]],
    images: Sequence[str],
    given: ImageFolders,
    language_model: Path,
    adaptor: Path,
    settings: PredictSettings,
    seed: int,
) -> list[str]:
    """Answers [N] of the system to the questions [N] about the images [N], in their order."""
    import torch

    from workflow_scripts.models.adaptor import load_adaptor
    from workflow_scripts.models.low_rank import load_language_model_of
    from workflow_scripts.models.prompt import Prompt
    from workflow_scripts.models.vision_language_model import VisionLanguageModel

    if settings.threads:
        torch.set_num_threads(settings.threads)
    torch.manual_seed(seed)
    cuda = torch.cuda.is_available()
    device = "cuda" if cuda else "cpu"
    dtype = torch.bfloat16 if cuda and torch.cuda.is_bf16_supported() else torch.float16 if cuda else torch.float32
    inputs, online = open_images(given, adaptor, device)
    frozen, tokenizer = load_language_model_of(adaptor, language_model, dtype, device)
    model = VisionLanguageModel(load_adaptor(adaptor).to(device), frozen, Prompt(tokenizer), online).eval()

    queries = [question["query"] for question in questions]
    batches = list(batches_by_length([len(tokenizer(query).input_ids) for query in queries], settings.batch_size))
    answers = [""] * len(questions)
    for batch in progress(batches, total=len(batches), label="batches of questions"):
        generated = model.generate(
            inputs.of([images[position] for position in batch]).to(device),
            [queries[position] for position in batch],
            max_new_tokens=settings.max_new_tokens,
            num_beams=settings.num_beams,
            temperature=settings.temperature,
        )
        for position, answer in zip(batch, generated, strict=True):
            answers[position] = answer
    return answers


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=Path, required=True, help="benchmark table")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--features", type=Path, nargs="+", help="feature stores with its images")
    source.add_argument("--images", type=Path, nargs="+", help="folders of its image sets; with --feature-extractor")
    parser.add_argument("--feature-extractor", type=Path, help="folder of the LAVIS checkpoint, for --images")
    parser.add_argument("--language-model", type=Path, required=True)
    parser.add_argument("--adaptor", type=Path, required=True, help="adaptor.safetensors")
    parser.add_argument("--output", type=Path, required=True, help="predictions.jsonl to write")
    parser.add_argument("--settings", type=PredictSettings.model_validate_json, default=PredictSettings())
    parser.add_argument("--shuffle-images", action="store_true", help="ask each question about another image")
    parser.add_argument("--seed", type=int, default=0, help="seed of shuffling and sampling")
    arguments = parser.parse_args(argv)
    if (arguments.images is None) != (arguments.feature_extractor is None):
        raise ValueError("--images and --feature-extractor belong together: name both, or --features alone.")

    questions = read_questions(arguments.questions)
    images = [question["image"] for question in questions]
    if arguments.shuffle_images:
        images = shuffle_images(images, arguments.seed)
    answers = answer_questions(
        questions,
        images,
        ImageFolders(arguments.features or (), arguments.images or (), arguments.feature_extractor),
        arguments.language_model,
        arguments.adaptor,
        arguments.settings,
        arguments.seed,
    )
    write_predictions(arguments.output, questions, images, answers)
    print(f"{len(answers)} questions answered, {sum(not answer for answer in answers)} of them with nothing")


if __name__ == "__main__":
    run_command(main)
