import random
import re
from collections import Counter, defaultdict

from workflow_scripts.miniature.knowledge import TOPICS, facts, knowledge_questions
from workflow_scripts.miniature.language import (
    CELLS,
    alt_text,
    captions,
    description,
    expressions,
    relation,
    relationships,
    whole_list,
)
from workflow_scripts.miniature.questions import questions
from workflow_scripts.miniature.scenes import NOUNS, Scene, SceneObject, generate_scenes

SCENES = generate_scenes("train", 1500, seed=1)


def thing(noun, colour, cell, size="small"):
    return SceneObject(noun, colour, size, cell, (0.1, 0.1, 0.2, 0.2))


def test_texts_come_from_a_small_closed_vocabulary_in_lower_case():
    rng = random.Random(1)
    found = set()
    for scene in SCENES:
        texts = [*captions(scene, rng), alt_text(scene, rng), description(scene, rng), whole_list(scene)]
        texts += [f"{q.query} {q.answer} {q.sentence}" for q in questions(scene, rng)]
        texts += [f"{q.query} {q.sentence} {' '.join(q.answers)}" for q in knowledge_questions(scene, rng)]
        texts += [expression.text for expression in expressions(scene, rng)]
        assert all(text == text.lower() for text in texts)
        found |= {word for text in texts for word in re.findall(r"[^\s,.?]+", text)}
    assert len(found) < 320


def test_captions_are_longer_than_ten_words_on_average_and_differ():
    rng = random.Random(1)
    texts = [text for scene in SCENES for text in captions(scene, rng)]
    assert sum(len(text.split()) for text in texts) / len(texts) > 10
    assert len(set(texts)) / len(texts) > 0.8


def test_a_description_names_every_object_with_its_place():
    rng = random.Random(1)
    for scene in SCENES[:200]:
        text = description(scene, rng)
        for t in scene.objects:
            assert f"{t.size} {t.colour} {t.noun}" in text
            assert CELLS[t.cell] in text


def test_relation_follows_the_dominating_axis_and_is_silent_on_diagonals():
    assert relation(thing("cat", "red", 0), thing("car", "red", 2)) == "left of"
    assert relation(thing("cat", "red", 5), thing("car", "red", 0)) == "right of"
    assert relation(thing("cat", "red", 1), thing("car", "red", 6)) == "above"
    assert relation(thing("cat", "red", 0), thing("car", "red", 4)) is None


def test_relationships_come_in_both_directions():
    scene = Scene(1, "train", "snow", (thing("cat", "red", 3), thing("car", "blue", 5)))
    found = {(r.subject_name, r.predicate, r.object_name) for r in relationships(scene, random.Random(1))}
    assert found == {("cat", "left of", "car"), ("car", "right of", "cat")}


def test_every_expression_fits_one_object_only():
    rng = random.Random(1)
    for scene in SCENES[:300]:
        texts = defaultdict(set)
        for expression in expressions(scene, rng):
            texts[expression.text].add(expression.object_index)
        assert all(len(indices) == 1 for indices in texts.values())


def test_a_noun_that_occurs_twice_is_never_asked_for_without_its_colour():
    scene = Scene(1, "train", "snow", (thing("cat", "red", 0), thing("cat", "blue", 8), thing("car", "blue", 5)))
    for seed in range(30):
        for question in questions(scene, random.Random(seed)):
            assert "the cat" not in question.query or question.kind == "exists"
            assert "the blue thing" not in question.query


def test_the_best_guess_without_the_picture_stays_low():
    rng = random.Random(1)
    asked = [q for scene in SCENES for q in questions(scene, rng)]
    by_query, by_start = defaultdict(Counter), defaultdict(Counter)
    for q in asked:
        by_query[q.query][q.answer] += 1
        by_start[" ".join(q.query.split()[:2])][q.answer] += 1
    right = total = 0
    for scene in generate_scenes("test", 600, seed=1):
        for q in questions(scene, rng):
            counts = by_query.get(q.query) or by_start[" ".join(q.query.split()[:2])]
            right += counts.most_common(1)[0][0] == q.answer
            total += 1
    assert right / total < 0.25


def test_yes_and_no_are_equally_frequent():
    rng = random.Random(1)
    answers = Counter(q.answer for s in SCENES for q in questions(s, rng) if q.kind == "exists")
    assert 0.4 < answers["yes"] / sum(answers.values()) < 0.6


def test_knowledge_questions_hide_the_noun_and_have_ten_answers_with_a_majority():
    rng = random.Random(1)
    for scene in SCENES[:300]:
        for q in knowledge_questions(scene, rng):
            assert not set(q.query.rstrip("?").split()) & set(NOUNS)
            assert len(q.answers) == 10
            assert q.answers.count(q.answer) >= 5


def test_every_noun_is_known_in_several_respects():
    for noun in NOUNS:
        assert sum(noun in topic.answers for topic in TOPICS) >= 3
        assert sum(noun in fact.split() for fact in facts()) >= 5
