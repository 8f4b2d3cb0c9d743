"""Cards say what was run: counts, failures, licences, leakage, trainings and figures."""

import json

import pytest

from workflow_scripts.report import render_cards


@pytest.fixture
def written(tmp_path):
    """The inputs of the cards, as a run leaves them."""

    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        return str(path)

    image_set = {"image_set": "coco_train2017", "count": 90, "requested": 100, "success_rate": 0.9}
    image_set |= {"failures": {"404 not found": 7, "not a picture": 3}, "source": "the data set's archive"}
    pairs = {"count": 400, "images": 90, "tasks": {"caption": 400}, "removed": {"caption is empty": 2}}
    excluded = {"counts": {"coco_train2017": {"pictures": 5, "okvqa val": 5}}}
    run = {
        "run_id": "0123456789ab", "name": "clean", "stage": "pretrain", "samples": {"count": 400},
        "trainable_parameters": 3149824, "steps": 8, "final_loss": 2.5,
        "settings": {"batch_size": 192, "epochs": 4, "learning_rate": 1e-4},
        "environment": {"gpu": None, "cpu": "Some CPU", "processes": 8, "packages": {"torch": "2.13.0"}},
    }  # fmt: skip
    figure = {"id": "okvqa.accuracy.zero_shot", "value": 33.2, "unit": "%", "n": 5046, "ci95": [32.0, 34.4]}
    return [
        "--scale", "paper", "--about", "The report's data.",
        "--images", write("images/manifest.json", image_set),
        "--tables", write("pairs-1/manifest.json", pairs),
        "--exclusions", write("exclusions.json", excluded),
        "--runs", write("run.json", run),
        "--results", write("results.json", [figure]),
        "--output-data", str(tmp_path / "data_card.md"), "--output-model", str(tmp_path / "model_card.md"),
    ]  # fmt: skip


def test_the_data_card_has_counts_failures_licences_and_leakage(written, tmp_path):
    render_cards.main(written)
    card = (tmp_path / "data_card.md").read_text()
    assert "| coco_train2017 | 100 | 90 | 90.0 | 404 not found 7, not a picture 3 | the data set's archive |" in card
    assert "| pairs-1 | 400 | 90 | caption 400 | caption is empty 2 |" in card
    assert "| coco_train2017 | okvqa val | 5 |" in card
    assert "CC BY 4.0 (annotations)" in card


def test_without_an_exclusion_list_the_card_says_that_nobody_looked(written, tmp_path):
    place = written.index("--exclusions")
    render_cards.main(written[:place] + written[place + 2 :])
    assert "so they were not looked for" in (tmp_path / "data_card.md").read_text()


def test_the_model_card_has_trainings_figures_and_what_is_deterministic(written, tmp_path):
    render_cards.main(written)
    card = (tmp_path / "model_card.md").read_text()
    assert (
        "| pretraining (clean) | 0123456789ab | 400 | 3,149,824 | 192 | 4 | 0.0001 | 8 | 2.500 | 8 x Some CPU" in card
    )
    assert "| OK-VQA accuracy, zero-shot | 33.20 % | 32.00 to 34.40 | 5,046 |" in card
    assert "## Determinism" in card
