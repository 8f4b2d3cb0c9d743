"""Settings validated by a model, with a sentence for what is wrong: the key, the value, what is allowed."""

import difflib
from typing import Any, TypeVar

from pydantic import ValidationError

from workflow_scripts.config.base import Section

Model = TypeVar("Model", bound=Section)


def validated(model: type[Model], values: Any, prefix: str) -> Model:
    """Return values as a model; a wrong one is a ValueError whose key begins with `prefix`."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ValueError(_sentence(error, model, prefix)) from None


def _sentence(error: ValidationError, model: type[Section], prefix: str) -> str:
    first = error.errors(include_url=False)[0]
    key = prefix + ".".join(str(part) for part in first["loc"])
    others = f" ({error.error_count() - 1} more values are wrong.)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        allowed = _fields_at(model, first["loc"][:-1])
        close = difflib.get_close_matches(str(first["loc"][-1]), allowed, n=1)
        hint = f"did you mean {close[0]}?" if close else f"allowed here: {', '.join(allowed)}."
        return f"{key} = {first['input']!r}: there is no such setting; {hint}{others}"
    if first["type"] == "missing":
        return f"{key} is missing; the scale file must set it.{others}"
    reason = first["msg"][0].lower() + first["msg"][1:]
    return f"{key} = {first['input']!r}: {reason}.{others}"


def _fields_at(model: type[Section], location: tuple[int | str, ...]) -> list[str]:
    """The names of the settings at a place in the configuration."""
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None:
            continue
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
        found = [kind for kind in candidates if isinstance(kind, type) and issubclass(kind, Section)]
        model = found[0] if found else model
    return list(model.model_fields)
