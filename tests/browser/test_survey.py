"""The survey as a respondent uses it: with mouse and keyboard, at the width of a desk and of a phone."""

import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

from workflow_scripts.command_line import write_json
from workflow_scripts.survey.build_survey import build_survey
from workflow_scripts.survey.responses import ResponseStore

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[2]
ANSWERS = [
    "a kite",
    "yes",
    "three",
    "cat left of dog",
    "dog above cat",
    "on",
    "a picture of a long beach " * 6,
    "",
    "x",
]


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    folder = tmp_path_factory.mktemp("survey")
    tasks = ["question"] * 3 + ["relation"] * 3 + ["description"] * 3
    rows = [
        {
            "question_id": f"Q{n}",
            "image": f"set/{n}",
            "task": task,
            "query": f"what is thing {n}?",
            "prediction": answer,
        }
        for n, (task, answer) in enumerate(zip(tasks, ANSWERS, strict=True), start=1)
    ]
    pictures = {f"set/{n}": Image.linear_gradient("L").resize((90, 60 + 5 * n)) for n in range(1, 10)}
    content = build_survey(rows, pictures, {"run_id": "abc"})
    write_json(folder / "survey.json", content)
    return folder, content["id"]


class Server:
    """The survey's command as a process of its own."""

    def __init__(self, folder: Path, port: int):
        self.address = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "workflow_scripts.survey.serve", "--survey", str(folder / "survey.json")]
        command += ["--responses", str(folder / "r.sqlite"), "--port", str(port)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 180
        while True:
            try:
                urllib.request.urlopen(self.address).close()
                return
            except urllib.error.URLError:
                assert self.process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(120)


@pytest.fixture(scope="module")
def free_port():
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def server(survey, free_port):
    one = Server(survey[0], free_port)
    yield one
    one.stop()


def open_page(browser, server, phone=False):
    browser.size(*((390, 844) if phone else (1280, 900)), phone=phone)
    browser.open(server.address)
    browser.wait_for("document.querySelectorAll('fieldset').length === 9 && document.readyState === 'complete'")


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
def test_the_page_fits_its_width_and_its_cells_are_large_enough_for_fingers(browser, server, phone, screenshots):
    before = len(browser.elsewhere)
    open_page(browser, server, phone)
    browser.screenshot(screenshots / f"survey-{'phone' if phone else 'desk'}.png")
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    sizes = browser.evaluate(
        "[...document.querySelectorAll('.ratings label')].map(e => e.getBoundingClientRect())"
        ".map(r => [r.width, r.height])"
    )
    assert len(sizes) == 45
    assert min(min(size) for size in sizes) >= 40
    assert browser.elsewhere[before:] == []


def test_each_picture_and_each_cell_has_a_name_for_those_who_do_not_see_it(browser, server):
    open_page(browser, server)
    nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
    names = {
        role: [node["name"]["value"] for node in nodes if node.get("role", {}).get("value") == role]
        for role in ("image", "radio", "group", "textbox", "button", "heading")
    }
    assert names["image"] == [f"Picture of question {n}" for n in range(1, 10)]
    assert names["radio"][:5] == ["1 of 5, very bad", "2 of 5", "3 of 5", "4 of 5", "5 of 5, very good"]
    assert len(names["radio"]) == 45
    assert [name for name in names["group"] if name] == [f"{n} of 9" for n in range(1, 10)]
    assert len(names["textbox"]) == len(names["button"]) == 1
    assert all(names["textbox"] + names["button"] + names["heading"])


def test_a_survey_can_be_answered_with_the_keyboard_alone(browser, server, survey, screenshots):
    folder, id = survey
    before = len(ResponseStore(folder / "r.sqlite").read(id))
    open_page(browser, server)
    for _ in range(9):
        browser.press("Tab", 9)
        for _ in range(3):
            browser.press("ArrowRight", 39)  # from the first cell on, the first press chooses the second one
    browser.screenshot(screenshots / "survey-answered.png")
    browser.press("Tab", 9)
    browser.send("Input.insertText", text="all by keyboard")
    browser.press("Tab", 9)
    browser.press("Enter", 13)
    browser.wait_for("document.title === 'Thank you'")
    browser.screenshot(screenshots / "survey-thanks.png")
    responses = ResponseStore(folder / "r.sqlite").read(id)
    assert len(responses) == before + 1
    assert dict(responses[-1].ratings) == dict.fromkeys(range(1, 10), 4)
    assert responses[-1].comment == "all by keyboard"


def test_going_back_and_sending_again_counts_once_also_after_the_server_was_killed(browser, survey, free_port, server):
    folder, id = survey
    before = len(ResponseStore(folder / "r.sqlite").read(id))
    open_page(browser, server)
    for n in range(1, 10):
        browser.click(f"#q{n} label:nth-child({1 + n % 5})")
    respondent = browser.evaluate("document.querySelector('[name=respondent]').value")
    browser.click("button")
    browser.wait_for("document.title === 'Thank you'")
    server.stop(signal.SIGKILL)
    again = Server(folder, free_port)
    try:
        browser.evaluate("history.back()")
        # Forms are filled again with what stood there when the page is complete.
        browser.wait_for("document.querySelectorAll('fieldset').length === 9 && document.readyState === 'complete'")
        # A page that was loaded anew has a new word; what is sent twice has the old one.
        browser.evaluate(f"document.querySelector('[name=respondent]').value = '{respondent}'")
        for n in range(1, 10):
            browser.click(f"#q{n} label:nth-child(1)")
        browser.click("button")
        browser.wait_for("document.body?.innerText.includes('count once')")
    finally:
        server.process = again.process
    responses = ResponseStore(folder / "r.sqlite").read(id)
    assert len(responses) == before + 1
    assert dict(responses[-1].ratings) == {n: 1 + n % 5 for n in range(1, 10)}


def test_the_browser_itself_asks_for_a_missing_rating(browser, server, survey):
    open_page(browser, server)
    browser.click("button")
    assert browser.evaluate("document.querySelectorAll('input:invalid').length") == 45
    assert browser.evaluate("document.querySelectorAll('fieldset').length") == 9
