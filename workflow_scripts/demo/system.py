"""The demo's search and conversation behind one object, without any page."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from workflow_scripts.config.demo import DemoSettings
from workflow_scripts.demo.conversation import Conversation, Look
from workflow_scripts.demo.find_experiment import Experiment
from workflow_scripts.features.attention_map import attention_map
from workflow_scripts.models.feature_extractor import FeatureExtractor
from workflow_scripts.search.index import Hit
from workflow_scripts.search.originals import Originals
from workflow_scripts.search.pictures import open_thumbnail
from workflow_scripts.search.queries import of_picture, of_text
from workflow_scripts.search.query import load_extractor_of, text_encoder_of


@dataclass(frozen=True)
class Seen:
    """A picture that is talked about: its name, how it is shown, the look that answers are about, its projection
    [Q, P], and its id where it is one of the index."""

    name: str
    shown: Image.Image
    look: Look
    projection: np.ndarray
    id: str = ""


class System:
    """Search over the index of an experiment and answers by its training.

    Args:
        images, feature_extractor: where these are now, if what the index says is not so any more.
    """

    def __init__(
        self,
        experiment: Experiment,
        settings: DemoSettings,
        images: Sequence[Path] | None = None,
        feature_extractor: Path | None = None,
    ) -> None:
        self.experiment = experiment
        self.index = experiment.index
        self.settings = settings
        self._extractor: FeatureExtractor = load_extractor_of(self.index, feature_extractor)
        self._texts = text_encoder_of(self.index)
        self._originals = Originals(self.index, settings.max_upload_pixels, images)
        runs = (experiment.run, *experiment.others)
        adaptors = {run.label: run.adaptor for run in runs}
        self.conversation = Conversation(self._extractor, experiment.language_model, adaptors)

    def search(self, query: str) -> list[Hit]:
        """The best pictures for a query, best first."""
        return self.index.search_for(of_text(self._texts.embed_texts([query])[0]), self.settings.top)

    def thumbnail(self, row: int) -> Image.Image:
        """The thumbnail of one row of the index."""
        return open_thumbnail(self.index.thumbnail(row), self.index.manifest["thumbnail_size"])

    def similar(self, seen: Seen) -> list[Hit]:
        """The pictures that are most like one, most like first."""
        return self.index.search_for(of_picture(seen.projection), self.settings.top)

    def why(self, seen: Seen, query: str) -> tuple[Image.Image, float]:
        """A picture with its light where the Q-Former looks for a query, and its score."""
        found = attention_map(self._extractor, seen.shown, query)
        return found.over(seen.shown), found.score

    def row_of(self, picture: str) -> int:
        """The row of a picture of the index; ValueError for an id that it does not have."""
        if picture not in self._rows:
            raise ValueError("There is no picture with this id; search, and take the id of one that is found.")
        return self._rows[picture]

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {item["id"]: row for row, item in enumerate(self.index.items)}

    def see_row(self, row: int) -> Seen:
        """Look at one picture of the index."""
        item = self.index.items[row]
        return self.see(self._originals.open(row), item["id"], item["id"])

    def see(self, picture: Image.Image, name: str, picture_id: str = "") -> Seen:
        """Look at any picture."""
        look, projection = self.conversation.look_at(picture)
        shown = picture.copy()
        shown.thumbnail((self.settings.shown_size, self.settings.shown_size))
        return Seen(name, shown, look, projection, picture_id)
