"""A data set, a benchmark and a stage of a user's own: files and configuration alone, no line of Python."""

import json
import random

import pytest
import yaml
from PIL import Image

from workflow_scripts.chain import chains
from workflow_scripts.config.merging import merge
from workflow_scripts.config.settings import load_settings
from workflow_scripts.evaluations import evaluations

pytestmark = pytest.mark.slow

COLOURS = ("red", "blue", "green", "yellow")
ROWS = """
data_sets:
  my_photos:
    title: My photographs
    reader: table
    tasks: [caption]
    files: [{name: captions.csv, file: captions.csv}]
    options: {image: file, caption: text}
    folder: photos
    hold_out: {validation: 0, test: 300}
  vqa_v2:
    title: VQA v2
    reader: vqa
    tasks: [vqa]
    files:
      - {name: v2_OpenEnded_mscoco_val2014_questions.json, file: v2_OpenEnded_mscoco_val2014_questions.json}
      - {name: v2_mscoco_val2014_annotations.json, file: v2_mscoco_val2014_annotations.json}
    options:
      questions: v2_OpenEnded_mscoco_val2014_questions.json
      annotations: v2_mscoco_val2014_annotations.json
      image: "COCO_val2014_{:012d}.jpg"
    folder: val2014
    hold_out: {validation: 0, test: 400}
benchmarks:
  my_retrieval: {title: Search my photographs, parts: [my_photos/caption], scorer: retrieval}
  vqa_v2: {title: VQA v2, parts: [vqa_v2/vqa], scorer: vqa}
"""
CONFIG = {
    "samples": {
        "my_pairs": {"parts": ["my_photos/caption"]},
        "vqa_v2_mix": {"parts": {"vqa_v2/vqa": 1.0}, "count": 16},
    },
    "stages": {
        "third": {
            "samples": "vqa_v2_mix", "after": "finetune", "batch_size": 8, "epochs": 1, "learning_rate": 0.005,
            "learning_rate_end": 0.001, "warmup_epochs": 0.2,
        }
    },
    "benchmarks": {"my_retrieval": {}, "vqa_v2": {}},
    "experiments": {
        "mine": {
            "stages": ["pretrain", "finetune", "third"],
            "changes": {"pretrain": {"samples": "my_pairs", "batch_size": 8}},
            "in_report": False,
        }
    },
}  # fmt: skip


def write_images(folder, names):
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        image = Image.new("RGB", (80, 60), COLOURS[number % 4])
        image.paste(COLOURS[(number + 1) % 4], (number, 5, number + 20, 40))
        image.save(folder / name)


def write_mine(folder):
    """Forty photographs with captions in a CSV, and questions in the official VQA v2 files about thirty more."""
    names = [f"photo {number:02d}.jpg" for number in range(40)]
    write_images(folder / "photos", names)
    lines = [f'"{name}","A {COLOURS[i % 4]} box, and {COLOURS[(i + 1) % 4]} paper."' for i, name in enumerate(names)]
    (folder / "captions.csv").write_text("file,text\n" + "\n".join(lines) + "\n", encoding="utf-8")
    ids = list(range(42, 72))
    write_images(folder / "val2014", [f"COCO_val2014_{number:012d}.jpg" for number in ids])
    rng = random.Random(0)
    questions, annotations = [], []
    for image in ids:
        for place in range(2):
            number, answer = image * 1000 + place, rng.choice(COLOURS)
            questions.append({"image_id": image, "question": "What color is the box?", "question_id": number})
            answers = [{"answer": answer, "answer_confidence": "yes", "answer_id": k + 1} for k in range(10)]
            annotations.append({
                "question_type": "what color is the", "multiple_choice_answer": answer, "answers": answers,
                "image_id": image, "answer_type": "other", "question_id": number,
            })  # fmt: skip
    head = {"info": {}, "license": {}, "data_subtype": "val2014", "data_type": "mscoco"}
    asked = {**head, "task_type": "Open-Ended", "questions": questions}
    (folder / "v2_OpenEnded_mscoco_val2014_questions.json").write_text(json.dumps(asked))
    (folder / "v2_mscoco_val2014_annotations.json").write_text(json.dumps({**head, "annotations": annotations}))
    (folder / "rows.yaml").write_text(ROWS)


def test_captions_a_benchmark_and_a_stage_of_ones_own_come_to_their_scores(project, tmp_path):
    mine = tmp_path / "mine"
    write_mine(mine)
    config = {**CONFIG, "catalogue": str(mine / "rows.yaml")}
    given = yaml.safe_load((project.folder / "config.yaml").read_text())
    settings = load_settings(merge(given, {"scale": "tiny", **config}), project.folder / "scales")
    found = {one.figure: one for one in evaluations([chains(settings)["mine"]])}
    answers = {f"vqa_v2.accuracy.{stage}" for stage in ("pretrain", "finetune", "third")}
    searches = {f"my_retrieval.{method}" for method in ("blip2", "blip2_itm", "clip", "colour_histogram")}
    assert {figure for figure in found if figure.startswith(("vqa_v2", "my_retrieval"))} == answers | searches

    wanted = ["vqa_v2.accuracy.third", *sorted(searches)]
    targets = [f"results/tiny/{found[figure].path}/scores.json" for figure in wanted]
    words = {key: json.dumps(value) for key, value in config.items()}
    project.snakemake(*targets, **words)

    for figure, path in zip(wanted, targets, strict=True):
        scores = json.loads((project.folder / path).read_text())
        assert scores["id"].partition("@")[0] == figure
        assert scores["benchmark"] == figure.partition(".")[0]
        assert scores["n"] > 5
    retrieval = json.loads((project.folder / targets[1]).read_text())
    assert {one["id"] for one in retrieval["figures"]} >= {"my_retrieval.blip2.r_at_1", "my_retrieval.blip2.r_at_10"}
    run = json.loads((project.folder / targets[0]).read_text())["adaptor_run_id"]
    record = json.loads(next((project.folder / "results/tiny/third").glob("*/run.json")).read_text())
    assert record["run_id"] == run
    assert record["stage"] == "third"
    assert "Nothing to be done" in project.snakemake(*targets, **words)
