"""Put the survey's questions, pictures and the system's answers into one file, survey.json."""

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflow_scripts.command_line import read_json, run_command, write_json
from workflow_scripts.evaluation.pictures import read_pictures
from workflow_scripts.evaluation.predictions import read_predictions
from workflow_scripts.given_files import read_given_json
from workflow_scripts.identity import run_id
from workflow_scripts.search.render import data_url

if TYPE_CHECKING:
    from PIL.Image import Image

PICTURE_SIZE = 480


def build_survey(
    rows: Sequence[Mapping[str, Any]], pictures: Mapping[str, "Image"], run: Mapping[str, Any]
) -> dict[str, Any]:
    """The survey's questions in the order of their numbers, and an id of all that a respondent sees."""
    questions = []
    for number, row in enumerate(sorted(rows, key=lambda row: row["question_id"]), start=1):
        jpeg = _jpeg(pictures[row["image"]])
        shown = {"number": number, "task": row["task"], "query": row["query"], "answer": row["prediction"]}
        questions.append({**shown, "image": row["image"], "sha256": hashlib.sha256(jpeg).hexdigest()})
        questions[-1]["picture"] = data_url(jpeg)
    seen = [{key: value for key, value in question.items() if key != "picture"} for question in questions]
    return {"id": run_id({"survey": seen}), "run_id": run["run_id"], "questions": questions}


def read_survey(path: Path) -> dict[str, Any]:
    """Read survey.json; ValueError where it is none."""
    survey = read_given_json(path)
    if not isinstance(survey, dict) or not survey.get("questions") or "id" not in survey:
        raise ValueError(f"{path} is not a survey; make it with `make survey`.")
    return survey


def _jpeg(picture: "Image") -> bytes:
    from PIL import Image

    scale = PICTURE_SIZE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    stream = BytesIO()
    picture.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(stream, "JPEG", quality=88)
    return stream.getvalue()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=Path, required=True, help="predictions.jsonl of the survey's questions")
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="image sets with their pictures")
    parser.add_argument("--run", type=Path, required=True, help="run.json of the training that answered")
    parser.add_argument("--output", type=Path, required=True, help="survey.json to write")
    arguments = parser.parse_args(argv)
    rows = read_predictions(arguments.predictions)
    pictures = dict(read_pictures({row["image"] for row in rows}, arguments.images))
    survey = build_survey(rows, pictures, read_json(arguments.run))
    write_json(arguments.output, survey)
    print(f"survey {survey['id']} with {len(survey['questions'])} questions in {arguments.output}")


if __name__ == "__main__":
    run_command(main)
