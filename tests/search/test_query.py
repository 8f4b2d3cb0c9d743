import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workflow_scripts.search.index import Index
from workflow_scripts.search.query import clean_query, load_extractor_of, main
from workflow_scripts.search.render import sheet_html, sheet_png


@pytest.fixture
def result(make_index):
    index = Index(make_index(np.random.default_rng(0).normal(size=(12, 2, 4))))
    return index, index.search(np.ones((1, 4)), 7)[0]


def test_the_html_sheet_shows_every_picture_and_needs_no_other_file(result):
    index, hits = result
    page = sheet_html('<b>"red" & blue', hits, index)
    assert page.count('<img src="data:image/jpeg;base64,') == 7
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "http" not in page


def test_the_png_sheet_is_a_picture_of_all_rows(result):
    index, hits = result
    with Image.open(io.BytesIO(sheet_png("red", hits, index))) as sheet:
        assert sheet.size == (5 * 42 + 10, 40 + 2 * (32 + 10 + 20))


def test_a_query_that_is_longer_than_the_png_sheet_is_shortened_and_says_so(result, monkeypatch):
    from PIL import ImageDraw

    written = []
    usual = ImageDraw.ImageDraw.text

    def keep(draw, where, text, **options):
        written.append((text, where[0] + options["font"].getlength(text)))
        usual(draw, where, text, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", keep)
    index, hits = result
    for query in ("red", "a red cat " * 1000, "x" * 10_000, "犬 🪁"):
        with Image.open(io.BytesIO(sheet_png(query, hits, index))) as sheet:
            title, end = written[0]
            assert end <= sheet.width
        assert title == query if len(query) < 10 else (title.endswith("…") and query.startswith(title[:-1]))
        assert len(title) > 10 or title == query
        written.clear()


def test_an_index_of_another_extractor_is_refused(make_index, tmp_path):
    index = Index(make_index(np.ones((2, 2, 4))))
    with pytest.raises(ValueError, match="is not at"):
        load_extractor_of(index)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "blip2_qformer.pth").write_bytes(b"weights")
    with pytest.raises(ValueError, match="was built with another extractor"):
        load_extractor_of(index, tmp_path / "other")


def test_queries_are_tidied_and_empty_ones_are_errors():
    assert clean_query("  a red\n kite ") == "a red kite"
    for empty in ("", " \n"):
        with pytest.raises(ValueError, match="The query is empty"):
            clean_query(empty)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--top", "0"], "finds nothing"),
        (["--sheet", "x.gif"], "must end in"),
        (["--index", "nowhere"], "search.build"),
        (["--image", "x.jpg", "--index", "nowhere"], "search.build"),
    ],
)
def test_wrong_options_are_errors_that_say_what_to_do(options, message):
    with pytest.raises(ValueError, match=message):
        main(["a cat", *options])


@pytest.mark.parametrize(
    ("arguments", "message"), [([], "nothing to look for"), (["--rerank", "--image", "x.jpg"], "--rerank compares")]
)
def test_a_search_for_nothing_is_an_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        main(arguments)


def test_without_any_index_the_command_says_how_to_get_one(tmp_path):
    command = [sys.executable, "-m", "workflow_scripts.search.query", "a cat"]
    environment = {"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "make reproduce" in done.stderr
    assert "Traceback" not in done.stderr
