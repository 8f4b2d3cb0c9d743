"""The commands with a real extractor (a small LAVIS Q-Former, untrained) on real photographs."""

import contextlib
import importlib
import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """The photographs that scikit-image carries itself, as files."""
    from PIL import Image
    from skimage import data

    folder = tmp_path_factory.mktemp("photographs")
    for name in ("astronaut", "camera", "coffee", "chelsea"):
        Image.fromarray(getattr(data, name)()).save(folder / f"{name}.jpg")
    (folder / "broken.jpg").write_bytes((folder / "coffee.jpg").read_bytes()[:2000])
    return folder


@pytest.fixture(scope="module")
def index_folder(extractor_folder, photographs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("work") / "index"
    run("build", "--images", photographs, "--output", folder, "--feature-extractor", extractor_folder)
    return folder


def run(module, *options):
    main = importlib.import_module(f"workflow_scripts.search.{module}").main
    with contextlib.redirect_stdout(io.StringIO()) as output:
        main(list(map(str, options)))
    return output.getvalue()


def test_a_query_ranks_the_photographs_by_the_best_of_all_queries(index_folder, extractor_folder, tmp_path):
    from workflow_scripts.files.images import open_image
    from workflow_scripts.models.feature_extractor import load_feature_extractor

    page = tmp_path / "sheet.html"
    found = json.loads(run("query", "a cup of coffee", "--index", index_folder, "--json", "--sheet", page))
    extractor = load_feature_extractor(extractor_folder)
    text = extractor.embed_texts(["a cup of coffee"])[0]
    photographs = Path(index_folder / json.loads((index_folder / "index.json").read_text())["images"][0]).resolve()
    expected = {}
    for path in sorted(photographs.glob("*.jpg")):
        if path.stem != "broken":
            pixels = extractor.transform(open_image(path, 10**9).image)
            expected[path.name] = float((extractor.extract_images(pixels[None])[1][0] @ text).max())
    assert [hit["id"] for hit in found["hits"]] == sorted(expected, key=lambda name: -expected[name])
    assert np.allclose([hit["score"] for hit in found["hits"]], sorted(expected.values(), reverse=True), atol=2e-3)
    assert page.read_text().count("data:image/jpeg") == 4


def test_the_damaged_photograph_is_listed(index_folder):
    skipped = json.loads((index_folder / "index.json").read_text())["skipped"]
    assert [one["file"] for one in skipped] == ["broken.jpg"]


def test_the_table_names_score_and_picture_best_first(index_folder):
    head, *lines = run("query", "a cat", "--index", index_folder, "--top", 3).splitlines()
    assert head == f"“a cat” in {index_folder} (4 pictures)"
    found = json.loads(run("query", "a cat", "--index", index_folder, "--top", 3, "--json"))["hits"]
    assert [line.split() for line in lines] == [[str(hit["rank"]), f"{hit['score']:.4f}", hit["id"]] for hit in found]


KILLED_AFTER_FIVE_BATCHES = """
import os, signal, sys
from workflow_scripts.search import build, journal
add, batches = journal.Journal.add, []
def add_and_die(self, entries):
    add(self, entries)
    batches.append(entries)
    if len(batches) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
journal.Journal.add = add_and_die
build.main(sys.argv[1:])
"""


def test_a_build_that_was_killed_goes_on_and_a_later_one_takes_in_what_has_changed(extractor_folder, tmp_path):
    from PIL import Image

    pictures, output = tmp_path / "pictures", tmp_path / "index"
    pictures.mkdir()
    for number in range(12):
        Image.new("RGB", (40, 30), (20 * number, 80, 120)).save(pictures / f"{number:02d}.png")
    options = ["--images", pictures, "--output", output, "--feature-extractor", extractor_folder]
    options += ["--settings", json.dumps({"batch_size": 1})]
    command = [sys.executable, "-c", KILLED_AFTER_FIVE_BATCHES, *map(str, options)]
    killed = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (output / "index.json").exists()
    assert count_embedded(lambda: run("build", *options)) == 12 - 5
    Image.new("RGB", (10, 10)).save(pictures / "new.png")
    Image.new("RGB", (20, 20)).save(pictures / "07.png")
    (pictures / "08.png").unlink()
    assert count_embedded(lambda: run("build", *options)) == 2
    ids = [hit["id"] for hit in json.loads(run("query", "a cat", "--index", output, "--json"))["hits"]]
    assert sorted(ids) == [*(f"{number:02d}.png" for number in range(12) if number != 8), "new.png"]


def count_embedded(build):
    """How many pictures go through the extractor while an index is built."""
    from workflow_scripts.search import build as module

    with mock.patch.object(module, "embed_pictures", wraps=module.embed_pictures) as embed:
        build()
    return sum(len(call.args[1]) for call in embed.call_args_list)


def test_the_sheet_of_several_queries_marks_no_picture_where_none_is_known(index_folder, tmp_path):
    run("sheet", "--index", index_folder, "--queries", "a cat", "the astronaut", "--top", 2, "--output", tmp_path / "s")
    sheet = json.loads((tmp_path / "s").read_text())
    assert [one["query"] for one in sheet["queries"]] == ["a cat", "the astronaut"]
    assert all(len(one["hits"]) == 2 and not one["hits"][0]["right"] for one in sheet["queries"])


def test_standard_output_holds_the_json_and_nothing_else(index_folder):
    command = [sys.executable, "-m", "workflow_scripts.search.query", "a cat", "--index", str(index_folder), "--json"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root)
    assert json.loads(done.stdout)["query"] == "a cat"


@pytest.mark.parametrize("query", ["犬", "🪁🪁", "cat " * 2500, "[MASK] <b>"])
def test_any_text_is_a_query(index_folder, query):
    assert len(json.loads(run("query", query, "--index", index_folder, "--json", "--top", 3))["hits"]) == 3


def test_a_photograph_finds_itself_first(index_folder, photographs):
    found = json.loads(run("query", "--image", photographs / "chelsea.jpg", "--index", index_folder, "--json"))
    assert found["hits"][0]["id"] == "chelsea.jpg"
    assert found["hits"][0]["score"] == pytest.approx(1, abs=2e-3)
    assert (found["query"], Path(found["image"]).name) == (None, "chelsea.jpg")


def test_a_text_beside_a_photograph_scores_by_the_mean_of_both(index_folder, photographs, tmp_path):
    def scores(*options):
        hits = json.loads(run("query", *options, "--index", index_folder, "--json"))["hits"]
        return {hit["id"]: hit["score"] for hit in hits}

    image = ("--image", photographs / "coffee.jpg")
    text, picture = scores("a cat"), scores(*image)
    together = scores("a cat", *image, "--sheet", tmp_path / "sheet.png")
    assert together == pytest.approx({name: (text[name] + picture[name]) / 2 for name in text}, abs=1e-5)


def test_a_picture_that_cannot_be_used_is_an_error_that_names_it(index_folder, photographs):
    with pytest.raises(ValueError, match=r"broken\.jpg cannot be used: damaged"):
        run("query", "--image", photographs / "broken.jpg", "--index", index_folder)


def test_reranking_orders_by_the_sum_of_matching_and_contrastive_score(index_folder, extractor_folder, photographs):
    from workflow_scripts.files.images import open_image
    from workflow_scripts.models.feature_extractor import load_feature_extractor

    before = json.loads(run("query", "a cat", "--index", index_folder, "--json"))["hits"]
    after = json.loads(run("query", "a cat", "--index", index_folder, "--json", "--rerank"))["hits"]
    extractor = load_feature_extractor(extractor_folder)
    expected = {}
    for hit in before:
        pixels = extractor.transform(open_image(photographs / hit["id"], 10**9).image)[None]
        expected[hit["id"]] = hit["score"] + float(extractor.itm_logits(pixels, ["a cat"])[0])
    assert [hit["id"] for hit in after] == sorted(expected, key=lambda name: -expected[name])
    assert {hit["id"]: hit["score"] for hit in after} == pytest.approx(expected, abs=1e-4)


def test_the_text_side_in_the_index_scores_as_the_extractor_does(index_folder, extractor_folder):
    from workflow_scripts.models.feature_extractor import load_feature_extractor
    from workflow_scripts.search.index import Index, embed_texts
    from workflow_scripts.search.query import text_encoder_of

    index, texts = Index(index_folder), ["a cup of coffee", "the astronaut", "犬"]
    with_lavis = index.scores(embed_texts(load_feature_extractor(extractor_folder), texts))
    assert np.abs(index.scores(embed_texts(text_encoder_of(index), texts)) - with_lavis).max() < 1e-5
