"""Settings of the survey: whose answers people rate."""

from pydantic import Field

from workflow_scripts.config.base import Section


class SurveySettings(Section):
    """Questions and answers that people rate."""

    benchmark: str = Field(description="Benchmark that the questions are drawn from.")
    stage: str = Field("finetune", description="Stage whose adaptor answers.")
    max_new_tokens: int = Field(96, ge=1, le=2048, description="Longest answer, in tokens; descriptions are long.")
