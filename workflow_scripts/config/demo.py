"""Settings of the demo: what a visitor may set, and what is too much."""

from pydantic import Field

from workflow_scripts.config.base import Section


class AnswerSettings(Section):
    """How one question is answered."""

    max_new_tokens: int = Field(32, ge=1, le=128, description="Longest answer, in tokens.")
    num_beams: int = Field(1, ge=1, le=8, description="Beams of the search; 1 is greedy.")
    temperature: float = Field(0.0, ge=0.0, le=2.0, description="Sampling temperature; 0 does not sample.")


class DemoSettings(Section):
    """Limits of the demo."""

    top: int = Field(15, ge=1, le=200, description="Pictures that a search shows.")
    max_characters: int = Field(500, ge=1, description="Longest query or question.")
    max_upload_megabytes: int = Field(20, ge=1, description="Largest file that is taken.")
    max_upload_pixels: int = Field(40_000_000, ge=1, description="A larger picture is refused, not decoded.")
    shown_size: int = Field(768, ge=64, description="Longest side of the picture that is talked about, in pixels.")
    max_waiting: int = Field(100, ge=1, description="Requests that may wait; further ones are told so.")
    max_sessions: int = Field(500, ge=1, description="Visitors whose conversation is kept.")
