"""What a configuration asks for, and which folders follow from a change of it."""

from pathlib import Path

import pytest
import yaml

from workflow_scripts.chain import chains
from workflow_scripts.config.merging import merge
from workflow_scripts.config.settings import load_settings
from workflow_scripts.evaluations import evaluations

ROOT = Path(__file__).resolve().parent.parent
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())


def chain_of(experiment="report", **changes):
    return all_chains(**changes)[experiment]


def all_chains(**changes):
    return chains(load_settings(merge(CONFIG, {"scale": "mini", **changes}), ROOT / "scales"))


def test_a_changed_finetuning_rate_changes_the_finetuning_and_nothing_before_it():
    before, after = chain_of(), chain_of(finetune={"learning_rate": 0.123})
    assert before.run("finetune").id != after.run("finetune").id
    assert before.run("pretrain").path == after.run("pretrain").path
    assert before.samples("visual_genome_mix").path == after.samples("visual_genome_mix").path


def test_setting_a_value_back_gives_the_old_folder():
    assert chain_of().run("finetune").path == chain_of(finetune={}).run("finetune").path


def test_a_changed_caption_filter_changes_pairs_and_all_trainings_but_not_downloads_or_features():
    before, after = chain_of(), chain_of(filter={"maximum_tokens": 99})
    assert before.samples("pairs").path != after.samples("pairs").path
    assert before.run("pretrain").path != after.run("pretrain").path
    assert before.run("finetune").path != after.run("finetune").path
    for image_set in before.image_sets_of_samples(["pairs", "visual_genome_mix"]):
        assert before.features(image_set).path == after.features(image_set).path


def test_a_setting_that_cannot_change_the_result_changes_no_identity():
    before, after = chain_of(), chain_of(pretrain={"log_every": 7}, download={"threads": 3})
    assert before.run("pretrain").path == after.run("pretrain").path


def test_parts_are_those_of_the_set_that_names_them_and_of_its_features():
    whole, chain = chain_of(), chain_of(parts={"coco_train2017": 2})
    products = [chain.images("coco_train2017"), chain.features("coco_train2017"), chain.features("coco_val2017")]
    assert [chain.parts_of(product) for product in products] == [2, 2, 1]
    assert whole.images("coco_train2017").path != chain.images("coco_train2017").path
    assert whole.features("coco_val2017").path == chain.features("coco_val2017").path
    photos = chain_of(scale="photos", parts={"flickr8k_train": 2})
    assert photos.parts_of(photos.features("flickr8k_train")) == 1, "features of tokens are of the whole set"


def test_an_image_set_is_stored_at_a_size_of_its_own_and_no_other_set_with_it():
    before, after = chain_of(), chain_of(image_sizes={"coco_val2017": "original"})
    assert before.images("coco_val2017").path != after.images("coco_val2017").path
    assert before.features("coco_val2017").path != after.features("coco_val2017").path
    assert before.images("coco_train2017").path == after.images("coco_train2017").path
    assert before.benchmark("coco_retrieval").path != after.benchmark("coco_retrieval").path
    with pytest.raises(ValueError, match=r"image_sizes.*no image set 'coco_val'"):
        chain_of(image_sizes={"coco_val": 336})
    with pytest.raises(ValueError, match="image_sizes"):
        chain_of(image_sizes={"coco_val2017": "as it is"})


def test_the_paper_s_scale_evaluates_retrieval_as_blip_2_does_and_no_other_scale_does():
    paper = chain_of(scale="paper")
    assert paper.images("coco_karpathy_test").settings.image_size == "original"
    assert paper.images("coco_val2014").settings.image_size == paper.images("coco_train2017").settings.image_size == 224
    assert paper.feature_extractor.settings.max_text_length == 35
    assert {name for name, row in paper.rows.benchmarks.items() if row.clean != "paper"} == {"coco_karpathy_retrieval"}
    assert paper.benchmark("coco_karpathy_retrieval").definition["clean"] == "lavis"
    for scale in ("tiny", "mini", "photos"):
        chain = chain_of(scale=scale)
        assert "coco_karpathy_retrieval" not in chain.benchmarks
        assert not chain.scale.image_sizes
        assert all("clean" not in chain.benchmark(name).definition for name in chain.benchmarks)


def test_a_changed_world_changes_everything():
    before, after = chain_of(), chain_of(world={"seed": 12345})
    for name in ("world", "feature_extractor", "language_model", "clip", "index"):
        assert getattr(before, name).path != getattr(after, name).path
    assert before.samples("pairs").path != after.samples("pairs").path


def test_settings_that_were_added_later_leave_the_ids_of_trainings_without_them():
    run = chain_of().run("pretrain")
    assert not {"features", "q_former_query", "train_q_former", "low_rank"} & run.identity["settings"].keys()
    assert chain_of(pretrain={"features": "cached"}).run("pretrain").key == run.key
    assert chain_of(pretrain={"features": "online"}).run("pretrain").key != run.key


def test_cached_features_after_a_q_former_that_they_are_not_of_are_an_error_before_anything_runs():
    for setting in ("q_former_query", "train_q_former"):
        changes = {"finetune": {"features": "online", setting: True}}
        row = {"stages": ["pretrain", "finetune", "finetune_okvqa"], "changes": changes}
        with pytest.raises(ValueError, match=r"experiments.odd: finetune_okvqa.features = 'cached', but finetune has"):
            all_chains(experiments={"odd": row})
        row["changes"] = {**changes, "finetune_okvqa": {"features": "online"}}
        assert len(all_chains(experiments={"odd": row})["odd"].runs) == 3


