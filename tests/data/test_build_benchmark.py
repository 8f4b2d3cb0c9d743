import json
import pickle

import pyarrow.parquet as pq
import pytest

from workflow_scripts.catalogue.data_sets import HoldOut
from workflow_scripts.catalogue.load import load_catalogue
from workflow_scripts.data import build_benchmark
from workflow_scripts.data.splits import Splits


def run(tmp_path, benchmark, data_set, folder, images, *more, **settings):
    output = tmp_path / "benchmark"
    flags = ["--benchmark", benchmark, "--source", data_set, folder, images, *more]
    build_benchmark.main([*map(str, flags), "--settings", json.dumps(settings), "--output", str(output)])
    rows = pq.read_table(output / "questions.parquet").to_pylist()
    return rows, json.loads((output / "manifest.json").read_text())


@pytest.fixture
def genome(annotations, image_set):
    ids = [str(number) for number in range(12)]
    questions = [
        {
            "id": int(k),
            "qas": [{"qa_id": int(k), "image_id": int(k), "question": "What Color is it?", "answer": "Red."}],
        }
        for k in ids
    ]

    def related(number, predicate):
        return {
            "relationship_id": number,
            "predicate": predicate,
            "subject": {"name": "man"},
            "object": {"name": "horse"},
        }

    relationships = [
        {"image_id": int(k), "relationships": [related(int(k) * 2, "on"), related(int(k) * 2 + 1, "riding")]}
        for k in ids
    ]
    content = {"visual_genome": {"train": ids[:4], "validation": ids[4:5], "test": ids[5:]}}
    splits = annotations("extras", {"splits.json": content}) / "splits.json"
    folder = annotations("vg", {"question_answers.json": questions, "relationships.json": relationships})
    return folder, image_set("visual_genome", ids[:-1], ids[-1:]), "--split-file", splits


def test_visual_genome_asks_held_out_images_in_the_wanted_ratio(tmp_path, genome):
    rows, manifest = run(tmp_path, "visual_genome", "visual_genome", *genome, questions=8)
    assert manifest["tasks"] == {"vqa": 6, "relationship": 2}
    assert {row["image"] for row in rows} <= {f"visual_genome/{number}" for number in range(5, 11)}
    question = next(row for row in rows if row["task"] == "vqa")
    assert (question["query"], question["answer"], question["kind"]) == ("what color is it?", "red", "colour")
    assert (question["image_width"], question["image_height"], question["box"]) == (64, 48, None)


def test_a_pair_with_several_predicates_is_asked_once_and_has_several_answers(tmp_path, genome):
    rows, _ = run(tmp_path, "visual_genome", "visual_genome", *genome, shares={"visual_genome/relationship": 1.0})
    assert len(rows) == 6
    assert rows[0]["answers"] == ["man on horse", "man riding horse"]
    assert rows[0]["kind"] == "relation"


def test_the_validation_split_shares_no_image_with_test(tmp_path, genome):
    rows, manifest = run(
        tmp_path, "visual_genome", "visual_genome", *genome, "--split", "validation", shares={"visual_genome/vqa": 1.0}
    )
    assert [row["image"] for row in rows] == ["visual_genome/4"]
    assert manifest["split"] == "validation"


def test_too_few_questions_are_an_error(tmp_path, genome):
    with pytest.raises(
        ValueError, match=r"wants 75 questions of visual_genome/vqa about .* \(test\), but there are 6;"
    ):
        run(tmp_path, "visual_genome", "visual_genome", *genome, questions=100)


def test_okvqa_keeps_ten_answers_and_the_category(tmp_path, annotations, image_set):
    answers = [{"answer_id": n, "answer": w, "raw_answer": w} for n, w in enumerate(["Surf"] * 6 + ["swim"] * 4)]
    folder = annotations(
        "okvqa",
        {
            "OpenEnded_mscoco_val2014_questions.json": {
                "questions": [{"image_id": 7, "question": "What Sport?", "question_id": 1}]
            },
            "mscoco_val2014_annotations.json": {
                "annotations": [{"question_id": 1, "question_type": "three", "answers": answers}],
                "question_types": {"three": "Sports and Recreation"},
            },
        },
    )
    images = image_set("coco_val2014", ["000000000007"])
    (row,), _ = run(tmp_path, "okvqa", "okvqa", folder, images)
    assert row["answers"] == ["surf"] * 6 + ["swim"] * 4
    assert (row["id"], row["answer"], row["kind"]) == ("1", "surf", "sports and recreation")


