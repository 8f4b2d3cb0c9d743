"""What is wrong is said before anything long starts, in one sentence."""

import json
import shutil
from collections import namedtuple

import pytest

from workflow_scripts.catalogue.sources import Source
from workflow_scripts.preflight import check

GATED = Source(
    title="LLaMA-2-7b-chat",
    licence="Llama 2 Community License",
    citation="Touvron et al.",
    gated="https://huggingface.co/meta-llama/Llama-2-7b-chat-hf",
    files=[{"name": "config.json", "url": "https://huggingface.co/meta-llama/config.json"}],
)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("MIRROR_URL", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def run(tmp_path, *models, **settings):
    output = tmp_path / "preflight" / "checked.json"
    check.main(["--models", *models, "--settings", json.dumps(settings), "--output", str(output)])
    return json.loads(output.read_text())


def test_what_is_there_is_written_down(tmp_path):
    found = run(tmp_path, "clip_vit_large_patch14", disk_gb=0.001)
    assert found["models"] == {"clip_vit_large_patch14": "open"}
    assert found["free_gb"] == pytest.approx(shutil.disk_usage(tmp_path).free / 1e9, rel=0.1)


def test_a_disk_that_is_smaller_than_the_plan_is_named_with_both_numbers(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(check.shutil, "disk_usage", lambda folder: usage(2e12, 2e12 - 31e9, 31e9))
    with pytest.raises(ValueError, match=r"needs 800 GB in .*preflight, where 31 GB are free; make room"):
        run(tmp_path, disk_gb=800)
    assert not (tmp_path / "preflight" / "checked.json").exists()


def test_a_missing_token_stops_the_preflight(tmp_path):
    with pytest.raises(ValueError, match="export it as HF_TOKEN"):
        run(tmp_path, "llama_2_7b_chat", disk_gb=0.001)


@pytest.mark.parametrize(
    ("status", "message"),
    [(403, "has no access to llama .HTTP status 403.*ask for it"), (500, "answers with HTTP status 500"), (200, None)],
)
def test_the_token_is_tried_on_the_first_file(monkeypatch, status, message):
    class Answer:
        status_code, ok = status, status < 400

    asked = []
    monkeypatch.setattr(check.requests, "head", lambda url, **options: asked.append((url, options)) or Answer())
    monkeypatch.setenv("HF_TOKEN", "secret")
    if message:
        with pytest.raises(ValueError, match=message) as error:
            check.check_access("llama", GATED)
        assert "secret" not in str(error.value)
    else:
        assert check.check_access("llama", GATED) == "the token has access"
    ((url, options),) = asked
    assert url == GATED.files[0].url
    assert options["headers"] == {"Authorization": "Bearer secret"}


def test_a_mirror_needs_no_token(monkeypatch):
    monkeypatch.setenv("MIRROR_URL", "http://127.0.0.1:1")
    assert check.check_access("llama", GATED) == "from a mirror"


def test_missing_gpus_are_counted(tmp_path):
    with pytest.raises(ValueError, match="use 100 GPUs of one node, but this job sees"):
        check.check_gpus(100, 0)


@pytest.mark.slow
def test_processes_add_up():
    assert check.all_reduce(2) in ("gloo", "nccl")
