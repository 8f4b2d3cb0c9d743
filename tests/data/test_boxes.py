import random

import pytest

from workflow_scripts.data.boxes import format_box, parse_box


def test_a_box_is_written_in_per_cent_of_the_image():
    assert format_box((60, 120, 50, 100), 200, 400) == "{<30><30><25><25>}"
    assert parse_box("it is {<30><30><25><25>}, there", 200, 400) == (60, 120, 50, 100)


def test_no_edge_moves_by_more_than_half_a_per_cent():
    rng = random.Random(0)
    for _ in range(500):
        width, height = rng.randint(20, 700), rng.randint(20, 700)
        x, y = rng.uniform(0, width * 0.8), rng.uniform(0, height * 0.8)
        box = (x, y, rng.uniform(1, width - x), rng.uniform(1, height - y))
        back = parse_box(format_box(box, width, height), width, height)
        for edge, other, extent in (
            (box[0], back[0], width),
            (box[1], back[1], height),
            (box[0] + box[2], back[0] + back[2], width),
            (box[1] + box[3], back[1] + back[3], height),
        ):
            assert abs(edge - other) <= 0.005 * extent + 1e-6


def test_a_box_that_sticks_out_is_cut_at_the_edge():
    assert format_box((-10, 0, 300, 50), 200, 100) == "{<0><0><100><50>}"


@pytest.mark.parametrize("text", ["", "left", "{<1><2><3>}", "{<1><2><3><101>}", "{<1><2><3><x>}", "<1><2><3><4>"])
def test_a_reply_without_a_box_gives_none(text):
    assert parse_box(text, 100, 100) is None


def test_blanks_inside_a_reply_do_not_matter():
    assert parse_box("{ <1> <2> <3> <4> }", 100, 100) == (1, 2, 3, 4)


def test_an_image_without_size_is_an_error():
    with pytest.raises(ValueError, match="0x100"):
        format_box((0, 0, 1, 1), 0, 100)
