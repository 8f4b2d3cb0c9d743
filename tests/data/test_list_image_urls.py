import json

import pyarrow.parquet as pq
import pytest

from workflow_scripts.data import list_image_urls
from workflow_scripts.sources import fetch_files


def run(tmp_path, image_set, *folders, more=()):
    output = tmp_path / "urls.parquet"
    list_image_urls.main(
        ["--image-set", image_set, "--annotations", *map(str, folders), "--output", str(output), *more]
    )
    return dict(zip(*(pq.read_table(output)[name].to_pylist() for name in ("id", "url")), strict=True))


def test_an_image_set_that_two_data_sets_list_holds_the_pictures_of_both(tmp_path, annotations):
    import pickle

    question = {"image_id": 7, "question": "?", "question_id": 1}
    answers = [{"answer": "a", "answer_id": 1}]
    okvqa = annotations(
        "okvqa",
        {
            "OpenEnded_mscoco_train2014_questions.json": {"questions": [question]},
            "mscoco_train2014_annotations.json": {"annotations": [{"question_id": 1, "answers": answers}]},
        },
    )
    sentence = {"sent_id": 1, "sent": "it"}
    refs = [
        {"ann_id": 1, "image_id": 5, "split": "val", "sentences": [sentence]},
        {"ann_id": 1, "image_id": 7, "split": "train", "sentences": [{"sent_id": 2, "sent": "that"}]},
    ]
    image = {"id": 5, "file_name": "COCO_train2014_000000000005.jpg", "width": 9, "height": 9}
    shared = {"id": 7, "file_name": "seven.jpg", "width": 9, "height": 9, "coco_url": "http://elsewhere/7"}
    images = [{**image, "coco_url": "http://mscoco.org/images/5"}, shared]
    refcoco = annotations(
        "refcoco",
        {
            "refs(unc).p": pickle.dumps(refs),
            "instances.json": {"images": images, "annotations": [{"id": 1, "bbox": [0, 0, 5, 5]}]},
        },
    )
    urls = run(tmp_path, "coco_train2014", okvqa, refcoco)
    prefix = "http://images.cocodataset.org/train2014/COCO_train2014_"
    assert urls == {key: f"{prefix}{key}.jpg" for key in ("000000000005", "000000000007")}
    assert list(run(tmp_path, "coco_train2014", okvqa, refcoco, more=["--maximum", "1"])) == ["000000000005"]
    with pytest.raises(ValueError, match=r"listed by okvqa \(train\), refcoco \(train\): give --annotations one"):
        run(tmp_path, "coco_train2014", okvqa)


def test_lines_without_a_picture_are_not_listed(tmp_path, annotations):
    folder = annotations("cc", {"Train_GCC-training.tsv": "a\thttp://h/a.jpg\nno tab\nb\thttp://h/b.jpg\n"})
    assert run(tmp_path, "conceptual_captions", folder) == {
        "000000000": "http://h/a.jpg",
        "000000002": "http://h/b.jpg",
    }


def test_photographs_lie_in_their_archive_or_on_a_mirror(tmp_path, annotations):
    folder = annotations("flickr8k", {"Flickr_8k.trainImages.txt": "b.jpg\na.jpg\n"})
    there = {"a": "archive://flickr8k_train/a.jpg", "b": "archive://flickr8k_train/b.jpg"}
    assert run(tmp_path, "flickr8k_train", folder) == there
    there = {"a": "http://flickr8k/images/a.jpg", "b": "http://flickr8k/images/b.jpg"}
    assert run(tmp_path, "flickr8k_train", folder, more=["--from-mirror"]) == there
    folder = annotations("daquar", {"qa.894.raw.test.txt": "what is in the image2007 ?\na_lamp\n"})
    assert run(tmp_path, "daquar_test", folder, more=["--from-mirror"]) == {
        "image2007": "http://daquar/images/image2007.jpg"
    }
    with pytest.raises(ValueError, match="has no mirror_images"):
        run(tmp_path, "coco_val2017", folder, more=["--from-mirror"])


def test_a_list_of_something_else_is_named(tmp_path, annotations):
    folder = annotations("flickr8k", {"Flickr_8k.trainImages.txt": "a.jpg\n<html>\n"})
    with pytest.raises(ValueError, match=r"trainImages\.txt should name a photograph .* has the line '<html>'"):
        run(tmp_path, "flickr8k_train", folder)
    folder = annotations("flickr8k", {"Flickr_8k.trainImages.txt": "\n"})
    with pytest.raises(ValueError, match="has no line"):
        run(tmp_path, "flickr8k_train", folder)


def test_pictures_in_an_archive_are_named_by_what_describes_them(tmp_path, annotations):
    folder = annotations("minigpt4", {"filter_cap.json": {"annotations": [{"image_id": "5", "caption": "A cat."}]}})
    assert run(tmp_path, "minigpt4", folder) == {"5": "archive://minigpt4/5.jpg"}


def own(tmp_path, **row):
    """A user's catalogue with the data set `birds`."""
    path = tmp_path / "own" / "birds.yaml"
    path.parent.mkdir(exist_ok=True)
    files = [{"name": "birds.json", "file": "birds.json"}]
    path.write_text(json.dumps({"data_sets": {"birds": {"title": "Birds", "files": files, **row}}}))
    return ["--catalogue", str(path)]


def test_a_data_set_of_one_s_own_has_its_splits_of_its_own_and_one_folder_for_each(tmp_path, annotations):
    questions = {part: {"questions": [{"image_id": n, "question_id": n}]} for n, part in enumerate(("a", "b"), 1)}
    folder = annotations("birds", {f"{part}.json": content for part, content in questions.items()})
    splits = {
        "train": {"options": {"questions": "a.json"}},
        "test": {"options": {"questions": "b.json", "image": "a b/#{}.png"}},
    }
    more = own(tmp_path, reader="vqa", tasks=["vqa"], folder="photos", splits=splits)
    assert run(tmp_path, "birds", folder, folder, more=more) == {
        "1": "archive://birds/1.jpg",
        "2": "archive://birds/a%20b/%232.png",
    }
    with pytest.raises(ValueError, match=r"birds is listed by birds \(train\), birds \(test\): give --annotations one"):
        run(tmp_path, "birds", folder, more=more)


def test_a_wrong_option_of_a_reader_is_named_with_its_row(tmp_path, annotations):
    folder = annotations("birds", {"a.json": {"questions": []}})
    more = own(tmp_path, reader="vqa", tasks=["vqa"], options={"questions": "a.json", "anotations": "b.json"})
    with pytest.raises(ValueError, match=r"birds: the reader vqa has no option anotations; did you mean annotations\?"):
        run(tmp_path, "birds", folder, more=more)


def test_a_table_of_one_s_own_is_fetched_and_names_the_images_of_a_folder(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "birds.csv").write_text("image,caption\nwren/1.jpg,a wren\nhttps://h/2.jpg,a robin\n")
    path = tmp_path / "own" / "birds.yaml"
    row = {"title": "Birds", "reader": "table", "tasks": ["caption"], "options": {"caption": "caption"}}
    files = [{"name": "birds.csv", "file": "birds.csv"}]
    path.write_text(json.dumps({"data_sets": {"birds": {**row, "files": files, "folder": "photos"}}}))
    fetched = tmp_path / "annotations"
    fetch_files.main(["--source", "birds", "--output", str(fetched), "--catalogue", str(path)])
    assert run(tmp_path, "birds", fetched, more=["--catalogue", str(path)]) == {
        "1": "archive://birds/wren/1.jpg",
        "bc5757b0afacf9b4": "https://h/2.jpg",
    }
