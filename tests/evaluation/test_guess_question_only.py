import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workflow_scripts.evaluation.guess_question_only import QuestionOnlyGuess, main, split_answer


def test_a_known_question_gets_its_most_frequent_answer():
    guess = QuestionOnlyGuess(
        [("what colour is it?", "red"), ("what colour is it?", "Red."), ("what colour is it?", "blue")]
    )
    assert guess.answer("What colour is it?") == "Red."


def test_an_unknown_question_is_guessed_from_its_first_words():
    samples = [("is there a cat?", "yes"), ("is there a dog?", "yes"), ("is it red?", "no"), ("what is it?", "a cat")]
    guess = QuestionOnlyGuess(samples + samples[3:] * 5)
    assert guess.answer("is there a boat?") == "yes"
    assert guess.answer("why?") == "a cat"


def test_an_answer_that_repeats_the_question_is_guessed_with_the_questions_own_parts():
    names = ["cat", "dog", "tree", "boat", "kite", "ball"]
    pairs = [(a, b) for a in names for b in names if a != b]
    samples = [(f"how are the {a} and the {b} related?", f"the {a} above the {b}") for a, b in pairs[:20]]
    samples += [(f"how are the {a} and the {b} related?", f"the {a} under the {b}") for a, b in pairs[20:26]]
    guess = QuestionOnlyGuess(samples)
    assert guess.answer("how are the red car and the drum related?") == "the red car above the drum"


def test_an_answer_is_split_where_both_ends_stand_in_the_question():
    assert split_answer("how are the cat and the dog related?", "the cat left of the dog") == (
        "the cat",
        "left of",
        "the dog",
    )
    assert split_answer("what colour is the cat?", "red") is None
    assert split_answer("is the cat here?", "yes the cat") is None


def test_the_command_writes_predictions_without_a_picture(tmp_path, question, write_questions):
    pq.write_table(pa.table({"query": ["what is it?"], "answer": ["a dog"]}), tmp_path / "mix.parquet")
    table = write_questions([question(0), question(1, query="who?")])
    main(["--mix", str(tmp_path / "mix.parquet"), "--questions", str(table), "--output", str(tmp_path / "p.jsonl")])
    rows = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert [(row["prediction"], row["image_used"]) for row in rows] == [("a dog", None)] * 2


def test_an_empty_mix_is_an_error():
    with pytest.raises(ValueError, match="no training sample"):
        QuestionOnlyGuess([])


def test_samples_of_other_tasks_are_left_out_on_demand(tmp_path, question, write_questions):
    mix = {"query": ["is this true?"] * 3 + ["what is it?"], "answer": ["yes"] * 3 + ["a dog"]}
    pq.write_table(pa.table(mix | {"task": ["is_true"] * 3 + ["vqa"]}), tmp_path / "mix.parquet")
    table = write_questions([question(0, query="who?")])
    files = ["--mix", str(tmp_path / "mix.parquet"), "--questions", str(table), "--output", str(tmp_path / "p.jsonl")]
    for options, guess in (([], "yes"), (["--tasks", "vqa"], "a dog")):
        main([*files, *options])
        assert json.loads((tmp_path / "p.jsonl").read_text())["prediction"] == guess
