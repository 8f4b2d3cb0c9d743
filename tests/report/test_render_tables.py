import csv
import json

from workflow_scripts.report.collect_results import main as collect
from workflow_scripts.report.render_tables import main
from workflow_scripts.report.tables import Row, Table, to_latex, to_markdown


def tables(tmp_path, *scores, settings=None):
    collect(["--scores", *map(str, scores), "--output", str(tmp_path / "results.json")])
    (tmp_path / "scale.yaml").write_text("comparable_with_report: false\n")
    files = ["--results", str(tmp_path / "results.json"), "--expected", str(tmp_path / "scale.yaml")]
    main([*files, "--settings", json.dumps({"scale": "mini"} | (settings or {})), "--output", str(tmp_path / "tables")])
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
    rows = tables(tmp_path, score, settings={"figures_are_meaningful": False})
    assert rows["coco_retrieval.blip2.r_at_1"]["verdict"] == "no meaning"


def test_the_table_of_retrieval_says_what_was_ranked_again_and_where_clip_has_two_resolutions(tmp_path, write_scores):
    scores = write_scores("x", {"coco_retrieval.blip2_itm.r_at_1": 61.0})
    rows = tables(tmp_path, scores, settings={"reranked": 20})
    assert rows["coco_retrieval.blip2_itm.r_at_1"]["label"] == "BLIP-2 (ITC, the best again by ITC + ITM), R@1"
    text = (tmp_path / "tables" / "retrieval.md").read_text()
    assert "the 20 best pictures of each caption" in text
    assert "336 beside 224 pixels) is measured at scale `paper` only" in text
    tables(tmp_path, write_scores("y", {"coco_retrieval.clip_high_resolution.r_at_1": 37.0}))
    text = (tmp_path / "tables" / "retrieval.md").read_text()
    assert "at scale `paper` only" not in text
    assert "ranked again" not in text


def test_special_characters_are_escaped():
    table = Table("t", "50 % & more", [Row("a_b | c", "id", "< 1")])
    assert r"50 \% \& more" in to_latex(table)
    assert r"a\_b | c & $<$ 1" in to_latex(table)
    assert r"| a_b \| c |" in to_markdown(table)
