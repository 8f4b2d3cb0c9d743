"""Compare the captions of a retrieval benchmark with its images by one of several methods.

blip2: the query outputs' 256-d projections against the text CLS, the best of the 32 queries (BLIP-2's ITC score).
linear_baseline: the vision encoder's tokens, averaged, and the words of a caption, summed, one linear map each.
clip: cosine of CLIP's image and text embeddings.
colour_histogram: what colours alone can do. A caption has no histogram; ridge regression from the words of the
training captions to the colour histograms of their pictures predicts one, and its cosine (both without the training
mean) with a picture's histogram is the similarity.
"""

import argparse
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.command_line import progress, run_command, write_atomically, write_json
from workflow_scripts.evaluation.predictions import read_questions

METHODS = ("blip2", "linear_baseline", "clip", "colour_histogram")


def list_captions(rows: Sequence[Mapping[str, Any]], all_captions: bool) -> dict[str, Any]:
    """captions.json: the captions with the position of their image and, where the rows have one, their group."""
    images = sorted({row["image"] for row in rows})
    position = {image: index for index, image in enumerate(images)}
    groups: dict[Any, list[int]] = {}
    for row in rows:
        if row.get("group") is not None:
            members = groups.setdefault(row["group"], [])
            if position[row["image"]] not in members:
                members.append(position[row["image"]])
    captions = []
    for row in rows:
        texts = list(row.get("answers") or [row["answer"]]) if all_captions else [row["answer"]]
        for text in texts:
            caption: dict[str, Any] = {"text": text, "image_index": position[row["image"]]}
            if row.get("group") is not None:
                caption["group"] = groups[row["group"]]
            captions.append(caption)
    empty = [images[caption["image_index"]] for caption in captions if not caption["text"].strip()]
    if empty:
        raise ValueError(f"{len(empty)} captions are empty, one of {empty[0]} among them; filter the captions first.")
    return {"captions": captions, "images": images}


def rank_by_blip2(texts: Sequence[str], images: Sequence[str], features: Sequence[Path], extractor: Path) -> np.ndarray:
    """ITC similarity [C, I] of captions and images from cached features."""
    import torch

    from workflow_scripts.features.store import FeatureStores
    from workflow_scripts.models.feature_extractor import load_feature_extractor
    from workflow_scripts.search.index import embed_texts, score_images

    stores = FeatureStores.open(features)
    queries = torch.from_numpy(embed_texts(load_feature_extractor(extractor), texts))
    columns = []
    blocks = range(0, len(images), 1024)
    for start in progress(blocks, total=len(blocks), label="blocks of images"):
        columns.append(score_images(stores.image_projection(images[start : start + 1024]), queries).numpy())
    return np.concatenate(columns, axis=1)


def rank_by_linear_baseline(
    texts: Sequence[str], images: Sequence[str], tokens: Sequence[Path], folder: Path, batch_size: int = 256
) -> np.ndarray:
    """Cosine similarity [C, I] of the linear baseline's embeddings, from cached tokens."""
    import torch

    from workflow_scripts.features.token_store import TokenStores
    from workflow_scripts.models.linear_baseline import LinearBaseline

    model = LinearBaseline.load(folder)
    stores = TokenStores.open(*tokens)
    rows = stores.locate(images)
    with torch.no_grad():
        queries = model.embed_texts(texts)
        columns = [
            queries @ model.embed_tokens(torch.from_numpy(stores.at(rows[start : start + batch_size]))).T
            for start in range(0, len(rows), batch_size)
        ]
    return torch.cat(columns, dim=1).numpy()


def rank_by_clip(
    texts: Sequence[str], images: Sequence[str], image_sets: Sequence[Path], folder: Path, batch_size: int = 64
) -> np.ndarray:
    """Cosine similarity [C, I] of CLIP's embeddings."""
    import torch

    from workflow_scripts.evaluation.pictures import read_pictures
    from workflow_scripts.models.clip import load_clip

    clip = load_clip(folder)
    embeddings: dict[str, np.ndarray] = {}
    waiting: list[tuple[str, Any]] = []

    def embed_waiting() -> None:
        values = torch.as_tensor(clip.embed_images([picture for _, picture in waiting])).float().numpy()
        embeddings.update(zip((key for key, _ in waiting), values, strict=True))
        waiting.clear()

    with torch.no_grad():
        for item in read_pictures(images, image_sets):
            waiting.append(item)
            if len(waiting) == batch_size:
                embed_waiting()
        if waiting:
            embed_waiting()
        rows = [
            torch.as_tensor(clip.embed_texts(list(texts[start : start + 256]))).float().numpy()
            for start in range(0, len(texts), 256)
        ]
    return np.concatenate(rows) @ np.stack([embeddings[image] for image in images]).T


