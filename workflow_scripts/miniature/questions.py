"""What people would ask about a scene that the picture answers.

Everything is lower case, from a closed vocabulary; a question has exactly one right answer.
"""

import random
from dataclasses import dataclass
from typing import Literal

from workflow_scripts.miniature.language import NUMBERS, PREDICATES, SETTINGS, article, names, place, relation
from workflow_scripts.miniature.scenes import CELLS, COLOURS, NOUNS, Scene, SceneObject

Kind = Literal["what", "where", "colour", "background", "count", "size", "exists"]
# How often each kind is asked. Kinds that can be guessed without the picture (size, exists, count) are rare.
KIND_WEIGHTS: dict[Kind, float] = {
    "what": 0.32,
    "where": 0.2,
    "colour": 0.24,
    "background": 0.09,
    "count": 0.06,
    "size": 0.05,
    "exists": 0.04,
}


@dataclass(frozen=True)
class Question:
    """A question with its brief answer and the same answer as a sentence."""

    query: str
    answer: str
    sentence: str
    kind: Kind


def questions(scene: Scene, rng: random.Random, count: int = 8) -> list[Question]:
    """Up to `count` different questions, kinds drawn by `KIND_WEIGHTS`."""
    pools: dict[Kind, list[Question]] = {
        "what": _what(scene),
        "where": _where(scene),
        "colour": _colour(scene),
        "background": _background(scene),
        "count": _count(scene),
        "size": _size(scene),
        "exists": _exists(scene, rng),
    }
    for pool in pools.values():
        rng.shuffle(pool)
    chosen: list[Question] = []
    while len(chosen) < count and any(pools.values()):
        kinds = [kind for kind, pool in pools.items() if pool]
        kind = rng.choices(kinds, [KIND_WEIGHTS[kind] for kind in kinds])[0]
        chosen.append(pools[kind].pop())
    return chosen


def _references(scene: Scene, thing: SceneObject, hide: str = "") -> list[str]:
    """Phrases that fit this object alone and do not tell what is asked (`hide`: noun, colour or place)."""

    def alone(**wanted: str) -> bool:
        return sum(all(getattr(t, key) == value for key, value in wanted.items()) for t in scene.objects) == 1

    found = []
    if hide not in ("noun",) and alone(noun=thing.noun):
        found.append(f"the {thing.noun}")
    if hide not in ("noun", "colour"):
        found.append(f"the {thing.colour} {thing.noun}")
    if hide != "colour" and alone(colour=thing.colour):
        found.append(f"the {thing.colour} thing")
    if hide != "place":
        found.append(f"the thing {place(thing.cell)}")
    return found


def _what(scene: Scene) -> list[Question]:
    found = []
    for thing in scene.objects:
        for reference in _references(scene, thing, hide="noun"):
            answer = article(thing.noun)
            found.append(Question(f"what is {reference}?", thing.noun, f"{reference} is {answer}", "what"))
        found.append(
            Question(
                f"what is {place(thing.cell)}?", thing.noun, f"{article(thing.noun)} is {place(thing.cell)}", "what"
            )
        )
        for predicate in PREDICATES:
            if (other := _only_neighbour(scene, thing, predicate)) is None:
                continue
            reference = names(scene)[scene.objects.index(thing)]
            found.append(
                Question(
                    f"what is {predicate} the {reference}?",
                    other.noun,
                    f"{article(other.noun)} is {predicate} the {reference}",
                    "what",
                )
            )
    return found


def _only_neighbour(scene: Scene, thing: SceneObject, predicate: str) -> SceneObject | None:
    """The one object in that direction; None where there are several or where a diagonal one leaves doubt."""
    others = [other for other in scene.objects if other is not thing]
    if any(relation(other, thing) is None for other in others):
        return None
    there = [other for other in others if relation(other, thing) == predicate]
    return there[0] if len(there) == 1 else None


def _where(scene: Scene) -> list[Question]:
    return [
        Question(f"where is {reference}?", CELLS[thing.cell], f"{reference} is {place(thing.cell)}", "where")
        for thing in scene.objects
        for reference in _references(scene, thing, hide="place")
    ]


def _colour(scene: Scene) -> list[Question]:
    return [
        Question(f"what colour is {reference}?", thing.colour, f"{reference} is {thing.colour}", "colour")
        for thing in scene.objects
        for reference in _references(scene, thing, hide="colour")
    ]


def _background(scene: Scene) -> list[Question]:
    sentence = f"the picture was taken {SETTINGS[scene.background]}"
    return [
        Question(query, scene.background, sentence, "background")
        for query in ("what is the background?", "where was this picture taken?")
    ]


def _count(scene: Scene) -> list[Question]:
    number = NUMBERS[len(scene.objects)]
    sentence = f"there is {number} thing" if len(scene.objects) == 1 else f"there are {number} things"
    return [
        Question(query, number, sentence, "count")
        for query in ("how many things are there?", "how many things are in the picture?")
    ]


def _size(scene: Scene) -> list[Question]:
    return [
        Question(f"is {reference} small or large?", thing.size, f"{reference} is {thing.size}", "size")
        for thing in scene.objects
        for reference in _references(scene, thing)
    ]


def _exists(scene: Scene, rng: random.Random) -> list[Question]:
    """As many "yes" as "no", the latter with a wrong noun or a wrong colour."""
    found = []
    for thing in scene.objects:
        pairs = {(other.noun, other.colour) for other in scene.objects}
        if rng.random() < 0.5:
            name = rng.choice((thing.noun, f"{thing.colour} {thing.noun}"))
            found.append(Question(f"is there {article(name)}?", "yes", f"yes, there is {article(name)}", "exists"))
        elif rng.random() < 0.5:
            noun = rng.choice([noun for noun in NOUNS if noun not in {other.noun for other in scene.objects}])
            found.append(Question(f"is there {article(noun)}?", "no", f"no, there is no {noun}", "exists"))
        else:
            colour = rng.choice([colour for colour in COLOURS if (thing.noun, colour) not in pairs])
            name = f"{colour} {thing.noun}"
            found.append(Question(f"is there {article(name)}?", "no", f"no, there is no {name}", "exists"))
    return found
