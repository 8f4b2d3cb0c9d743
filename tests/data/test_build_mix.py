import json
import pickle
from collections import Counter

import pyarrow.parquet as pq
import pytest

from workflow_scripts.catalogue.data_sets import HoldOut
from workflow_scripts.catalogue.load import load_catalogue
from workflow_scripts.data import build_mix
from workflow_scripts.data.parts import exact_counts
from workflow_scripts.data.splits import Splits

PARTS = {"visual_genome/vqa": 0.6, "visual_genome/relationship": 0.2, "minigpt4/description": 0.2}


@pytest.fixture
def genome(annotations, image_set):
    """20 training and 5 held-out images with two questions and one relationship each; one picture is missing."""
    ids = [str(number) for number in range(25)]
    questions = [
        {
            "id": int(key),
            "qas": [
                {"qa_id": int(key) * 2 + n, "image_id": int(key), "question": f"What IS {n}?", "answer": "A Cat."}
                for n in range(2)
            ],
        }
        for key in ids
    ]
    relationships = [
        {
            "image_id": int(key),
            "relationships": [
                {
                    "relationship_id": int(key),
                    "predicate": "ON",
                    "subject": {"name": "Cat"},
                    "object": {"names": ["mat"]},
                }
            ],
        }
        for key in ids
    ]
    splits = annotations("extras", {"splits.json": {"visual_genome": {"train": ids[:20], "test": ids[20:]}}})
    folder = annotations("vg", {"question_answers.json": questions, "relationships.json": relationships})
    images = image_set("visual_genome", ids[1:], ids[:1])
    return ["visual_genome", folder, images], splits / "splits.json"


@pytest.fixture
def minigpt4(annotations, image_set):
    entries = [{"image_id": str(number), "caption": f"This Is Picture {number}. Long."} for number in range(10)]
    folder = annotations("minigpt4", {"filter_cap.json": {"annotations": entries}})
    return ["minigpt4", folder, image_set("minigpt4", map(str, range(10)))]


def run(tmp_path, *sources, splits=None, parts=PARTS, more=(), **settings):
    flags = [str(word) for source in sources for word in ("--source", *source)]
    flags += ["--split-file", str(splits)] if splits else []
    build_mix.main(
        [
            *flags,
            *map(str, more),
            "--settings",
            json.dumps({"parts": parts, **settings}),
            "--output",
            str(tmp_path / "mix"),
        ]
    )
    folder = tmp_path / "mix"
    return pq.read_table(folder / "samples.parquet").to_pylist(), json.loads((folder / "manifest.json").read_text())


def test_the_mix_has_exact_proportions_and_no_held_out_image(tmp_path, genome, minigpt4):
    source, splits = genome
    rows, manifest = run(tmp_path, source, minigpt4, splits=splits, count=40)
    assert manifest["tasks"] == {"vqa": 24, "relationship": 8, "description": 8}
    used = {row["image"] for row in rows if row["image"].startswith("visual_genome")}
    assert used <= {f"visual_genome/{number}" for number in range(1, 20)}
    assert len({(row["task"], row["id"]) for row in rows}) == 40
    assert manifest["removed"]["held out"] == 15
    assert manifest["removed"]["picture could not be fetched"] == 3


def test_queries_and_answers_are_lower_case_and_worded_by_templates(tmp_path, genome, minigpt4):
    source, splits = genome
    rows, _ = run(tmp_path, source, minigpt4, splits=splits, count=40)
    by_task = {task: [row for row in rows if row["task"] == task] for task in ("vqa", "relationship", "description")}
    assert {row["answer"] for row in by_task["vqa"]} == {"a cat"}
    assert {row["query"] for row in by_task["vqa"]} == {"what is 0?", "what is 1?"}
    assert {row["answer"] for row in by_task["relationship"]} == {"cat on mat"}
    assert len({row["query"] for row in by_task["relationship"]}) > 1
    assert all("cat" in row["query"] and "mat" in row["query"] for row in by_task["relationship"])
    assert by_task["description"][0]["answer"].startswith("this is picture")
    assert len({row["query"] for row in by_task["description"]}) > 1


def test_the_seed_decides(tmp_path, genome, minigpt4):
    source, splits = genome
    first = run(tmp_path, source, minigpt4, splits=splits, count=30, seed=1)[1]["sha256"]
    assert run(tmp_path, source, minigpt4, splits=splits, count=30, seed=1)[1]["sha256"] == first
    assert run(tmp_path, source, minigpt4, splits=splits, count=30, seed=2)[1]["sha256"] != first


