# Helpers that the rules share; no rules here. Nothing here reads data: every SLURM job parses this again.
import json
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)

from workflow_scripts.chain import by_key, chains
from workflow_scripts.code_digest import code_digest
from workflow_scripts.config.settings import load_settings
from workflow_scripts.evaluations import (
    SCORERS,
    evaluations,
    retrieval_figure,
    retrieval_methods,
    scored_by,
    shown_of_experiments,
    split_name,
)
from workflow_scripts.identity import run_id
from workflow_scripts.job_environment import name_mirror, prepare_job_environment
from workflow_scripts.one_snakemake import take_over
from workflow_scripts.report.chromium import find_chromium
from workflow_scripts.sources.registry import is_on_mirror, load_registry

try:
    SETTINGS = load_settings(config, Path(workflow.basedir) / "scales")
    CHAINS = chains(SETTINGS)
    # The experiments that the report's page waits for name the figures; those of all others have a name added.
    REPORTED = {label: chain for label, chain in CHAINS.items() if SETTINGS.experiments[label].in_report}
    EVALUATIONS = evaluations([*REPORTED.values(), *CHAINS.values()])
except ValueError as error:
    raise WorkflowError(str(error)) from None

prepare_job_environment(Path(workflow.basedir))

SCALE = SETTINGS.values
R = f"{SETTINGS.results}/{SETTINGS.scale}"
# What does not depend on an experiment is the same in all chains; data and models are taken from the first.
CHAIN = next(iter(CHAINS.values()))
TRACKING_URI = f"sqlite:///{R}/mlflow.db"
REPORT = f"{R}/report/index.html"
CARDS = [f"{R}/report/data_card.md", f"{R}/report/model_card.md"]
PDF = f"{R}/report/report.pdf"


def begin():
    """Before the first job: nobody else may be at work here, nor may jobs of a Snakemake that was killed."""
    try:
        take_over(Path.cwd(), alone=not workflow.execution_settings.lock)
    except ValueError as error:
        raise WorkflowError(str(error)) from None


def at(product, *names):
    """The path of a file in a product's folder."""
    return "/".join([R, product.path, *names])


def settings_json(settings):
    """A section of the configuration as a command takes it."""
    return settings.model_dump_json()


def folder(path):
    return str(Path(path).parent)


def folders(paths):
    return [folder(path) for path in paths]


def job(rule, **own):
    """Memory, minutes, GPUs and disk for jobs of a rule; the numbers of the scale come before the own ones given."""
    asked = SCALE.jobs[rule].resources if rule in SCALE.jobs else {}
    asked = {"gpu": 0, "disk_mb": 1000, **own, **asked}
    return {**asked, "slurm_partition": SETTINGS.gpu_partition} if asked["gpu"] else asked


def job_threads(rule, own):
    """CPUs of a job of a rule; the scale's number in place of the rule's own."""
    return (SCALE.jobs[rule].threads if rule in SCALE.jobs else None) or own


def archive_with(image_set):
    """The data set whose archive holds the pictures of an image set; None where they are fetched by URL."""
    return SCALE.picture_archives.get(image_set) or REGISTRY.image_set(image_set).archive


def data_sets_of(image_set):
    """The data sets that list the pictures of an image set, and the one whose archive holds them, if any."""
    archive = archive_with(image_set)
    return [entry.data_set for entry in REGISTRY.image_set(image_set).lists] + ([archive] if archive else [])


def mirror_flag(row):
    """The flag for commands that read a data set or an image set (as the registry's file has it) from the mirror."""
    return ["--from-mirror"] if is_on_mirror(row, MIRROR) else []


# Products by the name of their folder, as wildcards give them.
IMAGES = by_key(CHAIN.images(name) for name in CHAIN.roles.image_sets())
# A mirror is looked at here for its sub-folders only: what it holds is read from it in the form that mirrors have.
MIRROR = Path(SETTINGS.mirror).absolute() if SETTINGS.mirror and not SCALE.world else None
if MIRROR and not MIRROR.is_dir():
    raise WorkflowError(f"mirror = {SETTINGS.mirror!r}: there is no such folder; it holds one sub-folder a host.")
