"""Settings of a stage: what it learns from, which stage it starts from, and how it trains."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from workflow_scripts.config.training import TrainingSettings

# A parent of the training says it: the identity of a run has the ids of its parents.
_OF_PARENTS = {"identity": False}


def _names(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class StageSettings(TrainingSettings):
    """A training of the adaptor, and its place in the order of trainings."""

    samples: Annotated[list[str], BeforeValidator(_names)] = Field(
        min_length=1,
        description="Samples of the scale that it learns from; several are put together.",
        json_schema_extra=_OF_PARENTS,
    )
    after: str | None = Field(
        None,
        description="Stage whose adaptor it starts from; null starts anew. An experiment without that stage takes the "
        "one before it.",
        json_schema_extra=_OF_PARENTS,
    )

    @property
    def training(self) -> TrainingSettings:
        """The part that a training is told."""
        return TrainingSettings.model_construct(**{name: getattr(self, name) for name in TrainingSettings.model_fields})
