import json

import pytest


@pytest.fixture
def write_scores(tmp_path):
    """Writes scores.json as a scorer does: figures as id -> value."""

    def write(folder, figures, **more):
        path = tmp_path / "evaluation" / folder / "scores.json"
        path.parent.mkdir(parents=True)
        rows = [
            {"id": id, "value": value, "unit": "%", "n": 100, "ci95": [value - 3, value + 3]}
            for id, value in figures.items()
        ]
        content = {"benchmark": next(iter(figures)).split(".")[0], "id": next(iter(figures)), "definition": "As known."}
        path.write_text(json.dumps(content | {"figures": rows, "breakdown": {}, "command": "python -m x"} | more))
        return path

    return write


@pytest.fixture
def write_run(tmp_path):
    """Writes run.json and metrics.jsonl of a training."""

    def write(stage="finetune", steps=40):
        folder = tmp_path / stage / "report-0123456789ab"
        folder.mkdir(parents=True)
        lines = [{"step": step + 1, "loss": 3 / (step + 1), "lr": 1e-3} for step in range(steps)]
        lines.append({"step": steps, "validation_loss": 0.5})
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        run = {
            "run_id": "0123456789ab",
            "name": "report",
            "label": "report",
            "stage": stage,
            "settings": {"seed": 7, "learning_rate": 0.002},
            "samples": {"path": "x", "sha256": "f" * 64, "count": 12345},
            "steps": steps,
            "final_loss": 0.075,
            "seconds": 130.0,
            "trainable_parameters": 16512,
            "git_revision": "abc1234",
            "code_digest": "d" * 12,
            "command": "python -m train <now>",
            "metrics": "metrics.jsonl",
            "environment": {"python": "3.11.7", "cpu": "a processor, 2 threads", "packages": {"torch": "2"}},
        }
        (folder / "run.json").write_text(json.dumps(run))
        return folder / "run.json"

    return write
