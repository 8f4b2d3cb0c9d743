import pytest
import yaml

from workflow_scripts.sources.registry import TABLE, load_registry


def changed(tmp_path, change):
    table = yaml.safe_load(TABLE.read_text())
    change(table)
    path = tmp_path / "registry.yaml"
    path.write_text(yaml.safe_dump(table))
    return path


def test_the_table_is_valid_and_has_the_data_sets_of_the_report():
    registry = load_registry()
    wanted = {"coco_annotations_2017", "conceptual_captions", "visual_genome", "minigpt4", "okvqa", "refcoco"}
    assert wanted <= registry.data_sets.keys()
    assert registry.image_set("coco_train2014").lists[1].data_set == "refcoco"
    assert [name for name, images in registry.image_sets.items() if images.in_archive] == ["minigpt4"]


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
        (lambda t: t["data_sets"]["okvqa"].update(licens="x"), r"okvqa\.licens"),
        (lambda t: t["image_sets"]["coco_val2014"]["lists"][0].update(data_set="okvqb"), "unknown data set 'okvqb'"),
        (lambda t: t["data_sets"]["okvqa"]["files"].append(t["data_sets"]["okvqa"]["files"][0]), "same name"),
    ],
)
def test_a_mistake_in_the_table_is_named(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        load_registry(changed(tmp_path, change))
