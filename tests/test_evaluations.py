"""Which evaluations a scale asks for, and what their figures are called."""

from dataclasses import replace
from pathlib import Path

import yaml

from workflow_scripts.catalogue.benchmarks import Benchmark
from workflow_scripts.chain import chains
from workflow_scripts.config.merging import merge
from workflow_scripts.config.settings import load_settings
from workflow_scripts.evaluations import evaluations, shown_of_experiments

ROOT = Path(__file__).resolve().parent.parent
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())


def chains_of(scale, **changes):
    return chains(load_settings(merge(CONFIG, {"scale": scale, **changes}), ROOT / "scales"))


def retrieval_of(chain):
    """The figures of ways of searching, by benchmark."""
    return [(one.benchmark.name, one.figure) for one in evaluations([chain]) if one.row.is_retrieval]


def of_runs(found):
    return [one for one in found if not one.row.is_retrieval]


def test_photographs_are_described_asked_and_guessed():
    found = of_runs(evaluations(chains_of("photos").values()))
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
    assert {one.row.scorer for one in found} == {"captions", "exact_match", "wups"}


def test_captions_are_searched_with_beams_of_their_own_and_what_is_answered_does_not_depend_on_them():
    found, other = (
        {one.path: one for one in evaluations(chains_of("photos", **changes).values()) if one.run is not None}
        for changes in ({}, {"flickr8k_captions": {"predict": {"num_beams": 3}}})
    )
    beams = {(one.benchmark.name, one.product.settings.num_beams) for one in found.values()}
    assert beams == {("flickr8k_captions", 5), ("flickr8k_is_true", 1), ("daquar", 1)}
    assert {found[path].benchmark.name for path in found.keys() - other.keys()} == {"flickr8k_captions"}


def test_captions_are_written_as_answers_are_where_nothing_else_is_said():
    found = evaluations(chains_of("photos", flickr8k_captions={"predict": None}).values())
    assert {one.product.settings.num_beams for one in found if one.run is not None} == {1}


def test_captions_that_are_not_asked_are_not_evaluated():
    scale = chains_of("photos")["report"].scale
    benchmarks = {name: row for name, row in scale.benchmarks.items() if name in ("daquar", "flickr8k_retrieval")}
    chain = replace(chains_of("photos")["report"], scale=scale.model_copy(update={"benchmarks": benchmarks}), made={})
    assert {evaluation.benchmark.name for evaluation in of_runs(evaluations([chain]))} == {"daquar"}


def test_an_experiments_captions_are_told_apart_from_the_reports():
    settings = {"experiments": {"mlp": {"stages": ["pretrain"], "changes": {"pretrain": {"epochs": 7}}}}}
    found = [one for one in evaluations(chains_of("photos", **settings).values()) if "@mlp" in one.figure]
    captions = {one.figure + one.suffix for one in found if one.benchmark.name == "flickr8k_captions"}
    assert captions == {"flickr8k.captions@mlp", "flickr8k.captions@mlp_shuffled_images"}


def test_what_pretraining_saw_the_training_questions_of_is_not_called_zero_shot():
    found = chains_of("mini", experiments={"both": {"stages": ["pretrain", "finetune", "finetune_okvqa"]}})
    shown = {
        label: {
            one.figure: one.run.area
            for one in of_runs(evaluations([found[label]]))
            if one.benchmark.name != "visual_genome"
        }
        for label in ("report", "mixed", "okvqa", "refcoco", "both")
    }
    zero_shot = {"okvqa.accuracy.zero_shot": "finetune"}
    assert shown["report"] == zero_shot
    assert shown["mixed"] == {"okvqa.accuracy.finetuned": "finetune", "refcoco": "finetune"}
    assert shown["okvqa"] == shown["both"] == {**zero_shot, "okvqa.accuracy.finetuned": "finetune_okvqa"}
    assert shown["refcoco"] == {**zero_shot, "refcoco": "finetune_refcoco"}
    mixed_and_more = {
        "stages": ["pretrain", "finetune", "finetune_okvqa"],
        "changes": {"pretrain": {"samples": ["pairs", "okvqa_mix"]}},
    }
    chain = chains_of("mini", experiments={"more": mixed_and_more})["more"]
    of_okvqa = [(one.figure, one.run.area) for one in evaluations([chain]) if one.benchmark.name == "okvqa"]
    assert of_okvqa == [("okvqa.accuracy.finetuned", "finetune_okvqa")]


def test_retrieval_has_the_methods_that_there_are_models_for():
    found = retrieval_of(chains_of("mini")["report"])
    methods = ("blip2", "blip2_itm", "clip", "colour_histogram")
    assert found == [
        *(("coco_retrieval", f"coco_retrieval.{method}") for method in methods),
        *(("colour_matched", f"coco_retrieval.{method}") for method in methods if method != "blip2_itm"),
    ]
    methods = ("q_former", "linear_baseline", "colour_histogram")
    assert retrieval_of(chains_of("photos")["report"]) == [
        ("flickr8k_retrieval", f"flickr8k.retrieval.{method}") for method in methods
    ]


def test_coco_captions_beside_photographs_are_called_coco():
    chain = chains_of("photos", benchmarks={"coco_captions": {}, "coco_retrieval": {}})["report"]
    figures = {one.figure for one in evaluations([chain]) if one.benchmark.name.startswith("coco")}
    assert {"coco.captions", "coco_retrieval.q_former", "coco_retrieval.colour_histogram"} <= figures
    assert not any(figure.startswith("flickr8k") for figure in figures)


def test_a_benchmark_without_a_word_on_it_is_asked_after_every_stage():
    row = Benchmark(title="mine", parts=["gqa/vqa"], scorer="vqa", figures="mine")
    chain = chains_of("paper")["report"]
    rows = chain.rows.model_copy(update={"benchmarks": {**chain.rows.benchmarks, "gqa": row}})
    found = [one for one in evaluations([replace(chain, rows=rows, made={})]) if one.benchmark.name == "gqa"]
    assert [(one.variant, one.figure) for one in found] == [
        ("pretrain", "mine.accuracy.pretrain"), ("finetune", "mine.accuracy.finetune"),
    ]  # fmt: skip


def test_a_split_is_called_as_the_data_set_calls_it():
    found = {one.benchmark.name: one.split for one in evaluations([chains_of("photos")["report"]])}
    assert found["flickr8k_captions"] == found["flickr8k_retrieval"] == "dev"
    assert found["daquar"] == "validation"
    test = evaluations([chains_of("photos", evaluation_split="test")["report"]])
    assert {one.split for one in test} == {"test"}


def test_at_full_scale_clip_is_compared_at_both_resolutions():
    methods = ["blip2", "blip2_itm", "clip", "clip_high_resolution", "colour_histogram"]
    found = retrieval_of(chains_of("paper")["report"])
    assert found == [("coco_karpathy_retrieval", f"coco_retrieval.{method}") for method in methods]


def test_controls_are_no_columns_of_the_table_of_experiments():
    shown = {one.figure for one in evaluations([chains_of("mini")["report"]]) if shown_of_experiments(one)}
    assert shown == {"visual_genome.exact_match.before", "visual_genome.exact_match.after", "okvqa.accuracy.zero_shot"}
