import importlib.util
import json
import random
from importlib.metadata import distribution

import pytest

from workflow_scripts.evaluation.predictions import write_predictions
from workflow_scripts.evaluation.score_vqa import lemmatised_accuracy, main, vqa_accuracy


@pytest.mark.parametrize(("equal", "expected"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)])
def test_accuracy_of_a_prediction_that_so_many_of_ten_gave(equal, expected):
    answers = ["dog"] * equal + [f"other {index}" for index in range(10 - equal)]
    assert vqa_accuracy("dog", answers) == pytest.approx(expected)


def test_normalisation_applies_only_where_the_answers_differ():
    assert vqa_accuracy("The dog", ["dog"] * 10) == 0.0
    assert vqa_accuracy("The dog", ["dog"] * 9 + ["cat"]) == 1.0
    assert vqa_accuracy(" dog\n", ["dog"] * 10) == 1.0


# The official evaluation written a second time, from the definition alone: what its regular expressions and loops do to
# a text is said here with other means, and nothing of the package or of LAVIS is used.
MARKS = [";", "/", "[", "]", '"', "{", "}", "(", ")", "=", "+", "\\", "_", "-", ">", "<", "@", "`", ",", "?", "!"]
WORDS = {"none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "dont": "don't", "isnt": "isn't"}


def normalised_by_definition(text):
    comma_in_number = any(
        text[place] == "," and text[place - 1].isdecimal() and text[place + 1].isdecimal()
        for place in range(1, len(text) - 1)
    )
    plain = text
    for mark in MARKS:
        vanishes = f"{mark} " in text or f" {mark}" in text or comma_in_number
        plain = plain.replace(mark, "" if vanishes else " ")
    kept = [
        char
        for place, char in enumerate(plain)
        if char != "." or (place + 1 < len(plain) and plain[place + 1].isdecimal())
    ]
    words = (WORDS.get(word, word) for word in "".join(kept).lower().split())
    return " ".join(word for word in words if word not in ("a", "an", "the"))


def accuracy_by_definition(prediction, answers):
    if len(set(answers)) > 1:
        prediction, answers = normalised_by_definition(prediction), [normalised_by_definition(a) for a in answers]
    accuracies = []
    for left_out in range(len(answers)):
        others = answers[:left_out] + answers[left_out + 1 :]
        accuracies.append(min(sum(other == prediction for other in others) / 3, 1))
    return sum(accuracies) / len(accuracies)


def random_questions(count, seed):
    generator = random.Random(seed)
    pieces = ["dog", "The dog", "dogs", "two", "2", "1,000", "1000", "t-shirt", "yes.", "3.5", "dont", "None", "(red)"]
    pieces += ["red, blue", "犬", "", "what?", "a/b", "an apple !", "e.g."]
    for _ in range(count):
        pool = [" ".join(generator.choices(pieces, k=generator.randrange(1, 3))).strip() for _ in range(3)]
        answers = [generator.choice(pool) for _ in range(10)]
        yield generator.choice([*pool, generator.choice(pieces)]), answers


def test_accuracy_equals_a_second_implementation_from_the_definition():
    for prediction, answers in random_questions(5000, seed=5):
        assert vqa_accuracy(prediction, answers) == accuracy_by_definition(prediction, answers), (prediction, answers)


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


def test_official_files_give_a_hand_computed_score(tmp_path, official_files, plain_break_down):
    scores = run(tmp_path)
    assert scores["overall"] == round((100 + 60 + 30) / 3, 2)
    assert scores["figures"][0]["value"] == pytest.approx(190 / 3, abs=1e-4)
    assert plain_break_down(scores["per_question_type"]) == {"is": (30.0, 1), "what": (80.0, 2)}
    assert plain_break_down(scores["per_answer_type"]) == {"other": (80.0, 2), "yes/no": (30.0, 1)}
    assert scores["n"] == 3
    assert scores["ci95"][0] <= scores["overall"] <= scores["ci95"][1]
    assert scores["per_question"] == {"1": 100.0, "2": 60.0, "3": 30.0}


def evaluated_by_definition(annotations, results):
    """What the official evaluation prints of whole files: overall and by type, summed and rounded as it does."""
    said = {row["question_id"]: row["answer"] for row in results}
    columns = {"overall": {}, "question_type": {}, "answer_type": {}}
    for row in annotations:
        value = accuracy_by_definition(said[row["question_id"]], [one["answer"] for one in row["answers"]])
        for column, found in columns.items():
            found.setdefault(row.get(column), []).append(value)
    return {
        column: {name: round(100 * float(sum(values)) / len(values), 2) for name, values in found.items()}
        for column, found in columns.items()
    }


def test_whole_files_are_scored_as_the_official_evaluation_does_to_the_last_digit(tmp_path):
    # Of the values 0, .3, .6, .9 and 1 in an order that makes sums in pairs, as NumPy's, end at 55.475 from below.
    generator = random.Random(19770)
    size = generator.randrange(3, 4001)
    values = [generator.choice([0.0, 0.3, 0.6, 0.9, 1.0]) for _ in range(size)]
    equal = {0.0: 0, 0.3: 1, 0.6: 2, 0.9: 3, 1.0: 4}
    annotations = [
        {"question_id": number, "image_id": number % 90, "question_type": "one", "answer_type": f"of {number % 3}"}
        | {"answers": [{"answer": "dog" if n < equal[value] else f"not {n}", "answer_id": n} for n in range(10)]}
        for number, value in enumerate(values)
    ]
    contents = {
        "q": {"questions": [{"question_id": number} for number in range(size)]},
        "a": {"annotations": annotations},
        "p": [{"question_id": number, "answer": "The dog."} for number in range(size)],
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    scores, expected = run(tmp_path), evaluated_by_definition(annotations, contents["p"])
    assert scores["overall"] == expected["overall"][None]
    for column in ("question_type", "answer_type"):
        assert {name: one["value"] for name, one in scores[f"per_{column}"].items()} == expected[column]


def test_official_files_with_missing_unknown_or_double_results_are_errors(tmp_path, official_files):
    results = official_files["p"]
    cases = {
        "without a prediction": results[:2],
        "unknown": [*results, {"question_id": 77, "answer": "x"}],
        "more than once": [*results, results[0]],
        "must be a list": {"answers": results},
        "with answers that are text": [*results[:2], {"question_id": 3, "answer": None}],
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


def test_damaged_official_files_are_errors_that_name_the_place(tmp_path, official_files):
    annotations = official_files["a"]["annotations"]
    cases = {
        'Question 1 of .* must have an "image_id" and a list "answers"': [
            {**annotations[0], "answers": [{"raw_answer": "dog"}]},
            *annotations[1:],
        ],
        "leaves 1 questions": annotations[:2],
        "more than once, 1 among them": [*annotations, annotations[0]],
        'no list "annotations" of rows': [{}],
    }
    for message, rows in cases.items():
        (tmp_path / "a.json").write_text(json.dumps({"annotations": rows}))
        with pytest.raises(ValueError, match=message):
            run(tmp_path)
    (tmp_path / "a.json").write_text('{"annotations": [')
    with pytest.raises(ValueError, match=r"a\.json is not valid JSON"):
        run(tmp_path)


def test_answers_that_are_empty_very_long_or_in_other_scripts_are_scored_and_counted(tmp_path, official_files):
    answers = ["", "dog " * 100_000, "собака"]
    results = [{"question_id": number, "answer": answer} for number, answer in enumerate(answers, start=1)]
    (tmp_path / "p.json").write_text(json.dumps(results))
    scores = run(tmp_path)
    counts = ("empty_predictions", "long_predictions", "other_script_predictions")
    assert [scores[name] for name in counts] == [1, 1, 1]
    assert (scores["overall"], scores["n"]) == (0.0, 3)


def test_an_answer_in_another_script_can_be_right():
    assert vqa_accuracy("собака", ["собака"] * 10) == 1.0


def test_the_lemmatised_column_stands_beside_the_official_one_and_leaves_it_alone(tmp_path, official_files):
    results = [{"question_id": 1, "answer": "Dogs"}, {"question_id": 2, "answer": "red"}]
    (tmp_path / "p.json").write_text(json.dumps([*results, {"question_id": 3, "answer": "no"}]))
    scores = run(tmp_path)
    official, lemmatised = scores["figures"]
    assert (official["id"], official["value"]) == ("okvqa.accuracy.x", 30.0)
    assert (lemmatised["id"], lemmatised["value"]) == ("okvqa.accuracy.x.lemmatised", pytest.approx(190 / 3, abs=1e-4))
    assert (scores["overall"], scores["overall_lemmatised"]) == (30.0, 63.33)
    beside = scores["lemmatised"]
    assert beside["overall"] == 63.33
    assert beside["per_question"] == {"1": 100.0, "2": 60.0, "3": 30.0}
    assert {name: one["value"] for name, one in beside["per_question_type"].items()} == {"is": 30.0, "what": 80.0}
    assert beside["per_answer_type"].keys() == scores["per_answer_type"].keys()
    assert scores["per_question"] == {"1": 0.0, "2": 60.0, "3": 30.0}


def test_lemmatised_accuracy_of_hand_computed_cases():
    assert lemmatised_accuracy("skiing", ["ski"] * 10) == 1.0
    assert lemmatised_accuracy("the buses", ["bus"] * 3 + ["car"] * 7) == pytest.approx(0.9)
    assert lemmatised_accuracy("king", ["k"] * 10) == 0.0
