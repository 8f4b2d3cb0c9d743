"""The README says what is there."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def test_the_picture_of_the_dag_names_every_rule_and_no_other():
    rules = {
        name
        for path in (ROOT / "rules").glob("*.smk")
        for name in re.findall(r"^ *rule (\w+):", path.read_text(), re.M)
    }
    diagram = README.split("```mermaid")[1].split("```")[0]
    groups = set(re.findall(r"subgraph (\w+)", diagram))
    words = set(
        re.findall(r"\b[a-z]+(?:_[a-z]+)*\b", re.sub(r"subgraph .*|--[^-\n>]*-->|flowchart LR|end\b", " ", diagram))
    )
    assert words - groups == rules


def test_every_make_target_that_the_readme_names_exists():
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", README))
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_every_folder_that_the_readme_names_exists():
    section = README.split("## Where things are")[1].split("## ")[0]
    for name in re.findall(r"^    ([\w.]+)[/ ,]", section, re.M):
        assert name == "results" or (ROOT / name).exists(), name


def test_the_figures_of_the_readme_are_those_that_are_expected():
    expected = yaml.safe_load((ROOT / "expected" / "mini.yaml").read_text())
    values = {figure["id"]: figure["value"] for figure in expected["figures"]}
    rows = re.findall(r"^\| .* \| `([\w.]+)` \| ([\d.]+) \|$", README, re.MULTILINE)
    assert len(rows) == 10
    for name, value in rows:
        assert values[name] == float(value), name