def test_too_few_samples_of_a_task_are_an_error_that_says_how_many_fit(tmp_path, genome, minigpt4):
    source, splits = genome
    with pytest.raises(ValueError, match=r"wants 60 samples of visual_genome/vqa, but there are 38; lower count to 63"):
        run(tmp_path, source, minigpt4, splits=splits, count=100)


def test_okvqa_and_refcoco_make_mixes_of_one_task(tmp_path, annotations, image_set):
    images = image_set("coco_train2014", ["000000000007", "000000000008"])
    answers = [{"answer_id": n, "answer": "surf", "raw_answer": "Surfing"} for n in range(10)]
    okvqa = annotations(
        "okvqa",
        {
            "OpenEnded_mscoco_train2014_questions.json": {
                "questions": [{"image_id": 7, "question": "What Sport?", "question_id": 1}]
            },
            "mscoco_train2014_annotations.json": {"annotations": [{"question_id": 1, "answers": answers}]},
        },
    )
    rows, _ = run(tmp_path, ["okvqa", okvqa, images], count=1, parts={"okvqa/okvqa": 1})
    assert (rows[0]["query"], rows[0]["answer"]) == ("what sport?", "surfing")
    refs = [
        {"ann_id": 1, "image_id": 8, "split": split, "sentences": [{"sent_id": number, "sent": f"The Man {number}"}]}
        for number, split in enumerate(["train", "val"])
    ]
    picture = {"id": 8, "file_name": "COCO_train2014_000000000008.jpg", "width": 200, "height": 100}
    refcoco = annotations(
        "refcoco",
        {
            "refs(unc).p": pickle.dumps(refs, protocol=2),
            "instances.json": {"images": [picture], "annotations": [{"id": 1, "bbox": [20, 10, 100, 50]}]},
        },
    )
    rows, manifest = run(tmp_path, ["refcoco", refcoco, images], count=1, parts={"refcoco/refcoco": 1})
    assert rows[0]["answer"] == "{<10><10><50><50>}"
    assert "the man 0" in rows[0]["query"]
    assert manifest["removed"] == {"held out": 1}


def test_whole_numbers_add_up_by_the_largest_remainder():
    shares = {"vqa": 0.6, "relationship": 0.2, "description": 0.2}
    assert exact_counts(10_000, shares) == {"vqa": 6000, "relationship": 2000, "description": 2000}
    for total in range(1, 200):
        counts = exact_counts(total, shares)
        assert sum(counts.values()) == total
        assert all(abs(counts[task] - total * share) < 1 for task, share in shares.items())


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"minigpt4/description": 0.6}, "must be above 0 and add up to 1"),
        ({"minigpt4/description": 1.0, "okvqa/okvqa": 0.0}, "must be above 0 and add up to 1"),
        ({}, "at least 1 item"),
        ({"minigpt4": 1.0}, "'minigpt4' is no part: write data set/task"),
        ({"minigpt4/vqa": 1.0}, "'minigpt4/vqa': the data set minigpt4 has no records of the task vqa; it has descr"),
        ({"minigpt4/descriptions": 1.0}, "no task 'descriptions'; did you mean description"),
        ({"minigpt5/description": 1.0}, "no data set 'minigpt5'; did you mean minigpt4"),
        ({"minigpt4/description": 0.5, "okvqa/okvqa": 0.5}, "no --source okvqa ANNOTATIONS IMAGES"),
        ({"okvqa/okvqa": 1.0}, "--source minigpt4: no part is of this data set; it has okvqa"),
        (["coco_annotations_2017/caption"], "A mix needs the share of each part"),
    ],
)
def test_parts_that_cannot_be_drawn_are_named(tmp_path, minigpt4, parts, message):
    with pytest.raises(ValueError, match=message):
        run(tmp_path, minigpt4, parts=parts)


def test_images_of_another_set_are_noticed(tmp_path, minigpt4, genome):
    with pytest.raises(
        ValueError, match=r"holds the image set visual_genome, but minigpt4 \(train\) is about minigpt4"
    ):
        run(tmp_path, [*minigpt4[:2], genome[0][2]], parts={"minigpt4/description": 1})


