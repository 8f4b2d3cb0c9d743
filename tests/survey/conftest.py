import pytest
from PIL import Image

from workflow_scripts.survey.build_survey import build_survey

COLOURS = ("red", "green", "blue", "black", "white", "orange", "purple", "yellow", "grey")


@pytest.fixture
def survey():
    tasks = ["question"] * 3 + ["relation"] * 3 + ["description"] * 3
    rows = [
        {
            "question_id": f"Q{n}",
            "image": f"set/{n}",
            "task": task,
            "query": f"what is <{n}>?",
            "prediction": f"answer {n}",
        }
        for n, task in enumerate(tasks, start=1)
    ]
    pictures = {f"set/{n}": Image.new("RGB", (60, 40), colour) for n, colour in enumerate(COLOURS, start=1)}
    return build_survey(rows, pictures, {"run_id": "abc"})
