"""The configuration: merged, validated, and wrong values said in one sentence."""

from pathlib import Path

import pytest
import yaml

from workflow_scripts.config.merging import merge
from workflow_scripts.config.settings import load_settings

ROOT = Path(__file__).resolve().parent.parent
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
SCALES = ROOT / "scales"


def settings(**changes):
    return load_settings(merge(CONFIG, changes), SCALES)


@pytest.mark.parametrize("scale", sorted(path.stem for path in SCALES.glob("*.yaml")))
def test_every_scale_is_valid(scale):
    config = {**CONFIG, "scale": scale, "experiments": {"report": {"stages": ["pretrain"]}}}
    assert load_settings(config, SCALES).scale == scale


def test_a_value_of_the_configuration_replaces_that_of_the_scale():
    assert settings(finetune={"learning_rate": 0.0123}).values.stages["finetune"].learning_rate == 0.0123


def test_a_misspelt_setting_is_named_with_the_one_that_was_meant():
    with pytest.raises(ValueError, match=r"finetune\.learnig_rate = 0\.1: .*did you mean learning_rate\?"):
        settings(finetune={"learnig_rate": 0.1})


def test_a_misspelt_section_is_named():
    with pytest.raises(ValueError, match=r"finetun = .*did you mean finetune\?"):
        settings(finetun={"learning_rate": 0.1})


def test_a_value_out_of_range_is_named_with_its_bound():
    with pytest.raises(ValueError, match=r"finetune\.batch_size = 0: .*greater than or equal to 1"):
        settings(finetune={"batch_size": 0})


def test_an_unknown_scale_is_named_with_those_that_exist():
    with pytest.raises(ValueError, match=r"scale = 'huge': .*mini.*tiny"):
        settings(scale="huge")


def test_an_error_in_an_experiment_names_the_experiment():
    rows = {"odd": {"stages": ["pretrain"], "changes": {"pretrain": {"batch_size": -1}}}}
    with pytest.raises(ValueError, match=r"experiments\.odd\.changes\.stages\.pretrain\.batch_size = -1"):
        settings(experiments=rows)


def test_without_the_experiment_of_the_report_nothing_runs():
    with pytest.raises(ValueError, match="experiments has no row 'report'"):
        load_settings({**CONFIG, "experiments": {"other": {"stages": ["pretrain"]}}}, SCALES)


def test_an_experiment_changes_only_what_it_names():
    rows = {"hot": {"changes": {"finetune": {"learning_rate": 0.5}}}}
    found = settings(experiments=rows)
    assert found.of_experiments["hot"].stages["finetune"].learning_rate == 0.5
    assert found.of_experiments["report"] == found.values
    assert found.of_experiments["hot"].stages["pretrain"] == found.values.stages["pretrain"]


def test_a_scale_may_have_experiments_of_its_own_beside_those_of_the_configuration():
    paper = load_settings({**CONFIG, "scale": "paper"}, SCALES)
    own = {"clean", "mixed", "llama_2_13b_chat", "vicuna_7b"}
    assert set(paper.experiments) == {*CONFIG["experiments"], *own}
    assert paper.of_experiments["clean"].samples["pairs"].exclude == ["karpathy", "okvqa", "refcoco"]
    assert "clean" not in load_settings({**CONFIG, "scale": "tiny"}, SCALES).experiments


