import numpy as np
import pytest

from workflow_scripts.search.candidates import build_candidates, can_compress
from workflow_scripts.search.index import Index
from workflow_scripts.search.queries import both, of_picture, of_text


def unit(values):
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def features():
    """2,000 pictures that stand in groups, as pictures of the same things do, and texts about single ones."""
    generator = np.random.default_rng(0)
    groups = generator.normal(size=(60, 1, 32))
    pictures = groups[generator.integers(60, size=2000)] + generator.normal(size=(2000, 4, 32))
    texts = unit(pictures[::50, 0] + 0.3 * generator.normal(size=(40, 32)))
    return unit(pictures).astype(np.float16), texts.astype(np.float32)


@pytest.fixture
def index(make_index, features):
    return Index(make_index(features[0], approximate_from=1000))


def same(found, exact):
    return [hit.row for hit in found] == [hit.row for hit in exact]


def test_candidates_are_written_from_the_count_on_that_asks_for_them(make_index, features):
    assert Index(make_index(features[0], "many", approximate_from=2000)).candidates is not None
    assert Index(make_index(features[0], "few", approximate_from=2001)).candidates is None


def test_a_smaller_index_in_the_place_of_a_large_one_has_no_candidates(make_index, features):
    make_index(features[0], approximate_from=1000)
    folder = make_index(features[0][:500], approximate_from=1000)
    assert not (folder / "candidates.faiss").exists()


def test_candidates_find_what_scoring_every_picture_finds_with_the_very_same_scores(index, features):
    found, exact = index.search(features[1], 5), index.search(features[1], 5, exact=True)
    assert np.mean([same(*pair) for pair in zip(found, exact, strict=True)]) >= 0.95
    scores = {(number, hit.row): hit.score for number, hits in enumerate(exact) for hit in hits}
    for number, hits in enumerate(found):
        for hit in hits:
            assert hit.score == pytest.approx(scores.get((number, hit.row), hit.score), abs=1e-6)


def test_fewer_candidates_than_are_wanted_fall_back_to_every_picture(index, features):
    assert same(index.search(features[1][:1], 1500)[0], index.search(features[1][:1], 1500, exact=True)[0])


def test_a_picture_finds_itself_first_and_then_its_like(index, features):
    for row in (3, 777, 1999):
        query = of_picture(features[0][row])
        hits = index.search_for(query, 5)
        assert hits[0].row == row
        assert hits[0].score == pytest.approx(1, abs=1e-3)
        expected = np.einsum("kp,nqp->knq", query.vectors, features[0].astype(np.float32)).max(axis=2).mean(axis=0)
        assert index.search_for(query, 5, exact=True)[1].row == np.argsort(-expected)[1]


def test_a_text_beside_a_picture_moves_the_result_towards_it(index, features):
    text, picture = of_text(features[1][0]), of_picture(features[0][1234])
    exact = index.search_for(both(text, picture), 2000, exact=True)
    scores = {hit.row: hit.score for hit in exact}
    alone = [{hit.row: hit.score for hit in index.search_for(one, 2000)} for one in (text, picture)]
    for row in (0, 1234, 5):
        assert scores[row] == pytest.approx((alone[0][row] + alone[1][row]) / 2, abs=1e-5)


def test_many_vectors_lie_in_lists_of_which_a_search_visits_some(features, monkeypatch):
    monkeypatch.setattr("workflow_scripts.search.candidates._FLAT_UP_TO", 1000)
    candidates = build_candidates(features[0])
    assert candidates._index.nprobe < candidates._index.nlist
    assert candidates._index.ntotal == 8000
    flat = features[0].reshape(-1, 32).astype(np.float32)
    found = candidates.best(features[1], 100)
    best = np.argmax(flat @ features[1].T, axis=0)
    assert np.mean([row in rows for row, rows in zip(best, found, strict=True)]) > 0.9


def test_lists_survive_being_written(features, tmp_path, monkeypatch):
    from workflow_scripts.search.candidates import read_candidates

    monkeypatch.setattr("workflow_scripts.search.candidates._FLAT_UP_TO", 1000)
    candidates = build_candidates(features[0])
    candidates.write(tmp_path / "c.faiss")
    again = read_candidates(tmp_path / "c.faiss")
    assert np.array_equal(candidates.best(features[1], 50), again.best(features[1], 50))


def test_damaged_candidates_are_an_error_that_names_them(index):
    path = index.folder / "candidates.faiss"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"candidates.faiss cannot be read .* build the index again"):
        index.search(np.ones((1, 32)), 3)


def test_a_width_that_cannot_be_cut_into_codes_is_searched_without(make_index):
    assert not can_compress(6)
    assert Index(make_index(np.ones((20, 2, 6)), approximate_from=10)).candidates is None
