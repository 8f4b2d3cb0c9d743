"""Q-Former and linear baseline on the tokens of a frozen vision encoder, in sizes that take seconds."""

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from tiny_feature_extractor import tiny_geometry

from workflow_scripts.config.vision import (
    LinearBaselineSettings,
    LinearStartSettings,
    QFormerSettings,
)
from workflow_scripts.features.token_store import TokenWriter
from workflow_scripts.models.blip2 import SPECIAL_TOKENS, build_blip2_qformer, start_from_bert
from workflow_scripts.models.feature_extractor import FeatureExtractor, load_feature_extractor
from workflow_scripts.models.linear_baseline import LinearBaseline
from workflow_scripts.models.timm_encoder import TimmEncoder
from workflow_scripts.small_models import train_q_former as trainer
from workflow_scripts.small_models.linear_start import start_queries
from workflow_scripts.small_models.retrieval_teacher import normed_tokens, solve_teacher
from workflow_scripts.small_models.text_distillation import TextDistillation
from workflow_scripts.small_models.token_data import TokenCorpus, mirrored
from workflow_scripts.small_models.train_linear_baseline import train_linear_baseline

WORDS = ("dog", "cat", "boat", "kite", "runs", "sits", "a", "the", "red", "blue")
THINGS = WORDS[:4]
GEOMETRY = tiny_geometry(
    vit_model="timm/tf_efficientnet_lite0",
    image_size=224,
    qformer_intermediate=64,
    qformer_dropout=0.0,
    cross_attention_freq=2,
    max_text_length=12,
)
SETTINGS = QFormerSettings(
    geometry=GEOMETRY,
    batch_size=16,
    contrast_epochs=2,
    first_stage_batch_size=8,
    first_stage_steps=2,
    log_every=1,
    checkpoint_every=2,
    linear_start=LinearStartSettings(members=1, text_epochs=2),
)


