"""Settings of BLIP-2's second look at the best pictures of a search."""

from pydantic import Field

from workflow_scripts.config.base import Section


class RerankingSettings(Section):
    """How many of the most similar pictures of a caption, and captions of a picture, the matching head looks at."""

    top: int = Field(128, ge=1, le=10_000, description="The best so many by ITC; LAVIS takes 128 on COCO.")
    pairs_at_once: int = Field(
        256, ge=1, description="Pairs in one forward pass.", json_schema_extra={"identity": False}
    )
