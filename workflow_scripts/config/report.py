"""Settings of the report of one scale."""

from pydantic import Field

from workflow_scripts.config.base import Section


class ReportSettings(Section):
    """What the report of a scale says about itself and shows."""

    scale: str = Field(description="Name of the scale, as the page prints it.")
    figures_are_meaningful: bool = Field(
        True, description="False where the chain is cut down so far that only its running is shown, not its results."
    )
    about: str = Field("", description="A sentence or two on the data and models of the scale, printed on top.")
    reranked: int | None = Field(
        None,
        ge=1,
        description="The best so many pictures of a caption that BLIP-2's matching head ranks again, if any.",
    )
    caption_beams: int = Field(1, ge=1, description="Beams of the search for a picture's caption; 1 is greedy.")
