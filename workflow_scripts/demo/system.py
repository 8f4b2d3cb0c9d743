"""The demo's search and conversation behind one object, without any page."""

from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from workflow_scripts.config.demo import DemoSettings
from workflow_scripts.data.shards import ImageSet
from workflow_scripts.demo.conversation import Conversation
from workflow_scripts.demo.find_experiment import Experiment
from workflow_scripts.models.feature_extractor import FeatureExtractor
from workflow_scripts.search.index import Hit, embed_texts
from workflow_scripts.search.pictures import open_picture
from workflow_scripts.search.query import load_extractor_of


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
        runs = (experiment.run, *experiment.others)
        adaptors = {run.label: run.adaptor for run in runs}
        self.conversation = Conversation(self._extractor, experiment.language_model, adaptors)

    def search(self, query: str) -> list[Hit]:
        """The best pictures for a query, best first."""
        return self.index.search(embed_texts(self._extractor, [query]), self.settings.top)[0]

    def thumbnail(self, row: int) -> Image.Image:
        """The thumbnail of one row of the index."""
        return Image.open(BytesIO(self.index.thumbnail(row))).convert("RGB")

    def see_row(self, row: int) -> Seen:
        """Look at one picture of the index."""
        item = self.index.items[row]
        return self.see(self._open(item["file"]), item["id"])

    def see(self, picture: Image.Image, name: str) -> Seen:
        """Look at any picture."""
        query_output = self.conversation.look_at(picture)
        shown = picture.copy()
        shown.thumbnail((self.settings.shown_size, self.settings.shown_size))
        return Seen(name, shown, query_output)

    def _open(self, file: str) -> Image.Image:
        name, _, image_id = file.partition("/")
        if name in self._image_sets:
            return self._image_sets[name].open_image(image_id)
        return open_picture(self._images[0] / file, self.settings.max_upload_pixels)

    @property
    def _images(self) -> list[Path]:
        return [(self.index.folder / folder).resolve() for folder in self.index.manifest["images"]]

    @cached_property
    def _image_sets(self) -> dict[str, ImageSet]:
        """The image sets of the index by name; none where it is of a folder of pictures."""
        stored = [ImageSet.open(folder) for folder in self._images if (folder / "manifest.json").is_file()]
        return {image_set.name: image_set for image_set in stored}
