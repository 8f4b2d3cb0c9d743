"""What no present configuration refers to: listed, removed when told to, trainings after one more question."""

import io
import json
from pathlib import Path

import pytest
import yaml

from workflow_scripts.chain import chains
from workflow_scripts.clean_results import main
from workflow_scripts.config.merging import merge
from workflow_scripts.config.settings import load_settings

ROOT = Path(__file__).resolve().parent.parent
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
OLD = "0123456789ab"


@pytest.fixture
def results(tmp_path):
    """Products of the present configuration, and others of settings that are gone."""
    settings = load_settings(merge(CONFIG, {"scale": "tiny", "results": str(tmp_path)}), ROOT / "scales")
    chain = chains(settings)["report"]
    place = tmp_path / "tiny"
    kept = [chain.run("pretrain"), chain.samples("pairs"), chain.index, chain.benchmark("okvqa")]
    for product in kept:
        (place / product.path).mkdir(parents=True)
        (place / product.path / "some.bin").write_bytes(b"x" * 10)
    (place / kept[0].path / "definition.json").write_text("{}")
    for name in (f"data/pairs-{OLD}", f"evaluation/okvqa/after-report-{OLD}", f"features/coco_train2017-{OLD}"):
        (place / name).mkdir(parents=True)
        (place / name / "some.bin").write_bytes(b"x" * 2_000_000)
    (place / "urls").mkdir()
    (place / f"urls/coco_train2017-{OLD}.parquet").write_bytes(b"x")  # as an earlier version had it
    training = place / f"finetune/report-{OLD}"
    (training / "checkpoints").mkdir(parents=True)
    (training / "checkpoints/step-000010.pt").write_bytes(b"x" * 1000)
    (training / "definition.json").write_text(json.dumps({}))
    (place / "report").mkdir()
    (place / "report/index.html").write_text("page")
    return place


def clean(results, *words, typed=None, monkeypatch=None):
    if typed is not None:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    main([*words, "--config", "scale=tiny", f"results={results.parent}"])


def folders(results):
    return {path.relative_to(results).as_posix() for path in results.rglob("*")}


def test_what_is_left_over_is_listed_with_sizes_and_stays(results, capsys):
    before = folders(results)
    clean(results)
    told = capsys.readouterr().out
    assert "4 products in" in told
    assert f"data/pairs-{OLD}" in told
    assert "2.0 MB" in told
    assert "1 trainings in" in told
    assert f"finetune/report-{OLD}" in told
    assert "Nothing was removed" in told
    assert folders(results) == before


def test_removing_leaves_what_the_configuration_refers_to_and_all_trainings(results, capsys):
    clean(results, "--remove")
    assert "4 products were removed" in capsys.readouterr().out
    left = folders(results)
    assert not any(OLD in path for path in left if not path.startswith("finetune/"))
    assert f"finetune/report-{OLD}/checkpoints/step-000010.pt" in left
    assert "report/index.html" in left
    assert sum(path.endswith("some.bin") for path in left) == 4


def test_trainings_go_only_when_their_number_is_typed_in(results, monkeypatch):
    with pytest.raises(ValueError, match="The trainings stay"):
        clean(results, "--remove", "--trainings", typed="yes\n", monkeypatch=monkeypatch)
    assert (results / f"finetune/report-{OLD}/checkpoints").is_dir()
    clean(results, "--remove", "--trainings", typed="1\n", monkeypatch=monkeypatch)
    assert not (results / f"finetune/report-{OLD}").exists()
    assert any((results / "pretrain").iterdir())


def test_a_link_is_removed_and_not_what_it_points_to(results, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.txt").write_text("mine")
    (results / f"images/old-{OLD}").parent.mkdir(exist_ok=True)
    (results / f"images/old-{OLD}").symlink_to(elsewhere)
    clean(results, "--remove")
    assert not (results / f"images/old-{OLD}").is_symlink()
    assert (elsewhere / "mine.txt").read_text() == "mine"


def test_trainings_without_removing_is_an_error(results):
    with pytest.raises(ValueError, match="--trainings is for --remove"):
        clean(results, "--trainings")
