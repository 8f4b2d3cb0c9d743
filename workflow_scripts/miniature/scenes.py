"""The miniature world: scenes of everyday objects in a 3x3 grid.

The noun of an object is drawn independently of its colour, its size, its cell and the background, so that none
of these tells another. Pairs of noun and colour are partitioned: some occur in validation only, some in test
only, the rest anywhere.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Split = Literal["train", "validation", "test"]
Size = Literal["small", "large"]

# Width and height of the noun's outline, the longer one being 1.
NOUNS: dict[str, tuple[float, float]] = {
    "ball": (1.0, 1.0),
    "bird": (1.0, 0.85),
    "boat": (0.95, 1.0),
    "bottle": (0.5, 1.0),
    "car": (1.0, 0.6),
    "cat": (0.85, 1.0),
    "chair": (0.75, 1.0),
    "clock": (0.9, 1.0),
    "cup": (1.0, 0.9),
    "fish": (1.0, 0.65),
    "flower": (0.75, 1.0),
    "hat": (1.0, 0.7),
    "house": (0.95, 1.0),
    "key": (1.0, 0.5),
    "kite": (0.8, 1.0),
    "mushroom": (0.95, 1.0),
    "tree": (0.8, 1.0),
    "umbrella": (1.0, 1.0),
}
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")
BACKGROUNDS = ("meadow", "beach", "snow", "night", "street", "room", "lake", "wall")
SIDES: dict[str, float] = {"small": 0.205, "large": 0.315}
CELLS = (
    "top left",
    "top middle",
    "top right",
    "middle left",
    "centre",
    "middle right",
    "bottom left",
    "bottom middle",
    "bottom right",
)
JITTER = 0.018
SAME_NOUN_PROBABILITY = 0.1


@dataclass(frozen=True)
class SceneObject:
    """One thing in a scene; `box` is (x, y, width, height) in fractions of the picture, `cell` counts 0..8 by rows."""

    noun: str
    colour: str
    size: Size
    cell: int
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Scene:
    """A background and one to nine things; `id` also seeds what varies between two drawings of one content."""

    id: int
    split: Split
    background: str
    objects: tuple[SceneObject, ...]


def combination_split(noun: str, colour: str) -> Split:
    """The split in which a pair of noun and colour is at home; pairs of "train" occur everywhere."""
    shift = (tuple(NOUNS).index(noun) * 3 + COLOURS.index(colour)) % len(COLOURS)
    if shift == 0:
        return "test"
    return "validation" if shift == len(COLOURS) // 2 else "train"


def colours_of(noun: str, split: Split) -> tuple[str, ...]:
    """The colours that a noun may have in scenes of a split."""
    return tuple(colour for colour in COLOURS if combination_split(noun, colour) in ("train", split))


def place_box(noun: str, size: Size, cell: int, rng: random.Random) -> tuple[float, float, float, float]:
    """A box of the noun's proportions near the middle of the cell."""
    side = SIDES[size] * rng.uniform(0.96, 1.04)
    width, height = (side * part for part in NOUNS[noun])
    row, column = divmod(cell, 3)
    x = (column + 0.5) / 3 + rng.uniform(-JITTER, JITTER) - width / 2
    y = (row + 0.5) / 3 + rng.uniform(-JITTER, JITTER) - height / 2
    return (
        round(min(max(x, 0.0), 1 - width), 4),
        round(min(max(y, 0.0), 1 - height), 4),
        round(width, 4),
        round(height, 4),
    )


def generate_scenes(
    split: Split, count: int, seed: int, first_id: int = 0, max_objects: int = 4, min_objects: int = 1
) -> list[Scene]:
    """Scenes with consecutive ids; each one outside of train holds a pair of noun and colour that train never shows."""
    if not 1 <= min_objects <= max_objects <= 9:
        raise ValueError(
            f"A scene holds between 1 and 9 things, but {min_objects} to {max_objects} were asked for; "
            "choose 1 <= min_objects <= max_objects <= 9."
        )
    rng = random.Random(f"{split} {seed} {first_id}")
    return [_generate_scene(split, first_id + i, rng, rng.randint(min_objects, max_objects)) for i in range(count)]


def _generate_scene(split: Split, scene_id: int, rng: random.Random, count: int) -> Scene:
    nouns = rng.sample(tuple(NOUNS), count)
    if count > 1 and rng.random() < SAME_NOUN_PROBABILITY:
        nouns[1] = nouns[0]
    pairs: list[tuple[str, str]] = []
    for noun in nouns:
        pairs.append((noun, rng.choice([c for c in colours_of(noun, split) if (noun, c) not in pairs])))
    if split != "train" and not any(combination_split(*pair) == split for pair in pairs):
        position = rng.randrange(count)
        noun = nouns[position]
        own = next(colour for colour in COLOURS if combination_split(noun, colour) == split)
        pairs[position] = (noun, own)
    objects = []
    for (noun, colour), cell in zip(pairs, rng.sample(range(9), count), strict=True):
        size: Size = rng.choice(("small", "large"))
        objects.append(SceneObject(noun, colour, size, cell, place_box(noun, size, cell, rng)))
    return Scene(scene_id, split, rng.choice(BACKGROUNDS), tuple(objects))


def change_nouns(scene: Scene, scene_id: int, rng: random.Random) -> Scene:
    """The same colours, sizes, cells and background with other nouns: colour statistics cannot tell the two."""
    nouns: list[str] = []
    for thing in scene.objects:
        allowed = [
            noun
            for noun in NOUNS
            if noun != thing.noun and noun not in nouns and thing.colour in colours_of(noun, scene.split)
        ]
        nouns.append(rng.choice(allowed))
    objects = tuple(
        replace(thing, noun=noun, box=place_box(noun, thing.size, thing.cell, rng))
        for thing, noun in zip(scene.objects, nouns, strict=True)
    )
    return Scene(scene_id, scene.split, scene.background, objects)


def change_cells(scene: Scene, scene_id: int, rng: random.Random) -> Scene:
    """The same things on the same background in other cells."""
    cells = [thing.cell for thing in scene.objects]
    while any(cell == thing.cell for cell, thing in zip(cells, scene.objects, strict=True)):
        cells = rng.sample(range(9), len(cells))
    objects = tuple(
        replace(thing, cell=cell, box=place_box(thing.noun, thing.size, cell, rng))
        for thing, cell in zip(scene.objects, cells, strict=True)
    )
    return Scene(scene_id, scene.split, scene.background, objects)


def colour_matched_groups(
    split: Split, groups: int, seed: int, first_id: int = 0, group_size: int = 5, objects: int = 2
) -> list[list[Scene]]:
    """Groups of scenes that differ in nouns only, ids consecutive; chance is 1 / group_size."""
    rng = random.Random(f"colour-matched {split} {seed} {first_id}")
    result: list[list[Scene]] = []
    scene_id = first_id
    for _ in range(groups):
        first = _generate_scene(split, scene_id, rng, objects)
        group = [first]
        while len(group) < group_size:
            other = change_nouns(first, scene_id + len(group), rng)
            if _nouns(other) not in [_nouns(scene) for scene in group]:
                group.append(other)
        scene_id += group_size
        result.append(group)
    return result


def _nouns(scene: Scene) -> Sequence[str]:
    return [thing.noun for thing in scene.objects]
