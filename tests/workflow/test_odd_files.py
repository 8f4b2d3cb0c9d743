"""The files of the mirror of scale `paper` are as odd as the real ones, and readers lose nothing of them."""

import json
import sys
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from odd_files import ODD, make_odd, place

from workflow_scripts.catalogue.load import load_catalogue
from workflow_scripts.config.world import WorldSettings
from workflow_scripts.data.list_image_urls import list_images
from workflow_scripts.data.records import reader_of, reader_options
from workflow_scripts.data.text import collapse_whitespace
from workflow_scripts.miniature.publish import publish, zipped
from workflow_scripts.sources.archives import unpack

WORLD = WorldSettings(
    image_size=48, vision_corpus=1, vision_corpus_validation=1, text_scenes=1, coco_train2017=6, coco_val2017=2,
    retrieval_validation=1, coco_train2014=16, coco_train2014_evaluation=8, coco_val2014=6, coco_val2014_validation=1,
    conceptual_captions=1, visual_genome=12, visual_genome_test=1, visual_genome_validation=1, minigpt4=8,
    colour_matched_groups=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    """What a data set's readers give of its tidy and of its odd files."""
    found = []
    for name, change in (("tidy", None), ("odd", make_odd)):
        folder = tmp_path_factory.mktemp(name)
        publish(WORLD, folder, processes=1)
        root = folder / "web"
        sentences = [{"raw": "A red boat.", "sentid": 1}, {"raw": "A boat on a lake.", "sentid": 2}]
        image = {"cocoid": 7, "filename": "COCO_val2014_000000000007.jpg", "split": "test", "sentences": sentences}
        write(root, "karpathy", "caption_datasets.zip", {"dataset_coco.json": json.dumps({"images": [image]}).encode()})
        write(root, "visual_genome_pictures", "images.zip", {f"VG_100K/{n}.jpg": b"x" * 99 for n in range(3)})
        write(root, "coco_train2017_pictures", "train2017.zip", {"train2017/000000000001.jpg": b"x"})
        for number in (20, 21):
            path = place(root, "cc3m_webdataset", f"cc3m-train-{number:04d}.tar")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"tar")
        if change:
            change(root)
        found.append((root, folder / "unpacked"))
    return found


def write(root, source, name, members):
    path = place(root, source, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(zipped(members))


def read(world, data_set, split, task):
    root, unpacked = world
    folder = unpacked / data_set
    if not folder.exists():
        folder.mkdir(parents=True)
        for file in load_catalogue().source(data_set).files:
            unpack(place(root, data_set, file.name), folder)
    row = load_catalogue().data_set(data_set)
    options = reader_options(row.reader, row.split(split).options, data_set)
    reading = reader_of(row.reader).read(folder, options, frozenset({task}))
    records = list(reading.records)
    images = list_images(load_catalogue(), next(e for e in lists(row, split) if e.data_set == data_set), folder)
    return records, images, dict(reading.removed)


def lists(row, split):
    return load_catalogue().image_set(row.split(split).images).lists


@pytest.mark.parametrize(
    ("data_set", "split", "task"),
    [
        ("minigpt4", "train", "description"),
        ("okvqa", "train", "okvqa"),
        ("okvqa", "test", "okvqa"),
        ("visual_genome", "train", "vqa"),
        ("visual_genome", "train", "relationship"),
    ],
)
def test_readers_give_the_same_of_odd_files_as_of_tidy_ones(worlds, data_set, split, task):
    tidy, odd = (read(world, data_set, split, task) for world in worlds)
    assert odd[0] == tidy[0]
    assert odd[1] == tidy[1]
    assert sum(odd[2].values()) - sum(tidy[2].values()) == (task != "relationship"), "what stands twice is counted"


def test_refcoco_loses_the_phrase_of_two_boxes_only_and_every_address_is_alive(worlds):
    tidy, odd = (read(world, "refcoco", "train", "refcoco") for world in worlds)
    lost = [record for record in tidy[0] if record not in odd[0]]
    assert [record.part for record in lost] == ["val"]
    assert [record for record in odd[0] if record not in tidy[0]] == []
    assert odd[2]["phrase means several boxes"] == 2
    assert all(url.startswith("http://images.cocodataset.org/train2014/COCO_train2014_") for url in odd[1].values())
    assert odd[1] == {key: url for key, url in tidy[1].items() if key in odd[1]}


def test_karpathy_s_captions_differ_in_blanks_only(worlds):
    tidy, odd = (read(world, "karpathy", "test", "caption") for world in worlds)
    assert [one.answers[0] for one in odd[0]] != [one.answers[0] for one in tidy[0]]
    assert [collapse_whitespace(one.answers[0]) for one in odd[0]] == [one.answers[0] for one in tidy[0]]
    assert odd[1] == tidy[1]


def test_each_oddity_is_in_the_files(worlds):
    root, _ = worlds[1]
    names = {key: zipfile.ZipFile(place(root, *key)).namelist() for key in ODD}
    every = [name for found in names.values() for name in found]
    assert any(name.startswith("__MACOSX/") for name in every)
    assert any(name.endswith(".jpg.1") for name in every)
    refcoco = zipfile.ZipFile(place(root, "refcoco", "refcoco.zip"))
    assert b"http://mscoco.org/images/" in refcoco.read("data/refcoco/instances.json")
    assert b"U\x08sent_ids" in refcoco.read("data/refcoco/refs(unc).p"), "strings of Python 2, not text"
