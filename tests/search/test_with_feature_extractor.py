"""The commands with a real extractor (a small LAVIS Q-Former, untrained) on real photographs."""

import contextlib
import importlib
import io
import json
import subprocess
import sys
from pathlib import Path

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
    from workflow_scripts.models.feature_extractor import load_feature_extractor
    from workflow_scripts.search.pictures import open_picture

    page = tmp_path / "sheet.html"
    found = json.loads(run("query", "a cup of coffee", "--index", index_folder, "--json", "--sheet", page))
    extractor = load_feature_extractor(extractor_folder)
    text = extractor.embed_texts(["a cup of coffee"])[0]
    photographs = Path(index_folder / json.loads((index_folder / "index.json").read_text())["images"][0]).resolve()
    expected = {}
    for path in sorted(photographs.glob("*.jpg")):
        if path.stem != "broken":
            pixels = extractor.transform(open_picture(path, 10**9))
            expected[path.name] = float((extractor.extract_images(pixels[None])[1][0] @ text).max())
    assert [hit["id"] for hit in found["hits"]] == sorted(expected, key=lambda name: -expected[name])
    assert np.allclose([hit["score"] for hit in found["hits"]], sorted(expected.values(), reverse=True), atol=2e-3)
    assert page.read_text().count("data:image/jpeg") == 4


def test_the_damaged_photograph_is_listed(index_folder):
    skipped = json.loads((index_folder / "index.json").read_text())["skipped"]
    assert [one["file"] for one in skipped] == ["broken.jpg"]


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
