"""The report as a reader sees it: offline, at the width of a desk and of a phone, and on paper."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from workflow_scripts.report.render_pdf import print_page

pytestmark = pytest.mark.browser
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "report"))
ACCURACY = "visual_genome.exact_match.after"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page with figures, curves, examples, attention and a survey, from files as the workflow writes them."""
    from PIL import Image

    from workflow_scripts.command_line import write_json
    from workflow_scripts.report.choose_examples import picture_url
    from workflow_scripts.report.collect_results import main as collect
    from workflow_scripts.report.render_figures import main as figures
    from workflow_scripts.report.render_page import main as render
    from workflow_scripts.survey.build_survey import build_survey
    from workflow_scripts.survey.responses import Response, ResponseStore
    from workflow_scripts.survey.summarise import main as summarise

    folder = tmp_path_factory.mktemp("report")
    figure = {"id": ACCURACY, "value": 61.3, "unit": "%", "n": 100, "ci95": [58.3, 64.3]}
    kinds = {"what": {"value": 40.0, "n": 60}, "where": {"value": 80.0, "n": 40}}
    scores = {"benchmark": "visual_genome", "id": figure["id"], "definition": "As known.", "figures": [figure]}
    write_json(folder / "vg/after-0123456789ab/scores.json", scores | {"breakdown": kinds, "command": "python -m x"})
    picture = Image.linear_gradient("L").convert("RGB")
    row = {"question_id": "1", "image": "set/1", "query": "what is it?", "prediction": "a cat", "answer": "a cat"}
    shown = row | {"kind": "what", "picture": picture_url(picture, row), "box": False}
    examples = {"title": "Questions", "n": 10, "good_n": 6, "good": [shown] * 6, "bad": [shown] * 6}
    write_json(folder / "examples.json", examples)
    look = {"query": "a red kite", "image": "set/1", "query_token": 3, "score": 0.5}
    light = picture_url(Image.radial_gradient("L").convert("RGB"), row)
    write_json(folder / "attention.json", [look | {"picture": shown["picture"], "attention": light}] * 6)
    tasks = ["question"] * 3 + ["relation"] * 3 + ["description"] * 3
    asked = [row | {"question_id": f"Q{n}", "task": task} for n, task in enumerate(tasks, start=1)]
    survey = build_survey(asked, {"set/1": picture}, {"run_id": "abc"})
    write_json(folder / "survey.json", survey)
    store = ResponseStore(folder / "r.sqlite")
    for person in range(7):
        store.add(survey["id"], Response(str(person), {n: 1 + (n + person) % 5 for n in range(1, 10)}))
    answers = {"survey": "survey.json", "responses": "r.sqlite", "output": "survey"}
    summarise([f"--{name}={folder / file}" for name, file in answers.items()])
    (folder / "scale.yaml").write_text("comparable_with_report: false\nreason: Other data.\nrequirements: []\n")
    score_files = ["--scores", str(folder / "vg/after-0123456789ab/scores.json")]
    collect([*score_files, "--output", str(folder / "results.json")])
    figures([*score_files, "--output", str(folder / "figures")])
    files = {"results": "results.json", "expected": "scale.yaml", "figures": "figures", "examples": "examples.json"}
    files |= {"attention": "attention.json", "survey": "survey", "output": "index.html"}
    settings = ["--settings", json.dumps({"scale": "mini"})]
    render([*score_files, *settings, *(f"--{name}={folder / file}" for name, file in files.items())])
    return folder / "index.html"


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
def test_the_page_fits_asks_for_nothing_and_all_its_pictures_are_seen(browser, page, phone, screenshots):
    browser.size(*((390, 844) if phone else (1280, 900)), phone=phone)
    before = len(browser.elsewhere)
    browser.open(page.as_uri())
    browser.wait_for("document.readyState === 'complete' && document.images.length > 20")
    browser.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    browser.evaluate("[...document.images].forEach(one => one.loading = 'eager')")
    browser.wait_for("[...document.images].every(one => one.complete)")
    assert browser.evaluate("[...document.images].filter(one => !one.naturalWidth || !one.alt).length") == 0
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    others = [url for url in browser.elsewhere[before:] if not url.startswith("file://")]
    assert others == []
    browser.screenshot(screenshots / f"report-{'phone' if phone else 'desk'}.png")


def test_every_link_of_the_page_leads_to_a_place_in_it(browser, page):
    browser.open(page.as_uri())
    browser.wait_for("document.readyState === 'complete'")
    links = browser.evaluate("[...document.querySelectorAll('a')].map(one => one.getAttribute('href'))")
    assert links
    assert all(link.startswith("#") for link in links)
    assert browser.evaluate("[...document.querySelectorAll('a')].every(one => document.querySelector(one.hash))")


@pytest.fixture
def experiments(tmp_path):
    """The page of two experiments, of which the second is better, by the scores of an evaluation each."""
    from workflow_scripts.command_line import write_json
    from workflow_scripts.report.tabulate_experiments import main as tabulate

    rows = {}
    for label, right in (("report", 20), ("mlp", 50)):
        path = tmp_path / f"visual_genome/after-{label}-0123456789ab/scores.json"
        values = {f"q{n}": 100.0 * (n < right) for n in range(60)}
        value = sum(values.values()) / 60
        figure = {"id": ACCURACY, "value": value, "unit": "%", "n": 60, "ci95": [value - 9, value + 9]}
        answers = {"per_question": values, "image_of_question": {name: name for name in values}}
        write_json(path, {"id": ACCURACY, "figures": [figure], "command": f"python -m score {label}"} | answers)
        rows[label] = {ACCURACY: str(path)}
    tabulate(["--experiments", json.dumps(rows), "--output", str(tmp_path / "table")])
    return tmp_path / "table" / "index.html"


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
def test_a_cell_of_the_experiments_leads_to_its_command(browser, experiments, phone, screenshots):
    browser.size(*((390, 844) if phone else (1280, 900)), phone=phone)
    browser.open(experiments.as_uri())
    browser.wait_for("document.readyState === 'complete'")
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert "83.3* ↑" in browser.evaluate("document.querySelector('table').innerText")
    browser.screenshot(screenshots / f"experiments-{'phone' if phone else 'desk'}.png")
    browser.evaluate("[...document.querySelectorAll('td a')].at(-1).click()")
    browser.wait_for("document.querySelector(':target')?.innerText.includes('python -m score mlp')")


def test_the_report_is_printed_with_its_pictures(browser, page):
    pdf = print_page(page)
    assert pdf.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", pdf)) >= 3
    assert pdf.count(b"/Subtype /Image") == 2  # each of the two different ones once


def test_without_a_chromium_there_is_a_sentence_and_no_file(page, tmp_path):
    command = [sys.executable, "-m", "workflow_scripts.report.render_pdf", "--page", str(page)]
    command += ["--output", str(tmp_path / "report.pdf")]
    root = Path(__file__).resolve().parents[2]
    environment = {"PATH": str(Path(sys.executable).parent)}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "There is no Chromium to print the report with, so there is no PDF" in done.stderr
    assert not (tmp_path / "report.pdf").exists()
