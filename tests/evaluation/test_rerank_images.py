"""ITM re-ranking by a tiny LAVIS model, against LAVIS's own re-ranking."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from image_sets import noise, write_image_set
from tiny_feature_extractor import write_tiny_extractor

from workflow_scripts.evaluation.rerank_images import best_of_rows, main, rerank_rows
from workflow_scripts.evaluation.score_retrieval import main as score_retrieval

TEXTS = ["a kite", "a red kite", "kite a", "red", "a", "red red kite"]
IMAGES = [f"set/{name}" for name in "abcde"]


def test_the_best_get_itc_plus_itm_and_the_others_keep_their_order_behind():
    similarity = np.array([[0.9, 0.8, 0.7, 0.1], [0.1, 0.2, 0.3, 0.4]], dtype=np.float32)
    best = best_of_rows(similarity, 2)
    assert [set(row) for row in best.tolist()] == [{0, 1}, {2, 3}]
    reranked = rerank_rows(similarity, best, {(0, 0): -5.0, (0, 1): 3.0, (1, 2): 0.5, (1, 3): 0.0})
    assert np.argsort(-reranked, axis=1).tolist() == [[1, 0, 2, 3], [2, 3, 1, 0]]
    assert reranked[0, :2] == pytest.approx([-4.1, 3.8])


def test_more_than_there_are_is_all_there_are():
    assert best_of_rows(np.zeros((2, 3)), 128).shape == (2, 3)


@pytest.fixture(scope="module")
def extractor(tmp_path_factory):
    from workflow_scripts.models.feature_extractor import load_feature_extractor

    folder = tmp_path_factory.mktemp("feature_extractor")
    write_tiny_extractor(folder, ["a", "kite", "red"], max_text_length=35)
    return SimpleNamespace(folder=folder, loaded=load_feature_extractor(folder))


@pytest.fixture(scope="module")
def image_set(tmp_path_factory):
    """An image set of five pictures."""
    ids = [key.partition("/")[2] for key in IMAGES]
    folder = tmp_path_factory.mktemp("images") / "set"
    write_image_set(folder, [noise(ids, np.random.default_rng(0), 32, 32)])
    pd.DataFrame({"id": ids, "shard": "00000"}).to_parquet(folder / "images.parquet")
    return folder


@pytest.fixture
def rerank(tmp_path, extractor, image_set):
    """Re-ranks by the matching head; gives the ITC similarity and both results."""

    def run(top, change=lambda similarity: similarity):
        import torch

        from workflow_scripts.data.shards import ImageSet
        from workflow_scripts.search.index import embed_texts, score_images

        opened = ImageSet.open(image_set)
        pixels = [extractor.loaded.transform(opened.open_image(key.partition("/")[2])) for key in IMAGES]
        _, projection = extractor.loaded.extract_images(torch.stack(pixels))
        texts = torch.from_numpy(embed_texts(extractor.loaded, TEXTS))
        itc = change(score_images(projection.numpy(), texts).numpy())
        np.save(tmp_path / "s.npy", itc)
        captions = [{"text": text, "image_index": row % 5} for row, text in enumerate(TEXTS)]
        (tmp_path / "c.json").write_text(json.dumps({"captions": captions, "images": IMAGES}))
        files = ["--similarity", tmp_path / "s.npy", "--captions", tmp_path / "c.json", "--images", image_set]
        files += ["--feature-extractor", extractor.folder, "--settings", json.dumps({"top": top, "pairs_at_once": 2})]
        files += ["--output-similarity", tmp_path / "forward.npy", "--output-image-to-text", tmp_path / "back.npy"]
        main([str(part) for part in files])
        return itc, np.load(tmp_path / "forward.npy"), np.load(tmp_path / "back.npy"), pixels

    return run


@pytest.mark.slow  # importing LAVIS takes the time
def test_scores_of_the_best_equal_those_of_lavis_own_reranking(rerank, extractor):
    import torch
    from lavis.models.blip2_models.blip2 import compute_sim_matrix

    itc, forward, back, pixels = rerank(top=3)

    class Loader(list):
        dataset = SimpleNamespace(text=TEXTS, image=IMAGES)

    with torch.no_grad():
        loader = Loader([{"image": torch.stack(pixels)}])
        image_to_text, text_to_image = compute_sim_matrix(extractor.loaded.model, loader, k_test=3)
    for ours, theirs in ((forward, text_to_image), (back.T, image_to_text)):
        chosen = theirs > -99
        assert (chosen.sum(axis=1) == 3).all()
        assert np.allclose(ours[chosen], theirs[chosen], atol=1e-4)
        # what LAVIS gives -100 stands behind, in the order of ITC
        assert all(row[~mask].max() < row[mask].min() for row, mask in zip(ours, chosen, strict=True))
    assert not np.allclose(forward, itc)


@pytest.mark.slow
def test_the_reranked_similarities_are_scored_in_both_directions(rerank, tmp_path):
    rerank(top=2)
    files = {"similarity": "forward.npy", "image-to-text-similarity": "back.npy", "captions": "c.json"}
    options = [f"--{name}={tmp_path / file}" for name, file in files.items()]
    score_retrieval([*options, "--id=coco_retrieval.blip2_itm", f"--output={tmp_path / 'o.json'}"])
    scores = json.loads((tmp_path / "o.json").read_text())
    assert {"coco_retrieval.blip2_itm.r_at_1", "coco_retrieval.blip2_itm.image_to_text_r_at_1"} <= {
        figure["id"] for figure in scores["figures"]
    }
    assert str(tmp_path / "back.npy") in scores["inputs"]


@pytest.mark.slow
def test_nan_is_an_error(rerank):
    with pytest.raises(ValueError, match="holds NaN"):
        rerank(2, change=lambda similarity: similarity * np.nan)
