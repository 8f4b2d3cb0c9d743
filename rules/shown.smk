# What the report, the experiments' table and the survey show; no rules here.
# What the report shows. An evaluation's scores.json, in the order of the stages; retrieval first, as in Table 1.
IN_REPORT = {evaluation.path for evaluation in evaluations(REPORTED.values())}
REPORT_PRODUCTS = all_products(
    REPORTED.values(), (evaluation.product for evaluation in EVALUATIONS if evaluation.path in IN_REPORT)
).values()
SCORES = [at(evaluation.product, "scores.json") for evaluation in EVALUATIONS if evaluation.path in IN_REPORT]
RUNS = {run.path: run for chain in CHAINS.values() for run in chain.runs}
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
# Evaluations of which the page shows examples, by benchmark; of captions those of shuffled images beside them.
OF_CAPTIONS = {
    evaluation.benchmark.name: evaluation
    for evaluation in EVALUATIONS
    if evaluation.row.scorer == "captions" and evaluation.variant in evaluation.row.examples and evaluation.is_plain
}
SHUFFLED_CAPTIONS = {
    evaluation.benchmark.name: evaluation
    for evaluation in EVALUATIONS
    if evaluation.row.scorer == "captions" and evaluation.shuffle_images and evaluation.is_plain
}
OF_CAPTIONS = {name: one for name, one in OF_CAPTIONS.items() if name in SHUFFLED_CAPTIONS}
EXAMPLES = {
    evaluation.benchmark.name: evaluation
    for evaluation in EVALUATIONS
    if evaluation.row.scorer != "captions" and evaluation.variant in evaluation.row.examples and evaluation.is_plain
}
REPORT_SETTINGS = json.dumps(
    {
        "scale": SETTINGS.scale,
        "figures_are_meaningful": SCALE.figures_are_meaningful,
        "about": SCALE.description,
        "reranked": SCALE.reranking.top if SCALE.reranking else None,
        "caption_beams": max((one.product.settings.num_beams for one in OF_CAPTIONS.values()), default=1),
    }
)
# The survey asks about a benchmark, and the system as a stage left it answers.
HAS_SURVEY = SCALE.survey is not None and SCALE.survey.stage in CHAIN.stages
if HAS_SURVEY:
    SURVEY_BENCHMARK, SURVEY_RUN = CHAIN.benchmark(SCALE.survey.benchmark), CHAIN.run(SCALE.survey.stage)
    SURVEY_SEEN = CHAIN.seen(
        CHAIN.benchmark_image_sets(SCALE.survey.benchmark), SURVEY_RUN.settings.features == "online"
    )
# In the order of the catalogue, and of the scale.
IMAGE_MANIFESTS = [
    marker(product)
    for name in ROWS.image_sets
    for product in REPORT_PRODUCTS
    if product.area == "images" and product.name == name
]
TABLES = [
    product
    for name in SCALE.samples
    for product in REPORT_PRODUCTS
    if product.rule in ("filter_pairs", "build_mix") and product.name == name
]
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
        "examples": [f"{R}/report/examples/{name}.json" for name in [*OF_CAPTIONS, *EXAMPLES]],
        "sheet": f"{R}/report/sheet.json",
        "runs": runs,
        "images": IMAGE_MANIFESTS,
        "pairs": at(CHAIN.samples(SCALE.caption_samples), "manifest.json"),
        "mixes": [at(product, "manifest.json") for product in TABLES if product.rule == "build_mix"],
        "survey": [f"{R}/report/survey"] if HAS_SURVEY else [],
        "attention": f"{R}/report/attention.json",
        "templates": TEMPLATES,
    }


def survey_option(wildcards, input):
    return ["--survey", input.survey[0]] if input.survey else []


def example_of(wildcards):
    return {**OF_CAPTIONS, **EXAMPLES}[wildcards.benchmark]


def example_title(wildcards):
    evaluation = example_of(wildcards)
    return ", ".join(filter(None, [evaluation.row.title, evaluation.row.examples[evaluation.variant]]))


def example_predictions(wildcards):
    return marker(example_of(wildcards).product)


def shuffled_predictions(wildcards):
    return marker(SHUFFLED_CAPTIONS[wildcards.benchmark].product)


def example_images(wildcards):
    return marker(example_of(wildcards).benchmark.parents["images"])


def exclusions_option(wildcards, input):
    return ["--exclusions", *input.exclusions] if input.exclusions else []
