import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tiny_results import write_tiny_results


@pytest.fixture(scope="session")
def tiny_results(tmp_path_factory):
    """The folder of one scale with two finished trainings and an index; read only."""
    return write_tiny_results(tmp_path_factory.mktemp("results") / "tiny_scale")


@pytest.fixture(scope="session")
def system(tiny_results):
    from workflow_scripts.config.demo import DemoSettings
    from workflow_scripts.demo.find_experiment import find_experiment
    from workflow_scripts.demo.system import System

    return System(find_experiment(tiny_results), DemoSettings())
