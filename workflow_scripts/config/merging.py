"""Layers of settings put together: a scale's values, what a user changes, and what an experiment changes."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from workflow_scripts.config.scale import Scale

# Sections of a scale whose rows may be named without their section: `finetune` is `stages.finetune`.
NAMED = ("stages", "samples", "benchmarks")

# Keys of earlier versions, and what stands in their place.
_OLD = {
    "roles": "samples (what is learned from), benchmarks (what is asked) and search (what is searched)",
    "pretrain_with": "samples of the stage, as in pretrain: {samples: [pairs, ...]}",
    "predict_captions": "predict of a benchmark",
    "exclude": "exclude of samples, as in pairs: {exclude: [...]}",
    "mix": "samples: parts with shares, and count in place of samples",
    "captions": "benchmarks",
    "is_true": "benchmarks",
}


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `changes`, mappings merged key by key, everything else replaced.

    Shares of parts (`data set/task`) are replaced as a whole: those that add up to 1 would not with others beside them.
    """
    merged = dict(base)
    for key, value in changes.items():
        if (
            isinstance(value, Mapping)
            and isinstance(merged.get(key), Mapping)
            and not any("/" in str(name) for name in value)
        ):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def with_nulls(value: Any) -> Any:
    """A configuration in which the word null is no value: Snakemake's --config reads all of it as text."""
    if isinstance(value, Mapping):
        return {key: with_nulls(one) for key, one in value.items()}
    if isinstance(value, list):
        return [with_nulls(one) for one in value]
    return None if value == "null" else value


def placed_in_sections(
    changes: Mapping[str, Any], values: Mapping[str, Any], elsewhere: Iterable[str], prefix: str
) -> dict[str, Any]:
    """Changes with stages, samples and benchmarks in their sections, without stages that the scale leaves out."""
    placed: dict[str, Any] = {}
    for key, value in changes.items():
        if key in Scale.model_fields:
            placed = merge(placed, {key: value})
            continue
        sections = [section for section in NAMED if key in (values.get(section) or {})]
        if len(sections) > 1:
            raise ValueError(f"{prefix}{key}: write {' or '.join(f'{section}.{key}' for section in sections)}.")
        if sections:
            placed = merge(placed, {sections[0]: {key: value}})
        elif key not in elsewhere:
            raise ValueError(_unknown_key(key, value, values, prefix))
    return placed


def _unknown_key(key: str, value: Any, values: Mapping[str, Any], prefix: str) -> str:
    if instead := _OLD.get(key, _OLD["mix"] if key.startswith("mix_") else None):
        return f"{prefix}{key} = {value!r}: there is no such setting any more; in its place there is {instead}."
    names = [*Scale.model_fields, *(name for section in NAMED for name in values.get(section) or {})]
    close = difflib.get_close_matches(key, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"allowed here: {', '.join(Scale.model_fields)}."
    return f"{prefix}{key} = {value!r}: there is no such setting; {hint}"
