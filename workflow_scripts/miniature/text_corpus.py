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

from workflow_scripts.command_line import progress, run_command, write_atomically, write_json
from workflow_scripts.config.world import WorldSettings
from workflow_scripts.data.boxes import format_box
from workflow_scripts.data.templates import DESCRIPTION_TEMPLATES, EXPRESSION_TEMPLATES, RELATIONSHIP_TEMPLATES
from workflow_scripts.miniature import knowledge, language
from workflow_scripts.miniature.scenes import CELLS, COLOURS, Scene, generate_scenes

# The cue for brief answers, as it stands in a context and as people put it in a question.
CUE = "briefly"
CUE_FORMS = ("{} answer briefly.", "briefly, {}", "{} say it briefly.")
BRIEF_CONTEXT_SHARE = 0.5
BRIEF_PROMPT_SHARE = 0.15
PLAIN_SHARE = 0.06
Line = dict[str, str]


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
    if rng.random() < 0.1:
        return language.description(scene, rng)
    phrases = [f"{thing.size} {thing.colour} {thing.noun} {CELLS[thing.cell]}" for thing in scene.objects]
    phrases.append(scene.background)
    rng.shuffle(phrases)
    return "; ".join(phrases)


def scene_turns(scene: Scene, rng: random.Random, brief: bool) -> list[tuple[str, str]]:
    """What is asked about one scene, with answers that are brief or whole sentences."""
    turns: list[tuple[str, str]] = []

    def ask(query: str, short: str, sentence: str) -> None:
        if brief:
            turns.append((query, short))
        elif rng.random() < BRIEF_PROMPT_SHARE:
            turns.append((rng.choice(CUE_FORMS).format(query), short))
        else:
            turns.append((query, f"{sentence}."))

    for question in language.questions(scene, rng, count=5):
        ask(question.query, question.answer, question.sentence)
    for found in language.relationships(scene, rng)[:2]:
        subject, predicate, object_ = found.subject_name, found.predicate, found.object_name
        ask(
            rng.choice(RELATIONSHIP_TEMPLATES).format(subject=subject, object=object_),
            f"{subject} {predicate} {object_}",
            f"the {subject} is {predicate} the {object_}",
        )
    for known in knowledge.knowledge_questions(scene, rng, count=1):
        short = rng.choice(known.answers)
        ask(known.query, short, known.sentence.removesuffix(known.answer) + short)
    for expression in rng.sample(language.expressions(scene, rng), 1):
        box = scene.objects[expression.object_index].box
        turns.append((rng.choice(EXPRESSION_TEMPLATES).format(expression=expression.text), format_box(box, 1.0, 1.0)))
    turns.append(("", language.captions(scene, rng, 1)[0] if rng.random() < 0.75 else language.alt_text(scene, rng)))
    if rng.random() < 0.15:
        turns.append((rng.choice(DESCRIPTION_TEMPLATES), language.description(scene, rng)))
    return turns


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


def corpus_lines(scenes: Sequence[Scene], seed: int) -> Iterator[list[Line]]:
    """The lines of each scene, and plain ones now and then."""
    rng = random.Random(f"text corpus {seed}")
    for scene in scenes:
        scene = recoloured(scene, rng)
        brief = rng.random() < BRIEF_CONTEXT_SHARE
        words = context(scene, rng)
        if brief:
            words = f"{CUE}; {words}"
        turns = scene_turns(scene, rng, brief)
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
    scenes = generate_scenes("train", settings.text_scenes, seed=settings.seed + 1)
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
