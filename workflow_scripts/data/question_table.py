"""Questions about one image set, as rows of the table that evaluations read, and what was left out."""

import random
from collections import Counter
from typing import Any

from workflow_scripts.config.data import BenchmarkSettings
from workflow_scripts.data.shards import ImageSet
from workflow_scripts.data.splits import Splits
from workflow_scripts.data.tables import natural_key

Row = dict[str, Any]


class QuestionTable:
    """Collects the questions about one image set and what was left out."""

    def __init__(self, image_set: ImageSet, settings: BenchmarkSettings, split: str, splits: Splits) -> None:
        self.image_set = image_set
        self.settings = settings
        self.split = split
        self.splits = splits
        self.removed: Counter[str] = Counter()
        self.rng = random.Random(f"{settings.seed} benchmark {image_set.name} {split}")

    def row(self, question_id: str, image_id: str, query: str, answer: str, task: str, **more: Any) -> Row | None:
        """Return a question as a row of the table; None, and counted, without picture or words."""
        image = self.image_set.images.get(image_id)
        if image is None:
            self.removed["picture could not be fetched"] += 1
            return None
        if not answer:
            self.removed["answer is empty"] += 1
            return None
        row = {"question_id": question_id, "image": self.image_set.key(image_id), "query": query, "answer": answer}
        size = {"image_width": image["original_width"], "image_height": image["original_height"]}
        return {**row, "answers": [answer], "task": task, **size, "box": None, "kind": task, "group": None, **more}

    def sample(self, rows: list[Row], count: int | None) -> list[Row]:
        """Draw `count` rows (all for None), in the order of their ids; too few are a ValueError."""
        if count is not None and count > len(rows):
            raise ValueError(
                f"The benchmark wants {count} questions about {self.image_set.name} ({self.split}), but there are "
                f"{len(rows)}; lower its number of questions, or leave it out to take all."
            )
        chosen = rows if count is None else self.rng.sample(rows, count)
        return sorted(chosen, key=lambda row: natural_key(row["question_id"]))