def test_refcoco_has_boxes_in_pixels_of_the_original(tmp_path, annotations, image_set):
    splits = ["train", "val", "testA", "testB"]
    refs = [
        {"ann_id": 1, "image_id": 8, "split": s, "sentences": [{"sent_id": n, "sent": f"Left Man {s}"}]}
        for n, s in enumerate(splits)
    ]
    picture = {"id": 8, "file_name": "COCO_train2014_000000000008.jpg", "width": 640, "height": 480}
    folder = annotations(
        "refcoco",
        {
            "refs(unc).p": pickle.dumps(refs),
            "instances.json": {"images": [picture], "annotations": [{"id": 1, "bbox": [64, 48, 320, 240]}]},
        },
    )
    images = image_set("coco_train2014", ["000000000008"])
    (row,), _ = run(tmp_path, "refcoco", "refcoco", folder, images)
    assert "left man val" in row["query"]
    assert (row["box"], row["image_width"], row["image_height"]) == ([64.0, 48.0, 320.0, 240.0], 640, 480)
    assert (row["answer"], row["kind"]) == ("{<10><10><50><50>}", "place")
    (row,), _ = run(tmp_path, "refcoco", "refcoco", folder, images, "--split", "validation")
    assert "left man testb" in row["query"]


def captions(number, *texts, **more):
    return [{"id": number * 10 + n, "image_id": number, "caption": text, **more} for n, text in enumerate(texts)]


def test_retrieval_asks_with_the_first_caption_of_each_image(tmp_path, annotations, image_set):
    images = [{"id": n, "file_name": f"{n:012d}.jpg", "width": 9, "height": 9} for n in (1, 2, 3)]
    texts = captions(1, "A Cat.", "Another.") + captions(2, "A dog!") + captions(3, "Its picture is gone.")
    folder = annotations("coco", {"captions_val2017.json": {"images": images, "annotations": texts}})
    stored = image_set("coco_val2017", ["000000000001", "000000000002"], ["000000000003"])
    rows, manifest = run(tmp_path, "coco_retrieval", "coco_annotations_2017", folder, stored)
    assert [(row["image"], row["answer"], row["answers"]) for row in rows] == [
        ("coco_val2017/000000000001", "a cat", ["a cat", "another"]),
        ("coco_val2017/000000000002", "a dog", ["a dog"]),
    ]
    assert manifest["removed"] == {"picture could not be fetched": 1}


def test_table_1_asks_with_captions_as_lavis_cleans_them(tmp_path, annotations, image_set):
    sentences = [{"sentid": 1, "raw": "A man's hat,\non a well-used (red) chair.\n"}, {"sentid": 2, "raw": "Two."}]
    image = {"cocoid": 7, "filename": "COCO_val2014_000000000007.jpg", "split": "test", "sentences": sentences}
    folder = annotations("karpathy", {"dataset_coco.json": {"images": [image]}})
    images = image_set("coco_karpathy_test", ["000000000007"])
    rows, _ = run(tmp_path, "coco_karpathy_retrieval", "karpathy", folder, images)
    assert [row["answers"] for row in rows] == [["a man's hat,\non a well-used red chair", "two"]]


def test_colour_matched_questions_know_their_group(tmp_path, annotations, image_set):
    images = [{"id": n, "file_name": f"{n:012d}.jpg", "width": 9, "height": 9} for n in (1, 2)]
    texts = captions(1, "A cat.", group="00000") + captions(2, "A dog.", group="00000")
    folder = annotations("extras", {"captions_colour_matched.json": {"images": images, "annotations": texts}})
    rows, _ = run(
        tmp_path,
        "colour_matched",
        "colour_matched",
        folder,
        image_set("colour_matched", ["000000000001", "000000000002"]),
    )
    assert [row["group"] for row in rows] == ["00000", "00000"]


def test_images_of_another_set_and_no_question_at_all_are_errors(tmp_path, genome):
    with pytest.raises(ValueError, match=r"the image set visual_genome, but okvqa \(test\) is about coco_val2014"):
        run(tmp_path, "okvqa", "okvqa", *genome)
    with pytest.raises(ValueError, match="--source gqa: no part is of this data set; it has visual_genome"):
        run(tmp_path, "visual_genome", "gqa", *genome)
    with pytest.raises(ValueError, match="no benchmark 'visual_genom'; did you mean visual_genome"):
        run(tmp_path, "visual_genom", "visual_genome", *genome)
    with pytest.raises(ValueError, match="has no records of the task okvqa; it has vqa, relationship"):
        run(tmp_path, "visual_genome", "visual_genome", *genome, shares={"visual_genome/okvqa": 1.0})
    folder, images, flag, splits = genome
    splits.write_text(json.dumps({"visual_genome": {"train": ["1"]}}))
    with pytest.raises(ValueError, match="There is no question about visual_genome"):
        run(tmp_path, "visual_genome", "visual_genome", folder, images, flag, splits)


