from collections import Counter

import pytest

from workflow_scripts.survey.build_survey import build_survey
from workflow_scripts.survey.choose_questions import draw_questions


def rows(relations=6, questions=12, pictures=30):
    made = [{"task": "relationship", "kind": "relation", "query": f"how are a and b {n}?"} for n in range(relations)]
    made += [{"task": "vqa", "kind": ("what", "count")[n % 2], "query": f"what is {n}?"} for n in range(questions)]
    common = {"answer": "x", "answers": ["x"]}
    return [{"question_id": str(n), "image": f"set/{n % pictures}", **one, **common} for n, one in enumerate(made)]


def test_nine_questions_three_a_task_each_about_another_picture():
    drawn = draw_questions(rows(), seed=0)
    assert [row["id"] for row in drawn] == [f"Q{n}" for n in range(1, 10)]
    assert [row["task"] for row in drawn] == ["question"] * 3 + ["relation"] * 3 + ["description"] * 3
    assert max(Counter(row["image"] for row in drawn).values()) == 1
    assert all(row["query"] == "describe this image in detail." for row in drawn[6:])
    assert {"what", "count"} & {row["query"].split()[0] for row in drawn[:3]}


def test_the_lot_is_the_same_each_time_and_another_with_another_seed():
    assert draw_questions(rows(), seed=0) == draw_questions(rows(), seed=0)
    assert draw_questions(rows(), seed=0) != draw_questions(rows(), seed=1)


def test_relations_that_are_questions_by_their_kind_count_as_relations():
    """As in DAQUAR, where all questions have one task."""
    made = [{**row, "task": "vqa"} for row in rows()]
    assert all(row["query"].startswith("how are") for row in draw_questions(made, seed=0)[3:6])


def test_too_few_questions_are_an_error_that_says_of_which():
    with pytest.raises(ValueError, match="'relation' about different pictures, and the benchmark has 2"):
        draw_questions(rows(relations=2), seed=0)
    with pytest.raises(ValueError, match="'description'"):
        draw_questions(rows(pictures=7), seed=0)


def test_another_answer_is_another_survey(survey):
    from PIL import Image

    pictures = {f"set/{n}": Image.new("RGB", (60, 40), "red") for n in range(1, 10)}
    base = [{"question_id": f"Q{n}", "image": f"set/{n}", "task": "question", "query": "q"} for n in range(1, 10)]
    first = build_survey([{**row, "prediction": "yes"} for row in base], pictures, {"run_id": "a"})
    again = build_survey([{**row, "prediction": "yes"} for row in base], pictures, {"run_id": "b"})
    other = build_survey([{**row, "prediction": "no"} for row in base], pictures, {"run_id": "a"})
    assert first["id"] == again["id"] != other["id"]
