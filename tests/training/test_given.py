"""A training reads what its record names: folders are held against the ids in the identity."""

from argparse import Namespace
from pathlib import Path

import pytest

from workflow_scripts.training.given import check_given

IDS = {
    "samples": "aaaaaaaaaaaa",
    "language_model": "bbbbbbbbbbbb",
    "feature_extractor": "cccccccccccc",
    "features": ["dddddddddddd", "eeeeeeeeeeee"],
}


def given(**changes):
    values = {
        "identity": {"from": IDS},
        "samples": Path("data/pairs-aaaaaaaaaaaa/samples.parquet"),
        "language_model": Path("models/language_model-bbbbbbbbbbbb"),
        "features": [Path("features/one-dddddddddddd"), Path("features/two-eeeeeeeeeeee")],
        "images": None,
        "feature_extractor": None,
        "initial_adaptor": None,
    }
    return Namespace(**{**values, **changes})


def test_what_the_identity_names_passes():
    check_given(given())
    check_given(given(identity={}, samples=Path("mine.parquet")))


@pytest.mark.parametrize(
    ("role", "value"),
    [
        ("samples", Path("data/pairs-000000000000/samples.parquet")),
        ("language_model", Path("models/language_model-000000000000")),
        ("features", [Path("features/one-dddddddddddd")]),
        ("features", [Path("features/two-eeeeeeeeeeee"), Path("features/one-dddddddddddd")]),
        ("feature_extractor", Path("models/feature_extractor-000000000000")),
        ("initial_adaptor", Path("pretrain/base-000000000000/adaptor.safetensors")),
        ("images", [Path("images/one-000000000000")]),
    ],
)
def test_anything_else_is_an_error_that_names_the_option(role, value):
    with pytest.raises(ValueError, match=f"--{role.replace('_', '-')} is .*identity"):
        check_given(given(**{role: value}))


def test_an_adaptor_that_is_missing_is_an_error():
    with pytest.raises(ValueError, match="--initial-adaptor is nothing, but the run's identity"):
        check_given(given(identity={"from": {**IDS, "initial_adaptor": "ffffffffffff"}}))
