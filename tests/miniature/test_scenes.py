import pytest

from workflow_scripts.miniature.scenes import (
    BACKGROUNDS,
    COLOURS,
    NOUNS,
    colour_matched_groups,
    colours_of,
    combination_split,
    generate_scenes,
)


def pairs(scene):
    return {(thing.noun, thing.colour) for thing in scene.objects}


def test_same_seed_gives_the_same_scenes_and_another_seed_others():
    assert generate_scenes("train", 20, seed=3) == generate_scenes("train", 20, seed=3)
    assert generate_scenes("train", 20, seed=3) != generate_scenes("train", 20, seed=4)


def test_ids_are_consecutive_and_objects_lie_in_different_cells_inside_the_picture():
    scenes = generate_scenes("train", 200, seed=1, first_id=50)
    assert [scene.id for scene in scenes] == list(range(50, 250))
    for scene in scenes:
        assert 1 <= len(scene.objects) <= 4
        assert len({thing.cell for thing in scene.objects}) == len(scene.objects)
        for x, y, width, height in (thing.box for thing in scene.objects):
            assert min(x, y) >= 0
            assert max(x + width, y + height) <= 1.0001


def test_combinations_of_validation_and_test_never_occur_in_train():
    seen = set().union(*(pairs(scene) for scene in generate_scenes("train", 3000, seed=1)))
    assert {combination_split(*pair) for pair in seen} == {"train"}


@pytest.mark.parametrize("split", ["validation", "test"])
def test_each_held_out_scene_shows_a_combination_of_its_own_and_none_of_the_other_held_out_split(split):
    for scene in generate_scenes(split, 500, seed=1):
        splits = {combination_split(*pair) for pair in pairs(scene)}
        assert split in splits
        assert splits <= {"train", split}


def test_every_noun_and_every_colour_can_be_learned_from_train():
    assert all(len(colours_of(noun, "train")) == 6 for noun in NOUNS)
    for colour in COLOURS:
        assert sum(combination_split(noun, colour) == "train" for noun in NOUNS) >= 9


def test_neither_colour_nor_background_tells_the_noun():
    things = [(scene, thing) for scene in generate_scenes("train", 6000, seed=2) for thing in scene.objects]
    for background in BACKGROUNDS:
        nouns = [thing.noun for scene, thing in things if scene.background == background]
        assert max(nouns.count(noun) for noun in NOUNS) / len(nouns) < 0.09
    for colour in COLOURS:
        nouns = [thing.noun for _, thing in things if thing.colour == colour]
        assert max(nouns.count(noun) for noun in NOUNS) / len(nouns) < 0.13


def test_colour_matched_groups_differ_in_nouns_only():
    for group in colour_matched_groups("test", 30, seed=1):
        assert len({tuple(thing.noun for thing in scene.objects) for scene in group}) == 5
        assert len({scene.background for scene in group}) == 1
        assert len({tuple((t.colour, t.size, t.cell) for t in scene.objects) for scene in group}) == 1


def test_impossible_numbers_of_objects_are_refused():
    with pytest.raises(ValueError, match="between 1 and 9"):
        generate_scenes("train", 1, seed=1, max_objects=12)
