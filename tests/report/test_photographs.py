import csv
import json
import re
from pathlib import Path

import pytest
import yaml
from PIL import Image

from workflow_scripts.evaluation.predictions import write_predictions
from workflow_scripts.report import choose_captions
from workflow_scripts.report.check_expected import main as check
from workflow_scripts.report.choose_captions import quarters
from workflow_scripts.report.choose_examples import is_good
from workflow_scripts.report.collect_results import main as collect
from workflow_scripts.report.names import figure_name
from workflow_scripts.report.render_figures import main as figures
from workflow_scripts.report.render_page import main as page
from workflow_scripts.report.render_tables import main as tables

KINDS = {"object": {"value": 30.0, "n": 60}, "count": {"value": 10.0, "n": 40}}
BLIND = {"object": {"value": 20.0, "n": 60}, "count": {"value": 12.0, "n": 40}}
RETRIEVAL = {"r_at_1": 25.0, "r_at_5": 55.0, "r_at_10": 68.0, "median_rank": 4.0, "image_to_text_r_at_1": 31.0}


@pytest.fixture
def scores(write_scores):
    """Scores of one run of the scale, as its scorers write them."""

    def retrieval(method, less):
        ids = {f"flickr8k.retrieval.{method}.{name}": value - less for name, value in RETRIEVAL.items()}
        id = f"flickr8k.retrieval.{method}"
        curve = {"1": 25.0, "2": 30.0}
        return write_scores(f"r/{method}", ids, id=id, split="dev", recall_curve=curve, images=1000)

    captions = {"different_captions": 77, "mean_words": 9.5, "split": "dev", "absent": "No Java here."}
    found = [retrieval("q_former", 0), retrieval("linear_baseline", 3)]
    for suffix, value in (("", 40.0), ("_shuffled_images", 10.0)):
        ids = {f"flickr8k.captions.{name}{suffix}": value for name in ("cider", "bleu_4", "bleu_1")}
        found.append(write_scores(f"c/x{suffix}", ids, id=f"flickr8k.captions{suffix}", **captions))
    shares = {"right_yes": 50.0, "said_yes": 61.5, "said_no": 38.0}
    found.append(write_scores("t/after", {"flickr8k.is_true.accuracy": 66.0}, yes_and_no=shares, split="dev"))
    for variant, value in (("after", 26.0), ("question_only", 17.0), ("after_shuffled_images", 16.0), ("before", 1.0)):
        id, more = f"daquar.exact_match.{variant}", {"split": "validation", "absent": "No WordNet here."}
        breakdown = KINDS if variant == "after" else BLIND
        found.append(write_scores(f"d/{variant}-0123456789ab", {id: value}, breakdown=breakdown, **more))
    return found


@pytest.fixture
def render(tmp_path, scores):
    def run(*options):
        collect(["--scores", *map(str, scores), "--output", str(tmp_path / "results.json")])
        shared = ["--scores", *map(str, scores), f"--results={tmp_path / 'results.json'}"]
        settings = ["--settings", json.dumps({"scale": "photos", "caption_beams": 5})]
        tables([*shared, *settings, "--expected", "expected/photos.yaml", f"--output={tmp_path / 'tables'}"])
        figures(["--scores", *map(str, scores), f"--output={tmp_path / 'figures'}"])
        files = [f"--figures={tmp_path / 'figures'}", f"--output={tmp_path / 'index.html'}"]
        page([*shared, "--expected", "expected/photos.yaml", *files, *settings, *options])
        return (tmp_path / "index.html").read_text()

    return run


def test_the_page_of_photographs_has_its_tables_and_one_of_absent_cells(render):
    html = render()
    for title in ("Finding photographs by description", "Describing photographs", "Answering questions about rooms"):
        assert title in html
    assert html.count("What these data cannot tell") == 2  # the heading and the table
    assert html.count("no such data") == 11  # all figures of the report
    assert "Referring expressions. RefCOCO val" not in html
    assert html.count("No WordNet here.") == html.count("No Java here.") == 1
    row = re.search(r"METEOR, %</td>.*?with the right photograph</td>(.*?)</tr>", html, re.S).group(1)
    assert re.findall(r"<td[^>]*>(.*?)</td>", row)[1:4] == ["", "", ""]
    assert "It said yes to 61.5 %, where yes is right for 50.0 %; 0.5 % of its replies were neither" in html
    note = (
        "77 different captions of 100 photographs, 9.5 words each, the most probable that a search with 5 beams finds."
    )
    assert note in html


