"""Settings of the miniature world: how large each of its data sets is."""

from pydantic import Field

from workflow_scripts.config.base import Section


def _pictures(count: int, what: str) -> int:
    return Field(count, ge=1, le=1_000_000, description=f"Pictures {what}.")


class WorldSettings(Section):
    """Seed, picture size and size of every published data set and of the small models' corpora."""

    seed: int = Field(1, ge=0, description="Seed of all scenes, words and faults.")
    image_size: int = Field(96, ge=32, le=512, description="Side of the published pictures in pixels.")
    dead_link_share: float = Field(0.2, ge=0, le=0.9, description="Share of dead links of Conceptual Captions.")

    vision_corpus: int = _pictures(16000, "that the feature extractor and CLIP are trained on")
    vision_corpus_validation: int = _pictures(500, "of validation scenes in the same corpus")
    vision_corpus_group: int = Field(
        4, ge=1, le=8, description="Pictures of equal colours in one group of the corpus: negatives that are hard."
    )
    vision_corpus_grouped_share: float = Field(
        0.6, ge=0, le=1, description="Share of the corpus that consists of such groups."
    )

    text_scenes: int = Field(
        12000, ge=1, le=1_000_000, description="Scenes put into words for the language model; no pictures."
    )

    coco_train2017: int = _pictures(2000, "with five captions for pretraining")
    coco_val2017: int = _pictures(500, "of test scenes with five captions for retrieval")
    retrieval_validation: int = _pictures(500, "of validation scenes with five captions")
    coco_train2014: int = _pictures(2000, "of OK-VQA's and RefCOCO's training")
    coco_train2014_evaluation: int = _pictures(600, "of RefCOCO's val and testB, half of them each")
    coco_val2014: int = _pictures(600, "of OK-VQA's validation, made of test scenes")
    coco_val2014_validation: int = _pictures(300, "of validation scenes with questions as OK-VQA's")
    conceptual_captions: int = _pictures(3000, "with one line of text from the web, dead links included")
    visual_genome: int = _pictures(3000, "with questions and relationships for training")
    visual_genome_test: int = _pictures(600, "of test scenes with questions and relationships")
    visual_genome_validation: int = _pictures(300, "of validation scenes with questions and relationships")
    minigpt4: int = _pictures(1200, "with long descriptions")
    colour_matched_groups: int = Field(
        200, ge=1, le=10_000, description="Groups of five pictures that differ in nouns only."
    )

    def images_of(self, image_set: str) -> tuple[int, float]:
        """Return how many images of a published set are looked for, and the share of them that can be had."""
        several = {"coco_train2014": ("_evaluation",), "coco_val2014": ("_validation",)}
        several["visual_genome"] = ("_test", "_validation")
        if image_set == "colour_matched":
            return 5 * self.colour_matched_groups, 1.0
        count = sum(getattr(self, f"{image_set}{ending}") for ending in ("", *several.get(image_set, ())))
        return count, 1 - self.dead_link_share if image_set == "conceptual_captions" else 1.0

    def captions_of(self, image_set: str) -> int:
        """Return how many captions an image of a published set has."""
        return 5 if image_set == "coco_train2017" else 1
