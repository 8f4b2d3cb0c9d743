"""What everybody knows about the nouns and no picture shows: questions of the kind of OK-VQA, and plain sentences.

A question names the thing by its colour or its place, so that one has to look before one can know.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from workflow_scripts.miniature.language import place
from workflow_scripts.miniature.scenes import Scene, SceneObject

ANNOTATORS = 10


@dataclass(frozen=True)
class KnowledgeQuestion:
    """A question, the answer of most annotators, the answers of all ten, and the main answer as a sentence."""

    query: str
    answer: str
    answers: tuple[str, ...]
    sentence: str


@dataclass(frozen=True)
class Topic:
    """One thing to know: how it is asked, how it is said, and noun -> answers, the most common first."""

    query: str
    sentence: str
    answers: dict[str, tuple[str, ...]]


TOPICS = (
    Topic(
        "what is {} used for?",
        "{} is used for {}",
        {
            "ball": ("playing", "games", "sport"),
            "boat": ("sailing", "travel", "fishing"),
            "bottle": ("drinking", "water", "holding water"),
            "car": ("driving", "travel", "transport"),
            "chair": ("sitting", "rest", "sitting down"),
            "clock": ("telling time", "time", "waking up"),
            "cup": ("drinking", "coffee", "tea"),
            "flower": ("decoration", "gifts", "smell"),
            "hat": ("wearing", "shade", "warmth"),
            "house": ("living", "shelter", "home"),
            "key": ("opening doors", "locks", "doors"),
            "kite": ("flying", "playing", "fun"),
            "umbrella": ("keeping dry", "rain", "shelter"),
        },
    ),
    Topic(
        "what is {} usually made of?",
        "{} is usually made of {}",
        {
            "ball": ("rubber", "plastic", "leather"),
            "boat": ("wood", "metal", "plastic"),
            "bottle": ("glass", "plastic"),
            "car": ("steel", "metal"),
            "chair": ("wood", "plastic", "metal"),
            "cup": ("clay", "glass", "china"),
            "hat": ("felt", "wool", "cotton"),
            "house": ("stone", "brick", "wood"),
            "key": ("metal", "steel", "iron"),
            "kite": ("paper", "cloth", "plastic"),
            "umbrella": ("cloth", "plastic"),
        },
    ),
    Topic(
        "what does {} need?",
        "{} needs {}",
        {
            "bird": ("seeds", "food", "air"),
            "boat": ("water", "wind", "a sail"),
            "car": ("fuel", "a road", "gas"),
            "cat": ("milk", "food", "sleep"),
            "clock": ("a battery", "power"),
            "fish": ("water", "food"),
            "flower": ("sun", "water", "soil"),
            "key": ("a lock", "a door"),
            "kite": ("wind", "a string"),
            "mushroom": ("shade", "soil", "rain"),
            "tree": ("rain", "sun", "soil"),
        },
    ),
    Topic(
        "where would you usually find {}?",
        "{} is usually found in {}",
        {
            "ball": ("a park", "a field", "school"),
            "bird": ("a nest", "the sky", "trees"),
            "boat": ("the sea", "a harbour", "water"),
            "bottle": ("a fridge", "a shop", "a kitchen"),
            "car": ("a garage", "a road"),
            "cat": ("a home", "a garden", "a basket"),
            "chair": ("an office", "a kitchen", "a home"),
            "clock": ("a bedroom", "a home"),
            "cup": ("a kitchen", "a cafe", "an office"),
            "fish": ("the sea", "a river", "water"),
            "flower": ("a garden", "a vase", "a field"),
            "hat": ("a wardrobe", "a shop"),
            "house": ("a village", "a town", "a city"),
            "key": ("a pocket", "a door", "a bag"),
            "kite": ("the sky", "a park"),
            "mushroom": ("a forest", "woods"),
            "tree": ("a forest", "a park", "woods"),
            "umbrella": ("a hall", "a bag", "a shop"),
        },
    ),
    Topic(
        "what kind of thing is {}?",
        "{} is a kind of {}",
        {
            "ball": ("toy",),
            "bird": ("animal", "pet"),
            "boat": ("vehicle", "ship"),
            "bottle": ("container", "dishes"),
            "car": ("vehicle", "machine"),
            "cat": ("animal", "pet"),
            "chair": ("furniture", "seat"),
            "clock": ("machine", "furniture"),
            "cup": ("dishes", "container"),
            "fish": ("animal", "food"),
            "flower": ("plant",),
            "hat": ("clothing", "clothes"),
            "house": ("building", "home"),
            "key": ("tool", "metal"),
            "kite": ("toy",),
            "mushroom": ("fungus", "food"),
            "tree": ("plant",),
            "umbrella": ("tool", "shelter"),
        },
    ),
)


def facts() -> list[str]:
    """One sentence for every known thing, the main answer and the less common ones."""
    return [
        f"{topic.sentence.format('a ' + noun if noun != 'umbrella' else 'an umbrella', answer)}."
        for topic in TOPICS
        for noun, answers in topic.answers.items()
        for answer in answers
    ]


def knowledge_questions(scene: Scene, rng: random.Random, count: int = 2) -> list[KnowledgeQuestion]:
    """Up to `count` questions about objects of the scene that only colour or place point out."""
    options = [
        (thing, reference, topic)
        for thing in scene.objects
        for reference in _references(scene, thing)
        for topic in TOPICS
        if thing.noun in topic.answers
    ]
    chosen = rng.sample(options, min(count, len(options)))
    found = []
    for thing, reference, topic in chosen:
        answers = topic.answers[thing.noun]
        sentence = topic.sentence.format(f"the {thing.noun}", answers[0])
        query = topic.query.format(reference)
        found.append(KnowledgeQuestion(query, answers[0], _annotators(answers, rng), sentence))
    return found


def _references(scene: Scene, thing: SceneObject) -> list[str]:
    references = [f"the thing {place(thing.cell)}"]
    if sum(other.colour == thing.colour for other in scene.objects) == 1:
        references.append(f"the {thing.colour} thing")
    return references


def _annotators(answers: tuple[str, ...], rng: random.Random) -> tuple[str, ...]:
    """Ten answers: five to ten of the main one, the rest the less common ones."""
    main = ANNOTATORS if len(answers) == 1 else rng.randint(5, 9)
    given = [answers[0]] * main + [rng.choice(answers[1:]) for _ in range(ANNOTATORS - main)]
    shuffle: Callable[[list[str]], None] = rng.shuffle
    shuffle(given)
    return tuple(given)
