import json

import numpy as np
import pytest

from workflow_scripts.evaluation.score_retrieval import main, ranks_of_captions, ranks_of_images


def scores_of(folder, *options):
    files = [f"--{name}={folder / file}" for name, file in (("similarity", "s.npy"), ("captions", "c.json"))]
    main([*files, "--id=r.m", f"--output={folder / 'o.json'}", *options])
    scores = json.loads((folder / "o.json").read_text())
    return scores, {figure["id"]: figure["value"] for figure in scores["figures"]}


@pytest.fixture
def score(tmp_path):
    def run(similarity, image_index=None, groups=None, options=()):
        similarity = np.asarray(similarity, dtype=np.float32)
        image_index = list(range(len(similarity))) if image_index is None else image_index
        captions = [{"text": f"caption {row}", "image_index": index} for row, index in enumerate(image_index)]
        for caption, group in zip(captions, groups or [], strict=False):
            caption["group"] = group
        images = [f"set/{index}" for index in range(similarity.shape[1])]
        np.save(tmp_path / "s.npy", similarity)
        (tmp_path / "c.json").write_text(json.dumps({"captions": captions, "images": images}))
        return scores_of(tmp_path, *options)

    return run


def plain_ranks(similarity, image_index):
    """Sort by falling similarity; among equals the right image comes last."""
    ranks = []
    for row, own in zip(similarity, image_index, strict=True):
        order = sorted(range(len(row)), key=lambda index: (-row[index], index == own))
        ranks.append(order.index(own))
    return ranks


def test_ranks_equal_those_of_a_plain_sort_with_many_ties():
    generator = np.random.default_rng(0)
    similarity = generator.integers(0, 4, (700, 30)).astype(np.float32)
    image_index = generator.integers(0, 30, 700)
    assert ranks_of_images(similarity, image_index).tolist() == plain_ranks(similarity, image_index)


def test_image_to_text_ranks_equal_those_of_a_plain_sort():
    generator = np.random.default_rng(1)
    image_index = np.repeat(np.arange(12), 5)
    similarity = generator.integers(0, 6, (60, 12)).astype(np.float32)
    expected = []
    for image in range(12):
        order = sorted(range(60), key=lambda row: (-similarity[row, image], image_index[row] == image))
        expected.append(next(place for place, row in enumerate(order) if image_index[row] == image))
    assert ranks_of_captions(similarity, image_index).tolist() == expected


def test_recall_of_a_hand_computed_case(score):
    similarity = np.eye(12)
    similarity[0, 3] = 2  # rank 1
    similarity[1, 2:8] = 2  # rank 6
    similarity[2] += np.arange(12) >= 1  # rank 0 still
    scores, values = score(similarity)
    assert values["r.m.r_at_1"] == pytest.approx(100 * 10 / 12, abs=1e-3)
    assert values["r.m.r_at_5"] == pytest.approx(100 * 11 / 12, abs=1e-3)
    assert values["r.m.r_at_10"] == 100.0
    assert scores["recall_curve"]["7"] == 100.0


def test_ties_count_against_us(score):
    _, values = score(np.zeros((6, 6)))
    assert (values["r.m.r_at_1"], values["r.m.r_at_5"], values["r.m.r_at_10"]) == (0.0, 0.0, 100.0)


def test_only_the_first_caption_counts_and_all_have_figures_of_their_own(score):
    similarity = [[1, 0], [0, 1], [0, 1], [1, 0]]
    _, values = score(similarity, image_index=[0, 0, 1, 1])
    assert values["r.m.r_at_1"] == 100.0
    assert values["r.m.all_captions.r_at_1"] == 50.0


def test_of_first_captions_only_there_are_figures_of_both_directions(score):
    # The second image's best caption is its second one; its first one fits the first image better.
    similarity = [[3, 0], [0, 1], [4, 2], [0, 5]]
    _, values = score(similarity, image_index=[0, 0, 1, 1])
    assert values["r.m.image_to_text_r_at_1"] == 50.0  # caption 2 is before captions 0 and 1 for image 0
    assert values["r.m.first_caption.image_to_text_r_at_1"] == 50.0
    assert values["r.m.first_caption.image_to_text_r_at_5"] == 100.0
    similarity = [[3, 0], [0, 1], [2, 2], [6, 5]]
    _, values = score(similarity, image_index=[0, 0, 1, 1])
    assert values["r.m.image_to_text_r_at_1"] == 50.0
    assert values["r.m.first_caption.image_to_text_r_at_1"] == 100.0
    _, values = score(np.eye(3))
    assert "r.m.first_caption.image_to_text_r_at_1" not in values, "where there is one caption an image, it is plain"


