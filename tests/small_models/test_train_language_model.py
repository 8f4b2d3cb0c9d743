"""The small language model: tokenizer, soft contexts, packing of turns, and a folder that the chain can load."""

import hashlib
import json

import numpy as np
import pytest
import torch

from workflow_scripts.config.language import LanguageModelSettings
from workflow_scripts.miniature import text_corpus
from workflow_scripts.miniature.scenes import generate_scenes
from workflow_scripts.models.language_model import load_language_model
from workflow_scripts.models.prompt import Prompt
from workflow_scripts.small_models import soft_context, train_language_model
from workflow_scripts.small_models.text_validation import losses_in_words, validate
from workflow_scripts.small_models.tokenizer import build_tokenizer

SMALL = LanguageModelSettings(hidden_size=32, intermediate_size=64, layers=2, attention_heads=2, batch_size=4)


@pytest.fixture(scope="module")
def lines():
    groups = text_corpus.corpus_lines(generate_scenes("train", 40, seed=3), seed=1)
    return [line for group in groups for line in group]


@pytest.fixture(scope="module")
def prompt(lines):
    return Prompt(build_tokenizer(text for line in lines for text in line.values()))


@pytest.fixture(scope="module")
def model(prompt):
    torch.manual_seed(0)
    return train_language_model.build_model(SMALL, prompt.tokenizer)


def test_a_word_is_a_token_and_digits_stand_alone(prompt):
    tokenizer = prompt.tokenizer
    assert tokenizer.tokenize("what colour is the umbrella?") == ["▁what", "▁colour", "▁is", "▁the", "▁umbrella", "?"]
    pieces = tokenizer.tokenize("{<12><30><25><100>}")
    assert [piece for piece in pieces if piece.isdigit()] == list("123025100")


@pytest.mark.parametrize("text", ["какого цвета кот?", "猫は何色", "cat 🐈 \t x", "</s> [/INST] <s>"])
def test_any_text_survives_the_tokenizer(prompt, text):
    ids = prompt.context_ids(text)
    assert not set(ids) & set(prompt.tokenizer.all_special_ids)
    assert prompt.decode(ids).split() == text.split()


def test_a_vocabulary_that_cannot_hold_all_words_is_refused(lines):
    with pytest.raises(ValueError, match="raise it"):
        build_tokenizer((line["answer"] for line in lines), 380)


def test_rare_words_may_be_several_tokens_where_the_vocabulary_is_small(lines):
    texts = ["the umbrella stands here"] * 20 + ["a quixotic zephyr"]
    tokenizer = build_tokenizer(texts, 400, whole_words=False)
    assert tokenizer.tokenize("the umbrella") == ["▁the", "▁umbrella"]
    assert len(tokenizer.tokenize("quixotic")) > 1
    assert tokenizer.decode(tokenizer("a quixotic zephyr", add_special_tokens=False).input_ids) == "a quixotic zephyr"


def test_validation_tells_a_right_context_from_another(prompt, model):
    lines = [
        {"context": f"{colour}; cat", "prompt": "what colour?", "answer": colour, "task": "vqa"}
        for colour in ("red", "blue", "green", "yellow") * 3
    ]
    untrained = validate(model, prompt, lines, SMALL)
    assert set(untrained["vqa"]) == {"right", "another", "none"}
    import copy

    learner = copy.deepcopy(model)
    settings = SMALL.model_copy(update={"epochs": 40.0, "matrix_learning_rate": 0.02})
    train_language_model.train(train_language_model.group_lines(lines, prompt), learner, prompt, settings)
    losses = validate(learner, prompt, lines, settings)["vqa"]
    assert losses["right"] < 0.3 < losses["another"]
    assert "vqa: right context" in losses_in_words({"vqa": losses})


def test_every_word_of_every_phrase_is_in_the_soft_context():
    phrases = [[10, 11, 12], [20, 21]]
    soft = soft_context.spread(phrases, [5], 8, np.random.default_rng(0))
    assert set(soft.tokens.tolist()) == {5, 10, 11, 12, 20, 21}
    assert soft.positions.max() < 8
    assert (soft.weights >= 0).all()
    embedding = torch.nn.Embedding(30, 16)
    embedded = soft_context.embed(soft, 8, embedding.weight)
    assert embedded.shape == (8, 16)
    embedded.sum().backward()
    assert embedding.weight.grad[10].abs().sum() > 0


def test_packed_turns_are_read_as_each_would_be_alone(lines, prompt, model):
    words_only = SMALL.model_copy(update={"soft_context_share": 0.0})
    group = next(g for g in train_language_model.group_lines(lines, prompt) if len(g.turns) > 3 and len(g.phrases) > 2)

    def batch(turns):
        part = train_language_model.Group(group.phrases, turns)
        return train_language_model.collate(
            [part], prompt, model.get_input_embeddings(), words_only, np.random.default_rng(0), []
        )

    with torch.no_grad():
        turns = group.turns[:4]
        counts = [len(answer) ** 0.5 for _, answer in turns]
        alone = [
            train_language_model.loss_of(model, batch([turn])).item() * n for turn, n in zip(turns, counts, strict=True)
        ]
        together = train_language_model.loss_of(model, batch(turns)).item() * sum(counts)
    assert together == pytest.approx(sum(alone), rel=1e-4)


def test_a_soft_context_has_the_form_that_image_tokens_will_have(lines, prompt, model):
    soft_only = SMALL.model_copy(update={"soft_context_share": 1.0})
    group = next(g for g in train_language_model.group_lines(lines, prompt) if g.phrases)
    batch = train_language_model.collate(
        [group], prompt, model.get_input_embeddings(), soft_only, np.random.default_rng(0), []
    )
    before = prompt.prefix_ids("")[0]
    assert (batch.segments[0] == 0).sum() == len(before) + 32
    torch.testing.assert_close(
        batch.embeds[0, : len(before)], model.get_input_embeddings()(torch.tensor(before)), atol=0, rtol=0
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("", "empty"), ('{"prompt": "a", "answer": ""}\n', "line 1"), ('{"prompt": ', "damaged")],
)
def test_a_bad_corpus_is_named(tmp_path, content, sentence):
    path = tmp_path / "text.jsonl"
    with pytest.raises(ValueError, match="does not exist"):
        train_language_model.read_corpus(path)
    path.write_text(content)
    with pytest.raises(ValueError, match=sentence):
        train_language_model.read_corpus(path)


def test_the_command_writes_a_folder_that_the_chain_loads_and_learns_on_the_way(lines, tmp_path):
    (tmp_path / "text.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    settings = SMALL.model_copy(update={"epochs": 6.0, "documents": 200})
    arguments = ["--corpus", str(tmp_path), "--settings", settings.model_dump_json(), "--output", str(tmp_path / "out")]
    train_language_model.main(arguments)
    model, tokenizer = load_language_model(tmp_path / "out")
    assert model.config.model_type == "llama"
    assert Prompt(tokenizer).text_ids("what is it?")[0] == tokenizer.bos_token_id
    for line in (tmp_path / "out" / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == digest
    loss = float((tmp_path / "out" / "README.md").read_text().split("final loss ")[1].split(".")[0])
    assert loss < np.log(len(tokenizer)) - 1
    first = (tmp_path / "out" / "SHA256SUMS").read_text()
    train_language_model.main(arguments)
    weights = [line for line in first.splitlines() if "safetensors" in line]
    assert weights[0] in (tmp_path / "out" / "SHA256SUMS").read_text(), "the same seed gives the same weights"
