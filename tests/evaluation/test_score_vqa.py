import importlib.util
import json
import random
from importlib.metadata import distribution

import pytest

from workflow_scripts.evaluation.predictions import write_predictions
from workflow_scripts.evaluation.score_vqa import main, vqa_accuracy


@pytest.mark.parametrize(("equal", "expected"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)])
def test_accuracy_of_a_prediction_that_so_many_of_ten_gave(equal, expected):
    answers = ["dog"] * equal + [f"other {index}" for index in range(10 - equal)]
    assert vqa_accuracy("dog", answers) == pytest.approx(expected)


def test_normalisation_applies_only_where_the_answers_differ():
    assert vqa_accuracy("The dog", ["dog"] * 10) == 0.0
    assert vqa_accuracy("The dog", ["dog"] * 9 + ["cat"]) == 1.0
    assert vqa_accuracy(" dog\n", ["dog"] * 10) == 1.0


def official_accuracy(prediction, answers):
    """The loop of vqaEval.py, written down a second time on top of the official normalisation in LAVIS."""
    path = distribution("salesforce-lavis").locate_file("lavis/common/vqa_tools/vqa_eval.py")
    spec = importlib.util.spec_from_file_location("official_vqa_eval", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    official = module.VQAEval()

    def accuracy(prediction, answers):
        truth = [{"answer": a.replace("\n", " ").replace("\t", " ").strip(), "answer_id": i} for i, a in answers]
        prediction = prediction.replace("\n", " ").replace("\t", " ").strip()
        if len({one["answer"] for one in truth}) > 1:
            for one in truth:
                one["answer"] = official.processDigitArticle(official.processPunctuation(one["answer"]))
            prediction = official.processDigitArticle(official.processPunctuation(prediction))
        accuracies = []
        for left_out in truth:
            others = [one for one in truth if one != left_out]
            accuracies.append(min(1, float(len([one for one in others if one["answer"] == prediction])) / 3))
        return float(sum(accuracies)) / len(accuracies)

    return accuracy(prediction, list(enumerate(answers, start=1)))


def test_accuracy_equals_the_official_loop_on_random_answers():
    generator = random.Random(11)
    words = [
        "dog",
        "The dog",
        "dogs",
        "two",
        "2",
        "1,000",
        "1000",
        "t-shirt",
        "t shirt",
        "yes.",
        "yes",
        "",
        "犬",
        "a\tb",
    ]
    for _ in range(150):
        pool = generator.sample(words, generator.randrange(1, 5))
        answers = [generator.choice(pool) for _ in range(10)]
        prediction = generator.choice([*pool, "something"])
        assert vqa_accuracy(prediction, answers) == official_accuracy(prediction, answers)


@pytest.fixture
def official_files(tmp_path):
    given = {1: ["dog"] * 10, 2: ["red"] * 2 + ["blue"] * 8, 3: ["yes"] * 9 + ["no"]}
    annotations = [
        {
            "question_id": number,
            "image_id": number // 2,
            "question_type": "what" if number < 3 else "is",
            "answer_type": "other" if number < 3 else "yes/no",
            "answers": [{"answer": a, "raw_answer": a + "s", "answer_id": i} for i, a in enumerate(answers, start=1)],
        }
        for number, answers in given.items()
    ]
    questions = [{"question_id": number, "image_id": number // 2, "question": "?"} for number in given]
    results = [
        {"question_id": 1, "answer": "dog"},
        {"question_id": 2, "answer": "Red"},
        {"question_id": 3, "answer": "No"},
    ]
    contents = {"q": {"questions": questions}, "a": {"annotations": annotations}, "p": results}
    for name, content in contents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return contents


def run(folder):
    files = [
        option
        for name, flag in (("q", "--questions"), ("a", "--annotations"), ("p", "--predictions"))
        for option in (flag, str(folder / f"{name}.json"))
    ]
    main([*files, "--id", "okvqa.accuracy.x", "--output", str(folder / "s.json")])
    return json.loads((folder / "s.json").read_text())


def test_official_files_give_a_hand_computed_score(tmp_path, official_files):
    scores = run(tmp_path)
    assert scores["overall"] == round((100 + 60 + 30) / 3, 2)
    assert scores["figures"][0]["value"] == pytest.approx(190 / 3, abs=1e-4)
    assert scores["breakdown"] == {"is": {"value": 30.0, "n": 1}, "what": {"value": 80.0, "n": 2}}
    assert scores["per_answer_type"]["yes/no"]["value"] == 30.0
    assert scores["per_question"] == {"1": 100.0, "2": 60.0, "3": 30.0}


def test_official_files_with_missing_unknown_or_double_results_are_errors(tmp_path, official_files):
    results = official_files["p"]
    cases = {
        "without a prediction": results[:2],
        "unknown": [*results, {"question_id": 77, "answer": "x"}],
        "more than once": [*results, results[0]],
        "must be a list": {"answers": results},
    }
    for message, content in cases.items():
        (tmp_path / "p.json").write_text(json.dumps(content))
        with pytest.raises(ValueError, match=message):
            run(tmp_path)


def test_predictions_of_the_workflow_are_scored_by_their_ten_answers(tmp_path, question):
    rows = [question(0, answers=["wood"] * 10), question(1, answers=["wood"] * 3 + ["metal"] * 7)]
    write_predictions(tmp_path / "p.jsonl", rows, [None, None], ["wood", "wood"])
    main(["--predictions", str(tmp_path / "p.jsonl"), "--id", "okvqa.a", "--output", str(tmp_path / "s.json")])
    assert json.loads((tmp_path / "s.json").read_text())["figures"][0]["value"] == 95.0


def test_a_question_without_annotators_is_an_error(tmp_path, question):
    write_predictions(tmp_path / "p.jsonl", [question(0, answers=[])], [None], ["wood"])
    with pytest.raises(ValueError, match="q0 has no annotators' answers"):
        main(["--predictions", str(tmp_path / "p.jsonl"), "--id", "x", "--output", str(tmp_path / "s.json")])
