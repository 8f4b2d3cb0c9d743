"""Images that evaluations ask about, found in training sets by their COCO ids."""

import json
import pickle

import pytest

from workflow_scripts.data import list_exclusions
from workflow_scripts.data.exclusions import read_exclusions


@pytest.fixture
def sources(annotations):
    """Karpathy's test has image 1, OK-VQA's validation 2, RefCOCO has val 3, train 4, testA 2; train2017 all and 5."""
    images = [{"id": n, "file_name": f"{n:012d}.jpg", "width": 9, "height": 9} for n in range(1, 6)]
    captions = annotations("coco", {"captions_train2017.json": {"images": images, "annotations": []}})
    genome = [
        {"image_id": 100 + n, "url": f"https://h/VG_100K/{n}.jpg", "width": 9, "height": 9, "coco_id": coco_id}
        for n, coco_id in enumerate([1, 3, 5, None])
    ]
    split = [
        {
            "split": part,
            "cocoid": n,
            "filename": f"COCO_val2014_{n:012d}.jpg",
            "sentences": [{"sentid": n, "raw": "A cat."}],
        }
        for n, part in ((1, "test"), (5, "val"))
    ]
    answers = [{"answer": "red", "raw_answer": "red"}] * 10
    refs = [
        {"ann_id": n, "image_id": n, "split": part, "sentences": [{"sent_id": n, "sent": "the left one"}]}
        for n, part in ((3, "val"), (4, "train"), (2, "testA"))
    ]
    boxes = [{"id": n, "image_id": n, "bbox": [0, 0, 4, 4]} for n in (2, 3, 4)]
    okvqa = {
        "OpenEnded_mscoco_val2014_questions.json": {
            "questions": [{"question_id": 7, "image_id": 2, "question": "What colour?"}]
        },
        "mscoco_val2014_annotations.json": {"annotations": [{"question_id": 7, "answers": answers}]},
    }
    return {
        "coco_train2017": captions,
        "visual_genome": annotations("genome", {"image_data.json": genome}),
        "karpathy": annotations("karpathy", {"dataset_coco.json": {"images": split}}),
        "okvqa": annotations("okvqa", okvqa),
        "refcoco": annotations(
            "refcoco",
            {"refs(unc).p": pickle.dumps(refs), "instances.json": {"images": images, "annotations": boxes}},
        ),
    }


def run(tmp_path, sources, *evaluations):
    flags = [str(word) for name in evaluations for word in ("--evaluation", name, sources[name])]
    for name in ("coco_train2017", "visual_genome"):
        flags += ["--training", name, str(sources[name])]
    list_exclusions.main([*flags, "--output", str(tmp_path / "exclusions.json")])
    return json.loads((tmp_path / "exclusions.json").read_text())


def test_the_same_image_is_found_in_both_training_sets_with_the_reason(tmp_path, sources):
    found = run(tmp_path, sources, "karpathy", "okvqa", "refcoco")
    assert found["image_sets"] == {
        "coco_train2017": {
            "000000000001": ["karpathy test"],
            "000000000002": ["okvqa val", "refcoco testA"],
            "000000000003": ["refcoco val"],
        },
        "visual_genome": {"100": ["karpathy test"], "101": ["refcoco val"]},
    }
    assert found["evaluations"] == {"karpathy test": 1, "okvqa val": 1, "refcoco val": 1, "refcoco testA": 1}
    assert found["counts"]["visual_genome"] == {"pictures": 2, "karpathy test": 1, "refcoco val": 1}
    assert "visual_genome/101" in read_exclusions(tmp_path / "exclusions.json")


def test_only_the_evaluations_that_are_asked_for_count(tmp_path, sources):
    assert run(tmp_path, sources, "okvqa")["image_sets"] == {
        "coco_train2017": {"000000000002": ["okvqa val"]},
        "visual_genome": {},
    }


def test_an_unknown_evaluation_and_a_file_of_another_kind_are_named(tmp_path, sources):
    sources |= dict.fromkeys(("okvqb", "visual_genome_1_2", "minigpt4"), sources["okvqa"])
    with pytest.raises(ValueError, match=r"has no data set 'okvqb'; did you mean okvqa\?"):
        run(tmp_path, sources, "okvqb")
    with pytest.raises(ValueError, match=r"no COCO ids of the image set gqa_testdev \(ids: own\), so that its images"):
        run(tmp_path, {**sources, "gqa": sources["okvqa"]}, "gqa")
    with pytest.raises(
        ValueError, match="visual_genome_1_2 has no images of validation of its own, but holds some out"
    ):
        run(tmp_path, sources, "visual_genome_1_2")
    with pytest.raises(ValueError, match="The data set minigpt4 has no records of validation or test"):
        run(tmp_path, sources, "minigpt4")
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(ValueError, match=r"other\.json is no list of excluded pictures"):
        read_exclusions(tmp_path / "other.json")


def test_a_training_set_that_two_data_sets_list_needs_both(tmp_path, sources):
    flags = ["--evaluation", "refcoco", str(sources["refcoco"]), "--output", str(tmp_path / "exclusions.json")]
    flags += ["--training", "coco_train2014", str(sources["okvqa"])]
    with pytest.raises(
        ValueError, match=r"coco_train2014 is listed by okvqa \(train\), refcoco \(train\): give --trai"
    ):
        list_exclusions.main(flags)
    own = tmp_path / "own.yaml"
    own.write_text(json.dumps({"image_sets": {"phrases": {"lists": [{"data_set": "refcoco"}], "ids": "coco"}}}))
    flags[-2:] = ["phrases", str(sources["refcoco"])]
    list_exclusions.main([*flags, "--catalogue", str(own)])
    found = json.loads((tmp_path / "exclusions.json").read_text())["image_sets"]
    assert found == {"phrases": {"000000000002": ["refcoco testA"], "000000000003": ["refcoco val"]}}
