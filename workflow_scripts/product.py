"""A product of the workflow: what defines it, what it is made from, and so the folder it lies in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from workflow_scripts.config.base import Section
from workflow_scripts.identity import run_id

Parents = Mapping[str, "Product | tuple[Product, ...]"]

# The file that says that a product is there, and that what is made from it takes as input.
_MARKERS = {
    "world": "published.json",
    "annotations": "manifest.json",
    "urls": "urls.parquet",
    "images": "manifest.json",
    "tokens": "manifest.json",
    "features": "manifest.json",
    "models": "SHA256SUMS",
    "corpora": "manifest.json",
    "exclusions": "exclusions.json",
    "data": "samples.parquet",
    "questions": "questions.parquet",
    "search": "index.json",
}


@dataclass(frozen=True)
class Product:
    """Something that one rule makes: `definition` says all that determines it, `name` is for people.

    `parents` are what it is made from, by role, and part of its identity. `beside` is read as well, but decides nothing
    about the product: an archive with images that are to be had elsewhere too.
    """

    rule: str
    area: str
    name: str
    definition: Mapping[str, Any]
    parents: Parents = field(default_factory=dict)
    settings: Section | None = None
    beside: Parents = field(default_factory=dict)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that defines the product: what it is, its settings, and the ids of what it is made from."""
        settings = self.settings.defining() if self.settings is not None else None
        return {"what": self.definition, "settings": settings, "from": {r: _ids(p) for r, p in self.parents.items()}}

    @cached_property
    def id(self) -> str:
        return run_id(self.identity)

    @property
    def key(self) -> str:
        """The name of the product's folder in its area."""
        return f"{self.name}-{self.id}"

    @property
    def path(self) -> str:
        """The product's folder, relative to the folder of the scale."""
        return f"{self.area}/{self.key}"

    @property
    def marker(self) -> str:
        """The file in its folder that says that it is there."""
        if self.rule == "train_adaptor":
            return "adaptor.safetensors"
        if self.area.startswith("evaluation/"):
            return "similarity.npy" if self.rule in ("rank_images", "rerank_images") else "predictions.jsonl"
        return _MARKERS[self.area]

    @property
    def inputs(self) -> Parents:
        """All that it is made from, by role."""
        return {**self.parents, **self.beside}


def _ids(given: "Product | tuple[Product, ...]") -> str | list[str]:
    return [parent.id for parent in given] if isinstance(given, tuple) else given.id
