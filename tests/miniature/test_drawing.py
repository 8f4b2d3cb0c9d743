import random
from dataclasses import replace

import numpy as np

from workflow_scripts.miniature.drawing import draw_scene
from workflow_scripts.miniature.scenes import NOUNS, Scene, SceneObject, change_nouns, generate_scenes, place_box
from workflow_scripts.miniature.shapes import sprite


def pixels(scene, size=96):
    return np.asarray(draw_scene(scene, size), dtype=np.int16)


def test_a_scene_is_drawn_in_the_asked_size_and_always_alike():
    scene = generate_scenes("train", 1, seed=1)[0]
    assert draw_scene(scene, 64).size == (64, 64)
    assert (pixels(scene) == pixels(scene)).all()


def test_two_scenes_of_the_same_content_are_not_pixel_identical():
    scene = generate_scenes("train", 1, seed=1)[0]
    assert (pixels(scene) != pixels(replace(scene, id=scene.id + 1))).mean() > 0.3


def test_an_object_is_drawn_where_its_box_says():
    thing = SceneObject("ball", "red", "large", 4, place_box("ball", "large", 4, random.Random(1)))
    empty = replace(thing, box=(0.0, 0.0, 0.01, 0.01))
    with_ball = pixels(Scene(1, "train", "snow", (thing,)), 192)
    x, y, width, height = (round(value * 192) for value in thing.box)
    inside = with_ball[y : y + height, x : x + width]
    red = (inside[..., 0] - inside[..., 1] > 80).mean()
    assert red > 0.25
    outside = pixels(Scene(1, "train", "snow", (empty,)), 192)[y : y + height, x : x + width]
    assert (outside[..., 0] - outside[..., 1] > 80).mean() < 0.01


def test_outlines_of_different_nouns_differ():
    masks = {noun: np.asarray(sprite(noun, "red").resize((32, 32)).getchannel("A")) > 128 for noun in NOUNS}
    for first, mask in masks.items():
        for second, other in masks.items():
            if first < second:
                assert (mask & other).sum() / (mask | other).sum() < 0.93, f"{first} looks like {second}"


def test_colour_histograms_of_a_colour_matched_pair_are_close():
    scene = generate_scenes("train", 1, seed=5, min_objects=2, max_objects=2)[0]
    other = change_nouns(scene, 77, random.Random(1))
    assert abs(pixels(scene).mean((0, 1)) - pixels(other).mean((0, 1))).max() < 14
