"""Why a file would be made again: on a small workflow that Snakemake really runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from workflow_scripts.command_line import write_json
from workflow_scripts.config.training import TrainingSettings
from workflow_scripts.product import Product
from workflow_scripts.tracking.planned_jobs import PlannedJob, plan
from workflow_scripts.tracking.why import explain

pytestmark = pytest.mark.slow  # Snakemake starts a dozen times
SNAKEFILE = """
rule first:
    output: "first.txt"
    params: size={size}, code="{code}"
    shell: "python -m json.tool --help > /dev/null; date +%N > {{output}}"
rule second:
    input: "first.txt"
    output: "second.txt"
    shell: "cp {{input}} {{output}}"
"""


@pytest.fixture
def workflow(tmp_path):
    """Writes the workflow's file and, if asked, runs it."""

    def write(size=1, code="0123456789abcdef", run=False):
        (tmp_path / "Snakefile").write_text(SNAKEFILE.format(size=size, code=code))
        if run:
            command = [sys.executable, "-m", "snakemake", "--cores", "1", "--quiet", "all", "--", "second.txt"]
            subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        return tmp_path

    return write


def why(folder, target="second.txt"):
    return explain(target, plan(target, [], folder), {}, folder)


def test_what_is_not_there_what_is_up_to_date_and_what_a_lost_file_causes(workflow):
    folder = workflow()
    text = why(folder)
    assert text.startswith("second.txt does not exist and would be made, with one job before it.")
    assert "- first would make first.txt, because it is not there." in text
    assert "What follows from it: second." in text
    workflow(run=True)
    assert why(folder) == "second.txt is up to date: nothing would be made again."
    (folder / "second.txt").unlink()
    assert "would be made, alone" in why(folder)
    assert "- second would make second.txt, because it is not there." in why(folder)


def test_another_setting_and_other_code_are_told_apart(workflow):
    folder = workflow(run=True)
    workflow(size=2)
    assert "because its parameters were 1 and are 2." in why(folder)
    workflow(code="fedcba9876543210")
    text = why(folder)
    assert "because the code of json.tool, or of what that imports from this project, has changed." in text
    assert text.startswith("second.txt would be made again, with one job before it.")
    workflow(size=2, code="fedcba9876543210")
    assert "its parameters were 1 and are 2; the code of json.tool has changed as well" in why(folder)


def test_a_target_that_no_rule_makes_is_an_error_in_snakemakes_words(workflow):
    with pytest.raises(ValueError, match=r"cannot plan third\.txt: MissingRuleException"):
        plan("third.txt", [], workflow())


def test_a_training_in_a_new_folder_is_compared_with_the_one_that_is_there(tmp_path):
    def product(rate, version):
        settings = TrainingSettings(batch_size=8, epochs=1, learning_rate=rate, learning_rate_end=1e-4)
        samples = Product("build_mix", "data", "mix", {"samples": "mix"})
        of_sets = {"coco": "as ever", "genome": version}
        features = tuple(Product("extract_features", "features", name, {"of": of_sets[name]}) for name in of_sets)
        parents = {"samples": samples, "features": features}
        return Product("train_adaptor", "finetune", "report", {"stage": "finetune"}, parents, settings)

    old, new = product(1e-3, "first"), product(2e-3, "second")
    write_json(tmp_path / "results/tiny" / old.path / "definition.json", {"identity": old.identity})
    folder = f"results/tiny/{new.path}"
    job = PlannedJob("train_adaptor", "m", (), (f"{folder}/run.json",), f"Missing output files: {folder}/run.json")
    text = explain(folder, [job], {folder: new}, tmp_path)
    assert f"report-{old.id} is there and differs:" in text
    assert "settings.learning_rate: 0.001 there, 0.002 asked for" in text
    assert "batch_size" not in text
    first, second = (str([one.id for one in each.parents["features"]]) for each in (old, new))
    assert f"from.features: {first} there, {second} asked for" in text
    assert "from.samples" not in text


def test_the_command_reads_the_scale_from_the_target():
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "workflow_scripts.tracking.why", "results/tiny/report/results.json"]
    for more in ([], ["--config", "experiments={mixed: {in_report: true}}"]):
        text = subprocess.run([*command, *more], cwd=root, check=True, capture_output=True, text=True).stdout
        assert text.startswith("results/tiny/report/results.json ")
