"""Re-rank the best pictures of each caption, and the best captions of each picture, by ITC + ITM as BLIP-2 does.

The score of a pair is its ITC similarity plus the logit of the matching head (ITM), which sees the vision encoder's
tokens and the words together (Li et al. 2023; `compute_sim_matrix` in LAVIS). All others keep their order behind.
LAVIS holds the tokens of all pictures; here each picture is encoded once and compared with all captions that want it.

In shapes: C captions, I images, K of the best, T tokens, D width.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workflow_scripts.command_line import progress, run_command
from workflow_scripts.config.reranking import RerankingSettings
from workflow_scripts.evaluation.rank_images import write_array
from workflow_scripts.evaluation.retrieval_files import read_captions, read_similarity, read_texts

if TYPE_CHECKING:
    import torch

    from workflow_scripts.models.feature_extractor import FeatureExtractor


def best_of_rows(similarity: np.ndarray, top: int) -> np.ndarray:
    """Columns [R, K] of the K greatest values of each row of similarity [R, N]; all columns where K exceeds them."""
    top = min(top, similarity.shape[1])
    return np.argpartition(-similarity, top - 1, axis=1)[:, :top]


def rerank_rows(similarity: np.ndarray, best: np.ndarray, itm: dict[tuple[int, int], float]) -> np.ndarray:
    """Similarity [R, N] whose best [R, K] have ITC + ITM and whose others stand behind them, in their own order.

    `itm` holds the matching logit of each (row, column) that is among the best.
    """
    reranked = np.empty_like(similarity, dtype=np.float64)
    for row, (values, columns) in enumerate(zip(similarity.astype(np.float64), best, strict=True)):
        scores = values[columns] + np.array([itm[row, column] for column in columns.tolist()])
        reranked[row] = values - values.max() + scores.min() - 1
        reranked[row, columns] = scores
    return reranked


def match_pairs(
    extractor: "FeatureExtractor",
    pictures: Iterator[tuple[int, "torch.Tensor"]],
    captions: dict[int, list[int]],
    texts: Sequence[str],
    pairs_at_once: int,
) -> dict[tuple[int, int], float]:
    """ITM logit of each (caption, image): of every picture (its position, what the vision encoder takes) and of its
    `captions`, as positions in `texts`."""
    import torch

    model, found = extractor.model, {}
    tokens = model.tokenizer(
        list(texts),
        padding=True,
        truncation=True,
        max_length=model.geometry.max_text_length,
        return_tensors="pt",
    ).to(extractor.device)
    with torch.inference_mode():
        for image, picture in pictures:
            embeds = model.ln_vision(model.visual_encoder(picture[None].to(extractor.device)))  # [1, T, D]
            wanted = captions[image]
            for start in range(0, len(wanted), pairs_at_once):
                rows = wanted[start : start + pairs_at_once]
                mask = tokens.attention_mask[rows]
                longest = int(mask.sum(dim=1).max())  # padding beyond the batch's own longest text is work for nothing
                logits = model.compute_itm(
                    embeds.expand(len(rows), -1, -1), tokens.input_ids[rows, :longest], mask[:, :longest]
                )
                found.update({(row, image): float(logit) for row, logit in zip(rows, logits.float(), strict=True)})
    return found


def read_inputs(
    extractor: "FeatureExtractor", images: Sequence[str], image_sets: Sequence[Path], tokens: Sequence[Path]
) -> Iterator[tuple[int, "torch.Tensor"]]:
    """Yield the position of each image with its pixels, or with its cached tokens where their stores are given."""
    import torch

    if tokens:
        from workflow_scripts.features.token_store import TokenStores

        stores = TokenStores.open(*tokens)
        extractor.check_vision_weights(stores.encoder_sha256)
        for image, row in enumerate(progress(stores.locate(images), len(images), "pictures")):
            yield image, torch.from_numpy(stores.at(np.array([row]))[0])
        return
    from workflow_scripts.evaluation.pictures import read_pictures

    position = {image: index for index, image in enumerate(images)}
    for image, picture in read_pictures(images, image_sets):
        yield position[image], extractor.transform(picture)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--similarity", type=Path, required=True, help="ITC similarity.npy [captions, images]")
    parser.add_argument("--captions", type=Path, required=True, help="captions.json of rank_images --method blip2")
    parser.add_argument("--feature-extractor", type=Path, required=True, help="the extractor's folder")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", type=Path, nargs="+", default=[], help="image sets of the pictures")
    source.add_argument("--tokens", type=Path, nargs="+", default=[], help="token stores, of the same vision encoder")
    parser.add_argument("--settings", type=RerankingSettings.model_validate_json, default=RerankingSettings())
    parser.add_argument("--device", help="cpu or cuda; the GPU is taken where there is one")
    parser.add_argument("--output-similarity", type=Path, required=True, help="text-to-image similarity.npy to write")
    parser.add_argument("--output-image-to-text", type=Path, required=True, help="the same of image-to-text")
    arguments = parser.parse_args(argv)
    import torch

    from workflow_scripts.models.feature_extractor import load_feature_extractor

    images, image_index, _ = read_captions(arguments.captions)
    similarity = np.asarray(read_similarity(arguments.similarity, len(image_index), len(images)))
    if np.isnan(similarity).any():
        raise ValueError(f"{arguments.similarity} holds NaN, which has no rank; look at the features.")
    device = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    extractor = load_feature_extractor(arguments.feature_extractor, device=device)

    top = arguments.settings.top
    of_captions, of_images = best_of_rows(similarity, top), best_of_rows(similarity.T, top)
    wanted: dict[int, set[int]] = defaultdict(set)
    for caption, columns in enumerate(of_captions):
        for image in columns.tolist():
            wanted[image].add(caption)
    for image, rows in enumerate(of_images):
        wanted[image].update(rows.tolist())
    itm = match_pairs(
        extractor,
        read_inputs(extractor, images, arguments.images, arguments.tokens),
        {image: sorted(captions) for image, captions in wanted.items()},
        read_texts(arguments.captions),
        arguments.settings.pairs_at_once,
    )
    forward = rerank_rows(similarity, of_captions, itm)
    back = rerank_rows(similarity.T, of_images, {(image, caption): logit for (caption, image), logit in itm.items()})
    write_array(arguments.output_similarity, forward)
    write_array(arguments.output_image_to_text, np.ascontiguousarray(back.T))
    print(f"{len(itm)} pairs of {similarity.size} matched: the best {of_captions.shape[1]} images of each caption, and")
    print(f"the best {of_images.shape[1]} captions of each image")


if __name__ == "__main__":
    run_command(main)
