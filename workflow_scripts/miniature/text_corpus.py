"""The language model's corpus: scenes in words with questions and answers, captions, descriptions, and plain facts.

No picture is involved. A line of text.jsonl is {"context", "prompt", "answer"}: the context stands where the image
tokens will stand ("" for plain questions), phrases in it are set apart by semicolons. Whole sentences answer a
question, unless the context or the prompt asks for a brief answer.
"""

import argparse
import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from workflow_scripts.catalogue.load import load_catalogue
from workflow_scripts.command_line import progress, run_command, write_atomically, write_json
from workflow_scripts.config.world import WorldSettings
from workflow_scripts.data.boxes import format_box
from workflow_scripts.miniature import knowledge, language
from workflow_scripts.miniature.questions import questions
from workflow_scripts.miniature.scenes import CELLS, COLOURS, Scene, generate_scenes

# The cue for brief answers, as it stands in a context and as people put it in a question.
CUE = "briefly"
CUE_FORMS = ("{} answer briefly.", "briefly, {}", "{} say it briefly.")
# The cue for the answer that most people would give, where several are right.
USUAL_CUE = "usually"
USUAL_SHARE = 0.35
BRIEF_CONTEXT_SHARE = 0.6
# Parts of the corpus with the fewest and the most things of its scenes; the first part has short turns only.
STAGES = ((0.2, 2, 2), (0.2, 2, 3), (0.6, 1, 4))
EASY_SHARE = 0.4
BRIEF_PROMPT_SHARE = 0.15
PLAIN_SHARE = 0.06
Line = dict[str, str]


def _templates(task: str) -> list[str]:
    """The wordings in which samples of a task will be asked."""
    return load_catalogue().task(task).templates


def recoloured(scene: Scene, rng: random.Random) -> Scene:
    """The scene in any colours: splits keep pictures apart, not the words that a language model has read."""
    objects = []
    for thing in scene.objects:
        taken = {(other.noun, other.colour) for other in objects}
        colour = rng.choice([colour for colour in COLOURS if (thing.noun, colour) not in taken])
        objects.append(replace(thing, colour=colour))
    return replace(scene, objects=tuple(objects))


def context(scene: Scene, rng: random.Random) -> str:
    """The scene as phrases in random order, one a thing and one for the setting; sometimes a description instead."""
    if rng.random() < 0.05:
        return language.description(scene, rng)
    phrases = [f"{thing.size} {thing.colour} {thing.noun} {CELLS[thing.cell]}" for thing in scene.objects]
    phrases.append(scene.background)
    rng.shuffle(phrases)
    return "; ".join(phrases)


def scene_turns(
    scene: Scene, rng: random.Random, brief: bool, usual: bool = False, easy: bool = False
) -> list[tuple[str, str]]:
    """What is asked about one scene, with answers that are brief or whole sentences."""
    turns: list[tuple[str, str]] = []

    def ask(query: str, short: str, sentence: str) -> None:
        if brief:
            turns.append((query, short))
        elif rng.random() < BRIEF_PROMPT_SHARE:
            turns.append((rng.choice(CUE_FORMS).format(query), short))
        else:
            turns.append((query, f"{sentence}."))

    for question in questions(scene, rng, count=4 if easy else 5):
        ask(question.query, question.answer, question.sentence)
    for found in language.relationships(scene, rng)[: 1 if easy else 3]:
        subject, predicate, object_ = found.subject_name, found.predicate, found.object_name
        ask(
            rng.choice(_templates("relationship")).format(subject=subject, object=object_),
            f"{subject} {predicate} {object_}",
            f"the {subject} is {predicate} the {object_}",
        )
    turns += [inventory(scene, rng) for _ in range(5 if easy else 1)]
    if easy:
        return turns
    for known in knowledge.knowledge_questions(scene, rng, count=1):
        # Texts give any of the possible answers; which one most people would give is told where it is asked for.
        short = known.answer if usual else rng.choice(sorted(set(known.answers)))
        ask(known.query, short, known.sentence.removesuffix(known.answer) + short)
    for expression in rng.sample(language.expressions(scene, rng), 1):
        box = scene.objects[expression.object_index].box
        turns.append((rng.choice(_templates("refcoco")).format(expression=expression.text), format_box(box, 1.0, 1.0)))
    turns.append(("", language.captions(scene, rng, 1)[0] if rng.random() < 0.75 else language.alt_text(scene, rng)))
    if rng.random() < 0.15:
        turns.append((rng.choice(_templates("description")), language.description(scene, rng)))
    return turns