@pytest.mark.slow  # importing LAVIS takes the time
def test_recalls_are_those_of_lavis_own_retrieval_task(score, tmp_path):
    from lavis.common.registry import registry
    from lavis.tasks.retrieval import RetrievalTask

    registry.mapping["paths"]["output_dir"] = str(tmp_path)
    generator = np.random.default_rng(6)
    image_index = np.sort(generator.integers(0, 40, 190))
    image_index[:40] = np.arange(40)  # each image has a caption, and rows 0 to 39 are the first ones
    similarity = generator.permutation(190 * 40).reshape(190, 40).astype(np.float32)  # no ties, which LAVIS breaks
    similarity[np.arange(190), image_index] += 3000  # at random
    of_image = {image: np.flatnonzero(image_index == image).tolist() for image in range(40)}
    theirs = RetrievalTask._report_metrics(similarity.T, similarity, dict(enumerate(image_index)), of_image)
    _, ours = score(similarity, image_index.tolist())
    for k in (1, 5, 10):
        assert ours[f"r.m.all_captions.r_at_{k}"] == round(theirs[f"img_r{k}"], 4)
        assert ours[f"r.m.image_to_text_r_at_{k}"] == round(theirs[f"txt_r{k}"], 4)
    of_first = {image: [image] for image in range(40)}
    theirs = RetrievalTask._report_metrics(similarity[:40].T, similarity[:40], dict(enumerate(range(40))), of_first)
    for k in (1, 5, 10):
        assert ours[f"r.m.r_at_{k}"] == round(theirs[f"img_r{k}"], 4)
        assert ours[f"r.m.first_caption.image_to_text_r_at_{k}"] == round(theirs[f"txt_r{k}"], 4)
    assert 0 < ours["r.m.r_at_1"] < ours["r.m.r_at_10"] < 100


def test_the_headline_may_be_of_all_captions_and_the_scores_name_it(score):
    similarity = [[1, 0], [0, 1], [0, 1], [1, 0], [0, 1]]
    scores, values = score(similarity, [0, 0, 1, 1, 1], options=["--headline", "all_captions", "--split", "test"])
    assert values["r.m.r_at_1"] == 60.0
    assert values["r.m.first_caption.r_at_1"] == 100.0
    assert "r.m.all_captions.r_at_1" not in values
    assert (scores["headline"], scores["split"]) == ("all_captions", "test")
    assert "Every caption asks" in scores["definition"]
    assert score(similarity, [0, 0, 1, 1, 1])[0]["headline"] == "first_caption"


def test_median_ranks_of_both_directions_begin_at_one(score):
    similarity = np.eye(5)
    similarity[0, 1:4] = 2  # text to image: ranks 4, 1, 1, 1, 1; image to text: 1, 2, 2, 2, 1
    scores, values = score(similarity)
    assert values["r.m.median_rank"] == 1.0
    assert values["r.m.image_to_text_median_rank"] == 2.0
    assert values["r.m.image_to_text_r_at_1"] == 40.0
    median = next(figure for figure in scores["figures"] if figure["id"] == "r.m.median_rank")
    assert median["unit"] == "rank"
    assert median["ci95"][0] <= 1.0 <= median["ci95"][1]


def test_within_groups_only_the_group_competes(score):
    similarity = [[1, 0, 9, 9], [0, 1, 9, 9], [9, 9, 1, 2], [9, 9, 1, 1]]
    scores, values = score(similarity, groups=[[0, 1], [0, 1], [2, 3], [2, 3]])
    assert values == {"r.m.colour_matched_r_at_1": 50.0}
    assert scores["chance"] == 50.0


def test_nan_and_wrong_shapes_are_errors(score, tmp_path):
    similarity = np.eye(3)
    similarity[1, 2] = np.nan
    with pytest.raises(ValueError, match="caption 1 holds NaN"):
        score(similarity)
    with pytest.raises(ValueError, match="points to an image"):
        score(np.eye(3), image_index=[0, 1, 3])
    with pytest.raises(ValueError, match="does not hold the caption's own image"):
        score(np.eye(2), groups=[[0, 1], [0]])
    score(np.eye(3))
    np.save(tmp_path / "s.npy", np.eye(4))
    with pytest.raises(ValueError, match=r"shape \(4, 4\)"):
        main(
            [f"--{k}={tmp_path / v}" for k, v in {"similarity": "s.npy", "captions": "c.json", "output": "o"}.items()]
            + ["--id=x"]
        )