def test_experiments_share_the_trainings_that_are_the_same():
    found = all_chains()
    assert found["okvqa"].run("finetune").path == found["report"].run("finetune").path
    runs = {run.path for chain in found.values() for run in chain.runs}
    own = {"report": 4, "mlp": 3, "q_former_query": 1, "q_former_trained": 2, "low_rank": 2, "no_pretraining": 1}
    own |= {"mixed": 2, "other_language_model": 2}
    assert len(runs) == sum(own.values()), "an empty query adds nothing: `q_former_query` has the report's pretraining"


def test_a_shared_run_carries_the_name_of_the_first_experiment_that_asks_for_it():
    assert all_chains()["okvqa"].run("finetune").name == "report"
    assert all_chains()["okvqa"].run("finetune_okvqa").name == "okvqa"


def test_runs_of_the_report_s_rows_keep_their_names_whatever_other_rows_a_scale_has():
    found = all_chains(experiments={"early": {"in_report": False, "changes": {"predict": {"num_beams": 2}}}})
    assert list(found)[:3] == ["report", "okvqa", "refcoco"]
    assert found["early"].run("finetune").name == "report"


def test_another_language_model_changes_the_trainings_and_nothing_that_they_read():
    found = all_chains()
    report, other = found["report"], found["other_language_model"]
    assert other.language_model.path != report.language_model.path
    assert other.run("pretrain").path != report.run("pretrain").path
    for stage in ("pretrain", "finetune"):
        assert other.samples_of(stage).path == report.samples_of(stage).path
    assert other.feature_extractor.path == report.feature_extractor.path
    paper = all_chains(scale="paper")
    names = {label: paper[label].language_model.name for label in ("report", "llama_2_13b_chat", "vicuna_7b")}
    assert names == {"report": "llama_2_7b_chat", "llama_2_13b_chat": "llama_2_13b_chat", "vicuna_7b": "vicuna_7b"}


def test_mixed_pretraining_learns_from_captions_and_from_the_mixes_and_the_finetuning_as_ever():
    found = all_chains()
    report, mixed = found["report"], found["mixed"]
    mixes = ("visual_genome_mix", "okvqa_mix", "refcoco_mix")
    parts = mixed.samples_of("pretrain").parents["samples"]
    assert [part.path for part in parts] == [report.samples(name).path for name in ("pairs", *mixes)]
    assert mixed.samples_of("finetune").path == report.samples_of("finetune").path
    seen = {
        label: {one.name for one in found[label].run("pretrain").parents["features"]} for label in ("mixed", "report")
    }
    assert seen["mixed"] > seen["report"]


def test_every_figure_has_an_id_of_its_own_and_an_experiment_that_repeats_one_is_marked():
    rows = {"mlp": {"changes": {"pretrain": {"adaptor": "mlp"}, "finetune": {"adaptor": "mlp"}}}}
    found = evaluations(all_chains(experiments=rows).values())
    # Benchmarks of captions have the same names in front of other measures.
    figures = [evaluation.figure for evaluation in found if evaluation.benchmark.name != "colour_matched"]
    assert len(figures) == len(set(figures))
    assert "visual_genome.exact_match.after" in figures
    assert "visual_genome.exact_match.after@mlp" in figures
    assert "okvqa.accuracy.finetuned" in figures


def test_the_plain_figures_are_those_of_the_report_in_whatever_order_experiments_are_named():
    rows = {"hot": {"changes": {"finetune": {"learning_rate": 0.01}}}, **CONFIG["experiments"]}
    config = {**CONFIG, "scale": "mini", "experiments": rows}
    found = evaluations(chains(load_settings(config, ROOT / "scales")).values())
    after = {evaluation.figure: evaluation.run.name for evaluation in found if evaluation.variant == "after"}
    plain = "visual_genome.exact_match.after"
    others = ("hot", "mlp", "q_former_query", "q_former_trained", "low_rank", "no_pretraining", "mixed")
    others += ("other_language_model",)
    assert after == {plain: "report", **{f"{plain}@{name}": name for name in others}}


def test_a_stage_that_an_experiment_leaves_out_is_passed_over_and_two_may_follow_one():
    rows = {"short": {"stages": ["finetune_okvqa", "pretrain"]}}
    rows["both"] = {"stages": ["pretrain", "finetune", "finetune_okvqa", "finetune_refcoco"]}
    found = all_chains(experiments=rows)
    assert found["short"].stages == ("pretrain", "finetune_okvqa")
    assert found["short"].run("finetune_okvqa").parents["initial_adaptor"].area == "pretrain"
    for stage in ("finetune_okvqa", "finetune_refcoco"):
        assert found["both"].run(stage).parents["initial_adaptor"].path == found["both"].run("finetune").path


def test_images_are_left_out_by_all_data_sets_that_list_an_image_set():
    chain = chain_of(scale="paper", refcoco_mix={"exclude": ["okvqa"]})
    exclusions = chain.samples("refcoco_mix").parents["exclusions"]
    assert exclusions.definition["exclusions_from"] == ["coco_train2014", "coco_train2014"]
    assert [one.name for one in exclusions.parents["training"]] == ["okvqa", "refcoco"]


def test_each_way_of_searching_has_an_identity_of_its_own():
    found = [evaluations([chain_of(reranking={"top": top})]) for top in (20, 21)]
    before, after = ({one.figure: one.path for one in some if one.run is None} for some in found)
    changed = {figure for figure in before if before[figure] != after[figure]}
    assert changed == {"coco_retrieval.blip2_itm"}


def test_stages_that_a_scale_has_no_data_for_are_left_out():
    found = all_chains(scale="photos")
    assert found["okvqa"].stages == found["report"].stages == found["mlp"].stages == ("pretrain", "finetune")
