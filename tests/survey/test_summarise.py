import json

import pytest

from workflow_scripts.command_line import write_json
from workflow_scripts.survey.responses import Response, ResponseStore
from workflow_scripts.survey.summarise import main, summarise
from workflow_scripts.survey.table import three_figures


@pytest.fixture
def run(tmp_path, survey):
    write_json(tmp_path / "survey.json", survey)

    def call():
        options = {"survey": "survey.json", "responses": "r.sqlite", "output": "out"}
        main([word for name, value in options.items() for word in (f"--{name}", str(tmp_path / value))])
        return json.loads((tmp_path / "out" / "summary.json").read_text())

    return call


def test_without_responses_the_table_says_so_and_has_no_figure_and_no_plot(run, tmp_path):
    summary = run()
    assert summary["responses"] == 0
    assert {row["mean"] for row in summary["rows"]} == {None}
    assert [three_figures(row["reported"]) for row in summary["rows"]] == [
        *("4.09", "4.16", "3.99", "4.53", "4.20", "4.27", "3.93", "3.74", "3.59"),
        *("4.08", "4.33", "3.75", "4.06"),
    ]
    assert "Nobody has answered the survey yet" in (tmp_path / "out" / "table_3.md").read_text()
    assert not (tmp_path / "out" / "distribution.svg").exists()


def test_means_are_of_the_question_of_the_task_and_of_all(survey):
    responses = [
        Response("a", {1: 5, 2: 4, 3: 3, 4: 5, 5: 5, 6: 5, 7: 1, 8: 2, 9: 3}),
        Response("b", {1: 4, 2: 4, 3: 2, 4: 5, 5: 4, 6: 3, 7: 1, 8: 1, 9: 1}),
    ]
    rows = {row["id"]: row for row in summarise(survey, responses, {"survey.q1": 4.09})["rows"]}
    assert rows["survey.q1"]["mean"] == 4.5
    assert (rows["survey.q1"]["reported"], rows["survey.question"]["reported"]) == (4.09, None)
    assert rows["survey.question"]["mean"] == pytest.approx(22 / 6)
    assert rows["survey.relation"]["mean"] == pytest.approx(27 / 6)
    assert rows["survey.description"]["mean"] == pytest.approx(9 / 6)
    assert rows["survey.overall"]["mean"] == pytest.approx(58 / 18)
    assert rows["survey.overall"]["counts"] == [4, 2, 3, 4, 5]
    low, high = rows["survey.overall"]["ci95"]
    assert low < 58 / 18 < high


@pytest.mark.parametrize(
    ("value", "text"), [(4.0, "4.00"), (4.0949, "4.09"), (3.996, "4.00"), (1.0, "1.00"), (None, "")]
)
def test_means_have_three_significant_figures(value, text):
    assert three_figures(value) == text


def test_responses_draw_the_distribution_and_those_to_an_older_survey_are_counted_apart(run, tmp_path, survey):
    store = ResponseStore(tmp_path / "r.sqlite")
    store.add(survey["id"], Response("a", {n: 4 for n in range(1, 10)}, "fine"))
    store.add("older", Response("a", {n: 1 for n in range(1, 10)}))
    summary = run()
    assert (summary["responses"], summary["other_responses"], summary["comments"]) == (1, 1, ["fine"])
    assert "<svg" in (tmp_path / "out" / "distribution.svg").read_text()
    assert "1 person has answered" in (tmp_path / "out" / "table_3.md").read_text()
    assert "Q1,4.09,4.00" in (tmp_path / "out" / "table_3.csv").read_text()
