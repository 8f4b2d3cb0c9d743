"""Access to models whose owners ask for a token and for their licence to be accepted."""

import os

from workflow_scripts.catalogue.sources import Source
from workflow_scripts.sources.transfer import Access

TOKEN_VARIABLE = "HF_TOKEN"


def access_to(source: Source) -> Access | None:
    """Return what a source's files are asked for with; None where nothing is needed.

    A mirror of one's own (MIRROR_URL) asks for no token, and is given none.

    Raises:
        ValueError: the source is gated and the environment has no token.
    """
    if source.gated is None or os.environ.get("MIRROR_URL"):
        return None
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise ValueError(
            f"{source.title} is given to those who accept its licence at {source.gated}: do so, make a token with read "
            f"access at https://huggingface.co/settings/tokens, and export it as {TOKEN_VARIABLE}."
        )
    return Access(token, source.gated)
