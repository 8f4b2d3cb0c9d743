import json
import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from image_sets import noise, write_image_set
from PIL import Image

from workflow_scripts.search import build, query
from workflow_scripts.search.index import Hit, Index
from workflow_scripts.search.originals import Originals
from workflow_scripts.search.query import load_extractor_of
from workflow_scripts.search.rerank import rerank


@pytest.fixture
def project(tmp_path, extractor_folder, monkeypatch):
    """A project with an index of two pictures, whose results are a link to another disk."""
    (tmp_path / "disk/results/models").mkdir(parents=True)
    (tmp_path / "project/photos").mkdir(parents=True)
    for colour in ("red", "blue"):
        Image.new("RGB", (40, 30), colour).save(tmp_path / f"project/photos/{colour}.png")
    monkeypatch.chdir(tmp_path / "project")
    Path("results").symlink_to(tmp_path / "disk/results")
    shutil.copytree(extractor_folder, "results/models/extractor")
    flags = ["--images", "photos", "--feature-extractor", "results/models/extractor", "--output", "results/index"]
    build.main(flags)
    return tmp_path / "project"


def row_of(index, name):
    return [item["id"] for item in index.items].index(name)


@pytest.mark.parametrize("way", ["results/index", "../disk/results/index", "shortcut"])
def test_an_index_behind_a_link_finds_its_pictures_and_its_extractor(project, way):
    Path("shortcut").symlink_to("results/index")
    index = Index(Path(way))
    assert Originals(index, 10**6).open(row_of(index, "red.png")).getpixel((0, 0)) == (255, 0, 0)
    assert load_extractor_of(index)


def test_a_moved_index_says_where_it_looked_and_how_to_tell_it(project, tmp_path, capsys):
    moved = tmp_path / "else" / "where" / "deep" / "index"
    moved.parent.mkdir(parents=True)
    shutil.move(os.path.realpath("results/index"), moved)
    index = Index(moved)
    with pytest.raises(ValueError, match=r"The extractor of .*index is not at .*/extractor any more; .* with --fe"):
        query.main(["a cat", "--index", str(moved), "--rerank"])
    with pytest.raises(ValueError, match=r"The pictures of .*index are not at .*photos any more; .* with --images\."):
        Originals(index, 10**6).open(0)
    assert Originals(index, 10**6, [project / "photos"]).open(row_of(index, "blue.png")).getpixel((0, 0)) == (0, 0, 255)
    with pytest.raises(ValueError, match="--images: there is no folder nowhere"):
        Originals(index, 10**6, [Path("nowhere")]).open(0)
    with pytest.raises(ValueError, match="--feature-extractor: there is no folder nowhere"):
        query.main(["a cat", "--index", str(moved), "--feature-extractor", "nowhere"])
    capsys.readouterr()
    given = ["--feature-extractor", "results/models/extractor", "--images", str(project / "photos"), "--json"]
    query.main(["a cat", "--index", str(moved), "--rerank", *given])
    assert len(json.loads(capsys.readouterr().out)["hits"]) == 2


def test_pictures_that_are_gone_or_damaged_are_named(project):
    index = Index(Path("results/index"))
    Path("photos/red.png").unlink()
    Path("photos/blue.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"red\.png of the index results/index is not in .*photos any more; .* --im"):
        Originals(index, 10**6).open(row_of(index, "red.png"))
    with pytest.raises(ValueError, match=r"photos/blue\.png cannot be used: not a picture"):
        Originals(index, 10**6).open(row_of(index, "blue.png"))


class Matching:
    """Matches every picture with every text alike."""

    def transform(self, picture):
        return torch.zeros(3)

    def itm_logits(self, pixels, texts):
        return torch.ones(len(pixels))


def test_a_picture_that_is_gone_comes_last_and_ends_no_search(project, caplog):
    caplog.set_level(logging.WARNING)
    index = Index(Path("results/index"))
    Path("photos/red.png").unlink()
    gone, there = row_of(index, "red.png"), row_of(index, "blue.png")
    hits = [Hit(1, 0.9, gone, "red.png"), Hit(2, 0.5, there, "blue.png")]
    found = rerank(Matching(), Originals(index, 10**6), "a cat", hits)
    assert [(hit.rank, hit.id) for hit in found] == [(1, "blue.png"), (2, "red.png")]
    assert "red.png" in caplog.text
    Path("photos/blue.png").unlink()
    with pytest.raises(ValueError, match=r"not in .* any more"):
        rerank(Matching(), Originals(index, 10**6), "a cat", hits)


def test_image_sets_that_were_moved_are_found_in_the_folder_that_is_given(tmp_path, make_index):
    folder = make_index(np.ones((1, 2, 3)))
    manifest = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(manifest | {"images": ["../images/set-aaa"]}))
    pictures = noise(["0"], np.random.default_rng(0), 30, 40)
    write_image_set(tmp_path / "moved" / "set-aaa", [pictures])
    index = Index(folder)
    for given in ("moved", "moved/set-aaa"):
        originals = Originals(index, 10**6, [tmp_path / given])
        assert list(originals._image_sets) == ["set"]
    with pytest.raises(ValueError, match="--images"):
        Originals(index, 10**6).open(0)
