import json
import zipfile

import pytest

from workflow_scripts.command_line import write_json
from workflow_scripts.report.export_ro_crate import METADATA, main


@pytest.fixture
def crate(tmp_path, write_run):
    """Exports a run with two trainings and returns the opened file and its entities by id."""
    results = tmp_path / "mini"
    for name in ("index.html", "results.json", "tables/okvqa.csv", "figures/kinds.svg"):
        (results / "report" / name).parent.mkdir(parents=True, exist_ok=True)
        (results / "report" / name).write_text(name)
    for stage in ("pretrain", "finetune"):
        content = json.loads(write_run(stage).read_text())
        write_json(results / stage / "report-0123456789ab" / "run.json", content | {"run_id": f"{stage}-id"})
    (results / "benchmarks").mkdir()
    (results / "benchmarks" / "publish.tsv").write_text("s\tmax_rss\n100.0\t5\n")
    main(["--results", str(results), "--output", str(tmp_path / "mini.crate.zip")])
    archive = zipfile.ZipFile(tmp_path / "mini.crate.zip")
    graph = json.loads(archive.read(METADATA))["@graph"]
    assert len({one["@id"] for one in graph}) == len(graph)
    return archive, {one["@id"]: one for one in graph}


def test_every_file_is_described_and_every_described_file_is_there(crate):
    archive, entities = crate
    described = {id for id, one in entities.items() if "File" in one["@type"]}
    assert described == set(archive.namelist()) - {METADATA}
    assert {part["@id"] for part in entities["./"]["hasPart"]} == described
    assert {"Snakefile", "config.yaml", "scales/mini.yaml", "results/report/index.html"} <= described
    assert {"catalogue/data_sets.yaml", "catalogue/benchmarks.yaml"} <= described


def test_every_reference_leads_to_an_entity_or_to_the_web(crate):
    def references(value):
        if isinstance(value, dict):
            yield from [value["@id"]] if set(value) == {"@id"} else []
            for one in value.values():
                yield from references(one)
        elif isinstance(value, list):
            for one in value:
                yield from references(one)

    _, entities = crate
    lost = {id for one in entities.values() for id in references(one) if id not in entities}
    assert all(id.startswith("https://") for id in lost)


def test_it_is_a_workflow_run_crate_as_the_profile_asks(crate):
    _, entities = crate
    root = entities["./"]
    assert {"@id": "https://w3id.org/ro/wfrun/workflow/0.5"} in root["conformsTo"]
    assert {"name", "description", "datePublished", "license"} <= set(root)
    workflow = entities[root["mainEntity"]["@id"]]
    assert workflow["@type"] == ["File", "SoftwareSourceCode", "ComputationalWorkflow"]
    assert entities[workflow["programmingLanguage"]["@id"]]["@type"] == "ComputerLanguage"
    run = entities["#run"]
    assert (run["@type"], run["instrument"]) == ("CreateAction", root["mainEntity"])
    assert {"@id": "#run"} in root["mentions"]
    assert {"@id": "results/report/results.json"} in run["result"]
    assert run["startTime"] < run["endTime"]


def test_each_training_has_its_command_and_what_it_learnt_from(crate):
    _, entities = crate
    training = entities["#training-finetune-id"]
    assert training["name"] == "Training: finetuning"
    assert training["description"] == "python -m train <now>"
    assert entities[training["object"]["@id"]]["value"] == "f" * 64
    assert training["result"] == {"@id": "results/finetune/report-0123456789ab/run.json"}


def test_a_run_without_a_report_is_not_exported(tmp_path):
    with pytest.raises(ValueError, match="has no report yet"):
        main(["--results", str(tmp_path), "--output", str(tmp_path / "x.zip")])
    assert not (tmp_path / "x.zip").exists()
