"""The demo's search and conversation behind one object, without any page."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from workflow_scripts.config.demo import DemoSettings
from workflow_scripts.demo.conversation import Conversation
from workflow_scripts.demo.find_experiment import Experiment
from workflow_scripts.models.feature_extractor import FeatureExtractor
from workflow_scripts.search.index import Hit
from workflow_scripts.search.originals import Originals
from workflow_scripts.search.queries import of_text
from workflow_scripts.search.query import load_extractor_of, text_encoder_of


@dataclass(frozen=True)
class Seen:
    """A picture that is talked about: its name, how it is shown, and its query output [1, Q, D]."""

    name: str
    shown: Image.Image
    query_output: np.ndarray


class System:
    """Search over the index of an experiment and answers by its training."""

    def __init__(self, experiment: Experiment, settings: DemoSettings) -> None:
        self.experiment = experiment
        self.index = experiment.index
        self.settings = settings
        self._extractor: FeatureExtractor = load_extractor_of(self.index)
        self._texts = text_encoder_of(self.index)
        self._originals = Originals(self.index, settings.max_upload_pixels)
        runs = (experiment.run, *experiment.others)
        adaptors = {run.label: run.adaptor for run in runs}
        self.conversation = Conversation(self._extractor, experiment.language_model, adaptors)

    def search(self, query: str) -> list[Hit]:
        """The best pictures for a query, best first."""
        return self.index.search_for(of_text(self._texts.embed_texts([query])[0]), self.settings.top)

    def thumbnail(self, row: int) -> Image.Image:
        """The thumbnail of one row of the index."""
        return Image.open(BytesIO(self.index.thumbnail(row))).convert("RGB")

    def see_row(self, row: int) -> Seen:
        """Look at one picture of the index."""
        item = self.index.items[row]
        return self.see(self._originals.open(row), item["id"])

    def see(self, picture: Image.Image, name: str) -> Seen:
        """Look at any picture."""
        query_output = self.conversation.look_at(picture)
        shown = picture.copy()
        shown.thumbnail((self.settings.shown_size, self.settings.shown_size))
        return Seen(name, shown, query_output)
