"""What people would say about a scene: captions, descriptions, relationships and referring expressions.

Everything is lower case, from a closed vocabulary, and true of the picture. Questions are in `questions`, those about
what cannot be seen in `knowledge`.
"""

import itertools
import random
from dataclasses import dataclass

from workflow_scripts.miniature.scenes import CELLS, Scene, SceneObject

PREDICATES = ("left of", "right of", "above", "below")
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SETTINGS = {
    "meadow": "in a meadow",
    "beach": "on the beach",
    "snow": "in the snow",
    "night": "at night",
    "street": "on the street",
    "room": "in a room",
    "lake": "on the lake",
    "wall": "in front of a wall",
}


@dataclass(frozen=True)
class Relationship:
    """Subject, predicate and object; subject and object are indices into the scene's objects and their names."""

    subject: int
    predicate: str
    object: int
    subject_name: str
    object_name: str


@dataclass(frozen=True)
class Expression:
    """A phrase that fits exactly one object of the scene."""

    text: str
    object_index: int


def article(words: str) -> str:
    """The words with "a" or "an" before them."""
    return f"an {words}" if words[0] in "aeio" or words.startswith("umbrella") else f"a {words}"


def place(cell: int) -> str:
    """Where a cell is, as a phrase."""
    return f"in the {CELLS[cell]}"


def relation(first: SceneObject, second: SceneObject) -> str | None:
    """The predicate by the dominating axis, or None where both axes are equal and people would differ."""
    rows = second.cell // 3 - first.cell // 3
    columns = second.cell % 3 - first.cell % 3
    if abs(rows) == abs(columns):
        return None
    if abs(columns) > abs(rows):
        return "left of" if columns > 0 else "right of"
    return "above" if rows > 0 else "below"


def names(scene: Scene) -> list[str]:
    """The shortest name of each object: the noun, with the colour where two things share the noun."""
    nouns = [thing.noun for thing in scene.objects]
    return [t.noun if nouns.count(t.noun) == 1 else f"{t.colour} {t.noun}" for t in scene.objects]


def reading_order(scene: Scene) -> list[SceneObject]:
    """The objects by rows."""
    return sorted(scene.objects, key=lambda thing: thing.cell)


def phrase(thing: SceneObject, with_size: bool = True) -> str:
    """An object with its colour, and with its size if wanted, with an article."""
    return article(f"{thing.size} {thing.colour} {thing.noun}" if with_size else f"{thing.colour} {thing.noun}")


def captions(scene: Scene, rng: random.Random, count: int = 5) -> list[str]:
    """Short captions as people write them: one to three objects, a relation or a place, often the setting."""
    return [_caption(scene, rng) for _ in range(count)]


def _caption(scene: Scene, rng: random.Random) -> str:
    setting = SETTINGS[scene.background]
    things = rng.sample(scene.objects, len(scene.objects))
    if len(things) == 1:
        thing = phrase(things[0], rng.random() < 0.6)
        return rng.choice(
            (
                f"{thing} {place(things[0].cell)} of a picture taken {setting}",
                f"there is {thing} {place(things[0].cell)}, {setting}",
                f"a picture of {thing} {place(things[0].cell)}, {setting}",
            )
        )
    pairs = [
        (first, predicate, second)
        for first in things
        for second in things
        if first is not second and (predicate := relation(first, second))
    ]
    first, second = things[0], things[1]
    if pairs and rng.random() < 0.75:
        first, predicate, second = rng.choice(pairs)
        text = f"{phrase(first, rng.random() < 0.3)} {predicate} {phrase(second, rng.random() < 0.3)}"
    else:
        text = f"{phrase(first, rng.random() < 0.4)} and {phrase(second, rng.random() < 0.4)}"
    others = [thing for thing in things if thing is not first and thing is not second]
    if others and rng.random() < 0.8:
        third = others[0]
        text += rng.choice((" with ", ", and also ")) + phrase(third, False)
        if rng.random() < 0.5:
            text += f" {place(third.cell)}"
    return text if rng.random() < 0.15 else f"{text} {setting}"


def alt_text(scene: Scene, rng: random.Random) -> str:
    """One line as found beside pictures on the web."""
    setting = SETTINGS[scene.background]
    things = reading_order(scene)
    if len(things) == 1 or rng.random() < 0.25:
        thing = rng.choice(things)
        return f"{rng.choice(('photo of', 'picture of', 'a view of'))} {phrase(thing)} {place(thing.cell)} {setting}"
    listed = [phrase(thing, rng.random() < 0.3) for thing in things]
    text = f"{', '.join(listed[:-1])} and {listed[-1]}"
    return rng.choice((f"{text} {setting}", f"{setting}, {text}", f"picture of {text} {setting}"))


def whole_list(scene: Scene) -> str:
    """Every object with size, colour and place in reading order, then the setting."""
    listed = ", ".join(
        f"{phrase(thing).removeprefix('a ').removeprefix('an ')} {CELLS[thing.cell]}" for thing in reading_order(scene)
    )
    return f"{listed}, {scene.background}"


def description(scene: Scene, rng: random.Random) -> str:
    """A long description that names every object with its size, colour and place, and relations between neighbours."""
    things = reading_order(scene)
    number = NUMBERS[len(things)]
    noun, verb = ("thing", "is") if len(things) == 1 else ("things", "are")
    sentences = [
        rng.choice(
            (
                f"this picture was taken {SETTINGS[scene.background]} and shows {number} {noun}.",
                f"the picture shows {number} {noun} {SETTINGS[scene.background]}.",
                f"there {verb} {number} {noun} in this picture, which was taken {SETTINGS[scene.background]}.",
            )
        )
    ]
    for thing in things:
        sentences.append(
            rng.choice(
                (
                    f"{phrase(thing)} is {place(thing.cell)}.",
                    f"{place(thing.cell)} there is {phrase(thing)}.",
                    f"{place(thing.cell)} we see {phrase(thing)}.",
                )
            )
        )
    label = dict(zip(scene.objects, names(scene), strict=True))
    for first, second in itertools.pairwise(things):
        if predicate := relation(first, second):
            sentences.append(f"the {label[first]} is {predicate} the {label[second]}.")
    return " ".join(sentences)


def relationships(scene: Scene, rng: random.Random) -> list[Relationship]:
    """Every ordered pair with a clear relation, in random order."""
    label = names(scene)
    found = [
        Relationship(i, predicate, j, label[i], label[j])
        for i, first in enumerate(scene.objects)
        for j, second in enumerate(scene.objects)
        if i != j and (predicate := relation(first, second))
    ]
    rng.shuffle(found)
    return found


def expressions(scene: Scene, rng: random.Random) -> list[Expression]:
    """Two or three different phrases an object, each of which fits that object alone."""
    found = []
    for index, thing in enumerate(scene.objects):
        same_noun = [other for other in scene.objects if other.noun == thing.noun]
        same_colour = [other for other in scene.objects if other.colour == thing.colour]
        options = [f"the {thing.colour} {thing.noun}", f"the {thing.noun} {place(thing.cell)}"]
        options.append(f"the {thing.size} {thing.colour} {thing.noun}")
        if len(same_noun) == 1:
            options.append(f"the {thing.noun}")
        if len(same_colour) == 1:
            options.append(f"the {thing.colour} thing")
        for other in scene.objects:
            if (predicate := relation(thing, other)) and len(same_noun) == 1 and other.noun != thing.noun:
                options.append(f"the {thing.noun} {predicate} the {other.noun}")
        found += [Expression(text, index) for text in rng.sample(options, min(3, len(options)))]
    return found
