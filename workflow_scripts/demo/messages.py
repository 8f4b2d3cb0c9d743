"""How texts get onto the page: escaped, and errors as a sentence."""

import html
import logging
from typing import Any

Messages = list[dict[str, Any]]

_FAILED = "Something went wrong here; the terminal that runs the demo says what. Please try again."


def note(text: str, problem: bool = False) -> str:
    """One line for the reader; nothing in it is taken as HTML."""
    return f'<span role="status"{" class=problem" if problem else ""}>{html.escape(text)}</span>'


def message(role: str, text: str, by: str = "") -> dict[str, Any]:
    """One turn of the conversation, where several answer with who says it.

    The chat takes its content for HTML, so that it is escaped.
    """
    who = f'<span class="by">{html.escape(by)}</span>' if by else ""
    return {"role": role, "content": who + html.escape(text, quote=False)}


def sentence(error: Exception) -> str:
    """What a visitor is told about an error: the sentence of one that we raised, a general one otherwise."""
    if isinstance(error, ValueError):
        return str(error)
    logging.getLogger(__name__).error("a request failed", exc_info=error)
    return _FAILED
