"""What the demo runs on: the newest finished training, the others that fit beside it, and their search index."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.command_line import read_json
from workflow_scripts.search.index import Index

QUESTIONS = ("what is in the picture?", "what is in the background?")


@dataclass(frozen=True)
class Run:
    """One finished training."""

    folder: Path
    record: dict[str, Any]

    @property
    def label(self) -> str:
        """Name, stage and id, as the page says them."""
        return " · ".join((self.record["name"], self.record["stage"].replace("_", " "), self.record["run_id"]))

    @property
    def adaptor(self) -> Path:
        """The file of the trained adaptor."""
        return self.folder / "adaptor.safetensors"

    @property
    def made_from(self) -> tuple[Any, tuple[str, ...]]:
        """Its language model and the checksums of its feature extractors; runs that share both can be exchanged."""
        extractors = {store["extractor"] for store in self.record["features"]}
        return self.record["language_model"], tuple(sorted(extractors))


@dataclass(frozen=True)
class Experiment:
    """A training with everything that answers and search need."""

    scale: Path
    run: Run
    others: tuple[Run, ...]
    language_model: Path
    index: Index


def find_experiment(results: Path, run_folder: Path | None = None, index_folder: Path | None = None) -> Experiment:
    """The newest finished training under `results` (all scales or the folder of one), or the one that is named.

    A finetuning of the pretrained adaptor comes before those that follow it, and pretraining last, since its answers
    are captions. Raises ValueError that says what is missing and how to make it.
    """
    runs = [read_run(run_folder)] if run_folder else _by_preference(_finished(results))
    if not runs:
        raise ValueError(f"There is no finished training under {results}; run `make reproduce` first.")
    run = runs[0]
    scale = _scale_of(run.folder)
    id = run.record["identity"]["from"]["language_model"]
    language_model = next((path for path in (scale / "models").glob(f"*-{id}") if path.is_dir()), None)
    if language_model is None:
        raise ValueError(f"{run.folder} was trained with the language model {id}, which is not in {scale / 'models'}.")
    others = [other for other in _by_preference(_finished(scale)) if not other.folder.samefile(run.folder)]
    index = Index(index_folder or _newest_index(scale))
    extractors = run.made_from[1]
    if extractors != (index.manifest["extractor_sha256"],):
        raise ValueError(
            f"{index.folder} was built with another feature extractor ({index.manifest['extractor_sha256'][:12]}) than "
            f"{run.folder} was trained with ({', '.join(name[:12] for name in extractors)}); build the index again."
        )
    fitting = tuple(other for other in others if other.made_from == run.made_from)
    return Experiment(scale, run, fitting, language_model, index)


def _scale_of(run_folder: Path) -> Path:
    """The scale of a training: by the way its folder was reached or, where that was a link to it, as it really is."""
    ways = [Path(os.path.abspath(run_folder)), Path(os.path.realpath(run_folder))]
    scales = [way.parent.parent for way in ways]
    return next((scale for scale in scales if (scale / "models").is_dir()), scales[0])


def read_run(folder: Path) -> Run:
    """The finished training in a folder."""
    folder = Path(os.path.abspath(folder))
    run = Run(folder, read_json(folder / "run.json"))
    if not run.adaptor.is_file():
        raise ValueError(f"{folder} has no adaptor.safetensors; its training did not finish.")
    return run


def example_queries(scale: Path) -> list[str]:
    """The queries that the report of a scale shows."""
    sheet = scale / "report" / "sheet.json"
    if not sheet.exists():
        return []
    return [entry["query"] for entry in read_json(sheet)["queries"] if entry["image"] is None][:4]


def example_questions(scale: Path) -> list[str]:
    """The most frequent question of each of the most frequent kinds that a scale is evaluated on."""
    import pyarrow.parquet

    tables = sorted(scale.glob("questions/*/questions.parquet"), key=lambda path: path.stat().st_mtime)
    for path in reversed(tables):
        rows = pyarrow.parquet.read_table(path, columns=["query", "kind", "task"]).to_pylist()
        asked = Counter((row["kind"], row["query"]) for row in rows if row["task"] == "vqa")
        frequent: dict[str, str] = {}
        for (kind, query), _ in asked.most_common():
            frequent.setdefault(kind, query)
        if frequent:
            return list(frequent.values())[:4]
    return list(QUESTIONS)


def _finished(results: Path) -> Iterator[Run]:
    for record in (*results.glob("*/*/run.json"), *results.glob("*/*/*/run.json")):
        if (record.parent / "adaptor.safetensors").is_file():
            yield read_run(record.parent)


def _by_preference(runs: Iterable[Run]) -> list[Run]:
    """Runs in the order in which they are taken: finetunings of a pretrained adaptor, what followed them, all others.

    An adaptor that started from none answers with captions.
    """
    found = list(runs)
    before = {run.record["run_id"]: run.record["identity"]["from"].get("initial_adaptor") for run in found}

    def place(run: Run) -> tuple[int, int]:
        parent = before[run.record["run_id"]]
        rank = 2 if parent is None else 1 if before.get(parent) is not None else 0
        return rank, -(run.folder / "run.json").stat().st_mtime_ns

    return sorted(found, key=place)


def _newest_index(scale: Path) -> Path:
    found = sorted(scale.glob("search/*/index.json"), key=lambda path: path.stat().st_mtime_ns)
    if not found:
        raise ValueError(
            f"There is no search index under {scale / 'search'}; run `make reproduce`, or build one with "
            "`python -m workflow_scripts.search.build` and name it with --index."
        )
    return found[-1].parent
