# Helpers that the rules share; no rules here. Nothing here reads data: every SLURM job parses this again.
import json
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)

from workflow_scripts.chain import chains
from workflow_scripts.code_digest import code_digest
from workflow_scripts.config.settings import load_settings
from workflow_scripts.evaluations import RETRIEVAL_METHODS, evaluations

try:
    SETTINGS = load_settings(config, Path(workflow.basedir) / "scales")
    CHAINS = chains(SETTINGS)
    EVALUATIONS = evaluations(CHAINS.values())
except ValueError as error:
    raise WorkflowError(str(error)) from None

# Commands are run as `python -m workflow_scripts...`, from wherever snakemake --directory put us.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [workflow.basedir, os.environ.get("PYTHONPATH")]))
os.environ.setdefault("PYTHONWARNINGS", "ignore")

SCALE = SETTINGS.values
R = f"{SETTINGS.results}/{SETTINGS.scale}"
# What does not depend on an experiment is the same in all chains; data and models are taken from the first.
CHAIN = next(iter(CHAINS.values()))
TRACKING_URI = f"sqlite:///{R}/mlflow.db"
REPORT = f"{R}/report/index.html"


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
