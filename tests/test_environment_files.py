"""The environment files: one set of pins, in every form, and importable as installed."""

import importlib.metadata
import importlib.util
import re
from pathlib import Path

ENVS = Path(__file__).resolve().parent.parent / "envs"


def load_make_environment():
    spec = importlib.util.spec_from_file_location("make_environment", ENVS / "make_environment.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pins(name):
    lines = (ENVS / name).read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def test_the_conda_environment_agrees_with_the_lock_file():
    module = load_make_environment()
    assert (ENVS / "environment.yaml").read_text() == module.conda_environment()
    assert (ENVS / "environment.post-deploy.sh").read_text() == module.post_deploy()


def test_every_direct_requirement_is_locked_at_the_same_version():
    locked = set(pins("requirements.lock"))
    assert set(pins("requirements.txt")) <= locked


def test_pins_hold_names_and_versions_only():
    for name in ("requirements.txt", "requirements.lock", "without_dependencies.txt"):
        for line in pins(name):
            assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line), f"{name}: {line}"


def test_what_is_installed_is_what_is_locked():
    for line in [*pins("requirements.txt"), *pins("without_dependencies.txt")]:
        name, version = line.split("==")
        assert importlib.metadata.version(name).split("+")[0] == version
