import json
import re
import time
from pathlib import Path

import pytest
from PIL import Image

from workflow_scripts.command_line import write_json
from workflow_scripts.identity import sha256_of_file
from workflow_scripts.report.choose_examples import picture_url
from workflow_scripts.report.collect_results import main as collect
from workflow_scripts.report.pages import format_duration
from workflow_scripts.report.render_figures import main as figures
from workflow_scripts.report.render_page import main, read_times
from workflow_scripts.survey.build_survey import build_survey
from workflow_scripts.survey.responses import Response, ResponseStore
from workflow_scripts.survey.summarise import main as summarise

KINDS = {"what": {"value": 40.0, "n": 60}, "<count>": {"value": 80.0, "n": 40}}
EM = "visual_genome.exact_match"


@pytest.fixture
def page(tmp_path, write_scores, write_run):
    """Renders the page from scores; what is left out of the arguments is absent."""

    def render(*scores, runs=(), settings=None, options=(), requirements="[]"):
        collect(["--scores", *map(str, scores), "--output", str(tmp_path / "results.json")])
        (tmp_path / "scale.yaml").write_text(
            f"comparable_with_report: false\nreason: Other data.\nrequirements: {requirements}\n"
        )
        shared = ["--scores", *map(str, scores), "--runs", *map(str, runs)]
        figures([*shared, "--output", str(tmp_path / "figures")])
        files = {"results": "results.json", "expected": "scale.yaml", "figures": "figures", "output": "index.html"}
        main(
            [
                *shared,
                *(f"--{option}={tmp_path / name}" for option, name in files.items()),
                "--settings",
                json.dumps({"scale": "mini"} | (settings or {})),
                *options,
            ]
        )
        return (tmp_path / "index.html").read_text()

    return render


@pytest.fixture
def after(write_scores):
    return write_scores("vg/after-0123456789ab", {f"{EM}.after": 61.3, f"{EM}.after.contained": 64.4}, breakdown=KINDS)


def without_links(html):
    return re.sub(r"</?a\b[^>]*>", "", html)


def test_the_page_needs_no_other_file_and_no_network(page, after, write_run):
    html = page(after, runs=[write_run()])
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", html)
    assert not re.search(r"url\(|@import|<script|<link", html)
    assert html.count("data:image/svg+xml;base64,") == 3  # learning curves, exact match, kinds