def test_nan_within_a_group_is_an_error(score):
    with pytest.raises(ValueError, match="caption 1 holds NaN"):
        score([[1, 0], [np.nan, 1]], groups=[[0, 1], [0, 1]])


def test_files_of_another_kind_are_errors_that_name_them(score, tmp_path):
    score(np.eye(2))
    captions = (tmp_path / "c.json").read_text()
    cases = [
        ({"images": [{"id": 1}, {}], "annotations": [{"image_id": 1}]}, '"images" of .*c.json must be a list of'),
        ({"images": [{"id": 1}], "annotations": [{"image": 1}]}, '"annotations" of .*c.json must be a list of'),
        ({"images": [{"id": 1}], "annotations": []}, "holds no caption"),
        ({"images": [{"id": 1}] * 2, "annotations": [{"image_id": 1}]}, "more than once, 1 among them"),
        ({"images": ["a"], "captions": [{"text": "x"}]}, 'must each have an "image_index"'),
        ({"images": []}, 'a non-empty list "images"'),
    ]
    for content, message in cases:
        (tmp_path / "c.json").write_text(json.dumps(content))
        with pytest.raises(ValueError, match=message):
            scores_of(tmp_path)
    (tmp_path / "c.json").write_text(captions)
    np.save(tmp_path / "s.npy", np.array([["a", "b"], ["c", "d"]]))
    with pytest.raises(ValueError, match="no real numbers"):
        scores_of(tmp_path)
    (tmp_path / "s.npy").write_text("this is no array")
    with pytest.raises(ValueError, match="is not a NumPy array"):
        scores_of(tmp_path)


def test_captions_in_cocos_own_form_give_the_same_scores(score, tmp_path):
    similarity = np.random.default_rng(3).random((10, 4))
    _, ours = score(similarity, [0, 0, 1, 1, 1, 2, 2, 2, 3, 3])
    owners = (40, 40, 10, 10, 10, 30, 30, 30, 20, 20)
    coco = {"images": [{"id": id} for id in (40, 10, 30, 20)], "annotations": []}
    coco["annotations"] = [{"id": n, "image_id": owner, "caption": "x"} for n, owner in enumerate(owners)]
    (tmp_path / "c.json").write_text(json.dumps(coco))
    assert scores_of(tmp_path)[1] == ours
    coco["annotations"][3]["image_id"] = 99
    (tmp_path / "c.json").write_text(json.dumps(coco))
    with pytest.raises(ValueError, match="1 captions of images that are not in its list, 99 among them"):
        scores_of(tmp_path)


def test_each_direction_can_have_its_own_similarity(score, tmp_path):
    np.save(tmp_path / "back.npy", np.eye(3)[::-1].copy())
    _, values = score(np.eye(3), options=["--image-to-text-similarity", str(tmp_path / "back.npy")])
    assert values["r.m.r_at_1"] == 100.0
    assert values["r.m.image_to_text_r_at_1"] == pytest.approx(100 / 3, abs=1e-3)


def test_nan_in_the_similarity_of_the_way_back_is_an_error(score, tmp_path):
    np.save(tmp_path / "back.npy", np.full((3, 3), np.nan))
    with pytest.raises(ValueError, match="caption 0 holds NaN"):
        score(np.eye(3), options=["--image-to-text-similarity", str(tmp_path / "back.npy")])


def test_every_figure_has_n_and_an_interval_and_each_caption_its_value(score):
    scores, _ = score([[1, 0], [0, 1], [0, 1], [1, 0]], image_index=[0, 0, 1, 1])
    assert all(one["n"] in (2, 4) and len(one["ci95"]) == 2 for one in scores["figures"])
    assert scores["per_question"] == {"0": 100.0, "2": 100.0}
    assert scores["image_of_question"] == {"0": "set/0", "2": "set/1"}


def test_what_the_similarity_was_computed_from_is_noted_with_its_checksum(score, tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    scores, _ = score(np.eye(3), options=["--made-of", str(tmp_path / "manifest.json")])
    assert scores["inputs"][str(tmp_path / "manifest.json")].startswith("44136fa355b3678a")  # sha256 of {}
    assert set(scores["inputs"]) == {str(tmp_path / name) for name in ("s.npy", "c.json", "manifest.json")}
