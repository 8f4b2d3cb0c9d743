"""The environment files: one set of pins, in every form, and importable as installed."""

import ast
import importlib.metadata
import importlib.util
import re
import sys
from pathlib import Path

ENVS = Path(__file__).resolve().parent.parent / "envs"


def load_make_environment():
    spec = importlib.util.spec_from_file_location("make_environment", ENVS / "make_environment.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pins(name):
    """The pins of a file, without what is said about them."""
    lines = (line.partition("#")[0].strip() for line in (ENVS / name).read_text().splitlines())
    return [line for line in lines if line]


def imported_packages():
    """Names of the distributions that code of the project imports, as installed."""
    modules = set()
    for folder in ("workflow_scripts", "benchmarks", "examples", "tests"):
        for path in (ENVS.parent / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    modules.update(alias.name.partition(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    modules.add(node.module.partition(".")[0])
    installed = importlib.metadata.packages_distributions()
    return {module: set(installed[module]) for module in modules - set(sys.stdlib_module_names) if module in installed}


def test_the_conda_environment_agrees_with_the_lock_file():
    module = load_make_environment()
    assert (ENVS / "environment.yaml").read_text() == module.conda_environment()
    assert (ENVS / "environment.post-deploy.sh").read_text() == module.post_deploy()


def test_every_direct_requirement_is_locked_at_the_same_version():
    locked = set(pins("requirements.lock"))
    assert set(pins("requirements.txt")) <= locked


def test_every_direct_requirement_says_what_asks_for_it():
    lines = (ENVS / "requirements.txt").read_text().splitlines()
    silent = [line for line in lines if "==" in line and not re.search(r"  # \w", line)]
    assert not silent, "say in a comment where it is imported, or what needs it"


def test_every_package_that_is_imported_is_asked_for():
    asked = {line.split("==")[0] for name in ("requirements.txt", "without_dependencies.txt") for line in pins(name)}
    missing = {module: names for module, names in imported_packages().items() if not names & asked}
    assert not missing, "a package that another brings may go with it"


def test_pins_hold_names_and_versions_only():
    for name in ("requirements.txt", "requirements.lock", "without_dependencies.txt"):
        for line in pins(name):
            assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line), f"{name}: {line}"


def test_what_is_installed_is_what_is_locked():
    for line in [*pins("requirements.txt"), *pins("without_dependencies.txt")]:
        name, version = line.split("==")
        assert importlib.metadata.version(name).split("+")[0] == version
