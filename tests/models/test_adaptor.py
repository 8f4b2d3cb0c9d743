"""The adaptor: shapes and parameter count of the report, and a file that says what it is."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from workflow_scripts.models.adaptor import build_adaptor, load_adaptor, read_adaptor_metadata, save_adaptor


def test_maps_32_query_outputs_to_soft_tokens_with_the_parameter_count_of_the_report():
    adaptor = build_adaptor("linear", 768, 4096)
    assert sum(parameter.numel() for parameter in adaptor.parameters()) == 3_149_824
    assert adaptor(torch.randn(10, 32, 768)).shape == (10, 32, 4096)


def test_each_query_is_mapped_on_its_own_by_the_mlp_too():
    adaptor = build_adaptor("mlp", 6, 8)
    features = torch.randn(2, 5, 6)
    torch.testing.assert_close(adaptor(features)[1, 3], adaptor(features[1:, 3:4])[0, 0])


def test_an_unknown_kind_is_refused_with_those_that_exist():
    with pytest.raises(ValueError, match="linear, mlp"):
        build_adaptor("conv", 6, 8)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_statistics_fold_into_the_weights(kind):
    torch.manual_seed(0)
    mean, std = torch.randn(16) * 5, torch.rand(16) * 3 + 0.1
    standardised = torch.randn(500, 16)
    torch.manual_seed(1)
    plain = build_adaptor(kind, 16, 8)
    torch.manual_seed(1)
    folded = build_adaptor(kind, 16, 8, mean=mean, std=std)
    torch.testing.assert_close(folded(standardised * std + mean), plain(standardised), atol=1e-4, rtol=1e-4)


def test_soft_tokens_start_with_the_standard_deviation_asked_for():
    adaptor = build_adaptor("linear", 256, 512, output_std=0.05)
    assert adaptor(torch.randn(4, 32, 256)).std().item() == pytest.approx(0.05, rel=0.1)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_a_saved_adaptor_loads_without_being_told_kind_or_widths(kind, tmp_path):
    adaptor = build_adaptor(kind, 6, 8)
    save_adaptor(adaptor, tmp_path / "adaptor.safetensors", {"run_id": "abc", "steps": 7})
    loaded = load_adaptor(tmp_path / "adaptor.safetensors")
    features = torch.randn(2, 5, 6)
    torch.testing.assert_close(loaded(features), adaptor(features), atol=0, rtol=0)
    metadata = read_adaptor_metadata(tmp_path / "adaptor.safetensors")
    assert metadata["kind"] == kind
    assert metadata["run_id"] == "abc"
    assert metadata["steps"] == "7"


def test_equal_adaptors_have_the_same_bytes_in_any_process(tmp_path):
    script = (
        "import sys, torch; from workflow_scripts.models.adaptor import build_adaptor, save_adaptor; "
        "torch.manual_seed(0);"
        "save_adaptor(build_adaptor('linear', 6, 8), sys.argv[1], {k: k for k in 'abcdefgh'})"
    )
    for name in ("one", "two"):
        subprocess.run([sys.executable, "-c", script, str(tmp_path / name)], check=True)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_missing_damaged_and_foreign_files_are_named(tmp_path):
    path = tmp_path / "adaptor.safetensors"
    with pytest.raises(ValueError, match="does not exist"):
        load_adaptor(path)
    path.write_bytes(b"\x00" * 20)
    with pytest.raises(ValueError, match="cannot be read"):
        load_adaptor(path)
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="not an adaptor file"):
        load_adaptor(path)


def test_weights_that_contradict_their_metadata_are_refused(tmp_path):
    path = tmp_path / "adaptor.safetensors"
    weights = {"projection.weight": torch.zeros(8, 5), "projection.bias": torch.zeros(8)}
    save_file(weights, path, metadata={"kind": "linear", "in_features": "6", "out_features": "8"})
    with pytest.raises(ValueError, match="do not fit"):
        load_adaptor(path)
