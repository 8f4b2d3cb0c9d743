import json

import numpy as np
import pytest
import torch
from tiny_language_model import write_tiny_language_model

from workflow_scripts.evaluation.predict import batches_by_length, main, shuffle_images
from workflow_scripts.features.store import FeatureStore, FeatureWriter
from workflow_scripts.models.adaptor import build_adaptor, load_adaptor, save_adaptor
from workflow_scripts.models.language_model import load_language_model
from workflow_scripts.models.prompt import Prompt
from workflow_scripts.models.vision_language_model import VisionLanguageModel

QUERIES = ("what colour is the cat?", "where?", "how many kites are on the beach?", "is the cat red?")


def test_no_question_keeps_its_image_and_groups_stay_together():
    images = [f"set/{number % 7}" for number in range(50)]
    for seed in range(20):
        shuffled = shuffle_images(images, seed)
        assert all(one != other for one, other in zip(images, shuffled, strict=True))
        assert sorted(set(shuffled)) == sorted(set(images))
        assert len(set(zip(images, shuffled, strict=True))) == 7
    assert shuffle_images(images, 1) == shuffle_images(images, 1)
    assert shuffle_images(images, 1) != shuffle_images(images, 2)


def test_one_image_cannot_be_shuffled():
    with pytest.raises(ValueError, match="two or more"):
        shuffle_images(["set/1", "set/1"], 0)


def test_batches_hold_every_question_once_and_neighbours_in_length():
    lengths = [9, 1, 5, 1, 9, 5, 2]
    batches = list(batches_by_length(lengths, 3))
    assert sorted(position for batch in batches for position in batch) == list(range(7))
    assert [[lengths[position] for position in batch] for batch in batches] == [[1, 1, 2], [5, 5, 9], [9]]


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A tiny random language model, an adaptor and features of six images."""
    folder = tmp_path_factory.mktemp("parts")
    sizes = {"hidden_size": 32, "intermediate_size": 64, "initializer_range": 0.4}
    write_tiny_language_model(folder / "lm", [*QUERIES, "a red cat", "two blue kites"], **sizes)
    save_adaptor(build_adaptor("linear", 8, 32), folder / "adaptor.safetensors")
    definition = {"image_set": "set", "images_sha256": "a", "extractor_sha256": "x", "transform": "none"}
    writer = FeatureWriter(folder / "features", definition)
    generator = np.random.default_rng(0)
    keys = [f"set/{number}" for number in range(6)]
    writer.write_shard(0, keys, generator.normal(size=(6, 3, 8)), generator.normal(size=(6, 3, 4)))
    writer.finish()
    return folder


@pytest.fixture
def predict(parts, tmp_path, question, write_questions):
    rows = [question(number, query=QUERIES[number % 4], image=f"set/{number % 6}") for number in range(10)]
    table = write_questions(rows)

    def run(*options, batch_size=3):
        settings = json.dumps({"batch_size": batch_size, "max_new_tokens": 6})
        files = [
            "--questions",
            str(table),
            "--features",
            str(parts / "features"),
            "--language-model",
            str(parts / "lm"),
        ]
        files += ["--adaptor", str(parts / "adaptor.safetensors"), "--output", str(tmp_path / "p.jsonl")]
        main([*files, "--settings", settings, *options])
        return [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]

    return run


def test_predictions_are_the_models_answers_in_the_order_of_the_questions(predict, parts):
    rows = predict()
    model, tokenizer = load_language_model(parts / "lm")
    system = VisionLanguageModel(load_adaptor(parts / "adaptor.safetensors"), model, Prompt(tokenizer)).eval()
    store = FeatureStore.open(parts / "features")
    for number, row in enumerate(rows):
        features = torch.from_numpy(store.query_output([row["image"]]))
        assert row["question_id"] == f"q{number}"
        assert row["image_used"] == row["image"]
        assert row["prediction"] == system.generate(features, [row["query"]], max_new_tokens=6)[0]
    assert len({row["prediction"] for row in rows}) > 1


def test_the_size_of_a_batch_changes_no_answer(predict):
    assert predict(batch_size=1) == predict(batch_size=10)


def test_with_shuffled_images_every_question_is_asked_about_another(predict):
    rows = predict("--shuffle-images", "--seed", "3")
    assert all(row["image_used"] != row["image"] for row in rows)
    assert [row["prediction"] for row in rows] != [row["prediction"] for row in predict()]


def test_a_question_about_an_image_without_features_is_an_error(parts, tmp_path, question, write_questions):
    table = write_questions([question(0, image="set/77")])
    files = ["--questions", str(table), "--features", str(parts / "features"), "--language-model", str(parts / "lm")]
    with pytest.raises(ValueError, match="set/77"):
        main([*files, "--adaptor", str(parts / "adaptor.safetensors"), "--output", str(tmp_path / "p.jsonl")])
    assert not (tmp_path / "p.jsonl").exists()