NOWHERE = [
    ({"stages": {"pretrain": {"samples": "pears"}}}, r"pretrain\.samples: there are no samples 'pears'; .* pairs"),
    ({"stages": {"finetune": {"after": "pretrian"}}}, r"finetune\.after: .*'pretrian'; did you mean pretrain"),
    ({"stages": {"pretrain": {"after": "finetune"}}}, "come after each other in a circle"),
    ({"experiments": {"odd": {"stages": ["finetun"]}}}, r"odd\.stages: there is no stage 'finetun'; .* finetune"),
    ({"samples": {"pairs": {"parts": ["okvqaa/caption"]}}}, r"samples\.pairs\.parts: .*did you mean okvqa"),
    ({"samples": {"okvqa_mix": {"parts": {"okvqa/relationship": 1.0}}}}, "no records of the task relationship; it has"),
    ({"samples": {"okvqa_mix": {"parts": {"gqa/vqa": 1.0}}}}, "has no split train; it has validation, test"),
    ({"samples": {"okvqa_mix": {"parts": {"okvqa/okvqa": 0.5}}}}, "must be above 0 and add up to 1"),
    ({"samples": {"okvqa_mix": {"parts": {"okvqa": 1.0}}}}, "is no part: write data set/task"),
    ({"benchmarks": {"okvka": {}}}, r"benchmarks: The catalogue has no benchmark 'okvka'; did you mean okvqa"),
    ({"search": {"benchmark": "okvqa"}}, r"search\.benchmark = 'okvqa': its questions are answered"),
    ({"survey": {"benchmark": "okvka"}}, r"survey\.benchmark: the scale has no benchmark 'okvka'; .* okvqa"),
    ({"roles": {"retrieval": "coco_val2017"}}, "no such setting any more; in its place there is samples"),
    ({"mix_okvqa": {"samples": 3}}, "in its place there is samples: parts with shares"),
    ({"parts": {"gqa_testdev": 2}}, "parts: this scale reads no images of gqa_testdev; it reads coco_train2017, "),
    ({"maximum_images": {"coco": 2}}, "maximum_images: The catalogue has no image set 'coco'"),
    ({"catalogue": "nowhere.yaml"}, "catalogue: there is no file or folder .*nowhere.yaml"),
]


@pytest.mark.parametrize(("changes", "says"), NOWHERE)
def test_what_names_something_that_is_not_there_is_an_error_with_the_nearest_name(changes, says):
    with pytest.raises(ValueError, match=says):
        settings(**changes)


def test_a_stage_samples_or_a_benchmark_may_be_named_without_its_section():
    found = settings(finetune={"epochs": 7}, okvqa_mix={"count": 5}, okvqa={"questions": 3}).values
    assert found.stages["finetune"].epochs == 7
    assert found.samples["okvqa_mix"].count == 5
    assert found.benchmarks["okvqa"].questions == 3


def test_new_shares_take_the_place_of_all_that_were_there():
    shares = {"visual_genome/vqa": 1.0}
    found = settings(
        visual_genome_mix={"parts": shares},
        visual_genome={"shares": {"visual_genome/relationship": 1.0}},
        experiments={"other": {"changes": {"visual_genome": {"shares": shares}, "okvqa_mix": {"count": 5}}}},
    )
    assert found.values.samples["visual_genome_mix"].parts == shares
    assert found.values.benchmarks["visual_genome"].shares == {"visual_genome/relationship": 1.0}
    assert found.of_experiments["other"].benchmarks["visual_genome"].shares == shares
    assert found.of_experiments["other"].samples["visual_genome_mix"].parts == shares
    assert found.of_experiments["other"].samples["okvqa_mix"].parts == found.values.samples["okvqa_mix"].parts


def test_null_on_the_command_line_of_snakemake_is_no_value():
    assert settings(reranking="null").values.reranking is None
    assert settings(samples={"okvqa_mix": {"count": "null"}}).values.samples["okvqa_mix"].count is None


def test_shares_are_replaced_as_a_whole_and_other_settings_beside_them_stay():
    mix = settings(visual_genome_mix={"parts": {"visual_genome/vqa": 1.0}}).values.samples["visual_genome_mix"]
    assert mix.parts == {"visual_genome/vqa": 1.0}
    assert mix.count == 6000


def test_files_of_a_users_own_that_are_not_there_stop_before_anything_runs(tmp_path):
    (tmp_path / "rows.yaml").write_text(
        "data_sets: {mine: {title: M, reader: table, tasks: [caption], files: [{name: a.csv, file: a.csv}]}}"
    )
    config = {"catalogue": str(tmp_path / "rows.yaml"), "samples": {"pairs": {"parts": ["mine/caption"]}}}
    with pytest.raises(
        ValueError, match=r"samples\.pairs\.parts: the data set mine names .*a\.csv, which does not exist"
    ):
        settings(**config)
    (tmp_path / "a.csv").write_text("image,caption\n")
    assert settings(**config).rows.data_set("mine").files[0].file == str(tmp_path / "a.csv")