def test_every_image_may_come_several_times(tmp_path, genome, minigpt4):
    source, splits = genome
    rows, manifest = run(tmp_path, source, splits=splits, count=38, parts={"visual_genome/vqa": 1})
    assert max(Counter(row["image"] for row in rows).values()) == 2
    assert manifest["images"] == 19


ROOMS = Splits("daquar_train", HoldOut(validation=250, test=0))
HALVES = {"daquar/vqa": 0.5, "flickr8k/is_true": 0.5}
PHOTO_PARTS = {"daquar/vqa": 0.4, "flickr8k/description": 0.3, "flickr8k/is_true": 0.3}


@pytest.fixture
def rooms(annotations, image_set):
    names = [f"image{number}" for number in range(2001, 2041)]
    lines = "".join(f"what lies on the anvil in the {room} ?\noil_can, globe\n" for room in names)
    return ["daquar", annotations("daquar", {"qa.894.raw.train.txt": lines}), image_set("daquar_train", names)]


@pytest.fixture
def photographs(annotations, image_set):
    lines = "".join(f"p{n}.jpg#{k}\tA harp , number {n} and {k} .\n" for n in range(8) for k in range(5))
    images = image_set("flickr8k_train", [f"p{n}" for n in range(6)])
    return ["flickr8k", annotations("flickr8k", {"Flickr8k.token.txt": lines}), images]


def test_photographs_are_asked_about_described_and_judged(tmp_path, rooms, photographs):
    rows, manifest = run(tmp_path, rooms, photographs, count=40, parts=PHOTO_PARTS)
    assert manifest["tasks"] == {"description": 12, "is_true": 12, "vqa": 16}
    by_task = {task: [row for row in rows if row["task"] == task] for task in manifest["tasks"]}
    assert {(row["query"], row["answer"]) for row in by_task["vqa"]} == {("what lies on the anvil?", "oil can, globe")}
    assert all(ROOMS.of(row["image"].split("/")[1]) == "train" for row in by_task["vqa"])
    assert Counter(row["answer"] for row in by_task["is_true"]) == {"yes": 6, "no": 6}
    assert all(row["query"].startswith("is this true of the picture: a harp, number ") for row in by_task["is_true"])
    assert len({row["query"] for row in by_task["description"]}) > 3
    assert all(row["query"] in load_catalogue().task("description").of_captions for row in by_task["description"])
    assert {row["image"] for row in rows if row["task"] != "vqa"} <= {f"flickr8k_train/p{n}" for n in range(6)}
    assert by_task["description"][0]["answer"].startswith("a harp, number")


def test_without_a_number_the_mix_is_as_large_as_the_shares_allow(tmp_path, rooms, photographs):
    rows, manifest = run(tmp_path, rooms, photographs, count=None, parts=HALVES)
    assert len(rows) == 2 * manifest["available"]["vqa"] < 2 * manifest["available"]["is_true"]


def test_a_part_without_a_sample_is_named(tmp_path, photographs, annotations, image_set):
    lines = "what lies on the anvil in the image1 ?\noil_can\n"
    none = ["daquar", annotations("none", {"qa.894.raw.train.txt": lines}), image_set("daquar_train", ["image2"])]
    with pytest.raises(ValueError, match="There is no sample of daquar/vqa"):
        run(tmp_path, none, photographs, count=None, parts=HALVES)


def test_two_parts_of_one_task_are_drawn_and_counted_apart(tmp_path, genome, rooms):
    source, splits = genome
    parts = {"visual_genome/vqa": 0.5, "daquar/vqa": 0.5}
    rows, manifest = run(tmp_path, source, rooms, splits=splits, parts=parts, count=20)
    assert Counter(row["data_set"] for row in rows) == {"visual_genome": 10, "daquar": 10}
    assert manifest["tasks"] == {"vqa": 20}
    assert manifest["data_sets"] == {"daquar": 10, "visual_genome": 10}
    assert manifest["available"]["vqa"] == 38
    assert manifest["available"]["daquar/vqa"] > 20


def test_captions_are_samples_without_a_query_beside_questions(tmp_path, rooms, photographs):
    parts = {"daquar/vqa": 0.5, "flickr8k/caption": 0.5}
    rows, _ = run(tmp_path, rooms, photographs, count=10, parts=parts)
    captions = [row for row in rows if row["task"] == "caption"]
    assert [row["query"] for row in captions] == [""] * 5
    assert captions[0]["answer"].startswith("a harp, number")


