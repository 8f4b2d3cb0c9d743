"""How long the scorers take at the size of the field's benchmarks, and in how much memory.

    python -m benchmarks.scoring_speed --page results/mini --output benchmarks/measured/scoring_speed.json

Each scorer is a process of its own on files in the field's formats, generated here: 200,000 questions of VQA v2 with
ten answers each, in 100,000 pictures, and similarities of 25,000 captions and 5,000 images. Times are of the whole
command, from nothing to `scores.json` with its intervals; memory is the highest that the process held. The report's
page is not run again: its time is what Snakemake measured in a finished run.
"""

import argparse
import csv
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.command_line import write_json

ROOT = Path(__file__).resolve().parent.parent
QUESTIONS, CAPTIONS, IMAGES = 200_000, 25_000, 5_000
ANSWERS = ("yes", "no", "2", "a red kite", "the dog's ball", "on the left", "blue and white", "isn't there", "wood")


def write_vqa(folder: Path) -> list[str]:
    """Write questions, annotations and predictions of VQA v2 in its own formats; the scorer's options for them."""
    generator = random.Random(0)
    questions, annotations, predictions = [], [], []
    for number in range(QUESTIONS):
        ids = {"question_id": number, "image_id": number // 2}
        answers = generator.choices(ANSWERS[:3] if number % 3 else ANSWERS, k=10)
        rows = [{"answer": answer, "answer_id": place + 1} for place, answer in enumerate(answers)]
        kinds = {"question_type": f"kind {number % 60}", "answer_type": ("yes/no", "number", "other")[number % 3]}
        questions.append({**ids, "question": "what is that?"})
        annotations.append({**ids, **kinds, "multiple_choice_answer": answers[0], "answers": rows})
        predictions.append({"question_id": number, "answer": generator.choice(ANSWERS)})
    files = {"questions": {"questions": questions}, "annotations": {"annotations": annotations}}
    return _written(folder, {**files, "predictions": predictions})


def write_retrieval(folder: Path) -> list[str]:
    """Write similarities in single precision and COCO's captions, five an image; the scorer's options for them."""
    similarity = np.random.default_rng(0).standard_normal((CAPTIONS, IMAGES), dtype=np.float32)
    own = np.arange(CAPTIONS) % IMAGES
    similarity[np.arange(CAPTIONS), own] += 2.5
    np.save(folder / "similarity.npy", similarity)
    annotations = [{"id": row, "image_id": int(image), "caption": "a kite"} for row, image in enumerate(own)]
    captions = {"images": [{"id": image} for image in range(IMAGES)], "annotations": annotations}
    return ["--similarity", str(folder / "similarity.npy"), *_written(folder, {"captions": captions})]


def _written(folder: Path, contents: dict[str, Any]) -> list[str]:
    options = []
    for name, content in contents.items():
        write_json(folder / f"{name}.json", content)
        options += [f"--{name}", str(folder / f"{name}.json")]
    return options


def measure(command: Sequence[str]) -> dict[str, float]:
    """Seconds, processor seconds and GB of memory of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise RuntimeError(f"{' '.join(command)} failed")
    return {"seconds": seconds, "cpu_seconds": usage.ru_utime + usage.ru_stime, "memory_gb": usage.ru_maxrss / 2**20}


def measure_scorer(name: str, options: Sequence[str], folder: Path, repeats: int) -> dict[str, float]:
    """The medians of several runs of a scorer."""
    command = [
        sys.executable,
        "-m",
        f"workflow_scripts.evaluation.{name}",
        *options,
        "--output",
        str(folder / "s.json"),
    ]
    runs = [measure(command) for _ in range(repeats)]
    return {key: round(statistics.median(run[key] for run in runs), 3) for key in runs[0]}


def read_page(results: Path) -> dict[str, float]:
    """What Snakemake measured of the report's page in a finished run of a scale."""
    path = results / "benchmarks" / "render_page.tsv"
    if not path.exists():
        raise SystemExit(f"error: {path} does not exist; finish that scale first, or leave --page out.")
    with open(path, encoding="utf-8", newline="") as stream:
        row = next(csv.DictReader(stream, delimiter="\t"))
    size = (results / "report" / "index.html").stat().st_size
    return {"seconds": float(row["s"]), "cpu_seconds": float(row["cpu_time"]), "megabytes": round(size / 1e6, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--page", type=Path, help="results of a finished scale, for the time of its page")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    result: dict[str, Any] = {"benchmark": "scoring_speed", "repeats": arguments.repeats}
    result |= {"cores": os.cpu_count(), "load_average": round(os.getloadavg()[0], 1)}
    result |= {"questions": QUESTIONS, "captions": CAPTIONS, "images": IMAGES, "scorers": {}}
    for name, write in {"score_vqa": write_vqa, "score_retrieval": write_retrieval}.items():
        with tempfile.TemporaryDirectory() as folder:
            # In a process of its own: a child's highest memory counts what its parent held when it was started.
            with ProcessPoolExecutor(1, get_context("spawn")) as writer:
                options = writer.submit(write, Path(folder)).result()
            result["scorers"][name] = measure_scorer(name, options, Path(folder), arguments.repeats)
    if arguments.page:
        result["page"] = {"scale": arguments.page.resolve().name, **read_page(arguments.page)}
    write_json(arguments.output, result)


if __name__ == "__main__":
    main()