def rank_by_colour_histogram(
    texts: Sequence[str], images: Sequence[str], image_sets: Sequence[Path], pairs: Path, training_sets: Sequence[Path]
) -> np.ndarray:
    """Cosine [C, I] of the histograms that the captions' words predict and those of the images."""
    import pyarrow.parquet

    from workflow_scripts.evaluation.colour_histogram import ColourRegression, colour_histogram
    from workflow_scripts.evaluation.pictures import available_keys, read_pictures

    table = pyarrow.parquet.read_table(pairs, columns=["image", "answer"]).to_pydict()
    known = available_keys(training_sets)
    training = [
        (image, caption) for image, caption in zip(table["image"], table["answer"], strict=True) if image in known
    ]
    # 20,000 pairs fit some thousand words well enough; more would only cost memory.
    training = training[:: max(1, len(training) // 20_000)]
    if not training:
        raise ValueError(f"No pair of {pairs} has its image in {', '.join(map(str, training_sets))}.")
    wanted = sorted({image for image, _ in training})
    histograms = {key: colour_histogram(picture) for key, picture in read_pictures(wanted, training_sets)}
    regression = ColourRegression.fit(
        [caption for _, caption in training], np.stack([histograms[image] for image, _ in training])
    )
    own = {key: colour_histogram(picture) for key, picture in read_pictures(images, image_sets)}
    return regression.similarity(texts, np.stack([own[image] for image in images]))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=METHODS, required=True)
    parser.add_argument("--benchmark", type=Path, required=True, help="retrieval benchmark table")
    parser.add_argument("--output-similarity", type=Path, required=True, help="similarity.npy to write")
    parser.add_argument("--output-captions", type=Path, required=True, help="captions.json to write")
    parser.add_argument("--all-captions", action="store_true", help="every caption of an image, not the first only")
    parser.add_argument("--features", type=Path, nargs="+", default=[], help="blip2: feature stores")
    parser.add_argument("--feature-extractor", type=Path, help="blip2: the extractor's folder")
    parser.add_argument("--tokens", type=Path, nargs="+", default=[], help="linear_baseline: token stores")
    parser.add_argument("--linear-baseline", type=Path, help="linear_baseline: its folder")
    parser.add_argument("--images", type=Path, nargs="+", default=[], help="clip, colour_histogram: image sets")
    parser.add_argument("--clip", type=Path, help="clip: the model's folder")
    parser.add_argument("--training-pairs", type=Path, help="colour_histogram: pairs table to learn colours from")
    parser.add_argument(
        "--training-images", type=Path, nargs="+", default=[], help="colour_histogram: their image sets"
    )
    arguments = parser.parse_args(argv)
    needs = {
        "blip2": ("features", "feature_extractor"),
        "linear_baseline": ("tokens", "linear_baseline"),
        "clip": ("images", "clip"),
        "colour_histogram": ("images", "training_pairs", "training_images"),
    }[arguments.method]
    missing = [f"--{name.replace('_', '-')}" for name in needs if not getattr(arguments, name)]
    if missing:
        raise ValueError(f"The method {arguments.method} needs {', '.join(missing)}.")

    listing = list_captions(read_questions(arguments.benchmark), arguments.all_captions)
    texts, images = [caption["text"] for caption in listing["captions"]], listing["images"]
    if arguments.method == "blip2":
        similarity = rank_by_blip2(texts, images, arguments.features, arguments.feature_extractor)
    elif arguments.method == "linear_baseline":
        similarity = rank_by_linear_baseline(texts, images, arguments.tokens, arguments.linear_baseline)
    elif arguments.method == "clip":
        similarity = rank_by_clip(texts, images, arguments.images, arguments.clip)
    else:
        similarity = rank_by_colour_histogram(
            texts, images, arguments.images, arguments.training_pairs, arguments.training_images
        )
    write_array(arguments.output_similarity, similarity.astype(np.float32))
    write_json(arguments.output_captions, listing)
    print(f"{len(texts)} captions compared with {len(images)} images by {arguments.method}")


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a NumPy array atomically."""
    stream = BytesIO()
    np.save(stream, array)
    write_atomically(path, stream.getvalue())


if __name__ == "__main__":
    run_command(main)
