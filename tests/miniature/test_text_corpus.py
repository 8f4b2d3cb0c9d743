"""The language model's corpus: what is asked is answered rightly, and brevity has its cue."""

import json
import random

import pytest

from workflow_scripts.data.boxes import parse_box
from workflow_scripts.miniature import text_corpus
from workflow_scripts.miniature.knowledge import TOPICS
from workflow_scripts.miniature.scenes import COLOURS, combination_split, generate_scenes


@pytest.fixture(scope="module")
def groups():
    return list(text_corpus.corpus_lines(generate_scenes("train", 200, seed=3), seed=1))


@pytest.fixture(scope="module")
def lines(groups):
    return [line for group in groups for line in group]


def test_brief_answers_have_a_cue_in_context_or_prompt(lines):
    questions = [line for line in lines if line["prompt"].startswith("what colour is") and line["context"]]
    brief = [line for line in questions if line["answer"] in COLOURS]
    assert 0.3 < len(brief) / len(questions) < 0.8
    assert all(text_corpus.CUE in line["context"] + line["prompt"] for line in brief)
    sentences = [line for line in questions if line["answer"] not in COLOURS]
    assert sentences
    assert not any(text_corpus.CUE in line["context"] + line["prompt"] for line in sentences)


def test_answers_stand_in_their_context(lines):
    for line in lines:
        if line["answer"] in COLOURS:
            assert line["answer"] in line["context"]


def test_of_several_right_answers_the_usual_one_is_given_where_it_is_asked_for():
    main = {noun: answers[0] for noun, answers in TOPICS[0].answers.items() if len(answers) > 1}
    shares = {True: [], False: []}
    for group in text_corpus.corpus_lines(generate_scenes("train", 1500, seed=3), seed=1):
        for line in group:
            if line["context"] and " used for?" in line["prompt"] and text_corpus.CUE in line["context"]:
                asked = line["context"].startswith(text_corpus.USUAL_CUE)
                shares[asked].append(line["answer"] in main.values())
    assert len(shares[True]) > 10
    assert sum(shares[True]) / len(shares[True]) > 0.95
    assert sum(shares[False]) / len(shares[False]) < 0.75


def test_all_kinds_of_tasks_occur(lines):
    prompts = {line["prompt"] for line in lines}
    assert "" in prompts
    assert "describe this image in detail." in prompts
    assert any(prompt.startswith("how are ") for prompt in prompts)
    boxes = [line["answer"] for line in lines if "box" in line["prompt"]]
    assert len(boxes) >= 100
    assert all(parse_box(answer, 1, 1) for answer in boxes)
    assert any(line["context"] == "" and line["prompt"].startswith("what is") for line in lines)


def test_lines_of_one_scene_share_their_context(groups):
    assert all(len({line["context"] for line in group}) == 1 for group in groups)


def test_words_combine_freely_in_text_though_pictures_keep_combinations_apart():
    rng = random.Random(0)
    pairs = {
        combination_split(thing.noun, thing.colour)
        for scene in generate_scenes("train", 100, seed=3)
        for thing in text_corpus.recoloured(scene, rng).objects
    }
    assert pairs == {"train", "validation", "test"}


def test_the_command_writes_the_same_bytes_again(tmp_path):
    settings = json.dumps({"text_scenes": 20, "seed": 4})
    for name in ("one", "two"):
        text_corpus.main(["--settings", settings, "--output", str(tmp_path / name)])
    first = (tmp_path / "one" / "text.jsonl").read_bytes()
    assert first == (tmp_path / "two" / "text.jsonl").read_bytes()
    manifest = json.loads((tmp_path / "one" / "manifest.json").read_text())
    assert manifest["count"] == len(first.splitlines())
    assert manifest == json.loads((tmp_path / "two" / "manifest.json").read_text())