REGISTRY = load_registry().for_mirror(MIRROR)
PAIRS = by_key(chain.pairs for chain in CHAINS.values())
EXCLUSIONS = by_key(chain.exclusions for chain in CHAINS.values() if chain.exclusions)
SCALE_OF_EXCLUSIONS = {chain.exclusions.key: chain.scale for chain in CHAINS.values() if chain.exclusions}
# Evaluations whose pictures are excluded, and training sets that may hold them: data sets with the COCO ids of each.
EVALUATION_SOURCES = {"karpathy": "karpathy", "okvqa": "okvqa", "refcoco": "refcoco"}
TRAINING_SOURCES = {
    name: data_set
    for name, data_set in {"coco_train2017": "coco_annotations_2017", "visual_genome": "visual_genome"}.items()
    if name in CHAIN.roles.image_sets()
}
ANNOTATIONS = by_key(
    CHAIN.annotations(data_set)
    for data_set in [
        *(data_set for name in CHAIN.roles.image_sets() for data_set in data_sets_of(name)),
        *({**EVALUATION_SOURCES, **TRAINING_SOURCES}.values() if EXCLUSIONS else []),
    ]
)
MODELS = by_key(
    model
    for chain in CHAINS.values()
    for role in type(SCALE.pretrained).model_fields
    if (model := chain.pretrained(role))
)
FEATURES = by_key(CHAIN.features(name) for name in CHAIN.roles.image_sets())
TOKENS = by_key(CHAIN.tokens(name) for name in CHAIN.roles.image_sets()) if SCALE.q_former else {}
# The vision encoder's own file, as the registry names it.
VISION_WEIGHTS = (
    at(CHAIN.pretrained("vision_encoder"), REGISTRY.source(SCALE.pretrained.vision_encoder).files[0].name)
    if SCALE.q_former
    else None
)
# Experiments may have language models of their own, trained here, converted, or taken as they are.
LANGUAGE_MODELS = by_key(chain.language_model for chain in CHAINS.values())
FETCHED_EXTRACTOR = CHAIN.pretrained("feature_extractor")
MIXES = by_key(
    mix
    for chain in CHAINS.values()
    for mix in [
        *(run.parents["samples"] for run in chain.runs if run.area != "pretrain"),
        *map(chain.mix, chain.scale.pretrain_with),
    ]
)
# Captions and questions together, where an experiment pretrains on both.
MIXED_PAIRS = by_key(chain.samples("pretrain") for chain in CHAINS.values() if chain.scale.pretrain_with)
BENCHMARKS = by_key(CHAIN.benchmark(name) for name in CHAIN.benchmarks)
# The miniature publishes which of its pictures are held out; real data sets have splits of their own.
SPLITS = [at(CHAIN.annotations("miniature_extras"), "manifest.json")] if SCALE.world else []
SPLIT_FILE = ["--split-file", at(CHAIN.annotations("miniature_extras"), "splits.json")] if SCALE.world else []
RUNS = {run.path: run for chain in CHAINS.values() for run in chain.runs}
BY_PATH = {evaluation.path: evaluation for evaluation in EVALUATIONS}
IN_REPORT = {evaluation.path for evaluation in evaluations(REPORTED.values())}
CHAIN_OF_RUN = {run.path: chain for chain in CHAINS.values() for run in chain.runs}
RETRIEVAL = {
    CHAIN.retrieval_benchmark: CHAIN.roles.retrieval,
    **({"colour_matched": SCALE.roles.colour_matched} if SCALE.roles.colour_matched else {}),
}
CLIPS = {
    "clip": CHAIN.clip,
    **({"clip_high_resolution": high} if (high := CHAIN.pretrained("clip_high_resolution")) else {}),
}
# A change of anything that retrieval depends on is a new folder for its scores, as everywhere.
RETRIEVAL_ID = run_id(
    {
        "features": CHAIN.feature_extractor.id,
        "clip": CHAIN.clip.id if CHAIN.clip else None,
        "pairs": CHAIN.pairs.id,
        "benchmarks": [CHAIN.benchmark(name).id for name in RETRIEVAL],
        **({"linear_baseline": CHAIN.linear_baseline.id} if CHAIN.linear_baseline else {}),
        **({"reranking": SCALE.reranking.defining()} if SCALE.reranking else {}),
        **({"clip_high_resolution": CLIPS["clip_high_resolution"].id} if "clip_high_resolution" in CLIPS else {}),
    }
)
METHODS = retrieval_methods(CHAIN)
# In groups of a few alike pictures there is nothing to choose the best of.
RETRIEVALS = [
    (name, method) for name in RETRIEVAL for method in METHODS if (name, method) != ("colour_matched", "blip2_itm")
]


def feature_source(wildcards):
    """What features are computed from: an image set, or the tokens of its pictures where these are there."""
    parents = FEATURES[wildcards.features].parents
    return parents.get("tokens") or parents["images"]


