# Helpers that the rules share; no rules here. Nothing here reads data: every SLURM job parses this again.
import json
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)

from workflow_scripts.catalogue.load import load_catalogue
from workflow_scripts.catalogue.sources import is_on_mirror
from workflow_scripts.chain import all_products, chains
from workflow_scripts.code_digest import code_digest
from workflow_scripts.config.settings import load_settings
from workflow_scripts.evaluations import evaluations, shown_of_experiments
from workflow_scripts.job_environment import name_caches, name_mirror, prepare_job_environment
from workflow_scripts.one_snakemake import enter, take_over
from workflow_scripts.report.chromium import find_chromium

try:
    SETTINGS = load_settings(config, Path(workflow.basedir) / "scales")
    CHAINS = chains(SETTINGS)
    # The experiments that the report's page waits for name the figures; those of all others have a name added.
    REPORTED = {label: chain for label, chain in CHAINS.items() if SETTINGS.experiments[label].in_report}
    EVALUATIONS = evaluations([*REPORTED.values(), *CHAINS.values()])
    # Everything that may be asked for, by its folder in that of the scale.
    PRODUCTS = all_products(CHAINS.values(), (evaluation.product for evaluation in EVALUATIONS))
except ValueError as error:
    raise WorkflowError(str(error)) from None

SCALE = SETTINGS.values
ROWS = SETTINGS.rows
R = f"{SETTINGS.results}/{SETTINGS.scale}"
# The first experiment: what the index, the survey and the pages show that are made once.
CHAIN = next(iter(CHAINS.values()))
BY_KEY = {product.key: product for product in PRODUCTS.values()}
STAGES = "|".join(sorted({product.area for product in PRODUCTS.values() if product.rule == "train_adaptor"}))
EVALUATION_OF = {evaluation.product.key: evaluation for evaluation in EVALUATIONS}
TRACKING_URI = f"sqlite:///{R}/mlflow.db"
REPORT = f"{R}/report/index.html"
CARDS = [f"{R}/report/data_card.md", f"{R}/report/model_card.md"]
PDF = f"{R}/report/report.pdf"
MIRROR = Path(SETTINGS.mirror).absolute() if SETTINGS.mirror and not SCALE.world else None
CATALOGUE = ["--catalogue", *SETTINGS.catalogue] if SETTINGS.catalogue else []

prepare_job_environment(Path(workflow.basedir))
name_caches(Path(R).absolute() / "cache")


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


# Paths


def at(product, *names):
    """The path of a file in a product's folder."""
    return "/".join([R, product.path, *names])


def marker(given):
    """The file that says that a product is there, or those of several."""
    return [marker(one) for one in given] if isinstance(given, tuple) else at(given, given.marker)


def folder(path):
    return str(Path(path).parent)


def output_folder(wildcards, output):
    return folder(output[0])


def folder_above_output(wildcards, output):
    return folder(folder(output[0]))


def input_folders(wildcards, input):
    return [folder(path) for path in input]


def folders_of(role):
    """A function for params: the folders of the inputs of a role."""

    def found(wildcards, input):
        paths = input.get(role) or []
        return [folder(path) for path in ([paths] if isinstance(paths, str) else paths)]

    return found


def made_by(*rules):
    """A pattern for the folders of the products that rules make; it fits nothing where there are none."""
    return any_of(product for product in PRODUCTS.values() if product.rule in rules)


def any_of(products):
    """A pattern for the folders of products; it fits nothing where there are none."""
    return "|".join(re.escape(product.key) for product in products) or "(?!)"


# What a product is made from


def product_of(wildcards):
    return BY_KEY[wildcards.key]


def made_from(wildcards):
    """What a product is made from, by role: the same for every rule, and for every experiment."""
    return {role: marker(given) for role, given in product_of(wildcards).inputs.items()}


def option(role, given):
    """`--role PATH ...` for a command: folders, or the table or array itself."""
    products = given if isinstance(given, tuple) else (given,)
    paths = [at(one, one.marker) if one.marker.endswith((".parquet", ".npy")) else at(one) for one in products]
    return [f"--{role.replace('_', '-')}", *paths]


def options_of(product, leave_out=()):
    given = [option(role, made_of) for role, made_of in product.inputs.items() if role not in leave_out and made_of]
    return [word for words in given for word in words]


def given(wildcards):
    """What a product is made from, as options of its command."""
    return options_of(product_of(wildcards))


def settings_json(settings):
    """A section of the configuration as a command takes it."""
    return settings.model_dump_json()


def own_settings(wildcards):
    return settings_json(product_of(wildcards).settings)


def own_name(wildcards):
    return product_of(wildcards).name


# Jobs


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


def all_cores():
    """The cores that Snakemake may use; one where it only draws the graph and was told none."""
    try:
        return workflow.cores
    except WorkflowError:
        return 1


# Nothing is fetched before the preflight has found disk, GPUs and access.
OUTSIDE = "python -m workflow_scripts.sources.serve_mirror --" if MIRROR else ""
CHECKED = [f"{R}/preflight/checked.json"] if SCALE.preflight else []
if MIRROR:
    # Not by a parameter: another mirror shall download nothing again.
    name_mirror(MIRROR)
