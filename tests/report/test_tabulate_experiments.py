import json
import re

import pytest

from workflow_scripts.report.tabulate_experiments import main

ACCURACY = "visual_genome.exact_match.after"


@pytest.fixture
def score_file(tmp_path):
    """Writes scores.json of one evaluation with a value for each of 60 questions."""

    def write(folder, right, id=ACCURACY, run="fedcba987654"):
        path = tmp_path / "evaluation" / f"{folder}-0123456789ab" / "scores.json"
        path.parent.mkdir(parents=True)
        values = {f"q{number}": 100.0 * (number < right) for number in range(60)}
        value = sum(values.values()) / 60
        figure = {"id": id, "value": value, "unit": "%", "n": 60, "ci95": [value - 1, value + 1]}
        content = {"id": id, "figures": [figure], "per_question": values, "adaptor_run_id": run}
        content["image_of_question"] = {name: f"set/{name}" for name in values}
        path.write_text(json.dumps(content | {"command": f"python -m scorer {folder}"}))
        return path

    return write


@pytest.fixture
def tabulate(tmp_path):
    def run(experiments, *options):
        given = {label: {name: str(path) for name, path in row.items()} for label, row in experiments.items()}
        main(["--experiments", json.dumps(given), "--output", str(tmp_path / "table"), *options])
        return {path.name: path.read_text() for path in (tmp_path / "table").iterdir()}

    return run


def rows_of(markdown):
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return {cells[0]: cells[1:] for line in lines[2:] for cells in [[c.strip() for c in line.strip("|").split("|")]]}


def test_cells_have_intervals_the_best_is_marked_and_differences_have_arrows(score_file, tabulate):
    report, better, worse = score_file("report", 30), score_file("better", 50), score_file("worse", 10)
    same = score_file("same", 31)
    rows = {"report": report, "better": better, "worse": worse, "same": same, "shared": report}
    written = tabulate({label: {ACCURACY: path} for label, path in rows.items()})
    assert rows_of(written["experiments.md"]) == {
        "report": ["50.0 [49.0, 51.0]"],
        "better": ["83.3* [82.3, 84.3] ↑"],
        "worse": ["16.7 [15.7, 17.7] ↓"],
        "same": ["51.7 [50.7, 52.7]"],
        "shared": ["50.0 [49.0, 51.0] ="],
    }
    assert set(written) == {"experiments.md", "experiments.csv", "experiments.tex", "index.html"}


def test_a_figure_that_an_experiment_has_not_is_an_empty_cell(score_file, tabulate):
    okvqa = "okvqa.accuracy.finetuned"
    written = tabulate(
        {"report": {ACCURACY: score_file("report", 30)}, "okvqa": {okvqa: score_file("okvqa", 20, id=okvqa)}}
    )
    assert rows_of(written["experiments.md"]) == {
        "report": ["50.0 [49.0, 51.0]", ""],
        "okvqa": ["", "33.3 [32.3, 34.3]"],
    }


def test_each_cell_of_the_page_links_to_run_command_configuration_and_data(score_file, tabulate, write_run):
    run = write_run()
    scores = score_file("report", 30, run="0123456789ab")
    page = tabulate({"report": {ACCURACY: scores}}, "--runs", str(run))["index.html"]
    scoring, training = re.findall(r'<a href="#([^"]+)">', page)
    origin, after = page.split(f'id="{scoring}">')[1].split("</section>", 1)
    assert "python -m scorer report" in origin
    assert str(scores) in origin
    assert f'href="#{training}"' in origin
    training = after.split(f'id="{training}">')[1]
    for part in ("0123456789ab", "learning_rate 0.002", str(run), "python -m train", "f" * 64):
        assert part in training
    assert "http" not in page


def test_a_scoring_that_experiments_share_is_told_once(score_file, tabulate):
    shared = score_file("report", 30)
    page = tabulate({"report": {ACCURACY: shared}, "okvqa": {ACCURACY: shared}})["index.html"]
    assert page.count("python -m scorer report") == 1
    assert "exact match after finetuning: report, okvqa, n = 60" in page


def test_where_all_are_equal_none_is_the_best(score_file, tabulate):
    written = tabulate({name: {ACCURACY: score_file(name, 0)} for name in ("report", "other")})
    assert rows_of(written["experiments.md"]) == {"report": ["0.0 [-1.0, 1.0]"], "other": ["0.0 [-1.0, 1.0]"]}


def test_scores_of_other_questions_cannot_be_compared(score_file, tabulate):
    other = score_file("other", 3)
    content = json.loads(other.read_text())
    content["per_question"]["q99"] = 0.0
    other.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="not of the same questions: 1 stand in one of them only, q99"):
        tabulate({"report": {ACCURACY: score_file("report", 30)}, "other": {ACCURACY: other}})


def test_where_the_report_lacks_a_figure_the_first_row_that_has_it_is_compared_with(score_file, tabulate):
    okvqa = "okvqa.accuracy.finetuned"
    written = tabulate(
        {
            "report": {ACCURACY: score_file("report", 30)},
            "okvqa": {okvqa: score_file("okvqa", 20, id=okvqa)},
            "mlp": {okvqa: score_file("mlp", 50, id=f"{okvqa}@mlp")},
        }
    )
    assert [cells[1] for cells in rows_of(written["experiments.md"]).values()] == [
        "",
        "33.3 [32.3, 34.3]",
        "83.3* [82.3, 84.3] ↑",
    ]
    assert "| OK-VQA accuracy, finetuned |" in written["experiments.md"]
