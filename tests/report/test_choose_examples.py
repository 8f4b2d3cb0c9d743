from PIL import Image

from workflow_scripts.report.choose_examples import choose, is_good, picture_url


def test_examples_are_judged_by_the_measure_of_their_task():
    box = {"answer": "{<10><10><20><20>}", "answers": []}
    assert is_good(box | {"prediction": "{<10><10><20><22>}"})
    assert not is_good(box | {"prediction": "{<60><10><20><20>}"})
    assert not is_good(box | {"prediction": "there"})
    assert is_good({"answer": "wood", "answers": ["wood"] * 8 + ["metal"] * 2, "prediction": "metal"})
    assert is_good({"answer": "A cat.", "answers": ["A cat."], "prediction": "cat"})


def test_examples_are_drawn_kind_by_kind_without_showing_an_image_twice():
    rows = [{"kind": "abc"[number % 3], "image": f"s/{number % 8}", "n": number} for number in range(60)]
    chosen = choose(rows, 6, seed=1)
    assert len({row["image"] for row in chosen}) == len(chosen) == 6
    assert {row["kind"] for row in chosen} == {"a", "b", "c"}
    assert choose(rows, 6, seed=1) == chosen
    assert choose([], 6, seed=1) == []


def test_the_example_picture_carries_both_boxes():
    row = {"answer": "{<10><10><50><50>}", "prediction": "{<20><20><60><60>}"}
    plain = picture_url(Image.new("RGB", (50, 100), "white"), {"answer": "cat", "prediction": "dog"})
    assert picture_url(Image.new("RGB", (50, 100), "white"), row) != plain
