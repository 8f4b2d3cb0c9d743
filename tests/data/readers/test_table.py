"""Tables of a user's own, in the forms that people have them in."""

import hashlib
import json
import os
import subprocess
import sys

import pytest

from workflow_scripts.data.readers import table
from workflow_scripts.data.records import Record, reader_options

CAPTION = frozenset({"caption"})
VQA = frozenset({"vqa"})


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def options(**more):
    return reader_options("table", more, "birds")


def captions(folder, **more):
    reading = table.read(folder, options(caption="caption", **more), CAPTION)
    return [(one.id, one.image_id, one.answers) for one in reading.records], reading.removed


def questions(folder, **more):
    columns = {"query": "query", "answer": "answer"} if "answers" not in more else {"query": "query"}
    reading = table.read(folder, options(**columns, **more), VQA)
    return list(reading.records), reading.removed


FORMS = {
    "birds.csv": 'image,caption\na.jpg,"a wren, singing"\nb.jpg,a robin\n',
    "birds.tsv": "image\tcaption\na.jpg\ta wren, singing\nb.jpg\ta robin\n",
    "birds.jsonl": '{"image": "a.jpg", "caption": "a wren, singing"}\n\n{"image": "b.jpg", "caption": "a robin"}\n',
    "birds.json": '[{"image": "a.jpg", "caption": "a wren, singing"},\n {"image": "b.jpg", "caption": "a robin"}]',
    "photos/metadata.csv": 'file_name,caption\na.jpg,"a wren, singing"\nb.jpg,a robin\n',
    "photos/metadata.jsonl": '{"file_name": "a.jpg", "caption": "a wren, singing"}\n'
    '{"file_name": "b.jpg", "caption": "a robin"}',
    "with [odd] *name?.csv": 'image,caption\r\na.jpg,"a wren, singing"\r\nb.jpg,a robin\r\n',
    "semicolons.csv": "image;caption\na.jpg;a wren, singing\nb.jpg;a robin\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_table_gives_the_same(annotations, form):
    folder = annotations("birds", {form: FORMS[form], "manifest.json": {"files": []}})
    more = {"separator": ";"} if form.startswith("semi") else {}
    there = [("1#0", "a", ("a wren, singing",)), ("2#0", "b", ("a robin",))]
    assert captions(folder, **more) == (there, {})
    assert captions(folder, file=form, **more) == (there, {})
    assert table.images(folder, options(caption="caption", **more)) == {"a": "a.jpg", "b": "b.jpg"}


@pytest.mark.parametrize("form", ["parquet", "saved", "splits"])
def test_tables_of_arrow_give_the_same_and_a_saved_data_set_tells_its_splits(tmp_path, form):
    from datasets import Dataset, DatasetDict

    rows = Dataset.from_dict({"image": ["a.jpg", "b.jpg"], "caption": [["a wren", "a bird"], ["a robin"]]})
    if form == "parquet":
        rows.to_parquet(tmp_path / "birds" / "birds.parquet")
    elif form == "saved":
        rows.save_to_disk(tmp_path / "birds" / "saved")
    else:
        parts = {"train": rows.select([0]), "test": rows.select([1])}
        DatasetDict(parts).save_to_disk(tmp_path / "birds" / "saved")
    reading = table.read(tmp_path / "birds", options(caption="caption"), CAPTION)
    records = list(reading.records)
    assert [(one.id, one.image_id, one.answer) for one in records] == [
        ("1#0", "a", "a wren"),
        ("1#1", "a", "a bird"),
        ("2#0", "b", "a robin"),
    ]
    assert [one.part for one in records] == (["train", "train", "test"] if form == "splits" else ["", "", ""])


def test_texts_stay_as_they_are_written(annotations):
    rows = "image,n,query,answer\n007.jpg,007,how much?,NA\n1.jpg,1.50,when?,2020-01-01\n"
    rows += "2.jpg,03,none?,None\n3.jpg,1e3,?,null\n"
    records, _ = questions(annotations("csv", {"birds.csv": rows}), id="n")
    there = [("007", "007", "NA"), ("1.50", "1", "2020-01-01"), ("03", "2", "None"), ("1e3", "3", "null")]
    assert [(one.id, one.image_id, one.answer) for one in records] == there
    lines = [
        {"image": "a.jpg", "n": 7, "query": "when?", "answer": "2020-01-01"},
        {"image": "b.jpg", "n": "008", "query": "how much?", "answer": 1.50},
        {"image": "c.jpg", "n": 9, "query": "is it?", "answer": True},
    ]
    text = "\n".join(map(json.dumps, lines)).replace("1.5}", "1.50}")
    records, _ = questions(annotations("jsonl", {"birds.jsonl": text}), id="n")
    assert [(one.id, one.answer) for one in records] == [("7", "2020-01-01"), ("008", "1.50"), ("9", "true")]


def test_a_byte_order_mark_and_separators_at_the_ends_of_lines_are_no_column(annotations):
    text = "\ufeffimage,caption,\na.jpg,a wren,\nb.jpg,a robin,\n"
    found, _ = captions(annotations("birds", {"birds.csv": text.encode()}))
    assert found == [("1#0", "a", ("a wren",)), ("2#0", "b", ("a robin",))]
    line = '{"image": "a.jpg", "caption": "a wren"}'
    assert captions(annotations("json", {"birds.jsonl": f"\ufeff{line}\n"}))[0] == [("1#0", "a", ("a wren",))]


def test_several_captions_stand_in_columns_or_in_a_list(annotations):
    folder = annotations("csv", {"birds.csv": "image,one,two\na.jpg,a wren,a bird\nb.jpg,,a robin\nc.jpg,,\n"})
    reading = table.read(folder, options(caption=["one", "two"]), CAPTION)
    assert [(one.id, one.answer) for one in reading.records] == [
        ("1#0", "a wren"),
        ("1#1", "a bird"),
        ("2#0", "a robin"),
    ]
    assert reading.removed == {"row without a caption": 1}
    rows = [{"image": "a.jpg", "caption": ["a wren", "", "a bird"]}, {"image": "b.jpg", "caption": []}]
    found, removed = captions(annotations("json", {"birds.json": rows}))
    assert found == [("1#0", "a", ("a wren",)), ("1#1", "a", ("a bird",))]
    assert removed == {"row without a caption": 1}


def test_a_question_has_one_answer_or_several_and_what_else_the_columns_say(annotations):
    rows = (
        "key,image,query,all,split,sort,set\nx,a.jpg,what?,wren | bird | wren,train,object,g1\ny,a.jpg,where?,,test,,\n"
    )
    folder = annotations("csv", {"birds.csv": rows})
    columns = {"id": "key", "part": "split", "kind": "sort", "group": "set"}
    records, removed = questions(folder, answers="all", answer_separator="|", **columns)
    about = {"kind": "object", "group": "g1", "part": "train"}
    assert records == [Record("x", "a", "vqa", "what?", ("wren", "bird", "wren"), **about)]
    assert removed == {"row without a question or an answer": 1}
    rows = [{"image": "a.jpg", "query": "what?", "answers": ["wren", 2, ""]}]
    records, _ = questions(annotations("json", {"birds.json": rows}), answers="answers", task="vqa")
    assert records[0].answers == ("wren", "2")


def test_boxes_stand_in_one_column_or_in_four_beside_the_words_of_a_template(annotations):
    rows = 'image,what,box,x,y,w,h\na.jpg,the wren,"[1, 2, 3.5, 4]",1,2,3.5,4\nb.jpg,the robin,,,,,\n'
    folder = annotations("csv", {"birds.csv": rows})
    for box in ("box", ["x", "y", "w", "h"]):
        asked = options(task="refcoco", words={"expression": "what"}, box=box)
        reading = table.read(folder, asked, frozenset({"refcoco"}))
        assert list(reading.records) == [
            Record("1", "a", "refcoco", words={"expression": "the wren"}, box=(1.0, 2.0, 3.5, 4.0))
        ]
        assert reading.removed == {"row without a question or an answer": 1}
    folder = annotations("wrong", {"birds.csv": 'image,box\na.jpg,"1,2,3"\n'})
    with pytest.raises(ValueError, match=r"Row 1 of birds\.csv has the box '1, 2, 3', expected the numbers x"):
        list(table.read(folder, options(box="box", task="refcoco"), frozenset({"refcoco"})).records)


def test_images_are_urls_paths_or_file_names_and_two_of_one_id_are_named(annotations):
    url = "https://h/x/1.jpg?size=2"
    rows = f"image,caption\n{url},a\nb/1.jpg,b\n./b/1.jpg,c\nb\\2.v2.png,d\n/data/3.jpg,e\n,f\n"
    folder = annotations("csv", {"birds.csv": rows})
    key = hashlib.sha256(url.encode()).hexdigest()[:16]
    assert table.images(folder, options(caption="caption")) == {
        key: url,
        "1": "b/1.jpg",
        "2.v2": "b/2.v2.png",
        "3": "/data/3.jpg",
    }
    found, removed = captions(folder)
    assert [image_id for _, image_id, _ in found] == [key, "1", "1", "2.v2", "3"]
    assert removed == {"row without an image": 1}
    folder = annotations("two", {"birds.csv": "image,caption,n\na/1.jpg,a,1\nb/1.jpg,b,2\n"})
    with pytest.raises(ValueError, match=r"two images of the id '1': a/1\.jpg and b/1\.jpg; name a column by image_id"):
        table.images(folder, options(caption="caption"))
    assert table.images(folder, options(caption="caption", image_id="n")) == {"1": "a/1.jpg", "2": "b/1.jpg"}


def test_file_names_of_metadata_in_a_folder_of_the_images_start_in_that_folder(annotations):
    files = {f"photos/{part}/metadata.csv": f"file_name,caption\n1.jpg,a {part}\n" for part in ("train", "test")}
    folder = annotations("birds", files)
    asked = options(caption="caption", file="test/metadata.csv")
    assert table.images(folder, asked) == {"1": "test/1.jpg"}
    with pytest.raises(ValueError, match=r"several tables, photos/test/metadata\.csv, photos/train/metadata\.csv: "):
        table.images(folder, options(caption="caption"))


def test_a_repeated_id_is_counted(annotations):
    folder = annotations("csv", {"birds.csv": "key,image,caption\n1,a.jpg,a\n1,b.jpg,b\n,c.jpg,c\n"})
    found, removed = captions(folder, id="key")
    assert [key for key, _, _ in found] == ["1#0"]
    assert removed == {"duplicate id": 1, "row without an id": 1}


@pytest.mark.parametrize(
    ("files", "more", "message"),
    [
        (
            {"b.csv": "image,captoin\na,b\n"},
            {},
            r"b\.csv has no column 'caption', .* caption names; did you mean captoin\?",
        ),
        ({"b.csv": "caption\nb\n"}, {}, r"b\.csv has no column 'image', which the option image names; it has caption"),
        ({"b.csv": "image;caption\na;b\n"}, {}, "is it separated by ';'. Say so by the option separator"),
        ({"b.jsonl": '{"image": "a"}\n'}, {}, r"b\.jsonl has no column 'caption'"),
        (
            {"b.csv": "image,caption\na,b\n".encode("utf-16")},
            {},
            r"most likely UTF-16; .*iconv -f UTF-16 -t UTF-8 b\.csv",
        ),
        ({"b.csv": "image,caption\na,b\n".encode("utf-16-le")}, {}, "most likely UTF-16"),
        (
            {"b.csv": "image,caption\na,b\nc,café\n".encode("latin-1")},
            {},
            r"most likely Latin-1 \(line 3\); .*iconv -f LAT",
        ),
        ({"b.jsonl": '{"image": "café"}'.encode("latin-1")}, {}, "most likely Latin-1"),
        ({"b.csv": ""}, {}, r"b\.csv is empty: it has no row\."),
        ({"b.csv": "image,caption\n\n"}, {}, r"b\.csv is empty: it has no row but its header"),
        ({"b.jsonl": "\n"}, {}, r"b\.jsonl is empty"),
        ({"b.json": []}, {}, r"b\.json is empty"),
        ({"b.csv": "image,caption\na,b,c\n"}, {}, "has 3 fields in line 2, but 2 columns: put a text with ',' in it"),
        ({"b.csv": "image,caption,caption\na,b,c\n"}, {}, "two columns 'caption'; rename one"),
        ({"b.csv": 'image,caption\na,"b\nc,d\n'}, {}, "cannot be read near line 3 .*into quotes, and double each"),
        (
            {"b.csv": "image,caption\n,b\nc,\n"},
            {},
            r"No row of .* has all that it needs \(.*row without an image.*columns",
        ),
        ({"b.jsonl": '{"image": "a"\n'}, {}, r"b\.jsonl is not JSON in line 1"),
        ({"b.jsonl": "[1]\n"}, {}, "has in line 1 '1', expected an object"),
        (
            {"b.jsonl": '{"image": "a", "caption": {"en": "b"}}\n'},
            {},
            "column 'caption' of .* holds dict values, expected",
        ),
        ({"b.parquet": b"PAR1 no"}, {}, r"b\.parquet is not a complete Parquet file"),
        ({"s/state.json": "{}", "s/dataset_info.json": "{}"}, {}, "s is not a whole saved data set"),
        ({"b.xlsx": b"PK"}, {}, r"holds no table, but b\.xlsx; a table is \.csv, \.tsv"),
        ({"b.xlsx": b"PK"}, {"file": "b.xlsx"}, r"b\.xlsx is no table that can be read; a table is"),
        ({"b.csv": "image,caption\na,b\n"}, {"file": "c.csv"}, r"holds no file 'c\.csv'; did you mean b\.csv\?"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_in_one_sentence(annotations, files, more, message):
    with pytest.raises(ValueError, match=message) as error:
        captions(annotations("birds", files), **more)
    assert "\n" not in str(error.value)


def test_images_in_a_table_are_not_read_out_of_it(tmp_path):
    from datasets import Dataset, Image
    from PIL import Image as Pillow

    rows = Dataset.from_dict({"image": [Pillow.new("RGB", (2, 2))], "caption": ["a wren"]}).cast_column(
        "image", Image()
    )
    rows.to_parquet(tmp_path / "birds" / "birds.parquet")
    with pytest.raises(ValueError, match=r"'image' of birds\.parquet holds the images themselves; save them as files"):
        captions(tmp_path / "birds")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({}, r"birds: the options of the reader table: name the column of the captions \(caption\), or of questions"),
        ({"query": "q"}, "questions need answers: name their column"),
        ({"query": "q", "answer": "a", "answers": "b"}, "answer and answers are the same"),
        ({"caption": "c", "box": ["x", "y"]}, "box is one column, or four"),
        ({"caption": "c", "qury": "q"}, r"the reader table has no option qury; did you mean query\?"),
    ],
)
def test_options_that_do_not_fit_are_named(more, message):
    with pytest.raises(ValueError, match=message):
        options(**more)


def test_captions_and_questions_of_one_table_are_read_as_they_are_asked_for(annotations):
    folder = annotations("csv", {"birds.csv": "image,caption,query,answer\na.jpg,a wren,what?,a bird\n"})
    both = options(caption="caption", query="query", answer="answer")
    assert [one.id for one in table.read(folder, both, CAPTION | VQA).records] == ["1#0", "1"]
    assert [one.task for one in table.read(folder, both, VQA).records] == ["vqa"]
    with pytest.raises(ValueError, match="no records of the task okvqa here, but of caption, vqa"):
        table.read(folder, both, frozenset({"okvqa"}))


READ_ALL = """
import sys
from pathlib import Path
from workflow_scripts.data.readers import table
for folder in map(Path, sys.argv[1:]):
    options = table.Options(caption=["caption"])
    assert len(table.images(folder, options)) == 1
    assert len(list(table.read(folder, options, frozenset({"caption"})).records)) == 1
"""


@pytest.mark.parametrize("named", [True, False])
def test_nothing_is_written_into_the_home_folder_nor_beside_the_table(tmp_path, annotations, cache, named):
    from datasets import Dataset

    for name in ("home", "temporary"):
        (tmp_path / name).mkdir()
    rows = Dataset.from_dict({"image": ["a.jpg"], "caption": ["a wren"]})
    rows.to_parquet(annotations("parquet", {"x": ""}) / "birds.parquet")
    rows.save_to_disk(annotations("saved", {"x": ""}) / "birds")
    folders = [annotations("csv", {"birds.csv": "image,caption\na.jpg,a wren\n"})]
    folders += [tmp_path / "annotations" / name for name in ("parquet", "saved")]
    before = sorted(path for folder in folders for path in folder.rglob("*"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_"))}
    environment |= {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "temporary")}
    if named:
        environment["HF_DATASETS_CACHE"] = str(cache)
    subprocess.run([sys.executable, "-c", READ_ALL, *map(str, folders)], check=True, env=environment)
    assert list((tmp_path / "home").iterdir()) == []
    assert list((tmp_path / "temporary").iterdir()) == []
    assert cache.is_dir() == named
    assert sorted(path for folder in folders for path in folder.rglob("*")) == before