def test_figures_stand_in_their_table_and_absent_ones_are_empty(page, after):
    html = page(after)
    row = re.search(r"<tr><td>after finetuning</td>(.*?)</tr>", html, re.S).group(1)
    assert [re.sub("<.*?>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)] == [
        "35.0",
        "61.3",
        "58.3 to 64.3",
        "100",
        "not comparable",
        "0123456789ab",
    ]
    row = re.search(r"<tr><td>before finetuning</td>(.*?)</tr>", without_links(html), re.S).group(1)
    assert re.findall(r"<td[^>]*>(.*?)</td>", row) == ["&lt; 1.0", "", "", "", "not run", ""]


def test_each_figure_leads_to_its_command_and_inputs_and_from_there_to_the_training(page, write_scores, write_run):
    scores = write_scores(
        "vg/after-fedcba987654",
        {f"{EM}.after": 61.3},
        adaptor_run_id="0123456789ab",
        command="python -m score <now>",
        inputs={"answers.jsonl": "e" * 64},
    )
    html = page(scores, runs=[write_run()])
    row = re.search(r"<tr><td>after finetuning</td>(.*?)</tr>", html, re.S).group(1)
    reported, scoring, training = re.findall(r'<a href="#([^"]+)">', row)
    quoted = html.split(f'<section class="origin" id="{reported}">')[1].split("</section>")[0]
    assert "before finetuning, 35 % after” (section on finetuning)" in quoted
    origin = html.split(f'<section class="origin" id="{scoring}">')[1].split("</section>")[0]
    for part in ("fedcba987654", "python -m score &lt;now&gt;", "answers.jsonl", "e" * 16, f'href="#{training}"'):
        assert part in origin
    run = html.split(f'<section class="origin" id="{training}">')[1].split("</section>")[0]
    for part in ("learning_rate 0.002", "python -m train &lt;now&gt;", "f" * 64, "abc1234"):
        assert part in run


def test_data_and_trainings_stand_beside_those_of_the_report(page, after, write_run, tmp_path):
    pairs = {"count": 1234567, "removed": {}, "sources": {"cc": {"captions": 2345678}}}
    (tmp_path / "pairs.json").write_text(json.dumps(pairs))
    html = page(after, runs=[write_run()], options=["--pairs", str(tmp_path / "pairs.json")])
    cells = without_links(html)
    rows = dict(re.findall(r"<tr><td>([^<]*)</td><td>[^<]*</td><td>([^<]*)</td></tr>", cells))
    told = {name.replace("\u202f", ""): value.replace("\u202f", "") for name, value in rows.items()}
    assert told["image-caption pairs"] == "1234567"
    assert told["trained parameters"] == "16512"
    assert told["finetuning, highest learning rate"] == "0.002"
    assert told["finetuning, time"] == "2 min"
    assert told["pretraining, epochs"] == told["pictures that are searched"] == ""
    assert "<td>2\u202f956\u202f145</td>" in cells
    assert "<td>words of a caption, on average</td><td>&gt; 10</td><td></td>" in cells


@pytest.fixture
def everything(tmp_path, write_scores, write_run):
    """Scores, trainings, and the options of all manifests and of a survey: what a page of a whole run is given."""
    scores = [
        write_scores(f"{name}-0123456789ab", figures, breakdown=KINDS, inputs={"p.jsonl": "e" * 64})
        for name, figures in (
            ("vg/after", {f"{EM}.after": 61.3, f"{EM}.after.contained": 64.4}),
            ("vg/before", {f"{EM}.before": 0.5}),
            ("o/zero_shot", {"okvqa.accuracy.zero_shot": 33.0, "okvqa.accuracy.zero_shot.lemmatised": 35.0}),
            ("r/blip2", {f"coco_retrieval.blip2.r_at_{k}": 57.0 for k in (1, 5, 10)}),
            ("b/refcoco", {"refcoco.accuracy_iou50": 21.0}),
        )
    ]
    images = {"image_set": "cc", "requested": 100, "count": 79, "success_rate": 0.79, "failures": {"HTTP 404": 21}}
    pairs = {"count": 123, "average_tokens": 10.5, "removed": {"too_short": 3}, "sources": {"cc": {"captions": 150}}}
    mix = {"count": 10, "images": 9, "tasks": {"vqa": 6, "relationship": 2, "description": 2}}
    for name, content in (("images", images), ("pairs", pairs), ("mix-0123456789ab", mix)):
        write_json(tmp_path / name / "manifest.json", content)
    row = {"image": "s/1", "query": "what?", "prediction": "a cat"}
    tasks = ["question"] * 3 + ["relation"] * 3 + ["description"] * 3
    asked = [row | {"question_id": f"Q{n}", "task": task} for n, task in enumerate(tasks, start=1)]
    survey = build_survey(asked, {"s/1": Image.new("RGB", (9, 9))}, {"run_id": "0123456789ab"})
    write_json(tmp_path / "survey.json", survey)
    ResponseStore(tmp_path / "r.sqlite").add(survey["id"], Response("anna", {n: 4 for n in range(1, 10)}))
    files = {"survey": "survey.json", "responses": "r.sqlite", "output": "survey"}
    summarise([f"--{name}={tmp_path / file}" for name, file in files.items()])
    options = ["--image-manifests", tmp_path / "images/manifest.json", "--pairs", tmp_path / "pairs/manifest.json"]
    options += ["--mixes", tmp_path / "mix-0123456789ab/manifest.json", "--survey", tmp_path / "survey"]
    return scores, [write_run("pretrain"), write_run("finetune")], list(map(str, options))


def test_every_figure_of_every_table_leads_to_where_it_is_from(page, everything):
    scores, runs, options = everything
    must = f"[{{level: must, figure: {EM}.after, at_least: 45}}]"
    html = page(*scores, runs=runs, options=options, requirements=must)
    links, places = re.findall(r'<a href="#([^"]+)"', html), re.findall(r'id="([^"]+)"', html)
    assert set(links) <= set(places)
    of_shown = [one for one in places if not one.startswith("training-")]
    assert len(of_shown) == len(set(of_shown))
    number = re.compile(r"(&lt; |&gt; )?\d[\d\u202f]*(\.\d+)?( %| h| min| s)?")

    def unlinked(table):
        cells = re.findall(r"<td[^>]*>(.*?)</td>", table, re.S)
        return [cell for cell in cells if number.fullmatch(cell.strip())]

    tables = re.findall(r"<table[^>]*>(.*?)</table>", html, re.S)
    # In a row of figures the number of questions belongs to the value beside it, as what was asked for to the count.
    for title in ("Table 1", "Table 2", "Exact match", "Referring expressions", "Data and trainings", "Table 3"):
        (table,) = [one for one in tables if f"<caption>{title}" in one or title in one.split("</caption>")[0]]
        assert set(unlinked(table)) <= {"100"}, title
    survey = html.split('id="scoring-survey">')[1].split("</section>")[0]
    for part in ("workflow_scripts.survey.summarise", "survey.json", "r.sqlite", 'href="#training-0123456789ab"'):
        assert part in survey
    pairs = html.split('id="manifest-pairs">')[1].split("</section>")[0]
    assert sha256_of_file(Path(options[options.index("--pairs") + 1])) in pairs


def test_the_shares_of_the_mix_and_the_schedule_stand_beside_the_reports(page, everything):
    scores, runs, options = everything
    cells = without_links(page(*scores, runs=runs, options=options))
    for row in (
        "<td>finetuning, questions</td><td>60 %</td><td>60 %</td>",
        "<td>finetuning, relationships</td><td>20 %</td><td>20 %</td>",
        "<td>words of a caption, on average</td><td>&gt; 10</td><td>10.5</td>",
        "<td>questions and relationships of the exact match</td><td>4\u202f000</td><td>100</td>",
        "<td>people who answered the survey</td><td>72</td><td>1</td>",
        "<td>pictures that could not be fetched for pretraining</td><td>20 %</td><td>21 %</td>",
    ):
        assert row in cells


def test_the_page_shows_the_table_of_experiments_or_says_how_to_get_it(page, everything, write_scores):
    scores, runs, options = everything
    values = {f"q{n}": 100.0 * (n < 50) for n in range(60)}
    answers = {"per_question": values, "image_of_question": {name: name for name in values}}
    given = {
        label: {f"{EM}.after": str(write_scores(f"x/after-{label}-0123456789ab", {f"{EM}.after{at}": 83.3}, **answers))}
        for label, at in (("report", ""), ("mlp", "@mlp"))
    }
    html = page(*scores, runs=runs, options=[*options, "--experiments", json.dumps(given)])
    table = html.split('<table class="experiments">')[1].split("</table>")[0]
    assert "<td>mlp</td>" in table
    links = re.findall(r'<a href="#([^"]+)"', table)
    assert len(links) == 2
    assert set(re.findall(r'<a href="#([^"]+)"', html)) <= set(re.findall(r'id="([^"]+)"', html))
    html = page(*scores, runs=runs, options=[*options, "--more-experiments", "mlp", "no_pretraining"])
    assert "did not wait for: mlp, no pretraining. <code>snakemake experiments</code>" in html
    assert '<table class="experiments">' not in html


def test_published_rows_stand_in_the_tables_with_their_sources(page, after):
    html = without_links(page(after))
    assert "CLIP ViT-L/14 at 336 pixels, as others measured it" in html
    assert re.search(r"<td>R@1</td>\s*<td class=\"reported\">37.09</td>", html)
    assert re.search(r"<td>Flamingo-80B</td>\s*<td class=\"reported\">50.6</td>", html)
    assert "measured by others 36.51/61.06/71.13 at 224 and 37.09/61.62/71.47 at 336” (measurements by others)" in html


def test_a_page_with_hundreds_of_pictures_and_scorings_is_there_within_ten_seconds(page, everything, tmp_path):
    scores, runs, options = everything
    picture = picture_url(Image.effect_noise((256, 256), 80).convert("RGB"), {"answer": "a", "prediction": "b"})
    shown = {"question_id": "1", "image": "s/1", "query": "q", "prediction": "p", "answer": "a", "kind": "k"}
    group = [shown | {"picture": picture, "box": False}] * 60
    for n in range(6):
        write_json(tmp_path / f"e{n}.json", {"title": f"Data {n}", "n": 99, "good_n": 60, "good": group, "bad": group})
    examples = [str(tmp_path / f"e{n}.json") for n in range(6)]
    start = time.process_time()
    html = page(*scores, runs=runs, options=[*options, "--examples", *examples])
    assert time.process_time() - start < 10
    assert html.count("data:image/jpeg") > 700


def test_hardware_and_what_is_not_known_are_said(page, after, write_run, tmp_path):
    run = write_run()
    record = json.loads(run.read_text())
    record["environment"] |= {"gpu": "A100", "processes": 8}
    run.write_text(json.dumps(record))
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "publish.tsv").write_text("s\tmax_rss\tcpu_time\n7200\t5\t9000\n")
    html = page(after, runs=[run], options=["--times", str(tmp_path / "benchmarks")])
    assert "8 x A100; Python 3.11.7" in html
    assert "1 jobs, 2.0 h one after the other, 2.5 h of processors. Energy: not known" in html