def inventory(scene: Scene, rng: random.Random) -> tuple[str, str]:
    """All things with their properties in any order: the densest exercise in telling what belongs together."""
    parts = []
    for thing in rng.sample(scene.objects, len(scene.objects)):
        properties = [thing.noun, thing.colour, thing.size, CELLS[thing.cell]]
        rng.shuffle(properties)
        parts.append(" ".join(properties))
    return "list all things.", ", ".join(parts)


def plain_turns(rng: random.Random, count: int) -> list[tuple[str, str]]:
    """Questions about nouns without any scene, and statements of fact."""
    turns = []
    for _ in range(count):
        topic = rng.choice(knowledge.TOPICS)
        noun = rng.choice(list(topic.answers))
        name = language.article(noun)
        answer = rng.choice(topic.answers[noun])
        query = topic.query.format(name)
        if rng.random() < 0.3:
            turns.append((rng.choice(CUE_FORMS).format(query), answer))
        else:
            turns.append((query, f"{topic.sentence.format(name, answer)}."))
    return turns


def staged_scenes(count: int, seed: int) -> list[Scene]:
    """Scenes for the corpus, those of two things first: on them it is learned to look things up."""
    scenes: list[Scene] = []
    for share, fewest, most in STAGES:
        number = max(1, round(share * count))
        scenes += generate_scenes("train", number, seed, len(scenes), max_objects=most, min_objects=fewest)
    return scenes[:count]


def corpus_lines(scenes: Sequence[Scene], seed: int) -> Iterator[list[Line]]:
    """The lines of each scene, and plain ones now and then; the first scenes have short turns only."""
    rng = random.Random(f"text corpus {seed}")
    for number, scene in enumerate(scenes):
        scene = recoloured(scene, rng)
        brief = rng.random() < BRIEF_CONTEXT_SHARE
        words = context(scene, rng)
        if brief:
            words = f"{CUE}; {words}"
        usual = rng.random() < USUAL_SHARE
        if usual:
            words = f"{USUAL_CUE}; {words}"
        turns = scene_turns(scene, rng, brief, usual, easy=number < EASY_SHARE * len(scenes))
        yield [{"context": words, "prompt": prompt, "answer": answer} for prompt, answer in turns]
        if rng.random() < PLAIN_SHARE:
            yield [{"context": "", "prompt": prompt, "answer": answer} for prompt, answer in plain_turns(rng, 8)]


def main(argv: Sequence[str] | None = None) -> None:
    """Write text.jsonl and manifest.json."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--settings", required=True, help="WorldSettings as JSON")
    parser.add_argument("--output", type=Path, required=True, help="folder of the corpus")
    arguments = parser.parse_args(argv)
    settings = WorldSettings.model_validate_json(arguments.settings)
    scenes = staged_scenes(settings.text_scenes, settings.seed + 1)
    lines = [
        json.dumps(line, ensure_ascii=False)
        for group in progress(corpus_lines(scenes, settings.seed), None, "text corpus")
        for line in group
    ]
    text = "\n".join(lines) + "\n"
    write_atomically(arguments.output / "text.jsonl", text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    write_json(
        arguments.output / "manifest.json",
        {"count": len(lines), "scenes": len(scenes), "files": {"text.jsonl": {"sha256": digest}}},
    )


if __name__ == "__main__":
    run_command(main)
