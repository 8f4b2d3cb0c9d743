import json
import os

import numpy as np
import pytest

from workflow_scripts.features.extractor_checksum import extractor_sha256
from workflow_scripts.search.index import Index, newest_index


def unit(values):
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def test_the_score_is_the_best_query_and_the_order_that_of_a_full_sort(make_index):
    generator = np.random.default_rng(0)
    projection = unit(generator.normal(size=(3000, 4, 8))).astype(np.float16)
    texts = unit(generator.normal(size=(3, 8))).astype(np.float32)
    expected = np.einsum("nqp,cp->cnq", projection.astype(np.float32), texts).max(axis=2)
    index = Index(make_index(projection))
    assert np.allclose(index.scores(texts), expected, atol=1e-5)
    for hits, scores in zip(index.search(texts, 15), expected, strict=True):
        assert [hit.row for hit in hits] == np.argsort(-scores, kind="stable")[:15].tolist()
        assert [hit.rank for hit in hits] == list(range(1, 16))


def test_equal_scores_come_in_the_order_of_the_index(make_index):
    index = Index(make_index(np.ones((20, 2, 4))))
    assert [hit.id for hit in index.search(np.ones((1, 4)), 5)[0]] == [f"set/{row}" for row in range(5)]


def test_more_than_there_are_gives_all(make_index):
    assert len(Index(make_index(np.ones((3, 2, 4)))).search(np.ones((1, 4)), 15)[0]) == 3


def test_thumbnails_come_back_as_they_were(make_index):
    index = Index(make_index(np.ones((3, 2, 4))))
    assert index.thumbnail(2) == index.thumbnail(0)
    assert index.thumbnail(1)[:3] == b"\xff\xd8\xff"


def test_a_folder_without_an_index_and_a_cut_one_are_errors(make_index, tmp_path):
    with pytest.raises(ValueError, match="is not a search index"):
        Index(tmp_path)
    folder = make_index(np.ones((3, 2, 4)))
    np.save(folder / "image_projection.npy", np.ones((2, 2, 4), dtype=np.float16))
    with pytest.raises(ValueError, match="should hold 3 pictures and holds 2"):
        Index(folder)


def test_an_index_of_an_older_version_is_an_error_with_the_way_out(make_index):
    folder = make_index(np.ones((3, 2, 4)))
    manifest = json.loads((folder / "index.json").read_text())
    del manifest["format"]  # as in the first ones, which had no text encoder
    (folder / "index.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"is a search index of format 1, .* Build it again: .* `make reproduce`"):
        Index(folder)


def test_the_newest_index_is_found_and_none_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="There is no search index"):
        newest_index(tmp_path)
    for age, name in ((100, "mini/search/a"), (10, "tiny/search/b"), (50, "mini/search/c")):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "index.json").write_text("{}")
        os.utime(tmp_path / name / "index.json", (1e9 - age, 1e9 - age))
    assert newest_index(tmp_path) == tmp_path / "tiny/search/b"


def test_the_extractors_checksum_is_read_or_computed(tmp_path):
    (tmp_path / "blip2_qformer.pth").write_bytes(b"weights")
    computed = extractor_sha256(tmp_path)
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  config.json\n{computed}  blip2_qformer.pth\n")
    assert extractor_sha256(tmp_path) == computed
    (tmp_path / "SHA256SUMS").write_text(f"{'1' * 64}  blip2_qformer.pth\n")
    assert extractor_sha256(tmp_path) == "1" * 64