def test_replies_without_a_box_are_counted_in_words(page, write_scores):
    box = "refcoco.accuracy_iou50"
    html = page(
        write_scores("r/a-0123456789ab", {box: 21.0}, unparsable=0),
        write_scores("r/b-0123456789ab", {f"{box}@mlp": 20.0}, unparsable=3),
    )
    assert "All 100 replies held a box that can be read." in html
    assert "Experiment mlp: 3 of 100 replies held no box that can be read; they count as wrong." in html


def test_requirements_are_printed_with_their_verdict(page, after):
    must = f"[{{level: must, figure: {EM}.after, at_least: 45}}, {{level: aim, figure: {EM}.after, at_least: 70}}]"
    html = page(after, requirements=must)
    assert re.search(r"at least 45</td><td>61.3</td>\s*<td class=\"verdict good\">reached", without_links(html))
    assert re.search(r"at least 70</td><td>61.3</td>\s*<td class=\"verdict bad\">missed", without_links(html))


def test_the_reason_of_what_was_missed_is_printed_once_and_only_then(page, after):
    must = "{{level: must, figure: {figure}, at_least: {least}, if_missed: {why}}}"
    missed = [must.format(figure=f"{EM}.after", least=least, why="Too few pictures.") for least in (70, 80)]
    reached = must.format(figure=f"{EM}.after", least=45, why="Never seen.")
    html = page(after, requirements=f"[{', '.join([*missed, reached])}]")
    assert html.count("Too few pictures.") == 1
    assert "Never seen." not in html


