import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections import Counter

import pytest
from PIL import Image, ImageOps

from workflow_scripts.config.world import WorldSettings
from workflow_scripts.data.readers import (
    coco,
    conceptual_captions,
    minigpt4,
    okvqa,
    refcoco,
    visual_genome,
)
from workflow_scripts.miniature.publish import main
from workflow_scripts.miniature.scenes import combination_split
from workflow_scripts.sources.registry import load_registry

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
    """All annotation files, fetched from the folder of the web by the registry's addresses and unpacked."""
    folder = tmp_path_factory.mktemp("annotations")
    for name in ("coco_annotations_2017", "conceptual_captions", "visual_genome", "minigpt4", "okvqa", "refcoco"):
        for file in load_registry().source(name).files:
            content = (world / "web" / file.url.split("://")[1]).read_bytes()
            if file.unpack:
                zipfile.ZipFile(io.BytesIO(content)).extractall(folder / name)
            else:
                (folder / name).mkdir(exist_ok=True)
                (folder / name / file.name).write_bytes(content)
    return folder


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


def test_all_files_lie_where_the_registry_says_with_the_checksums_that_are_published(world):
    checksums = json.loads((world / "checksums.json").read_text())
    for name in ("coco_annotations_2017", "visual_genome", "okvqa", "refcoco", "minigpt4", "miniature_extras"):
        for file in load_registry().source(name).files:
            content = (world / "web" / file.url.split("://")[1]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == checksums[file.url]


def test_coco_is_read_by_the_reader_of_coco_oddities_included(annotations):
    train = coco.read_captions(annotations / "coco_annotations_2017" / "annotations" / "captions_train2017.json")
    val = coco.read_captions(annotations / "coco_annotations_2017" / "annotations" / "captions_val2017.json")
    assert (len(train.images), len(val.images), len(val.captions)) == (20, 6, 30)
    assert train.removed == {"duplicate caption id": 1, "caption of an unknown image": 1}
    texts = [caption.text for caption in train.captions]
    assert any(text != text.lower() for text in texts)
    assert any(text.endswith(".") for text in texts)
    assert not val.removed


def test_every_listed_picture_is_on_the_web_and_shows_its_scene(world, annotations, scenes):
    listed = {
        f"visual_genome/{key}": image.url
        for key, image in visual_genome.read_images(annotations / "visual_genome")[0].items()
    }
    train = coco.read_captions(annotations / "coco_annotations_2017" / "annotations" / "captions_train2017.json")
    listed |= {f"coco_train2017/{key}": image.url for key, image in train.images.items()}
    expressions, images, _ = refcoco.read_expressions(annotations / "refcoco")
    listed |= {f"coco_train2014/{item.image_id}": images[item.image_id].url for item in expressions}
    for subset in okvqa.SUBSETS:
        for question in okvqa.read_questions(annotations / "okvqa", subset)[0]:
            listed[f"coco_{subset}/{question.image_id}"] = okvqa.image_url(question.image_id, subset)
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


def test_the_web_captions_have_as_many_dead_links_as_asked(world, annotations):
    captions, removed = conceptual_captions.read_captions(
        annotations / "conceptual_captions" / "Train_GCC-training.tsv"
    )
    assert removed == {"line without a tab": 1}
    faults = json.loads((world / "faults.json").read_text())
    kinds = Counter(kind for kind in faults.values() if kind not in ("slow", "500_once", "500_twice", "cut_off_once"))
    gone = sum(".invalid/" in caption.url for caption in captions)
    assert sum(kinds.values()) + gone == 40
    assert {"404", "410", "500", "hang", "html", "truncated", "oversized", "cut_off"} == set(kinds)
    assert gone > 0


def test_questions_and_relationships_are_true_of_their_scenes(annotations, scenes):
    questions, _ = visual_genome.read_questions(annotations / "visual_genome")
    relationships, removed = visual_genome.read_relationships(annotations / "visual_genome")
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
            for name in (item.subject, item.object)
        )
        if item.predicate == "left of":
            assert first["box"][0] < second["box"][0]


def test_boxes_are_those_of_the_scenes_in_pixels(annotations, scenes):
    expressions, _, removed = refcoco.read_expressions(annotations / "refcoco")
    assert not removed
    for item in expressions:
        boxes = [[value * 64 for value in t["box"]] for t in scenes[f"coco_train2014/{item.image_id}"]["objects"]]
        assert any(max(abs(a - b) for a, b in zip(item.box, box, strict=True)) < 0.01 for box in boxes)
    split_of = {"train": "train", "val": "test", "testB": "validation"}
    assert {item.split for item in expressions} == set(split_of)
    assert all(scenes[f"coco_train2014/{e.image_id}"]["split"] == split_of[e.split] for e in expressions)


def test_knowledge_questions_have_ten_answers_and_held_out_scenes(world, annotations, scenes):
    splits = json.loads((world / "web" / "miniature.example" / "splits.json").read_text())
    train, _ = okvqa.read_questions(annotations / "okvqa", "train2014")
    val, _ = okvqa.read_questions(annotations / "okvqa", "val2014")
    assert all(len(question.answers) == 10 for question in train + val)
    assert {scenes[f"coco_train2014/{q.image_id}"]["split"] for q in train} == {"train"}
    assert {scenes[f"coco_val2014/{q.image_id}"]["split"] for q in val} == {"test", "validation"}
    assert {q.image_id for q in val} == {key for ids in splits["coco_val2014"].values() for key in ids}
    assert {q.category for q in train + val} <= {"Uses", "Materials", "Needs", "Places", "Kinds"}


def test_descriptions_come_with_their_pictures(annotations, scenes):
    descriptions, _ = minigpt4.read_descriptions(annotations / "minigpt4")
    files = minigpt4.image_files(annotations / "minigpt4")
    assert [item.image_id for item in descriptions] == list(map(str, range(7)))
    assert set(files) == {item.image_id for item in descriptions}
    for item in descriptions:
        nouns = {thing["noun"] for thing in scenes[f"minigpt4/{item.image_id}"]["objects"]}
        assert all(noun in item.text.lower() for noun in nouns)


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


def test_colour_matched_groups_differ_in_nouns_only(world, scenes):
    path = world / "web" / "miniature.example" / "captions_colour_matched.json"
    groups = {}
    for caption in coco.read_captions(path).captions:
        groups.setdefault(caption.group, []).append(caption)
    assert [len(group) for group in groups.values()] == [5, 5, 5]
    for group in groups.values():
        records = [scenes[f"colour_matched/{caption.image_id}"] for caption in group]
        for name in ("colour", "size", "cell"):
            assert len({tuple(thing[name] for thing in record["objects"]) for record in records}) == 1
        assert len({record["background"] for record in records}) == 1
        assert len({caption.text for caption in group}) == 5
        nouns = {thing["noun"] for record in records for thing in record["objects"]}

        def without_nouns(text, nouns=nouns):
            words = text.lower().replace(".", "").replace("!", "").split()
            return ["noun" if word in nouns else "a" if word == "an" else word for word in words]

        assert len({tuple(without_nouns(caption.text)) for caption in group}) == 1


def test_a_wrong_setting_is_refused(tmp_path):
    with pytest.raises(ValueError, match="dead_link_share"):
        main(["--settings", '{"dead_link_share": 2}', "--output", str(tmp_path)])
    assert WorldSettings().image_size == 96
