import json
import subprocess
import sys

import pytest

from workflow_scripts.evaluation.predictions import write_predictions
from workflow_scripts.evaluation.score_exact_match import main
from workflow_scripts.revision import git_revision


@pytest.fixture
def score(tmp_path, question, write_questions):
    def run(pairs, kinds=None, with_questions=True):
        rows = [
            question(number, answer=answer, kind=kinds[number] if kinds else "what")
            for number, (_, answer) in enumerate(pairs)
        ]
        write_predictions(tmp_path / "p.jsonl", rows, [row["image"] for row in rows], [said for said, _ in pairs])
        options = ["--questions", str(write_questions(rows))] if with_questions else []
        main(
            [
                "--predictions",
                str(tmp_path / "p.jsonl"),
                "--id",
                "vg.em",
                "--output",
                str(tmp_path / "s.json"),
                *options,
            ]
        )
        return json.loads((tmp_path / "s.json").read_text())

    return run


def test_figures_of_a_hand_computed_case(score):
    scores = score([("A red cat.", "red cat"), ("dog", "cat"), ("it is a cat", "cat"), ("", "two")])
    exact, contained = scores["figures"]
    assert (exact["id"], exact["value"], exact["n"], exact["unit"]) == ("vg.em", 25.0, 4, "%")
    assert (contained["id"], contained["value"]) == ("vg.em.contained", 50.0)
    assert exact["ci95"][0] <= 25.0 <= exact["ci95"][1]
    assert scores["empty_predictions"] == 1


def test_kinds_are_broken_down(score, plain_break_down):
    scores = score([("cat", "cat"), ("dog", "cat"), ("two", "two")], kinds=["what", "what", "count"])
    assert plain_break_down(scores["breakdown"]) == {"count": (100.0, 1), "what": (50.0, 2)}


def test_the_command_in_the_scores_gives_the_same_scores_again(score, tmp_path):
    before = score([("cat", "cat"), ("dog", "cat")])
    command = [sys.executable, *before["command"].replace("python ", "", 1).split()]
    (tmp_path / "s.json").unlink()
    subprocess.run(command, check=True, capture_output=True)
    assert json.loads((tmp_path / "s.json").read_text()) == before


def test_the_scores_say_which_revision_and_which_job_gave_them(score, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    scores = score([("cat", "cat")])
    assert (scores["git_revision"], scores["slurm_job"]) == (git_revision(), "77")
    monkeypatch.delenv("SLURM_JOB_ID")
    assert score([("cat", "cat")])["slurm_job"] is None


def test_answers_in_other_scripts_are_compared(score):
    assert score([("Кошка!", "кошка"), ("犬", "猫"), ("「猫」", "猫")])["figures"][0]["value"] == pytest.approx(66.6667)


def test_an_empty_answer_is_an_error_that_names_the_question(score):
    with pytest.raises(ValueError, match="Question q1 has no answer"):
        score([("cat", "cat"), ("", " ")])


def test_unknown_missing_and_twice_answered_questions_are_errors(tmp_path, question, write_questions):
    rows = [question(number) for number in range(3)]
    table, path = write_questions(rows), tmp_path / "p.jsonl"
    arguments = [
        "--predictions",
        str(path),
        "--id",
        "x",
        "--output",
        str(tmp_path / "s.json"),
        "--questions",
        str(table),
    ]
    write_predictions(path, rows[:2], [None] * 2, ["cat"] * 2)
    with pytest.raises(ValueError, match="1 questions without a prediction, q2"):
        main(arguments)
    write_predictions(path, [*rows, question(9)], [None] * 4, ["cat"] * 4)
    with pytest.raises(ValueError, match="1 unknown questions, q9"):
        main(arguments)
    write_predictions(path, [*rows, rows[0]], [None] * 4, ["cat"] * 4)
    with pytest.raises(ValueError, match="1 questions more than once, q0"):
        main(arguments)
    assert not (tmp_path / "s.json").exists()


def test_a_damaged_predictions_file_is_one_sentence_and_exit_code_1(tmp_path):
    (tmp_path / "p.jsonl").write_text('{"question_id": 1, "prediction": "a"}\n{"question')
    command = [sys.executable, "-m", "workflow_scripts.evaluation.score_exact_match", "--id", "x"]
    command += ["--predictions", str(tmp_path / "p.jsonl"), "--output", str(tmp_path / "s.json")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert "Line 2 of" in result.stderr
    assert "Traceback" not in result.stderr


def test_shares_of_yes_stand_beside_the_accuracy_of_yes_and_no(score):
    scores = score([("Yes.", "yes"), ("yes", "no"), ("maybe", "no"), ("no", "yes")])
    assert scores["yes_and_no"] == {"right_yes": 50.0, "said_yes": 50.0, "said_no": 25.0}
    assert scores["figures"][0]["value"] == 25.0
    assert score([("yes", "yes"), ("cat", "dog")])["yes_and_no"] is None


def test_unusual_answers_are_counted_beside_the_score(score):
    scores = score([(" ", "cat"), ("cat " * 21, "cat"), ("x" * 500, "cat"), ("кошка", "cat"), ("a café", "café")])
    counts = ("empty_predictions", "long_predictions", "other_script_predictions")
    assert [scores[name] for name in counts] == [1, 2, 1]
    assert scores["figures"][0]["value"] == 20.0


def test_each_question_has_its_value_and_image_for_paired_tests(score):
    scores = score([("cat", "cat"), ("dog", "cat")])
    assert scores["per_question"] == {"q0": 100.0, "q1": 0.0}
    assert scores["image_of_question"] == {"q0": "set/0", "q1": "set/1"}
    assert (scores["n"], scores["ci95"]) == (2, scores["figures"][0]["ci95"])