def test_the_split_stands_beside_each_figure(render, tmp_path):
    html = render()
    row = re.search(r"<td>accuracy after finetuning, %</td>(.*?)</tr>", html, re.S).group(1)
    assert [re.sub("<.*?>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)][:4] == [
        "dev",
        "66.0",
        "63.0 to 69.0",
        "100",
    ]
    with open(tmp_path / "tables" / "daquar.csv", newline="") as stream:
        rows = {row["id"]: row for row in csv.DictReader(stream)}
    assert rows["daquar.exact_match.after"]["split"] == "validation"
    assert rows["daquar.wups_0.9.after"]["value"] == ""
    assert {entry["split"] for entry in json.loads((tmp_path / "results.json").read_text())} == {"dev", "validation"}


def test_kinds_are_a_table_of_systems_in_all_formats_and_a_figure(render, tmp_path):
    render()
    text = (tmp_path / "tables" / "daquar_kinds.md").read_text()
    assert "| object | 60 | 30.0 | 20.0 | 20.0 | 20.0 |" in text
    assert text.index("| object") < text.index("| count")
    assert (tmp_path / "tables" / "daquar_kinds.csv").read_text().startswith("label,n,after finetuning,")
    assert r"object & 60 & 30.0" in (tmp_path / "tables" / "daquar_kinds.tex").read_text()
    names = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert names == {"retrieval_curve", "daquar_exact_match", "daquar_kinds"}


def test_the_musts_of_photographs_are_reached_or_missed(render, tmp_path, scores, capsys):
    html = render()
    assert "Q-Former R@1: at least 0.1 points above linear baseline R@1" in html
    expected = yaml.safe_load(Path("expected/photos.yaml").read_text())
    (tmp_path / "musts.yaml").write_text(yaml.safe_dump({**expected, "figures": []}))  # the scores here are made up
    options = [f"--results={tmp_path / 'results.json'}", "--expected", str(tmp_path / "musts.yaml")]
    check([*options, "--scores", *map(str, scores)])
    out = capsys.readouterr().out
    assert out.count("reached") >= 8
    assert "must  MISSED" not in out
    entries = json.loads((tmp_path / "results.json").read_text())
    for entry in entries:
        if entry["id"] == "daquar.exact_match.question_only":
            entry["ci95"] = [20.0, 25.0]
    (tmp_path / "results.json").write_text(json.dumps(entries))
    with pytest.raises(SystemExit, match="1 expectations"):
        check([*options, "--scores", *map(str, scores)])


def test_figures_have_names():
    names = {
        "flickr8k.retrieval.q_former.r_at_10": "Q-Former R@10",
        "flickr8k.retrieval.linear_baseline.image_to_text_median_rank": "linear baseline median rank, image to text",
        "flickr8k.captions.cider_shuffled_images": "CIDEr of captions with images shuffled",
        "flickr8k.captions@lora.bleu_4": "BLEU-4 of captions (lora)",
        "flickr8k.is_true.accuracy": "“is this true of the picture?”, accuracy",
        "daquar.wups_0.9.after_shuffled_images": "DAQUAR WUPS at 0.9 with images shuffled",
        "daquar.exact_match.after@lora.contained": "DAQUAR exact match after finetuning, answer contained (lora)",
        "flickr8k.other": "flickr8k.other",
    }
    assert {id: figure_name(id) for id in names} == names


def test_sets_of_words_are_good_in_any_order():
    row = {"answer": "chair, garbage bin", "answers": ["chair, garbage bin"]}
    assert is_good(row | {"prediction": "garbage bin, chair"})
    assert not is_good(row | {"prediction": "chair"})


def test_captions_are_drawn_from_the_best_and_the_worst_quarter():
    rows = [{"image": f"s/{n}"} for n in range(8)]
    good, bad = quarters(rows, {f"s/{n}": float(n) for n in range(8)})
    assert [row["image"] for row in good + bad] == ["s/6", "s/7", "s/0", "s/1"]


def test_example_captions_show_people_and_another_photographs_caption(tmp_path, monkeypatch, render):
    rows = [
        {
            "question_id": f"q{n}",
            "image": f"s/{n}",
            "query": "",
            "answer": f"a {word} dog runs",
            "answers": [f"a {word} dog runs", f"the {word} dog is <here>", f"one {word} dog"],
        }
        for n, word in enumerate(("red", "blue", "small", "wet"))
    ]
    said = ["a red dog runs", "nothing of it", "a small cat", "a wet dog runs"]
    write_predictions(tmp_path / "p.jsonl", rows, [row["image"] for row in rows], said)
    write_predictions(tmp_path / "q.jsonl", rows, [row["image"] for row in rows], ["other words"] * 4)
    monkeypatch.setattr(
        choose_captions, "read_pictures", lambda images, _: [(i, Image.new("RGB", (9, 9))) for i in images]
    )
    files = {"predictions": "p.jsonl", "shuffled": "q.jsonl", "images": "i", "output": "e.json"}
    options = [f"--{option}={tmp_path / name}" for option, name in files.items()]
    choose_captions.main([*options, "--title", "Captions", "--count", "1"])
    content = json.loads((tmp_path / "e.json").read_text())
    (good,), (bad,) = content["good"], content["bad"]
    assert good["prediction"] in ("a red dog runs", "a wet dog runs")
    assert (bad["prediction"], bad["shuffled"]) == ("nothing of it", "other words")
    assert bad["references"] == ["a blue dog runs", "the blue dog is <here>"]
    html = render("--examples", str(tmp_path / "e.json"))
    assert "given another photograph</span> other words" in html
    assert "the blue dog is &lt;here&gt;" in html
    assert "From the quarter of the 4 captions" in html
