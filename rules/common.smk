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
from workflow_scripts.one_snakemake import enter, take_over
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


# Here and not in `begin`: Snakemake looks at the locks that one that was killed left before its hooks.
if workflow.is_main_process:
    try:
        enter(Path.cwd())
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


def default_resource(name, otherwise):
    """A default resource as the profile has it, or something else where no profile names it."""
    found = (workflow.resource_settings.default_resources or {}).get(name)
    return otherwise if found is None else str(found.raw).strip("'\"")


def job(rule, **own):
    """Memory, minutes, GPUs and disk for jobs of a rule; the numbers of the scale come before the own ones given."""
    asked = SCALE.jobs[rule].resources if rule in SCALE.jobs else {}
    asked = {"gpu": 0, "disk_mb": 1000, **own, **asked}
    return {**asked, "slurm_partition": default_resource("gpu_partition", "gpu")} if asked["gpu"] else asked


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


def pretrained_models(chains_of_experiments):
    """The models that experiments take from others, by the name of their folder."""
    return by_key(
        model
        for chain in chains_of_experiments
        for role in type(SCALE.pretrained).model_fields
        if (model := chain.pretrained(role))
    )


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
MODELS = pretrained_models(CHAINS.values())
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


def any_of(products):
    """A pattern for the folders of products; it fits nothing where there are none."""
    return "|".join(re.escape(product.key) for product in products) or "(?!)"


def made(products, in_parts):
    """Those of the products of image sets that are made in parts, or at once."""
    return [product for product in products if (CHAIN.parts_of(product) > 1) == in_parts]


def one_of(products, packed, in_parts=False):
    """A pattern for the folders of image sets whose pictures come in an archive, or by URL, at once or in parts."""
    return any_of(one for one in made(products.values(), in_parts) if bool(archive_with(one.name)) == packed)
