"""True and false statements about images, both in people's words: a caption of this one, or of another one."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from workflow_scripts.data.wording import choose


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption as it is said of an image."""

    id: str
    image_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Statement:
    """Is this caption true of this image? The id tells the caption and whether it is its own."""

    id: str
    image_id: str
    query: str
    answer: str


def make_statements(captions: Sequence[Caption], templates: Sequence[str], rng: random.Random) -> list[Statement]:
    """Say each caption twice: of its own image (yes) and of another one (no), the same number for each image.

    So neither the words of a caption nor the image alone tell the answer. Captions that two images share are not said
    of either's image as false.

    Raises:
        ValueError: no such exchange of captions was found, since there are too few images.
    """
    own: dict[str, set[str]] = {}
    for caption in captions:
        own.setdefault(caption.image_id, set()).add(caption.text)
    others = [caption.image_id for caption in captions]
    rng.shuffle(others)
    for _ in range(100):
        wrong = [place for place, caption in enumerate(captions) if caption.text in own[others[place]]]
        if not wrong:
            break
        for place in wrong:
            other = rng.randrange(len(others))
            others[place], others[other] = others[other], others[place]
    else:
        raise ValueError(
            f"{len(captions)} captions of {len(own)} images are too few, or too alike, to say each of another one."
        )
    statements = []
    for caption, other in zip(captions, others, strict=True):
        query = choose(templates, rng).format(caption=caption.text)
        statements.append(Statement(f"{caption.id}-yes", caption.image_id, query, "yes"))
        statements.append(Statement(f"{caption.id}-no", other, query, "no"))
    return statements
