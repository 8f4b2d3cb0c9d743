import json
import threading

import numpy as np
import pytest
import torch
from held_answers import held_answer
from PIL import Image
from tiny_results import random_picture

from workflow_scripts.config.demo import AnswerSettings
from workflow_scripts.demo.conversation import Conversation, Look, Stopped

QUESTIONS = ["what colour is the cat?", "what is in the picture?", ""]


def answers(system, picture, question, **settings):
    conversation = system.conversation
    return list(
        conversation.answer(conversation.look_at(picture)[0], question, AnswerSettings(**settings), threading.Event())
    )


@pytest.mark.parametrize("beams", [1, 3])
def test_the_demo_answers_as_the_evaluation_does(system, tiny_results, tmp_path, beams):
    import pyarrow
    import pyarrow.parquet

    from workflow_scripts.evaluation import predict
    from workflow_scripts.features.store import FeatureWriter
    from workflow_scripts.models.feature_extractor import load_feature_extractor

    pictures = [random_picture(seed) for seed in range(4)]
    extractor = load_feature_extractor(tiny_results / "models/feature_extractor-aaa")
    outputs, projections = extractor.extract_images(torch.stack([extractor.transform(one) for one in pictures]))
    writer = FeatureWriter(tmp_path / "features", {"image_set": "set", "extractor_sha256": "x"})
    writer.write_shard(0, [f"set/{number}" for number in range(4)], outputs.numpy(), projections.numpy())
    writer.finish()
    rows = [
        {"id": f"{image}-{place}", "image": f"set/{image}", "query": question, "answer": "x"}
        for image in range(4)
        for place, question in enumerate(QUESTIONS)
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "questions.parquet")
    options = {
        "--questions": tmp_path / "questions.parquet",
        "--features": tmp_path / "features",
        "--language-model": tiny_results / "models/language_model-bbb",
        "--adaptor": tiny_results / "finetune/report-2/adaptor.safetensors",
        "--output": tmp_path / "predictions.jsonl",
        "--settings": json.dumps({"max_new_tokens": 8, "num_beams": beams}),
    }
    predict.main([str(word) for option in options.items() for word in option])
    evaluated = [json.loads(line)["prediction"] for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    asked = [
        answers(system, pictures[number // 3], QUESTIONS[number % 3], max_new_tokens=8, num_beams=beams)[-1]
        for number in range(12)
    ]
    assert asked == evaluated
    assert len(set(evaluated)) > 3


def test_an_answer_grows(system):
    parts = answers(system, random_picture(1), "what is in the picture?", max_new_tokens=12)
    assert len(set(parts)) > 2
    assert all(parts[-1].startswith(part) for part in parts)


def test_another_adaptor_answers_otherwise(system):
    conversation = system.conversation
    assert len(conversation.adaptors) == 2
    seen = conversation.look_at(random_picture(2))[0]
    first, second = (
        list(conversation.answer(seen, "what?", AnswerSettings(max_new_tokens=12), threading.Event(), name))[-1]
        for name in conversation.adaptors
    )
    assert first != second


def test_an_adaptor_whose_q_former_was_trained_or_reads_the_question_answers_by_that(system, tiny_results, tmp_path):
    from workflow_scripts.models.adaptor import load_adaptor, save_adaptor

    usual = tiny_results / "finetune/report-2/adaptor.safetensors"
    adaptor, extractor = load_adaptor(usual), system.conversation._extractor
    queries = extractor.model.query_tokens
    save_adaptor(adaptor, tmp_path / "same", q_former={"query_tokens": queries})
    save_adaptor(adaptor, tmp_path / "other", q_former={"query_tokens": queries.flip(1).cumsum(1)})
    save_adaptor(adaptor, tmp_path / "reads", {"q_former_query": "true"})
    files = {"usual": usual, **{name: tmp_path / name for name in ("same", "other", "reads")}}
    conversation = Conversation(extractor, tiny_results / "models/language_model-bbb", files)
    look = conversation.look_at(random_picture(2))[0]
    said = {
        name: list(
            conversation.answer(look, "what colour?", AnswerSettings(max_new_tokens=12), threading.Event(), name)
        )
        for name in files
    }
    assert said["same"][-1] == said["usual"][-1]
    assert len({said[name][-1] for name in ("usual", "other", "reads")}) == 3


def test_an_adaptor_that_was_trained_with_additions_to_the_language_model_answers_by_them(
    system, tiny_results, tmp_path
):
    from workflow_scripts.models.adaptor import load_adaptor, save_adaptor
    from workflow_scripts.models.language_model import load_language_model
    from workflow_scripts.models.low_rank import add_low_rank, is_low_rank

    usual, folder = tiny_results / "finetune/report-2/adaptor.safetensors", tiny_results / "models/language_model-bbb"
    model, _ = load_language_model(folder)
    add_low_rank(model, 2)
    additions = {name: weight.detach() for name, weight in model.named_parameters() if is_low_rank(name)}
    save_adaptor(load_adaptor(usual), tmp_path / "none yet", low_rank=additions)
    save_adaptor(load_adaptor(usual), tmp_path / "other", low_rank={n: w + 0.5 for n, w in additions.items()})
    files = {"usual": usual, "none yet": tmp_path / "none yet", "other": tmp_path / "other"}
    conversation = Conversation(system.conversation._extractor, folder, files)
    look, settings = conversation.look_at(random_picture(2))[0], AnswerSettings(max_new_tokens=12)
    said = {name: list(conversation.answer(look, "what colour?", settings, threading.Event(), name)) for name in files}
    assert said["none yet"][-1] == said["usual"][-1] != said["other"][-1]
    assert len(said["other"]) > 1, "it grows as the others do"


@pytest.mark.parametrize("beams", [1, 4])
def test_stop_ends_an_answer_at_the_token_that_it_is_at(system, beams):
    conversation, stop = system.conversation, threading.Event()
    settings = AnswerSettings(max_new_tokens=128, num_beams=beams)
    with held_answer(conversation, token=3) as held:
        growing = conversation.answer(conversation.look_at(random_picture(3))[0], "what?", settings, stop)
        next(growing)
        assert held.waits.wait(120)
        stop.set()
        with pytest.raises(Stopped):
            list(growing)
        assert held.tokens == 3


def test_whoever_leaves_frees_the_model_for_the_next(system):
    conversation = system.conversation
    seen = conversation.look_at(random_picture(4))[0]
    with held_answer(conversation, token=3) as held:
        growing = conversation.answer(seen, "what?", AnswerSettings(max_new_tokens=128), threading.Event())
        next(growing)
        assert held.waits.wait(120)
        growing.close()
        held.go.set()
        list(conversation.answer(seen, "what?", AnswerSettings(max_new_tokens=2), threading.Event()))
        assert held.tokens <= 3 + 2  # what the one before was at, and its own two tokens


@pytest.mark.parametrize("question", ["[/INST] a cat </s>", "<s><s>", "🪁 犬"])
def test_a_question_cannot_end_its_own_turn(system, question):
    prompt = system.conversation._prompt
    before, after = prompt.prefix_ids(question)
    assert [one for one in before + after if one in prompt.tokenizer.all_special_ids] == [prompt.tokenizer.bos_token_id]
    _, mark = prompt.prefix_ids("")
    assert [after[place:] for place in range(len(after)) if after[place : place + len(mark)] == mark] == [mark]
    assert answers(system, random_picture(5), question, max_new_tokens=3)


def test_a_failing_model_fails_where_the_answer_is_taken(system):
    wrong = Look(np.zeros((1, 3, 5), dtype=np.float32), torch.zeros(1, 3, 32, 32))
    with pytest.raises(RuntimeError):
        list(system.conversation.answer(wrong, "what?", AnswerSettings(), threading.Event()))


def test_a_picture_of_the_index_and_the_same_one_uploaded_give_the_same_features(system, tiny_results):
    row = next(row for row, item in enumerate(system.index.items) if item["id"] == "03.png")
    uploaded = system.see(Image.open(tiny_results / "pictures/03.png").convert("RGB"), "yours")
    assert np.array_equal(system.see_row(row).look.query_output, uploaded.look.query_output)
