"""Settings of the evaluation: how answers are generated."""

from pydantic import Field

from workflow_scripts.config.base import Section


class PredictSettings(Section):
    """How the system answers the questions of a benchmark."""

    batch_size: int = Field(64, ge=1, le=4096, description="Questions that are answered together.")
    max_new_tokens: int = Field(32, ge=1, le=2048, description="Longest answer, in tokens.")
    num_beams: int = Field(1, ge=1, le=64, description="Beams of the search; 1 is greedy.")
    temperature: float = Field(0.0, ge=0.0, le=10.0, description="Sampling temperature; 0 does not sample.")
    threads: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="CPU threads; empty leaves it to the environment.",
        json_schema_extra={"identity": False},
    )
