"""Which evaluations a scale asks for, and what their figures are called."""

from pathlib import Path

import yaml

from workflow_scripts.chain import chains
from workflow_scripts.config.settings import load_settings, merge
from workflow_scripts.evaluations import (
    SCORERS,
    evaluations,
    retrieval_figure,
    retrieval_methods,
    scored_by,
    shown_of_experiments,
    split_name,
)

ROOT = Path(__file__).resolve().parent.parent
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())


def chains_of(scale, **changes):
    return chains(load_settings(merge(CONFIG, {"scale": scale, **changes}), ROOT / "scales"))


def test_photographs_are_described_asked_and_guessed():
    found = evaluations(chains_of("photos").values())
    figures = {evaluation.figure + evaluation.suffix for evaluation in found if "@" not in evaluation.figure}
    variants = ("before", "after", "after_shuffled_images", "question_only")
    assert figures == {
        "flickr8k.captions",
        "flickr8k.captions_shuffled_images",
        "flickr8k.is_true.accuracy",
        *(f"daquar.exact_match.{variant}" for variant in variants),
    }
    shuffled = {evaluation.variant for evaluation in found if evaluation.shuffle_images}
    assert shuffled == {"pretrained_shuffled_images", "after_shuffled_images"}
    assert all(evaluation.benchmark.name in SCORERS for evaluation in found)


def test_captions_are_searched_with_beams_of_their_own_and_what_is_answered_does_not_depend_on_them():
    found, other = (
        {one.path: one for one in evaluations(chains_of("photos", **changes).values()) if one.run is not None}
        for changes in ({}, {"predict_captions": {"num_beams": 3}})
    )
    beams = {(one.benchmark.name, one.product.settings.num_beams) for one in found.values()}
    assert beams == {("flickr8k_captions", 5), ("flickr8k_is_true", 1), ("daquar", 1)}
    assert {found[path].benchmark.name for path in found.keys() - other.keys()} == {"flickr8k_captions"}


def test_captions_are_written_as_answers_are_where_nothing_else_is_said():
    found = evaluations(chains_of("photos", predict_captions=None).values())
    assert {one.product.settings.num_beams for one in found if one.run is not None} == {1}


def test_captions_that_are_not_asked_are_not_evaluated():
    found = evaluations(chains_of("photos", captions=None, is_true=None).values())
    assert {evaluation.benchmark.name for evaluation in found} == {"daquar"}


def test_an_experiments_captions_are_told_apart_from_the_reports():
    settings = {"experiments": {"mlp": {"stages": ["pretrain"], "changes": {"pretrain": {"epochs": 7}}}}}
    found = [one for one in evaluations(chains_of("photos", **settings).values()) if "@mlp" in one.figure]
    captions = {one.figure + one.suffix for one in found if one.benchmark.name == "flickr8k_captions"}
    assert captions == {"flickr8k.captions@mlp", "flickr8k.captions@mlp_shuffled_images"}


def test_what_pretraining_saw_the_training_questions_of_is_not_called_zero_shot():
    found = chains_of("mini", experiments={"both": {"stages": ["pretrain", "finetune", "finetune_okvqa"]}})
    shown = {
        label: {
            one.figure: one.run.area for one in evaluations([found[label]]) if one.benchmark.name != "visual_genome"
        }
        for label in ("report", "mixed", "okvqa", "refcoco", "both")
    }
    zero_shot = {"okvqa.accuracy.zero_shot": "finetune"}
    assert shown["report"] == zero_shot
    assert shown["mixed"] == {"okvqa.accuracy.finetuned": "finetune", "refcoco": "finetune"}
    assert shown["okvqa"] == shown["both"] == {**zero_shot, "okvqa.accuracy.finetuned": "finetune_okvqa"}
    assert shown["refcoco"] == {**zero_shot, "refcoco": "finetune_refcoco"}
    mixed_and_more = {"stages": ["pretrain", "finetune", "finetune_okvqa"], "changes": {"pretrain_with": ["okvqa_mix"]}}
    chain = chains_of("mini", experiments={"more": mixed_and_more})["more"]
    of_okvqa = [(one.figure, one.run.area) for one in evaluations([chain]) if one.benchmark.name == "okvqa"]
    assert of_okvqa == [("okvqa.accuracy.finetuned", "finetune_okvqa")]


def test_retrieval_has_the_methods_that_there_are_models_for():
    mini, photos = chains_of("mini")["report"], chains_of("photos")["report"]
    assert retrieval_methods(mini) == ["blip2", "blip2_itm", "clip", "colour_histogram"]
    assert retrieval_methods(photos) == ["blip2", "linear_baseline", "colour_histogram"]
    assert retrieval_figure("coco_retrieval", "blip2") == retrieval_figure("colour_matched", "blip2")
    assert retrieval_figure("flickr8k_retrieval", "blip2") == "flickr8k.retrieval.q_former"
    assert retrieval_figure("flickr8k_retrieval", "blip2_itm") == "flickr8k.retrieval.q_former_itm"
    assert retrieval_figure("flickr8k_retrieval", "linear_baseline") == "flickr8k.retrieval.linear_baseline"


def test_each_benchmark_has_one_scorer_and_its_split_the_data_sets_name():
    assert scored_by("score_exact_match") == ["visual_genome", "gqa", "flickr8k_is_true"]
    assert split_name("flickr8k_captions", "validation") == "dev"
    assert split_name("daquar", "validation") == "validation"
    assert split_name("flickr8k_captions", "test") == "test"


def test_at_full_scale_clip_is_compared_at_both_resolutions():
    methods = ["blip2", "blip2_itm", "clip", "clip_high_resolution", "colour_histogram"]
    assert retrieval_methods(chains_of("paper")["report"]) == methods


def test_controls_are_no_columns_of_the_table_of_experiments():
    shown = {one.figure for one in evaluations([chains_of("mini")["report"]]) if shown_of_experiments(one)}
    assert shown == {"visual_genome.exact_match.before", "visual_genome.exact_match.after", "okvqa.accuracy.zero_shot"}
