"""Rows of tasks and of benchmarks: how a question is worded, answered and scored, and what its figures are called."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from workflow_scripts.config.base import Section

CAPTION = "caption"
"""The task that others are made from."""


class Tokens(Section):
    """Tokens of a sample of a task, which a plan counts with."""

    query: float = Field(ge=0)
    answer: float = Field(ge=0)
    longest: int = Field(ge=1)
    source: str


class Task(Section):
    """What a sample or a question asks for."""

    title: str
    templates: list[str] = Field([], description="Wordings of the query; none takes the record's own query.")
    of_captions: list[str] = Field([], description="Wordings of a task that is made from captions.")
    statements: bool = Field(False, description="Asks of captions whether they are true: yes and no in equal number.")
    answer: Literal["caption", "answer", "text", "box"] = Field("text", description="How an answer is cleaned.")
    kind: str | None = Field(None, description="by_question, by_answer or a word; null for the name of the task.")
    one_question: bool = Field(False, description="Same words about an image are one question with several answers.")
    tokens: Tokens | None = None


class Asked(Section):
    """After which trainings a benchmark is asked, and under what name."""

    variant: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="Name of the evaluation.")
    after: list[str] | None = Field(None, min_length=1, description="Stages; null for all.")
    trained: bool | None = Field(
        None, description="Only where the training had learned from the data set, or had not; null for both."
    )
    controls: list[Literal["shuffled_images", "question_only"]] = Field([], description="Asked beside it.")


class Count(Section):
    """How many questions a plan counts with."""

    count: int = Field(ge=1)
    source: str


def _shares(parts: Any) -> Any:
    """A list of one part is all of it."""
    return {part: 1.0 for part in parts} if isinstance(parts, list) and len(parts) == 1 else parts


Shares = Annotated[dict[str, Annotated[float, Field(gt=0, le=1)]], BeforeValidator(_shares)]
"""Parts, `data set/task`, and the share of each; a list of one part is all of it."""


def check_shares(shares: dict[str, float]) -> None:
    """Raise ValueError where shares do not add up to 1 or a part is not `data set/task`."""
    for part in shares:
        split_part(part)
    if not shares or min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > 1e-9:
        raise ValueError(f"the shares of parts must be above 0 and add up to 1, got {shares}")


def split_part(part: str) -> tuple[str, str]:
    """Return data set and task of a part, `data set/task`."""
    data_set, slash, task = part.partition("/")
    if not slash or not data_set or not task:
        raise ValueError(f"{part!r} is no part: write data set/task, as in okvqa/okvqa")
    return data_set, task


_FIGURE = {"exact_match": "exact_match.{variant}", "vqa": "accuracy.{variant}", "wups": "exact_match.{variant}"}


class Benchmark(Section):
    """What the system is asked and how the answers are scored."""

    title: str
    parts: Shares = Field(description="What is asked, with the share of each part.")
    scorer: str = Field(description="Module evaluation/score_<scorer>.py.")
    scorer_options: list[str] = Field([], description="More options of the scorer's command.")
    clean: Literal["paper", "lavis"] = Field(
        "paper",
        description="Captions that are asked with: as the paper filters those of training, or as LAVIS evaluates.",
    )
    captions: Literal["first", "all"] = Field("first", description="Retrieval: captions of an image that search.")
    reranked: bool = Field(True, description="Retrieval: whether the best images are ranked again, where a scale does.")
    asked: list[Asked] | None = Field(None, min_length=1, description="Null asks after every stage.")
    question_only_tasks: list[str] = Field([], description="Tasks whose answers are guessed from; none for all.")
    figures: str = Field("", description="What the ids of the figures start with; the row's name by default.")
    figure: str | None = Field(None, description="The rest of the id; null for the usual one of the scorer.")
    examples: dict[str, str] = Field({}, description="Variants of which the report shows examples; words for each.")
    questions: Count | None = Field(None, description="How many a plan counts with.")

    @model_validator(mode="after")
    def _has_shares(self) -> Self:
        check_shares(self.parts)
        return self

    @property
    def is_retrieval(self) -> bool:
        """Whether captions search images, in place of questions that are answered."""
        return self.scorer == "retrieval"

    def figure_id(self, variant: str) -> str:
        """Return what the id of a variant's figure starts with, or is."""
        pattern = _FIGURE.get(self.scorer, "{variant}") if self.figure is None else self.figure
        return ".".join(filter(None, [self.figures, pattern.format(variant=variant)]))

    @property
    def names_variants(self) -> bool:
        """Whether the id of a figure tells the variant."""
        return self.figure is None or "{variant}" in self.figure

    @property
    def data_sets(self) -> list[str]:
        """The data sets of its parts."""
        return list(dict.fromkeys(split_part(part)[0] for part in self.parts))

    @property
    def asked_stages(self) -> list[str] | None:
        """The stages that it is asked after; None where these may be any."""
        if self.is_retrieval or self.asked is None or any(asked.after is None for asked in self.asked):
            return None
        return list(dict.fromkeys(stage for asked in self.asked for stage in asked.after or []))