def test_a_users_task_words_records_by_its_templates(tmp_path, photographs, annotations):
    task = {"title": "captions in a word", "of_captions": ["Say {caption} again."], "answer": "caption", "kind": "echo"}
    wrong = {"title": "captions in a word", "of_captions": ["Say {sentence} again."]}
    folder = annotations("rows", {"rows.yaml": {"tasks": {"echo": task, "wrong": wrong}}})
    rows, _ = run(tmp_path, photographs, parts={"flickr8k/echo": 1}, count=3, more=["--catalogue", folder])
    assert all(row["query"] == f"say {row['answer']} again." and row["kind"] == "echo" for row in rows)
    with pytest.raises(
        ValueError, match=r"tasks.wrong: the template .* needs 'sentence', which the record p0#0 of flick"
    ):
        run(tmp_path, photographs, parts={"flickr8k/wrong": 1}, count=3, more=["--catalogue", folder])


def test_wordings_are_lower_case():
    for task in load_catalogue().tasks.values():
        wordings = [*task.templates, *task.of_captions]
        assert all(query == query.lower() for query in wordings)
        assert len(wordings) == len(set(wordings))


@pytest.fixture
def birds(annotations, image_set):
    """A table of a user's own with captions, questions and boxes; ids 7 to 9 have no image."""
    lines = [f"b{n}.jpg,A bird {n}.,Where is bird {n}?,Here {n}.,16,12,32,24" for n in range(10)]
    columns = {"caption": "caption", "query": "query", "answer": "answer"}
    row = {"title": "Birds", "reader": "table", "tasks": ["caption", "vqa"], "options": columns}
    row |= {"files": [{"name": "birds.csv", "file": "birds.csv"}], "splits": {"train": {}, "test": {}}}
    boxes = {"box": list("xywh"), "words": {"expression": "caption"}, "task": "refcoco"}
    rows = {"birds": row, "bird_boxes": {**row, "tasks": ["refcoco"], "options": boxes}}
    table = "\n".join(["image,caption,query,answer,x,y,w,h", *lines, ",no image,,,,,,"])
    folder = annotations("birds", {"birds.csv": table, "rows/rows.yaml": {"data_sets": rows}})
    there = [f"b{n}" for n in range(7)]
    return folder, {name: image_set(name, there, ["b7", "b8", "b9"]) for name in rows}


def test_captions_and_questions_of_one_table_are_read_once(tmp_path, birds):
    folder, images = birds
    parts = {"birds/vqa": 0.5, "birds/description": 0.5}
    more = ["--catalogue", folder / "rows"]
    rows, manifest = run(tmp_path, ["birds", folder, images["birds"]], parts=parts, more=more)
    assert manifest["tasks"] == {"description": 7, "vqa": 7}
    assert manifest["removed"] == {"picture could not be fetched": 6, "row without an image": 1}
    assert {(row["query"], row["answer"]) for row in rows if row["task"] == "vqa"} == {
        (f"where is bird {n}?", f"here {n}") for n in range(7)
    }


def test_a_box_without_a_size_is_in_pixels_of_the_image_that_came(tmp_path, birds):
    folder, images = birds
    source = ["bird_boxes", folder, images["bird_boxes"]]
    more = ["--catalogue", folder / "rows"]
    rows, manifest = run(tmp_path, source, parts={"bird_boxes/refcoco": 1}, more=more)
    assert {row["answer"] for row in rows} == {"{<25><25><50><50>}"}
    assert (rows[0]["box"], rows[0]["image_width"], rows[0]["image_height"]) == ([16.0, 12.0, 32.0, 24.0], 64, 48)
    assert manifest["removed"]["picture could not be fetched"] == 3


def test_images_of_an_evaluation_are_left_out(tmp_path, photographs):
    reasons = {"image_sets": {"flickr8k_train": {"p0": ["asked"], "p1": ["asked"]}}}
    (tmp_path / "exclude.json").write_text(json.dumps(reasons))
    more = ["--exclude", tmp_path / "exclude.json"]
    rows, manifest = run(tmp_path, photographs, parts={"flickr8k/is_true": 1}, more=more)
    assert {row["image"] for row in rows} == {f"flickr8k_train/p{n}" for n in range(2, 6)}
    assert Counter(row["answer"] for row in rows) == {"yes": 20, "no": 20}
    assert manifest["removed"] == {"picture is one of an evaluation": 20}
