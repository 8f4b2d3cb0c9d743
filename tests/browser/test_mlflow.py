"""MLflow's own pages over two trainings: they are found by their names, compared, and their curves are seen."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tracking"))


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """A store with two trainings of one experiment."""
    from test_import_runs import make_training

    from workflow_scripts.tracking.import_runs import import_runs

    folder = tmp_path_factory.mktemp("mlflow")
    make_training(folder / "mini", steps=40)
    make_training(folder / "mini", identity={"stage": "finetune"}, stage="finetune", steps=60, began=300.0)
    store = f"sqlite:///{folder / 'mlflow.db'}"
    import_runs(folder / "mini", store, "mini")
    return store


@pytest.fixture(scope="module")
def server(imported):
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    # As `make mlflow` starts it.
    command = [str(Path(sys.executable).with_name("mlflow")), "ui", "--workers", "1", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--backend-store-uri", imported]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    process = subprocess.Popen(command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 180
    while True:
        try:
            urllib.request.urlopen(address).close()
            break
        except urllib.error.URLError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.3)
    yield address
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(120)


def test_two_trainings_are_compared_and_their_curves_are_seen(browser, server, imported, screenshots):
    from mlflow.tracking import MlflowClient

    experiment = MlflowClient(tracking_uri=imported).get_experiment_by_name("mini").experiment_id
    browser.size(1440, 1000)
    browser.open(f"{server}/#/experiments/{experiment}/runs")
    browser.wait_for("document.body?.innerText.includes('experiment report')")
    # The trainings are folded under their experiment.
    browser.click_what("document.querySelector('[role=gridcell][col-id*=\"Run Name\"] :is(button, [role=button])')")
    browser.wait_for("['finetuning', 'pretraining'].every(name => document.body.innerText.includes(name))")
    browser.screenshot(screenshots / "mlflow-runs.png", whole=False)
    for row in (1, 2):
        browser.click(f".ag-row[row-index='{row}'] .ag-selection-checkbox input")
    browser.click_what("[...document.querySelectorAll('button')].find(e => e.innerText.trim() === 'Compare')")
    browser.wait_for("document.body?.innerText.includes('Comparing 2 Runs from 1 Experiment')")
    browser.wait_for("document.querySelectorAll('.js-plotly-plot').length > 0")
    browser.screenshot(screenshots / "mlflow-compare.png", whole=False)
    text = browser.evaluate("document.body.innerText")
    assert all(name in text for name in ("finetuning", "pretraining", "settings.learning_rate", "validation_loss"))
    browser.open(f"{server}/#/experiments/{experiment}/runs?compareRunsMode=CHART")
    browser.wait_for("document.querySelectorAll('.js-plotly-plot .scatterlayer path.js-line').length >= 4")
    browser.screenshot(screenshots / "mlflow-curves.png", whole=False)
