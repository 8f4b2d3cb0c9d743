"""The state of the page in its address, so that a link shows a reader what its sender saw."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

from workflow_scripts.config.demo import AnswerSettings, DemoSettings

NOBODY = "nobody"


@dataclass(frozen=True)
class Linked:
    """What a link holds: what is looked for, the picture's id in the index, the last question, and who answers how."""

    q: str = ""
    picture: str = ""
    question: str = ""
    answers: str = ""
    beside: str = NOBODY
    beams: int = AnswerSettings().num_beams
    temperature: float = AnswerSettings().temperature
    longest: int = AnswerSettings().max_new_tokens


def read_address(parameters: Mapping[str, str], adaptors: Sequence[str], settings: DemoSettings) -> Linked:
    """What an address holds; a value that could not be chosen on the page is passed over."""
    usual = Linked(answers=adaptors[0])
    found: dict[str, object] = {}
    for field in fields(Linked):
        text = parameters.get(field.name)
        if text is None or len(text) > settings.max_characters:
            continue
        try:
            found[field.name] = type(getattr(usual, field.name))(text)
        except ValueError:
            continue
    allowed = {"answers": adaptors, "beside": (NOBODY, *adaptors)}
    for name, choices in allowed.items():
        if found.get(name) not in choices:
            found.pop(name, None)
    limits = {"beams": "num_beams", "temperature": "temperature", "longest": "max_new_tokens"}
    for name, setting in limits.items():
        try:
            AnswerSettings(**{setting: found.get(name, getattr(usual, name))})
        except ValueError:
            del found[name]
    return Linked(**(asdict(usual) | found))


def keep_in_address(adaptors: Sequence[str], settings: DemoSettings) -> str:
    """JavaScript that puts the values of `Linked`, in its order, into the address; usual ones are left out."""
    usual = asdict(Linked(answers=adaptors[0]))
    return f"""(...values) => {{
  const usual = {json.dumps(usual)}, address = new URL(location.href);
  Object.keys(usual).forEach((name, place) => {{
    const value = String(values[place] ?? "").trim();
    const kept = value && value != String(usual[name]) && value.length <= {settings.max_characters};
    kept ? address.searchParams.set(name, value) : address.searchParams.delete(name);
  }});
  history.replaceState(null, "", address);
}}"""