def run_of(wildcards):
    return RUNS[f"{wildcards.stage}/{wildcards.run}"]


def run_features(wildcards):
    """The features that a training reads."""
    run = run_of(wildcards)
    return [at(CHAIN.features(name), "manifest.json") for name in CHAIN_OF_RUN[run.path].sample_image_sets(run.area)]


def run_initial_adaptor(wildcards):
    parent = run_of(wildcards).parents.get("initial_adaptor")
    return [at(parent, "adaptor.safetensors")] if parent else []


def evaluation_of(wildcards):
    return BY_PATH[f"evaluation/{wildcards.benchmark}/{wildcards.evaluation}"]


def evaluated_run(wildcards):
    """run.json of the training that was evaluated; nothing for a guess without a model."""
    run = evaluation_of(wildcards).run
    return [at(run, "run.json")] if run else []


def score_options(wildcards, input):
    """The options that every scorer of answers has: the figure's id, its split and the training's run.json."""
    run = ["--run", str(input.run)] if input.run else []
    split = split_name(wildcards.benchmark, SCALE.evaluation_split)
    return ["--id", evaluation_of(wildcards).figure, "--split", split, *run]


def retrieval_inputs(wildcards):
    """What a retrieval method compares the captions with."""
    image_set = RETRIEVAL[wildcards.benchmark]
    if wildcards.method == "blip2":
        return {
            "features": [at(CHAIN.features(image_set), "manifest.json")],
            "model": at(CHAIN.feature_extractor, "SHA256SUMS"),
        }
    if wildcards.method == "linear_baseline":
        return {
            "tokens": [at(CHAIN.tokens(image_set), "manifest.json")],
            "model": at(CHAIN.linear_baseline, "SHA256SUMS"),
        }
    images = [at(CHAIN.images(image_set), "manifest.json")]
    if wildcards.method in CLIPS:
        return {"images": images, "model": at(CLIPS[wildcards.method], "SHA256SUMS")}
    training = [at(CHAIN.images(name), "manifest.json") for name in SCALE.roles.pretraining]
    return {"images": images, "pairs": at(CHAIN.pairs, "samples.parquet"), "training": training}


def retrieval_options(wildcards, input):
    """The same as command-line options, in the order of the inputs' names."""
    # Flickr8k's figures are of all five captions of a picture, as in its literature; COCO's of the first, as reported.
    every = ["--all-captions"] if wildcards.benchmark.startswith("flickr8k") else []
    return [*retrieval_method_options(wildcards, input), *every]


def ranked(wildcards, name):
    """A file of a retrieval method; the captions of the second look are those of the first."""
    method = "blip2" if name == "captions.json" and wildcards.method == "blip2_itm" else wildcards.method
    return f"{R}/evaluation/{wildcards.benchmark}/{method}-{RETRIEVAL_ID}/{name}"


def image_to_text_similarity(wildcards):
    """The array of the way back, which re-ranking alone writes."""
    return [ranked(wildcards, "image_to_text.npy")] if wildcards.method == "blip2_itm" else []


def reranking_inputs(wildcards):
    """The pictures of a retrieval benchmark, or their tokens where the vision encoder is frozen."""
    image_set = RETRIEVAL[wildcards.benchmark]
    return at(CHAIN.tokens(image_set) if SCALE.q_former else CHAIN.images(image_set), "manifest.json")


def retrieval_headline(wildcards):
    return "all_captions" if wildcards.benchmark.startswith("flickr8k") else "first_caption"


def retrieval_method_options(wildcards, input):
    if wildcards.method == "blip2":
        return ["--features", *folders(input.features), "--feature-extractor", folder(input.model)]
    if wildcards.method == "linear_baseline":
        return ["--tokens", *folders(input.tokens), "--linear-baseline", folder(input.model)]
    if wildcards.method in CLIPS:
        return ["--images", *folders(input.images), "--clip", folder(input.model)]
    return [
        "--images",
        *folders(input.images),
        "--training-pairs",
        input.pairs,
        "--training-images",
        *folders(input.training),
    ]


def listing_data_set(image_set):
    """The data set whose captions an image set of pretraining has."""
    return REGISTRY.image_set(image_set).lists[0].data_set


def sources_of(names, manifests):
    """`--source NAME ANNOTATIONS IMAGES` for each name, from the manifests of both, in turn."""
    paths = folders(manifests)
    triples = zip(names, paths[::2], paths[1::2], strict=True)
    return [word for triple in triples for word in ("--source", *triple)]