def test_a_scale_without_meaning_says_so_and_judges_nothing(page, after):
    must = "{{level: must, figure: {}.after, at_least: {}, if_missed: Too few pictures.}}"
    must = f"[{must.format(EM, 45)}, {must.format(EM, 70)}]"
    html = page(after, requirements=must, settings={"figures_are_meaningful": False})
    assert "The figures on this page mean nothing" in html
    assert "verdict good" not in html
    assert "verdict bad" not in html
    assert "Too few pictures." not in html
    assert "The figures on this page mean nothing" not in page(after, requirements=must)


def test_runs_downloads_and_samples_are_counted(page, after, write_run, tmp_path):
    manifest = {
        "image_set": "cc",
        "requested": 100,
        "count": 79,
        "success_rate": 0.79,
        "failures": {"HTTP 404": 20, "cut": 1},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    pairs = {"count": 1234567, "removed": {"too_short": 3}, "sources": {"cc": {"captions": 2345678}}}
    (tmp_path / "pairs.json").write_text(json.dumps(pairs))
    (tmp_path / "mix").mkdir()
    (tmp_path / "mix" / "manifest.json").write_text(json.dumps({"count": 10, "tasks": {"vqa": 6}, "images": 5}))
    options = ["--image-manifests", tmp_path / "manifest.json", "--pairs", tmp_path / "pairs.json"]
    options += ["--mixes", tmp_path / "mix" / "manifest.json"]
    html = page(after, runs=[write_run("pretrain")], options=map(str, options))
    assert re.search(r"cc</td><td>100</td><td>79</td><td>79.0</td><td class=\"text\">21<", without_links(html))
    assert html.index("HTTP 404") < html.index(">cut<")
    flow = [re.sub(r"\D", "", number) for number in re.findall(r"<strong>(.*?)</strong>", html)]
    assert flow == ["100", "79", "2345678", "1234567", "12345"]
    assert "too short" in html
    assert "python -m train &lt;now&gt;" in html


def test_examples_and_search_results_are_shown_with_pictures_and_escaped(page, after, tmp_path):
    row = {
        "question_id": "1",
        "image": "s/1",
        "query": "<b>what</b>?",
        "prediction": "",
        "answer": "cat",
        "kind": "what",
    }
    one = row | {"picture": "data:image/jpeg;base64,AA", "box": False}
    content = {"title": "Visual Genome", "n": 5, "good_n": 4, "good": [one], "bad": [one]}
    (tmp_path / "examples.json").write_text(json.dumps(content))
    hit = {"rank": 1, "score": 0.5, "id": "s/1", "right": True, "thumbnail": "data:image/jpeg;base64,BB"}
    sheet = {
        "count": 9,
        "skipped": 0,
        "queries": [{"query": "a kite", "image": "s/1", "rank_of_image": 1, "hits": [hit]}],
    }
    (tmp_path / "sheet.json").write_text(json.dumps(sheet))
    html = page(after, options=["--examples", str(tmp_path / "examples.json"), "--sheet", str(tmp_path / "sheet.json")])
    assert "Visual Genome: 4 of 5 right" in html
    assert "&lt;b&gt;what&lt;/b&gt;?" in html
    assert html.count("data:image/jpeg;base64,AA") == 2
    assert '<li class="right"><img src="data:image/jpeg;base64,BB"' in html
    assert "own picture at place 1" in html


def test_the_same_inputs_give_the_same_bytes(page, after, write_run):
    run = write_run()
    assert page(after, runs=[run]) == page(after, runs=[run])


def test_a_run_whose_metrics_are_lost_is_an_error(page, after, write_run):
    run = write_run()
    (run.parent / "metrics.jsonl").unlink()
    with pytest.raises(ValueError, match=r"metrics.jsonl does not exist"):
        page(after, runs=[run])


def test_times_are_summed_by_rule(tmp_path):
    for name, seconds, memory in (("a", "10", "100"), ("b", "5.5", "-")):
        path = tmp_path / "benchmarks" / "predict" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\tcpu_time\n{seconds}\t0:00:10\t{memory}\t3.5\n")
    row = {"rule": "predict", "jobs": 2, "seconds": 15.5, "memory": 100.0, "cpu": 7.0}
    assert read_times(tmp_path / "benchmarks") == [row]
    assert [format_duration(seconds) for seconds in (45, 720, 12240)] == ["45 s", "12 min", "3.4 h"]
