import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections import Counter

import pytest
from PIL import Image, ImageOps

from workflow_scripts.catalogue.load import load_catalogue
from workflow_scripts.config.world import WorldSettings
from workflow_scripts.data.records import reader_of, reader_options
from workflow_scripts.miniature.publish import main
from workflow_scripts.miniature.scenes import combination_split

SETTINGS = {
    "coco_train2017": 20,
    "coco_val2017": 6,
    "retrieval_validation": 5,
    "coco_train2014": 12,
    "coco_train2014_evaluation": 8,
    "coco_val2014": 6,
    "coco_val2014_validation": 4,
    "conceptual_captions": 200,
    "visual_genome": 30,
    "visual_genome_test": 5,
    "visual_genome_validation": 4,
    "minigpt4": 7,
    "colour_matched_groups": 3,
    "dead_link_share": 0.2,
    "image_size": 64,
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    main(["--settings", json.dumps(SETTINGS), "--output", str(folder)])
    return folder


@pytest.fixture(scope="module")
def annotations(world, tmp_path_factory):
    """All annotation files, fetched from the folder of the web by the catalogue's addresses and unpacked."""
    folder = tmp_path_factory.mktemp("annotations")
    fetched = ("coco_annotations_2017", "conceptual_captions", "visual_genome", "minigpt4", "okvqa", "refcoco")
    for name in (*fetched, "miniature_extras"):
        for file in load_catalogue().source(name).files:
            content = (world / "web" / file.url.split("://")[1]).read_bytes()
            if file.unpack:
                zipfile.ZipFile(io.BytesIO(content)).extractall(folder / name)
            else:
                (folder / name).mkdir(exist_ok=True)
                (folder / name / file.name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def read(annotations):
    """Reads a split of a data set as its row of the catalogue says: records, what was removed, images."""

    def read(name, split="train", *tasks):
        rows = load_catalogue()
        row, folder = rows.data_set(name), annotations / rows.files_of(name, split)
        reader, options = reader_of(row.reader), reader_options(row.reader, row.split(split).options, name)
        found = reader.read(folder, options, frozenset(tasks or row.tasks))
        return list(found.records), found.removed, reader.images(folder, options)

    return read


@pytest.fixture(scope="module")
def scenes(world):
    lines = (world / "scenes.jsonl").read_text().splitlines()
    return {record["image"]: record for record in map(json.loads, lines)}


def files_of(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.slow
def test_the_seed_decides_every_byte(world, tmp_path):
    command = [sys.executable, "-m", "workflow_scripts.miniature.publish", "--settings", json.dumps(SETTINGS)]
    subprocess.run([*command, "--output", str(tmp_path / "again"), "--processes", "2"], check=True, capture_output=True)
    assert files_of(tmp_path / "again") == files_of(world)
    main(["--settings", json.dumps({**SETTINGS, "seed": 2}), "--output", str(tmp_path / "other")])
    assert files_of(tmp_path / "other")["scenes.jsonl"] != files_of(world)["scenes.jsonl"]


@pytest.mark.slow
def test_publishing_again_replaces_the_old_world(tmp_path):
    small = {**SETTINGS, "conceptual_captions": 10}
    main(["--settings", json.dumps(SETTINGS), "--output", str(tmp_path)])
    main(["--settings", json.dumps(small), "--output", str(tmp_path)])
    assert json.loads((tmp_path / "published.json").read_text())["pictures"]["conceptual_captions"] == 10
    assert len(list((tmp_path / "web").glob("photos.example-*/*/*/*.jpg"))) <= 10


def test_all_files_lie_where_the_catalogue_says_with_the_checksums_that_are_published(world):
    checksums = json.loads((world / "checksums.json").read_text())
    for name in ("coco_annotations_2017", "visual_genome", "okvqa", "refcoco", "minigpt4", "miniature_extras"):
        for file in load_catalogue().source(name).files:
            content = (world / "web" / file.url.split("://")[1]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == checksums[file.url]


def test_coco_is_read_by_the_reader_of_coco_oddities_included(read):
    train, removed_of_train, images_of_train = read("coco_annotations_2017")
    val, removed_of_val, images_of_val = read("coco_annotations_2017", "test")
    assert (len(images_of_train), len(images_of_val), len(val)) == (20, 6, 30)
    assert removed_of_train == {"duplicate caption id": 1, "caption of an unknown image": 1}
    texts = [caption.answer for caption in train]
    assert any(text != text.lower() for text in texts)
    assert any(text.endswith(".") for text in texts)
    assert not removed_of_val


def test_files_are_packed_written_and_served_as_oddly_as_the_real_ones(world, annotations, read):
    web = world / "web"

    def members(source):
        (file,) = load_catalogue().source(source).files
        return zipfile.ZipFile(web / file.url.split("://")[1]).namelist()

    assert "__MACOSX/cc_sbu_align/filter_cap.json" in members("minigpt4")
    assert any(name.endswith(".jpg.1") for name in members("minigpt4"))
    assert "__MACOSX/refcoco/instances.json" in members("refcoco")
    assert b"U\x08sent_ids" in (annotations / "refcoco/refcoco/refs(unc).p").read_bytes(), "strings of Python 2"
    instances = json.loads((annotations / "refcoco/refcoco/instances.json").read_bytes())
    assert {one["coco_url"] for one in instances["images"]} == {
        f"http://mscoco.org/images/{one['id']}" for one in instances["images"]
    }
    ids = json.loads((annotations / "minigpt4/cc_sbu_align/filter_cap.json").read_bytes())["annotations"]
    assert {type(one["image_id"]) for one in ids} == {int, str}
    faults = json.loads((world / "faults.json").read_text())
    moved = next(address for address, fault in faults.items() if fault == "moved")
    assert (web / f"moved.{moved}").read_bytes() == (web / moved).read_bytes()
    assert "no_ranges" in faults.values()
    second = load_catalogue().source("conceptual_captions").files[0].archive_url
    assert (web / second.split("://")[1]).read_bytes().startswith(b"<!DOCTYPE html>")


def test_every_listed_picture_is_on_the_web_and_shows_its_scene(world, read, scenes):
    splits = [("visual_genome", "train"), ("coco_annotations_2017", "train"), ("refcoco", "train")]
    splits += [("okvqa", "train"), ("okvqa", "test")]
    listed = {
        f"{load_catalogue().images_of(name, split)}/{key}": url
        for name, split in splits
        for key, url in read(name, split)[2].items()
    }
    assert len(listed) == 39 + 20 + 20 + 10
    for key, url in listed.items():
        assert scenes[key]["url"] == url
        with Image.open(world / "web" / url.split("://")[1]) as image:
            assert image.size == (64, 64)
    assert {url.split("/")[-2] for url in listed.values() if "rak248" in url} == {"VG_100K", "VG_100K_2"}


def test_odd_pictures_go_by_the_name_of_jpeg(world, scenes):
    seen = {}
    for record in scenes.values():
        path = world / "web" / record["url"].split("://")[-1]
        if record["oddity"] and path.is_file():
            with Image.open(path) as image:
                seen[record["oddity"]] = (image.format, image.mode, ImageOps.exif_transpose(image) is not image)
                if record["oddity"] == "exif_rotated":
                    assert image.getexif()[0x0112] == 6
    assert seen["greyscale"][:2] == ("JPEG", "L")
    assert seen["cmyk"][:2] == ("JPEG", "CMYK")
    assert seen["gif"][0] == "GIF"
    assert "exif_rotated" in seen


def test_the_web_captions_have_as_many_dead_links_as_asked(world, read):
    _, removed, images = read("conceptual_captions")
    assert removed == {"line without a tab": 1}
    faults = json.loads((world / "faults.json").read_text())
    alive = ("slow", "500_once", "500_twice", "cut_off_once", "moved", "no_ranges")
    kinds = Counter(kind for kind in faults.values() if kind not in alive)
    gone = sum(".invalid/" in url for url in images.values())
    assert sum(kinds.values()) + gone == 40
    assert {"404", "410", "500", "hang", "html", "truncated", "oversized", "cut_off"} == set(kinds)
    assert gone > 0


def test_questions_and_relationships_are_true_of_their_scenes(read, scenes):
    questions, _, _ = read("visual_genome", "train", "vqa")
    relationships, removed, _ = read("visual_genome", "train", "relationship")
    assert removed["image without relationships"] > 0
    asked = Counter()
    for question in questions:
        objects = scenes[f"visual_genome/{question.image_id}"]["objects"]
        answer = question.answer.lower().rstrip(".")
        if question.query.lower().startswith("what colour is the "):
            asked["colour"] += 1
            assert answer in {thing["colour"] for thing in objects}
    assert asked["colour"] > 5
    for item in relationships:
        things = scenes[f"visual_genome/{item.image_id}"]["objects"]
        first, second = (
            next(t for t in things if name in (t["noun"], f"{t['colour']} {t['noun']}"))
            for name in (item.words["subject"], item.words["object"])
        )
        if item.answer == f"{item.words['subject']} left of {item.words['object']}":
            asked["left of"] += 1
            assert first["box"][0] < second["box"][0]
    assert asked["left of"] > 5


def test_boxes_are_those_of_the_scenes_in_pixels(read, scenes):
    expressions, removed, _ = read("refcoco")
    assert not removed
    for item in expressions:
        boxes = [[value * 64 for value in t["box"]] for t in scenes[f"coco_train2014/{item.image_id}"]["objects"]]
        assert any(max(abs(a - b) for a, b in zip(item.box, box, strict=True)) < 0.01 for box in boxes)
    split_of = {"train": "train", "val": "test", "testB": "validation"}
    assert {item.part for item in expressions} == set(split_of)
    assert all(scenes[f"coco_train2014/{e.image_id}"]["split"] == split_of[e.part] for e in expressions)


def test_knowledge_questions_have_ten_answers_and_held_out_scenes(world, read, scenes):
    splits = json.loads((world / "web" / "miniature.example" / "splits.json").read_text())
    train, val = (read("okvqa", split)[0] for split in ("train", "test"))
    assert all(len(question.answers) == 10 for question in train + val)
    assert {scenes[f"coco_train2014/{q.image_id}"]["split"] for q in train} == {"train"}
    assert {scenes[f"coco_val2014/{q.image_id}"]["split"] for q in val} == {"test", "validation"}
    assert {q.image_id for q in val} == {key for ids in splits["coco_val2014"].values() for key in ids}
    assert {q.kind for q in train + val} <= {"uses", "materials", "needs", "places", "kinds"}


def test_descriptions_come_with_their_pictures(annotations, read, scenes):
    descriptions, _, files = read("minigpt4")
    assert all(list((annotations / "minigpt4").rglob(name)) for name in files.values())
    assert [item.image_id for item in descriptions] == list(map(str, range(7)))
    assert set(files) == {item.image_id for item in descriptions}
    for item in descriptions:
        nouns = {thing["noun"] for thing in scenes[f"minigpt4/{item.image_id}"]["objects"]}
        assert all(noun in item.answer.lower() for noun in nouns)


def test_held_out_scenes_hold_what_training_never_showed(world, scenes):
    trained = {(t["noun"], t["colour"]) for r in scenes.values() if r["split"] == "train" for t in r["objects"]}
    for record in scenes.values():
        if record["split"] != "train" and record["group"] is None:
            own = [t for t in record["objects"] if combination_split(t["noun"], t["colour"]) == record["split"]]
            assert own
            assert not trained & {(t["noun"], t["colour"]) for t in own}
    content = json.loads((world / "web" / "miniature.example" / "splits.json").read_text())
    for split, ids in content["visual_genome"].items():
        assert {scenes[f"visual_genome/{key}"]["split"] for key in ids} == {split}


def test_colour_matched_groups_differ_in_nouns_only(read, scenes):
    groups = {}
    for caption in read("colour_matched", "test")[0]:
        groups.setdefault(caption.group, []).append(caption)
    assert [len(group) for group in groups.values()] == [5, 5, 5]
    for group in groups.values():
        records = [scenes[f"colour_matched/{caption.image_id}"] for caption in group]
        for name in ("colour", "size", "cell"):
            assert len({tuple(thing[name] for thing in record["objects"]) for record in records}) == 1
        assert len({record["background"] for record in records}) == 1
        assert len({caption.answer for caption in group}) == 5
        nouns = {thing["noun"] for record in records for thing in record["objects"]}

        def without_nouns(text, nouns=nouns):
            words = text.lower().replace(".", "").replace("!", "").split()
            return ["noun" if word in nouns else "a" if word == "an" else word for word in words]

        assert len({tuple(without_nouns(caption.answer)) for caption in group}) == 1


def test_a_wrong_setting_is_refused(tmp_path):
    with pytest.raises(ValueError, match="dead_link_share"):
        main(["--settings", '{"dead_link_share": 2}', "--output", str(tmp_path)])
    assert WorldSettings().image_size == 96
