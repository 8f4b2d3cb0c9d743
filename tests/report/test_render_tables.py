import csv
import json

from workflow_scripts.report.collect_results import main as collect
from workflow_scripts.report.render_tables import main
from workflow_scripts.report.tables import Row, Table, to_latex, to_markdown


def tables(tmp_path, *scores, settings=None):
    collect(["--scores", *map(str, scores), "--output", str(tmp_path / "results.json")])
    (tmp_path / "scale.yaml").write_text("comparable_with_report: false\n")
    files = ["--results", str(tmp_path / "results.json"), "--expected", str(tmp_path / "scale.yaml")]
    more = ["--settings", json.dumps(settings)] if settings else []
    main([*files, *more, "--output", str(tmp_path / "tables")])
    with open(tmp_path / "tables" / "retrieval.csv", newline="") as stream:
        return {row["id"]: row for row in csv.DictReader(stream)}


def test_a_figure_that_no_run_gave_is_an_empty_cell(tmp_path, write_scores):
    rows = tables(tmp_path, write_scores("x-0123456789ab", {"coco_retrieval.blip2.r_at_1": 61.25}))
    given, absent = rows["coco_retrieval.blip2.r_at_1"], rows["coco_retrieval.clip.r_at_1"]
    assert (given["value"], given["reported"], given["run_id"]) == ("61.25", "57.1", "0123456789ab")
    assert (absent["value"], absent["ci95_low"], absent["n"]) == ("", "", "")
    assert (absent["reported"], absent["verdict"]) == ("36.5", "not run")


def test_every_table_is_written_in_three_formats(tmp_path, write_scores):
    tables(tmp_path, write_scores("x", {"refcoco.accuracy_iou50": 21.0, "visual_genome.exact_match.after@mlp": 50.0}))
    names = {path.name for path in (tmp_path / "tables").iterdir()}
    stems = ("retrieval", "exact_match", "okvqa", "refcoco", "experiments")
    assert names == {f"{stem}.{suffix}" for stem in stems for suffix in ("md", "csv", "tex")}
    assert "| mlp, exact match after finetuning |" in (tmp_path / "tables" / "experiments.md").read_text()
    assert "Flamingo-80B | 50.6 |" in (tmp_path / "tables" / "okvqa.md").read_text()


def test_a_scale_without_meaning_gives_no_verdicts(tmp_path, write_scores):
    score = write_scores("x", {"coco_retrieval.blip2.r_at_1": 61.25})
    rows = tables(tmp_path, score, settings={"scale": "tiny", "figures_are_meaningful": False})
    assert rows["coco_retrieval.blip2.r_at_1"]["verdict"] == "no meaning"


def test_special_characters_are_escaped():
    table = Table("t", "50 % & more", [Row("a_b | c", "id", "< 1")])
    assert r"50 \% \& more" in to_latex(table)
    assert r"a\_b | c & $<$ 1" in to_latex(table)
    assert r"| a_b \| c |" in to_markdown(table)