def test_without_a_number_there_are_as_many_as_the_shares_allow(tmp_path, genome):
    _, manifest = run(tmp_path, "visual_genome", "visual_genome", *genome)
    assert manifest["tasks"] == {"relationship": 2, "vqa": 6}
    halves = {"visual_genome/vqa": 0.5, "visual_genome/relationship": 0.5}
    assert run(tmp_path, "visual_genome", "visual_genome", *genome, shares=halves)[1]["count"] == 12


def test_questions_of_two_data_sets_make_one_benchmark_with_distinct_ids(tmp_path, genome, rooms):
    shares = {"visual_genome/vqa": 0.25, "daquar/vqa": 0.75}
    more = [*genome[2:], "--source", "daquar", *rooms, "--split", "validation"]
    rows, manifest = run(tmp_path, "visual_genome", "visual_genome", *genome[:2], *more, shares=shares)
    assert manifest["data_sets"] == {"daquar": 3, "visual_genome": 1}
    assert len({row["id"] for row in rows}) == 4


ROOMS = [f"image{number}" for number in range(2001, 2041)]
HELD_OUT = [room for room in ROOMS if Splits("", HoldOut(validation=250, test=0)).of(room) == "validation"]


@pytest.fixture
def rooms(annotations, image_set):
    lines = "".join(
        f"what lies on the Anvil in the {room} ?\noil_can, globe\nhow many harps are left of it in the {room} ?\n2\n"
        for room in ROOMS
    )
    folder = annotations("daquar", {"qa.894.raw.train.txt": lines, "qa.894.raw.test.txt": lines})
    return folder, image_set("daquar_train", ROOMS)


@pytest.mark.parametrize("word", ["validation", "dev"])
def test_images_of_a_training_file_are_asked_about_where_they_are_held_out(tmp_path, rooms, word):
    rows, manifest = run(tmp_path, "daquar", "daquar", *rooms, "--split", word)
    assert {row["image"] for row in rows} == {f"daquar_train/{room}" for room in HELD_OUT}
    assert manifest["split"] == "validation"
    assert manifest["kinds"] == {"count": len(HELD_OUT), "object": len(HELD_OUT)}
    assert manifest["removed"] == {}
    row = rows[0]
    assert (row["query"], row["answer"], row["answers"]) == (
        "what lies on the anvil?",
        "oil can, globe",
        ["oil can, globe"],
    )
    assert (row["task"], row["kind"]) == ("vqa", "object")


def test_all_of_a_test_file_is_asked(tmp_path, rooms, image_set):
    rows, _ = run(tmp_path, "daquar", "daquar", rooms[0], image_set("daquar_test", ROOMS), "--split", "test")
    assert len(rows) == 80
    assert {row["image"] for row in rows} == {f"daquar_test/{room}" for room in ROOMS}


@pytest.fixture
def photographs(annotations, image_set):
    lines = "".join(f"p{n}.jpg#{k}\tA harp , number {n} and {k} .\n" for n in range(6) for k in range(5))
    names = [f"p{n}" for n in range(4)]
    return annotations("flickr8k", {"Flickr8k.token.txt": lines}), image_set("flickr8k_validation", names, ["p4"])


@pytest.mark.parametrize("benchmark", ["flickr8k_captions", "flickr8k_retrieval"])
def test_images_are_described_without_a_query_by_five_people(tmp_path, photographs, benchmark):
    rows, manifest = run(tmp_path, benchmark, "flickr8k", *photographs, "--split", "dev")
    assert [row["image"] for row in rows] == [f"flickr8k_validation/p{n}" for n in range(4)]
    assert rows[0]["query"] == ""
    assert rows[0]["answers"] == [f"a harp, number 0 and {k}" for k in range(5)]
    assert manifest["removed"] == {"picture could not be fetched": 5}


def test_a_task_made_from_captions_asks_once_about_an_image(tmp_path, photographs):
    shares = {"flickr8k/description": 1.0}
    rows, _ = run(tmp_path, "flickr8k_captions", "flickr8k", *photographs, "--split", "dev", shares=shares)
    wordings = load_catalogue().task("description").of_captions
    assert len(rows) == 4
    assert all(row["query"] in wordings and len(row["answers"]) == 5 for row in rows)


def test_statements_are_balanced_and_about_the_images_that_are_there(tmp_path, photographs):
    asked = ("flickr8k_is_true", "flickr8k", *photographs, "--split", "dev")
    rows, manifest = run(tmp_path, *asked, questions=12)
    assert manifest["tasks"] == {"is_true": 12}
    assert manifest["kinds"] == {"no": 6, "yes": 6}
    assert {row["image"] for row in rows} <= {f"flickr8k_validation/p{n}" for n in range(4)}
    for row in rows:
        own = f"number {row['image'][-1]} and" in row["query"]
        assert row["answer"] == ("yes" if own else "no")
    with pytest.raises(ValueError, match=r"wants 41 questions .*20 captions give 40"):
        run(tmp_path, *asked, questions=41)
