import json
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from tiny_feature_extractor import tiny_geometry

from workflow_scripts.config.vision import FeatureExtractorSettings
from workflow_scripts.config.world import WorldSettings
from workflow_scripts.miniature.corpus import write_vision_corpus
from workflow_scripts.models.feature_extractor import load_feature_extractor
from workflow_scripts.small_models.phrase_alignment import PhraseAlignment
from workflow_scripts.small_models.retrieval_check import recall
from workflow_scripts.small_models.train_feature_extractor import train_feature_extractor
from workflow_scripts.small_models.vision_data import batches, read_vision_corpus

SETTINGS = FeatureExtractorSettings(
    geometry=tiny_geometry(image_size=48, qformer_dropout=0.0, max_text_length=40),
    batch_size=8,
    vision_steps=2,
    contrast_steps=2,
    first_stage_steps=2,
    log_every=1,
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    write_vision_corpus(folder, WorldSettings(image_size=48, vision_corpus=64, vision_corpus_validation=12))
    return folder


def test_the_corpus_does_not_depend_on_the_number_of_processes(corpus, tmp_path):
    settings = WorldSettings(image_size=48, vision_corpus=64, vision_corpus_validation=12)
    write_vision_corpus(tmp_path, settings, processes=2)
    assert json.loads((tmp_path / "manifest.json").read_text()) == json.loads((corpus / "manifest.json").read_text())


def test_a_training_leaves_a_folder_that_loads_with_card_metrics_and_valid_checksums(corpus, tmp_path):
    figures = train_feature_extractor(corpus, SETTINGS, tmp_path)
    extractor = load_feature_extractor(tmp_path)
    assert extractor.extract_images(torch.randn(2, 3, 48, 48))[0].shape == (2, 32, 32)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["stage"] for row in rows if "step" in row] == ["vision"] * 2 + ["contrast"] * 2 + ["first_stage"] * 2
    assert all(row["steps_per_second"] > 0 for row in rows if "step" in row)
    assert {"itc", "itm", "lm"} <= rows[-3].keys()
    assert f"{figures['r_at_10']:.1f} %" in (tmp_path / "README.md").read_text()
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path, check=True)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_and_the_trained_ones_changed(corpus, tmp_path):
    states = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train_feature_extractor(corpus, SETTINGS.model_copy(update={"seed": seed}), tmp_path / name)
        states.append(torch.load(tmp_path / name / "blip2_qformer.pth", weights_only=True)["model"])
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert not torch.equal(states[0]["query_tokens"], states[2]["query_tokens"])


def test_a_corpus_of_plain_captions_without_phrases_can_be_learned_from(corpus, tmp_path):
    plain = tmp_path / "plain"
    plain.mkdir()
    np.save(plain / "images.npy", np.load(corpus / "images.npy"))
    records = [json.loads(line) for line in (corpus / "captions.jsonl").read_text().splitlines()]
    lines = [json.dumps({"split": record["split"], "captions": record["captions"][:2]}) for record in records]
    (plain / "captions.jsonl").write_text("\n".join(lines))
    train_feature_extractor(plain, SETTINGS, tmp_path / "model")
    assert load_feature_extractor(tmp_path / "model").embed_texts(["a red kite"]).shape == (1, 16)


@pytest.mark.slow
def test_pictures_of_another_size_are_refused_by_the_command_in_one_sentence(corpus, tmp_path):
    settings = SETTINGS.model_copy(update={"geometry": SETTINGS.geometry.model_copy(update={"image_size": 64})})
    command = [sys.executable, "-m", "workflow_scripts.small_models.train_feature_extractor"]
    command += ["--corpus", str(corpus), "--settings", settings.model_dump_json(), "--output", str(tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "48 pixels wide, but geometry.image_size is 64" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_corpus_with_more_captions_than_pictures_is_refused(corpus, tmp_path):
    np.save(tmp_path / "images.npy", np.load(corpus / "images.npy")[:-1])
    (tmp_path / "captions.jsonl").write_text((corpus / "captions.jsonl").read_text())
    with pytest.raises(ValueError, match="75 pictures but 76 lines"):
        read_vision_corpus(tmp_path)


def test_grouped_batches_hold_whole_groups_of_training_pictures(corpus):
    data = read_vision_corpus(corpus)
    source = batches(data, data.indices("train"), 8, 1.0, seed=1)
    for _ in range(5):
        groups = [data.records[index]["group"] for index in next(source)]
        assert sorted(groups.count(group) for group in set(groups)) == [4, 4]


def test_phrase_alignment_prefers_the_picture_that_holds_all_words_in_one_token():
    torch.manual_seed(1)
    alignment = PhraseAlignment(["[PAD]", "red", "blue", "kite", "cat"], 16)
    red, blue, kite, cat = (alignment.vectors.weight[i].detach() * 8 for i in range(1, 5))
    bound = torch.stack([torch.stack([red + kite, blue + cat]), torch.stack([red + cat, blue + kite])])
    phrases = [["red kite", "blue cat"], ["red cat", "blue kite"]]
    assert alignment(bound, phrases) < alignment(bound.flip(0), phrases) - 1


def test_purity_punishes_tokens_that_mix_two_objects():
    torch.manual_seed(1)
    alignment = PhraseAlignment(["[PAD]", "red", "blue", "kite", "cat"], 16)
    red, blue, kite, cat = (alignment.vectors.weight[i].detach() * 8 for i in range(1, 5))
    mixture = red + blue + kite + cat
    clean = torch.stack([torch.stack([red + kite, blue + cat]), torch.stack([red + cat, blue + kite])])
    phrases = [["red kite", "blue cat"], ["red cat", "blue kite"]]
    mixed = torch.stack([torch.stack([red + kite, mixture]), torch.stack([red + cat, mixture])])

    def purity(tokens):
        return alignment(tokens, phrases, purity=1.0) - alignment(tokens, phrases)

    assert purity(clean) < purity(mixed)


def test_exchanged_phrases_differ_in_at_most_one_word():
    alignment = PhraseAlignment(["[PAD]", "red", "blue", "kite", "cat"], 16)
    ids = alignment.ids(["red kite", "blue cat", "red cat"] * 5)
    random.seed(1)
    exchanged = alignment._exchange(ids)
    differing = (exchanged != ids.unsqueeze(1)).sum(-1)
    assert differing.max() == 1
    assert (exchanged > 0).all()


def test_equally_good_pictures_count_against_the_right_one():
    similarity = torch.tensor([[1.0, 1.0, 0.0], [0.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    assert recall(similarity, ks=(1, 2)) == pytest.approx({"r_at_1": 100 / 3, "r_at_2": 200 / 3})