def exclusions_of(product):
    """The list of pictures that a table of samples leaves out, if any."""
    exclusions = product.parents.get("exclusions")
    return [f"{R}/{exclusions.path}/exclusions.json"] if exclusions else []


def exclusion_sources(wildcards, input):
    """`--evaluation NAME ANNOTATIONS` and `--training IMAGE_SET ANNOTATIONS` for each."""
    chosen = SCALE_OF_EXCLUSIONS[wildcards.exclusions].exclude
    evaluations = zip(EVALUATION_SOURCES, folders(input.evaluations), strict=True)
    training = zip(TRAINING_SOURCES, folders(input.training), strict=True)
    return [
        *(word for name, path in evaluations if name in chosen for word in ("--evaluation", name, path)),
        *(word for name, path in training for word in ("--training", name, path)),
    ]


def exclude_option(wildcards, input):
    return ["--exclude", *input.exclude] if input.exclude else []


def training_processes(wildcards):
    """GPUs of a training: the job's, or fewer where a batch would not divide among them."""
    batch = run_of(wildcards).settings.batch_size
    gpus = job("train_adaptor")["gpu"]
    return max((number for number in range(1, gpus + 1) if batch % number == 0), default=0)


def mix_sources(wildcards):
    """Data set and image set of each part of a mix."""
    roles = SCALE.roles
    return {
        "visual_genome_mix": [("visual_genome", roles.visual_genome), ("minigpt4", roles.descriptions)],
        "okvqa_mix": [("okvqa", roles.okvqa_train)],
        "refcoco_mix": [("refcoco", roles.refcoco)],
        "photo_mix": [("daquar", roles.daquar), *((listing_data_set(name), name) for name in roles.pretraining)],
    }[MIXES[wildcards.mix].name]


def asked_by(wildcards):
    """The data set that a benchmark's questions come from."""
    name = BENCHMARKS[wildcards.asked].name
    if name in ("visual_genome", "okvqa", "refcoco", "gqa"):
        return name
    return listing_data_set(CHAIN.benchmark_image_set(name))


def benchmark_images(wildcards):
    return next(iter(BENCHMARKS[wildcards.asked].parents.values()))


# What stands before a command that needs the web: nothing, or a server on loopback for as long as the command runs.
if SCALE.world:
    WEB = f"python -m workflow_scripts.miniature.web --root {shlex.quote(at(CHAIN.world, 'web'))} --"
    WEB_READY = [at(CHAIN.world, "published.json")]
    # The world's files have checksums of their own.
    CHECKSUMS = ["--checksums", at(CHAIN.world, "checksums.json")]
elif MIRROR:
    # Not by a parameter: another mirror shall download nothing again.
    name_mirror(MIRROR)
    WEB = "python -m workflow_scripts.sources.serve_mirror --"
    WEB_READY = []
    CHECKSUMS = []
else:
    WEB = ""
    WEB_READY = []
    CHECKSUMS = []
# Nothing is fetched before the preflight has found disk, GPUs and access.
if SCALE.preflight:
    WEB_READY = [*WEB_READY, f"{R}/preflight/checked.json"]


def listed_by(wildcards):
    """The data sets whose annotations name the pictures of an image set."""
    return [entry.data_set for entry in REGISTRY.image_set(IMAGES[wildcards.images].name).lists]


def archive_of(wildcards):
    """The data set whose archive holds the pictures of an image set."""
    return archive_with(IMAGES[wildcards.images].name)


def maximum_images(wildcards):
    maximum = SCALE.maximum_images.get(IMAGES[wildcards.images].name)
    return ["--maximum", maximum] if maximum else []


def any_of(products):
    """A pattern for the folders of products; it fits nothing where there are none."""
    return "|".join(re.escape(product.key) for product in products) or "(?!)"


def one_of(products, packed):
    """A pattern for the folders of image sets whose pictures come in an archive, or by URL."""
    keys = [key for key, product in products.items() if bool(archive_with(product.name)) == packed]
    return "|".join(map(re.escape, keys)) or "(?!)"


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
TEMPLATES = [
    "workflow_scripts/report/templates/report.css",
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
    }
)
# The survey asks about a benchmark with questions and relations, and the system as finetuned answers.
SURVEY_BENCHMARK = next(
    (CHAIN.benchmark(name) for name in ("visual_genome", "gqa", "daquar") if name in CHAIN.benchmarks), None
)
SURVEY_RUN = CHAIN.run("finetune") if "finetune" in CHAIN.stages else None
HAS_SURVEY = SURVEY_BENCHMARK is not None and SURVEY_RUN is not None
RESPONSES = f"{R}/survey/responses.sqlite"
