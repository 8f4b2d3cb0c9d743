"""Texts known by digests are counted and found as they are by a set and a dict."""

import random

import numpy as np

from workflow_scripts.digests import Distinct, Rows


def test_as_many_texts_differ_as_a_set_of_them_has():
    generator = random.Random(0)
    texts = [f"coco/{generator.randrange(500):09d}" for _ in range(2_000)]
    different = Distinct()
    assert different.count() == 0
    for start in range(0, len(texts), 300):
        different.add(texts[start : start + 300])
    assert different.count() == len(set(texts)) < len(texts)


def test_rows_are_those_of_a_dict_of_the_texts_and_minus_one_for_others():
    texts = [f"coco/{number:09d}" for number in range(0, 3_000, 3)]
    rows = {text: row for row, text in enumerate(texts)}
    asked = [f"coco/{number:09d}" for number in random.Random(0).sample(range(3_100), 900)] + ["\u8239"]
    found = Rows(iter(texts)).find(asked)
    assert found.dtype == np.int64
    assert found.tolist() == [rows.get(text, -1) for text in asked]
    assert min(found) == -1 < max(found)


def test_the_first_of_equal_texts_counts_and_among_none_nothing_is_found():
    assert Rows(["b", "a", "b"]).find(["b", "a"]).tolist() == [0, 1]
    assert Rows([]).find(["a"]).tolist() == [-1]
