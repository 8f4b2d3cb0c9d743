import json
import pickle

import pyarrow.parquet as pq
import pytest

from workflow_scripts.data import build_benchmark


def run(tmp_path, benchmark, name, folder, images, *more, **settings):
    output = tmp_path / "benchmark"
    flags = {"--benchmark": benchmark, "--image-set": name, "--annotations": folder, "--images": images}
    flags |= {"--settings": json.dumps(settings), "--output": output}
    build_benchmark.main([*(str(word) for flag in flags.items() for word in flag), *map(str, more)])
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
    rows, _ = run(tmp_path, "visual_genome", "visual_genome", *genome, relationship_share=1.0)
    assert len(rows) == 6
    assert rows[0]["answers"] == ["man on horse", "man riding horse"]
    assert rows[0]["kind"] == "relation"


def test_the_validation_split_shares_no_image_with_test(tmp_path, genome):
    rows, manifest = run(
        tmp_path, "visual_genome", "visual_genome", *genome, "--split", "validation", relationship_share=0.0
    )
    assert [row["image"] for row in rows] == ["visual_genome/4"]
    assert manifest["split"] == "validation"


def test_too_few_questions_are_an_error(tmp_path, genome):
    with pytest.raises(ValueError, match=r"wants 75 questions about visual_genome \(test\), but there are 6"):
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
    (row,), _ = run(tmp_path, "okvqa", "coco_val2014", folder, images)
    assert row["answers"] == ["surf"] * 6 + ["swim"] * 4
    assert (row["question_id"], row["answer"], row["kind"]) == ("1", "surf", "sports and recreation")


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
    (row,), _ = run(tmp_path, "refcoco", "coco_train2014", folder, images)
    assert "left man val" in row["query"]
    assert (row["box"], row["image_width"], row["image_height"]) == ([64.0, 48.0, 320.0, 240.0], 640, 480)
    assert (row["answer"], row["kind"]) == ("{<10><10><50><50>}", "place")
    (row,), _ = run(tmp_path, "refcoco", "coco_train2014", folder, images, "--split", "validation")
    assert "left man testb" in row["query"]


def captions(number, *texts, **more):
    return [{"id": number * 10 + n, "image_id": number, "caption": text, **more} for n, text in enumerate(texts)]


def test_retrieval_asks_with_the_first_caption_of_each_image(tmp_path, annotations, image_set):
    images = [{"id": n, "file_name": f"{n:012d}.jpg", "width": 9, "height": 9} for n in (1, 2, 3)]
    texts = captions(1, "A Cat.", "Another.") + captions(2, "A dog!") + captions(3, "Its picture is gone.")
    folder = annotations("coco", {"captions_val2017.json": {"images": images, "annotations": texts}})
    stored = image_set("coco_val2017", ["000000000001", "000000000002"], ["000000000003"])
    rows, manifest = run(tmp_path, "coco_retrieval", "coco_val2017", folder, stored)
    assert [(row["image"], row["answer"], row["answers"]) for row in rows] == [
        ("coco_val2017/000000000001", "a cat", ["a cat", "another"]),
        ("coco_val2017/000000000002", "a dog", ["a dog"]),
    ]
    assert manifest["removed"] == {"picture could not be fetched": 1}


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


def test_photographs_are_searched_by_their_split(tmp_path, annotations, image_set):
    folder = annotations("flickr8k", {"Flickr8k.token.txt": "a.jpg#0\tA dog .\nb.jpg#0\tA cat .\n"})
    rows, manifest = run(
        tmp_path, "coco_retrieval", "flickr8k_validation", folder, image_set("flickr8k_validation", ["b"])
    )
    assert [row["image"] for row in rows] == ["flickr8k_validation/b"]
    assert manifest["removed"] == {}


def test_pictures_of_another_set_and_no_question_at_all_are_errors(tmp_path, genome):
    with pytest.raises(ValueError, match="holds the image set visual_genome, not coco_val2017"):
        run(tmp_path, "coco_retrieval", "coco_val2017", *genome)
    folder, images, flag, splits = genome
    splits.write_text(json.dumps({"visual_genome": {"train": ["1"]}}))
    with pytest.raises(ValueError, match="There is no question about visual_genome"):
        run(tmp_path, "visual_genome", "visual_genome", folder, images, flag, splits)
