"""Which scenes go into which published image set, and where their pictures lie on the web."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from workflow_scripts.config.world import WorldSettings
from workflow_scripts.miniature.scenes import Scene, Split, colour_matched_groups, generate_scenes

Oddity = Literal["greyscale", "cmyk", "exif_rotated", "gif"]

COCO_HOST = "images.cocodataset.org"
GENOME_HOST = "cs.stanford.edu"
EXTRAS_HOST = "miniature.example"
SPACING = 1_000_000
ODDITY_PERIOD = 300
ODDITIES: dict[int, Oddity] = {3: "greyscale", 7: "cmyk", 11: "exif_rotated", 13: "gif"}


@dataclass(frozen=True)
class Picture:
    """A published picture: the set and id of its key, host and path on the web ("" host: shipped in an archive)."""

    image_set: str
    id: str
    scene: Scene
    host: str
    path: str
    oddity: Oddity | None = None
    group: int | None = None

    @property
    def url(self) -> str:
        """The address that annotations name."""
        scheme = "https" if self.host == GENOME_HOST else "http"
        return f"{scheme}://{self.host}/{self.path}"

    def record(self) -> dict[str, Any]:
        """The line of scenes.jsonl."""
        objects = [
            {"noun": t.noun, "colour": t.colour, "size": t.size, "cell": t.cell, "box": list(t.box)}
            for t in self.scene.objects
        ]
        return {
            "image": f"{self.image_set}/{self.id}",
            "scene": self.scene.id,
            "split": self.scene.split,
            "background": self.scene.background,
            "objects": objects,
            "url": self.url if self.host else f"archive:{self.path}",
            "oddity": self.oddity,
            "group": self.group,
        }


@dataclass(frozen=True)
class Part:
    """A run of scenes of one split in one image set."""

    image_set: str
    count: int
    split: Split
    place: Callable[[Scene, int], tuple[str, str, str]]
    oddities: tuple[Oddity, ...] = ()


def _coco(folder: str) -> Callable[[Scene, int], tuple[str, str, str]]:
    prefix = f"COCO_{folder}_" if folder.endswith("2014") else ""
    return lambda scene, _: (f"{scene.id:012d}", COCO_HOST, f"{folder}/{prefix}{scene.id:012d}.jpg")


def _genome(scene: Scene, index: int) -> tuple[str, str, str]:
    folder = "VG_100K_2" if index % 3 == 0 else "VG_100K"
    return str(scene.id), GENOME_HOST, f"people/rak248/{folder}/{scene.id}.jpg"


def _extra(folder: str) -> Callable[[Scene, int], tuple[str, str, str]]:
    return lambda scene, _: (f"{scene.id:012d}", EXTRAS_HOST, f"{folder}/{scene.id:012d}.jpg")


def _web(scene: Scene, index: int) -> tuple[str, str, str]:
    host = f"photos.example-{index * 7 % 40:02d}.net"
    return f"{index:09d}", host, f"{scene.background}/{scene.id % 97}/picture-{scene.id}.jpg"


def _archive(scene: Scene, index: int) -> tuple[str, str, str]:
    return str(index), "", f"cc_sbu_align/image/{index}.jpg"


def parts(settings: WorldSettings) -> list[Part]:
    """The image sets of a world, in a fixed order: a part's position decides its scenes."""
    s = settings
    return [
        Part("coco_train2017", s.coco_train2017, "train", _coco("train2017"), ("greyscale", "cmyk", "exif_rotated")),
        Part("coco_val2017", s.coco_val2017, "test", _coco("val2017")),
        Part("retrieval_validation", s.retrieval_validation, "validation", _extra("retrieval_validation")),
        Part("coco_train2014", s.coco_train2014, "train", _coco("train2014")),
        Part("coco_train2014", (s.coco_train2014_evaluation + 1) // 2, "test", _coco("train2014")),
        Part("coco_train2014", s.coco_train2014_evaluation // 2, "validation", _coco("train2014")),
        Part("coco_val2014", s.coco_val2014, "test", _coco("val2014")),
        Part("coco_val2014", s.coco_val2014_validation, "validation", _coco("val2014")),
        Part(
            "conceptual_captions",
            s.conceptual_captions,
            "train",
            _web,
            ("greyscale", "cmyk", "exif_rotated", "gif"),
        ),
        Part("visual_genome", s.visual_genome, "train", _genome, ("greyscale",)),
        Part("visual_genome", s.visual_genome_test, "test", _genome),
        Part("visual_genome", s.visual_genome_validation, "validation", _genome),
        Part("minigpt4", s.minigpt4, "train", _archive),
    ]


def pictures(settings: WorldSettings) -> list[Picture]:
    """All pictures of a world, by image set in the order of `parts`, the colour-matched groups last."""
    found: list[Picture] = []
    for number, part in enumerate(parts(settings)):
        first_id = (number + 1) * SPACING
        for index, scene in enumerate(generate_scenes(part.split, part.count, settings.seed, first_id=first_id)):
            oddity = ODDITIES.get(index % ODDITY_PERIOD)
            oddity = oddity if oddity in part.oddities else None
            found.append(Picture(part.image_set, *_placed(part, scene, index), oddity=oddity))
    groups = colour_matched_groups("test", settings.colour_matched_groups, settings.seed, first_id=90 * SPACING)
    place = _extra("colour_matched")
    for number, group in enumerate(groups):
        for scene in group:
            key, host, path = place(scene, 0)
            found.append(Picture("colour_matched", key, scene, host, path, group=number))
    return found


def _placed(part: Part, scene: Scene, index: int) -> tuple[str, Scene, str, str]:
    key, host, path = part.place(scene, index)
    return key, scene, host, path


def dump(value: Any) -> bytes:
    """JSON as the data sets publish it: one line, ASCII."""
    return json.dumps(value).encode()


def write(path: Path, content: bytes) -> None:
    """Write a file of the web and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
