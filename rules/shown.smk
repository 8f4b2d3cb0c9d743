# What the report, the experiments' table and the survey show; no rules here.
# What the report shows. An evaluation's scores.json, in the order of the stages; retrieval first, as in Table 1.
SCORES = [f"{R}/evaluation/{benchmark}/{method}-{RETRIEVAL_ID}/scores.json" for benchmark, method in RETRIEVALS] + [
    at(evaluation.product, "scores.json") for evaluation in EVALUATIONS if evaluation.path in IN_REPORT
]
RUN_FILES = [f"{R}/{path}/run.json" for path in {run.path: run for chain in REPORTED.values() for run in chain.runs}]
# The figures of every experiment, whoever's run gave them, for `snakemake experiments`.
EXPERIMENTS = {
    label: {one.figure: at(one.product, "scores.json") for one in evaluations([chain]) if shown_of_experiments(one)}
    for label, chain in CHAINS.items()
}
EXPERIMENT_SCORES = list(dict.fromkeys(path for row in EXPERIMENTS.values() for path in row.values()))
EXPERIMENT_RUNS = [f"{R}/{path}/run.json" for path in RUNS]
EXPECTED = f"expected/{SETTINGS.scale}.yaml"
MORE_EXPERIMENTS = [label for label in CHAINS if label not in REPORTED]
EXPERIMENTS_PAGE = f"{R}/experiments/report.html"
TEMPLATES = [
    "workflow_scripts/report/templates/report.css",
    "workflow_scripts/report/templates/provenance.html.j2",
    "workflow_scripts/report/templates/report.html.j2",
]
EXAMPLE_TITLES = {
    "visual_genome": "Questions and relationships (Visual Genome), after finetuning",
    "okvqa": "Questions that need outside knowledge (OK-VQA), finetuned",
    "refcoco": "Referring expressions (RefCOCO)",
    "gqa": "Questions about scenes (GQA), after finetuning",
    "daquar": "Questions about rooms (DAQUAR), after finetuning",
    "flickr8k_is_true": "Is the caption true of the photograph? (Flickr8k)",
    "flickr8k_captions": "Captions after pretraining (Flickr8k)",
}
EXAMPLES = {
    evaluation.benchmark.name: evaluation
    for evaluation in EVALUATIONS
    if evaluation.variant in ("after", "finetuned") and "@" not in evaluation.figure
}
# Captions of the right photographs and of shuffled ones, by the name of the variant.
CAPTIONS = {
    evaluation.variant: evaluation
    for evaluation in EVALUATIONS
    if evaluation.benchmark.name == "flickr8k_captions" and "@" not in evaluation.figure
}
REPORT_SETTINGS = json.dumps(
    {
        "scale": SETTINGS.scale,
        "figures_are_meaningful": SCALE.figures_are_meaningful,
        "about": SCALE.description,
        "reranked": SCALE.reranking.top if SCALE.reranking else None,
        "caption_beams": max((one.product.settings.num_beams for one in CAPTIONS.values()), default=1),
    }
)
# The survey asks about a benchmark with questions and relations, and the system as finetuned answers.
SURVEY_BENCHMARK = next(
    (CHAIN.benchmark(name) for name in ("visual_genome", "gqa", "daquar") if name in CHAIN.benchmarks), None
)
SURVEY_RUN = CHAIN.run("finetune") if "finetune" in CHAIN.stages else None
HAS_SURVEY = SURVEY_BENCHMARK is not None and SURVEY_RUN is not None
RESPONSES = f"{R}/survey/responses.sqlite"


def page_inputs(runs):
    """What the report's page shows of these trainings."""
    return {
        "results": f"{R}/report/results.json",
        "scores": SCORES,
        "reported": "expected/report.yaml",
        "expected": EXPECTED,
        "figures": f"{R}/report/figures",
        "tables": f"{R}/report/tables",
        "examples": [
            f"{R}/report/examples/{name}.json" for name in (["flickr8k_captions"] if CAPTIONS else []) + [*EXAMPLES]
        ],
        "sheet": f"{R}/report/sheet.json",
        "runs": runs,
        "images": [at(product, "manifest.json") for product in IMAGES.values()],
        "pairs": at(CHAIN.pairs, "manifest.json"),
        "mixes": [at(product, "manifest.json") for product in MIXES.values()],
        "survey": [f"{R}/report/survey"] if HAS_SURVEY else [],
        "attention": f"{R}/report/attention.json",
        "templates": TEMPLATES,
    }


def survey_option(wildcards, input):
    return ["--survey", input.survey[0]] if input.survey else []
