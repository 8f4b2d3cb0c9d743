"""Trainings that make their features themselves, from pictures in shards: the same command, in this process."""

import json
import shutil

import numpy as np
import pytest
from image_sets import jpeg, write_image_set
from test_train_adaptor import interrupt, losses, state_of
from tiny_feature_extractor import write_tiny_extractor

pytestmark = pytest.mark.slow
SMALLEST = {"batch_size": 8, "epochs": 1, "learning_rate": 1e-2, "learning_rate_end": 1e-3}
IMAGES = 40  # of the tiny world
TRAINED = {"features": "online", "train_q_former": True}


@pytest.fixture(scope="module")
def pictures(world, tmp_path_factory):
    """A copy of the tiny world whose features are of pictures, beside the pictures and the extractor."""
    from workflow_scripts.features.extract_features import main

    folder = shutil.copytree(world, tmp_path_factory.mktemp("pictures") / "world")
    shutil.rmtree(folder / "features")
    extractor, images = folder / "extractor", folder / "images"
    sizes = {"num_query_token": 4, "qformer_width": 16, "qformer_intermediate": 16, "embed_dim": 8}
    write_tiny_extractor(extractor, ["what", "is", "there", "?"], **sizes)
    generator = np.random.default_rng(0)
    files = {
        f"{number:03d}": jpeg(generator.integers(0, 256, (2, 2, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1))
        for number in range(IMAGES)
    }
    names = sorted(files)
    halves = (names[: IMAGES // 2], names[IMAGES // 2 :])
    write_image_set(images, [{name: files[name] for name in half} for half in halves])
    options = ["--images", images, "--feature-extractor", extractor, "--output", folder / "features" / "set"]
    main(list(map(str, options)))
    return folder


@pytest.fixture(scope="module")
def online(trainer, pictures):
    """Calls train_adaptor on the pictures, or on their cached features, as the settings say."""
    return type(trainer)(pictures)


@pytest.fixture(scope="module")
def cached(online, tmp_path_factory):
    return online.here(tmp_path_factory.mktemp("run") / "cached")


@pytest.fixture(scope="module")
def trained(online, tmp_path_factory):
    """A finished training of adaptor and Q-Former, with the query, for reading only."""
    return online.here(tmp_path_factory.mktemp("run") / "trained", TRAINED | {"q_former_query": True})


def q_former_of(folder):
    from workflow_scripts.models.adaptor import read_q_former_weights

    return read_q_former_weights(folder / "adaptor.safetensors")


def untrained(online):
    from workflow_scripts.models.feature_extractor import load_feature_extractor
    from workflow_scripts.models.online_features import QFormer

    return QFormer(load_feature_extractor(online.world / "extractor").model).state_dict()


@pytest.mark.parametrize("settings", [{}, {"samples_per_image": 4}, {"standardise_features": True}])
def test_an_online_training_is_the_cached_one_up_to_the_rounding_of_the_cache(settings, online, tmp_path):
    import torch

    one = online.here(tmp_path / "cached", settings)
    other = online.here(tmp_path / "online", settings | {"features": "online"})
    np.testing.assert_allclose(losses(other), losses(one), rtol=2e-3)
    assert losses(other) != losses(one)
    states = [state_of(folder / "adaptor.safetensors") for folder in (one, other)]
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=0, atol=2e-2 * float(value.abs().max()))
    assert not q_former_of(other)
    record = json.loads((other / "run.json").read_text())
    assert record["trainable_parameters"] == json.loads((one / "run.json").read_text())["trainable_parameters"]
    assert record["features"][0]["image_set"] == "set"


def test_the_query_reaches_the_language_model_through_the_q_former(online, cached, tmp_path):
    from workflow_scripts.models.online_features import needs_pictures

    folder = online.here(tmp_path / "query", {"features": "online", "q_former_query": True})
    assert not np.allclose(losses(folder), losses(cached), rtol=2e-3)
    assert needs_pictures(folder / "adaptor.safetensors")
    assert not q_former_of(folder), "the Q-Former is frozen"


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_a_trained_q_former_learns_and_every_zero_stage_exports_the_same(stage, online, trained, tmp_path):
    import torch

    folder = online.here(tmp_path / "run", TRAINED | {"q_former_query": True, "zero_stage": stage})
    np.testing.assert_allclose(losses(folder), losses(trained), rtol=1e-4)
    weights = q_former_of(folder)
    assert weights.keys() == q_former_of(trained).keys()
    for name, value in q_former_of(trained).items():
        if not name.endswith("key.bias"):  # attention does not depend on it: its gradient is rounding
            torch.testing.assert_close(weights[name], value, rtol=1e-3, atol=1e-3)
    before = untrained(online)
    changed = {name for name, value in weights.items() if (value - before[name]).abs().max() > 1e-3}
    assert {"query_tokens", "bert.encoder.layer.1.crossattention.self.value.weight"} <= changed
    assert any("word_embeddings" in name for name in changed)


def test_a_trained_q_former_learns_at_its_share_of_the_learning_rate(online, tmp_path):
    moved = {}
    for share in (0.01, 1):
        folder = online.here(tmp_path / str(share), TRAINED | {"q_former_learning_rate_share": share})
        moved[share] = q_former_of(folder)["query_tokens"] - untrained(online)["query_tokens"]
    assert 0 < moved[0.01].abs().max() < 0.1 * moved[1].abs().max()


def test_a_q_former_trained_in_bf16_is_exported_in_full_precision(online, trained, tmp_path):
    folder = online.here(tmp_path / "run", TRAINED | {"q_former_query": True, "precision": "bf16"})
    np.testing.assert_allclose(losses(folder), losses(trained), rtol=1e-2)
    queries = q_former_of(folder)["query_tokens"]
    assert (queries - queries.bfloat16().float()).abs().max() > 0


def test_an_online_training_goes_on_bit_for_bit_where_it_was_stopped(online, tmp_path):
    # The whole one here too: a training at ZeRO stage 3 leaves other products of matrices in its process.
    whole = online.here(tmp_path / "whole", TRAINED | {"q_former_query": True})
    interrupt(online, tmp_path / "run", TRAINED | {"q_former_query": True})
    folder = online.here(tmp_path / "run", TRAINED | {"q_former_query": True})
    assert losses(folder) == losses(whole)
    assert (folder / "adaptor.safetensors").read_bytes() == (whole / "adaptor.safetensors").read_bytes()


def test_two_processes_train_the_q_former_as_one_does(online, trained, tmp_path):
    settings = TRAINED | {"q_former_query": True}
    code, output = online.command(tmp_path / "run", settings, processes=2)
    assert code == 0, output[-3000:]
    np.testing.assert_allclose(losses(tmp_path / "run"), losses(trained), rtol=1e-4)


def test_a_finetuning_goes_on_with_the_q_former_and_keeps_it_where_it_is_frozen(online, trained, tmp_path):
    import torch

    initial = {"initial_adaptor": trained / "adaptor.safetensors"}
    still = {"learning_rate": 1e-9, "learning_rate_start": 0, "learning_rate_end": 0, "weight_decay": 0}
    for name, settings in {"frozen": {"features": "online"}, "trained": TRAINED}.items():
        folder = online.here(tmp_path / name, settings | still | {"q_former_query": True}, **initial)
        for key, value in q_former_of(trained).items():
            torch.testing.assert_close(q_former_of(folder)[key], value, rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match=r"cached features are of another; set features = 'online'"):
        online.here(tmp_path / "cached", **initial)


def test_predictions_of_pictures_are_those_of_the_cache_and_a_trained_q_former_needs_pictures(
    online, cached, trained, tmp_path
):
    import pyarrow.parquet

    from workflow_scripts.evaluation.predict import main

    world = online.world
    rows = [
        {"id": f"q{number}", "image": f"set/{number:03d}", "query": "what is there?", "answer": "x"}
        for number in range(12)
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "questions.parquet")
    pictures = {"--images": world / "images", "--feature-extractor": world / "extractor"}
    cache = {"--features": world / "features" / "set"}

    def answers(run, given):
        options = {
            "--questions": tmp_path / "questions.parquet",
            "--language-model": world / "language_model",
            "--adaptor": run / "adaptor.safetensors",
            "--output": tmp_path / "predictions.jsonl",
            "--settings": json.dumps({"max_new_tokens": 6}),
            **given,
        }
        main([str(word) for option in options.items() for word in option])
        return [json.loads(line)["prediction"] for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]

    assert answers(cached, pictures) == answers(cached, cache)
    assert answers(trained, pictures) != answers(cached, pictures)
    with pytest.raises(ValueError, match=r"trained behind a Q-Former of its own.*name the pictures by --images"):
        answers(trained, cache)
    with pytest.raises(ValueError, match="belong together"):
        answers(cached, {"--images": world / "images"})


def test_settings_and_options_that_do_not_fit_are_said_before_anything_runs(online, tmp_path):
    from workflow_scripts.config.training import TrainingSettings
    from workflow_scripts.training.train_adaptor import main

    for name in ("q_former_query", "train_q_former"):
        with pytest.raises(ValueError, match=rf"{name} needs features = 'online'"):
            TrainingSettings(**SMALLEST, **{name: True})
    with pytest.raises(ValueError, match=r"features = 'online' needs --images and --feature-extractor"):
        main([*online.arguments(tmp_path / "run"), "--settings", json.dumps(SMALLEST | {"features": "online"})])


def test_defaults_of_settings_that_were_added_are_no_part_of_an_identity():
    from workflow_scripts.config.training import TrainingSettings

    added = {"features", "q_former_query", "train_q_former", "low_rank", "low_rank_learning_rate_share"}
    assert not added & TrainingSettings(**SMALLEST).defining().keys()
    changed = TrainingSettings(**SMALLEST, features="online", train_q_former=True).defining()
    assert (changed["features"], changed["train_q_former"]) == ("online", True)
    assert "q_former_query" not in changed