@pytest.fixture(scope="module")
def text_encoder(tmp_path_factory):
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("text_encoder")
    (folder / "vocab.txt").write_text("\n".join((*SPECIAL_TOKENS, *WORDS)) + "\n")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64}
    config = BertConfig(vocab_size=len(SPECIAL_TOKENS) + len(WORDS), **sizes)
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def vision_weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("vision") / "efficientnet.pth"
    torch.save(TimmEncoder("timm/tf_efficientnet_lite0", 224).network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """160 pictures whose tokens carry one of four things, each with two captions that name it."""
    folder = tmp_path_factory.mktemp("tokens")
    generator = np.random.default_rng(0)
    directions = generator.normal(size=(len(THINGS), 1280))
    writer = TokenWriter(folder / "store", {"image_set": "some", "encoder_sha256": "e" * 64, "images_sha256": "i"})
    rows = []
    for shard in range(2):
        keys = [f"some/{shard}-{number}" for number in range(80)]
        tokens = generator.normal(size=(80, 49, 1280))
        for index, key in enumerate(keys):
            thing = index % len(THINGS)
            tokens[index, :20] += 2 * directions[thing]
            rows += [(key, f"a {THINGS[thing]} runs"), (key, f"the red {THINGS[thing]}")]
        writer.write_shard(shard, keys, tokens)
    writer.finish()
    table = pa.table({"image": [row[0] for row in rows], "answer": [row[1] for row in rows]})
    pq.write_table(table, folder / "pairs.parquet")
    return folder


def train(data, vision_weights, text_encoder, output, settings=SETTINGS):
    return trainer.train_q_former(
        data / "pairs.parquet", [data / "store"], vision_weights, text_encoder, settings, output
    )


def test_a_q_former_starts_as_the_bert_that_it_is_made_of(text_encoder):
    """Texts come out as from the BERT's first layers, and the queries' feed-forward layers are copies of the texts'."""
    from transformers import BertModel

    model = build_blip2_qformer(GEOMETRY, text_encoder / "vocab.txt").eval()
    start_from_bert(model, load_file(text_encoder / "model.safetensors"))
    bert = BertModel.from_pretrained(text_encoder).eval()
    bert.encoder.layer = bert.encoder.layer[: GEOMETRY.qformer_layers]
    tokens = model.tokenizer(["a dog runs", "the red boat"], return_tensors="pt")
    with torch.no_grad():
        expected = bert(**tokens).last_hidden_state[:, 0]
        torch.testing.assert_close(model.forward_text(tokens), expected, atol=1e-5, rtol=1e-4)
    layer = model.Qformer.bert.encoder.layer[0]
    assert torch.equal(layer.intermediate_query.dense.weight, layer.intermediate.dense.weight)


def test_a_bert_of_another_width_is_refused_by_name(text_encoder):
    wider = GEOMETRY.model_copy(update={"qformer_width": 64})
    model = build_blip2_qformer(wider, text_encoder / "vocab.txt")
    with pytest.raises(ValueError, match="qformer_width"):
        start_from_bert(model, load_file(text_encoder / "model.safetensors"))


def contrast_losses(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if row["stage"] == "contrast" and "loss" in row]


def test_a_linear_start_knows_at_the_first_step_what_training_finds_later(data, vision_weights, text_encoder, tmp_path):
    start = LinearStartSettings(members=2, text_epochs=0)
    settings = SETTINGS.model_copy(update={"linear_start": start, "contrast_epochs": 0.1, "first_stage_steps": 0})
    train(data, vision_weights, text_encoder, tmp_path, settings)
    # Four things among 16 pictures: the others of the same thing cannot be told apart, ln(4) = 1.39 is the floor and
    # ln(16) = 2.77 guessing.
    assert contrast_losses(tmp_path)[0] < 2.2


def test_training_lowers_the_loss_and_writes_a_loadable_extractor(data, vision_weights, text_encoder, tmp_path):
    settings = SETTINGS.model_copy(
        update={"linear_start": None, "contrast_epochs": 8, "learning_rate": 3e-3, "text_learning_rate": 3e-3}
    )
    train(data, vision_weights, text_encoder, tmp_path, settings)
    losses = contrast_losses(tmp_path)
    assert losses[0] > 2.5
    assert losses[-1] < 2.2
    extractor = load_feature_extractor(tmp_path)
    corpus = TokenCorpus(data / "pairs.parquet", [data / "store"])
    query_output, projection = extractor.extract_images(corpus.tokens_of(corpus.train[:2]))
    assert query_output.shape == (2, 32, 32)
    assert projection.shape == (2, 32, 16)
    assert not (tmp_path / "training_state.pt").exists()
    assert "vision_encoder.pth" in (tmp_path / "SHA256SUMS").read_text()


def test_the_text_side_starts_near_what_several_solutions_tell(data, text_encoder):
    """Solutions by contrast are joined to one target a text, and `text_proj` is fitted to it before it is trained."""
    corpus = TokenCorpus(data / "pairs.parquet", [data / "store"])
    model = build_blip2_qformer(GEOMETRY, text_encoder / "vocab.txt")
    start_from_bert(model, load_file(text_encoder / "model.safetensors"))
    settings = LinearStartSettings(members=2, text_epochs=20, text_batch_size=32)
    teacher = solve_teacher(model, corpus, settings, seed=1)
    assert teacher.text_targets.shape == (2 * len(corpus.train), GEOMETRY.embed_dim)
    assert torch.allclose(teacher.text_targets.norm(dim=1), torch.ones(len(teacher.texts)))
    with torch.no_grad():
        images = teacher.image_map(normed_tokens(model, corpus, corpus.train).mean(1))
    best = (images @ teacher.text_targets.t()).argmax(1)
    named = [next(word for word in teacher.texts[row].split() if word in THINGS) for row in best.tolist()]
    right = [thing in corpus.captions[key][0] for key, thing in zip(corpus.train, named, strict=True)]
    assert sum(right) > 0.95 * len(right)
    distillation = TextDistillation(teacher, settings, seed=1)
    rows = list(range(64))
    with torch.no_grad():
        untrained = distillation.loss(model, rows).item()
        distillation.start(model)
        fitted = distillation.loss(model, rows).item()
    assert fitted < 0.1 < 0.5 < untrained
    assert len(list(distillation.batches(3))) == distillation.steps - 3


def test_after_the_start_each_query_looks_at_a_place_of_its_own(data, text_encoder):
    corpus = TokenCorpus(data / "pairs.parquet", [data / "store"])
    model = build_blip2_qformer(GEOMETRY, text_encoder / "vocab.txt")
    start_from_bert(model, load_file(text_encoder / "model.safetensors"))
    settings = LinearStartSettings(members=1, epochs=5)
    teacher = solve_teacher(model, corpus, settings, seed=1)
    figures = start_queries(model, corpus, teacher, settings, seed=1)
    assert figures["cosine_with_teacher"] > 0.9
    attention = next(layer.crossattention for layer in model.Qformer.bert.encoder.layer if layer.has_cross_attention)
    taken = []
    attention.self.dropout.register_forward_hook(lambda *arguments: taken.append(arguments[2]))
    query_output = FeatureExtractor(model).extract_images(corpus.tokens_of(corpus.train[:20]))[0]
    linear, local = taken[0].mean(0)
    wanted = torch.tensor([round(at) for at in torch.linspace(0, 48, 32).tolist()])
    assert (local.argmax(-1) == wanted).float().mean() > 0.9
    assert linear.max() < 0.1
    assert not torch.allclose(query_output[:, 0], query_output[:, 16], atol=0.1)


def test_a_killed_training_goes_on_to_the_same_weights(data, vision_weights, text_encoder, tmp_path):
    """The process is killed in the middle of each stage; the end equals that of a training that was left alone."""
    train(data, vision_weights, text_encoder, tmp_path / "whole")
    command = [sys.executable, "-m", "workflow_scripts.small_models.train_q_former"]
    command += ["--pairs", data / "pairs.parquet", "--tokens", data / "store", "--vision-weights", vision_weights]
    command += ["--text-encoder", text_encoder, "--settings", SETTINGS.model_dump_json(), "--output", tmp_path / "cut"]
    for killed_after in (
        "stage text step 3 of",
        "stage text step 4 of",
        "stage contrast step 5 of",
        "stage first_stage step 1 of",
    ):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if killed_after in line:
                process.kill()
        assert process.wait() == -9
    assert (tmp_path / "cut" / "training_state.pt").exists()
    train(data, vision_weights, text_encoder, tmp_path / "cut")
    for name in ("blip2_qformer.pth",):
        whole, cut = (torch.load(tmp_path / run / name, weights_only=True)["model"] for run in ("whole", "cut"))
        assert whole.keys() == cut.keys()
        assert all(torch.equal(whole[key], cut[key]) for key in whole)
    steps = [
        [
            (row["stage"], row["step"])
            for row in map(json.loads, (tmp_path / run / "metrics.jsonl").open())
            if "step" in row
        ]
        for run in ("whole", "cut")
    ]
    assert steps[0] == steps[1]


def test_a_state_of_other_settings_is_not_gone_on_from(data, vision_weights, text_encoder, tmp_path):
    (tmp_path / "training_state.pt").write_bytes(b"no state at all")
    train(data, vision_weights, text_encoder, tmp_path, SETTINGS.model_copy(update={"contrast_epochs": 0.3}))
    assert (tmp_path / "SHA256SUMS").exists()


def test_mirrored_tokens_exchange_left_and_right():
    tokens = torch.arange(49).view(1, 49, 1).repeat(2, 1, 1)
    both = mirrored(tokens, torch.tensor([True, False]))
    assert both[0, :7, 0].tolist() == [6, 5, 4, 3, 2, 1, 0]
    assert both[1, :, 0].tolist() == list(range(49))


def test_the_linear_baseline_learns_and_is_saved_and_loaded(data, tmp_path):
    settings = LinearBaselineSettings(width=16, batch_size=32, epochs=30, learning_rate=3e-3)
    figures = train_linear_baseline(data / "pairs.parquet", [data / "store"], settings, tmp_path)
    assert figures["r_at_5"] > 50  # of a handful of validation pictures; by chance far less
    model = LinearBaseline.load(tmp_path)
    corpus = TokenCorpus(data / "pairs.parquet", [data / "store"])
    keys = corpus.validation
    tokens = corpus.tokens_of(keys)
    similarity = model.embed_texts([f"the {thing}" for thing in THINGS]) @ model.embed_tokens(tokens).t()
    named = [next(word for word in corpus.captions[key][0].split() if word in THINGS) for key in keys]
    right = [THINGS[index] == name for index, name in zip(similarity.argmax(0).tolist(), named, strict=True)]
    assert sum(right) >= len(keys) - 1
    (tmp_path / "linear_baseline.safetensors").unlink()
    with pytest.raises(ValueError, match="no linear baseline"):
        LinearBaseline.load(tmp_path)


def test_a_text_without_known_words_is_embedded_as_zero(data, tmp_path):
    model = LinearBaseline(["dog"], 8, 4)
    assert model.embed_texts(["xyz", "a dog"]).norm(dim=1).tolist() == pytest.approx([0, 1])
