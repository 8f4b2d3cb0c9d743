"""An image set that is fetched, and run through the extractor, in parts."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from workflow_scripts.chain import chains
from workflow_scripts.config.merging import merge
from workflow_scripts.config.settings import load_settings
from workflow_scripts.features.store import FeatureStore

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
SHARD = 40  # rows of a shard at scale `tiny`; the set has two


def folders(**config):
    """The folders of the pictures and of the features of COCO's train2014, below results/tiny."""
    file = yaml.safe_load((ROOT / "config.yaml").read_text())
    chain = chains(load_settings(merge(file, {"scale": "tiny", **config}), ROOT / "scales"))["report"]
    return chain.images("coco_train2014").path, chain.features("coco_train2014").path


def test_a_part_that_failed_runs_again_alone_and_the_parts_are_what_the_whole_is(project):
    results = project.folder / "results/tiny"
    images, features = folders(parts={"coco_train2014": 2})
    whole_images, whole_features = folders()
    listed = pq.read_table(next((results / "urls").glob("coco_train2014-*/urls.parquet")))
    addresses = [url.split("://")[1] for url in listed["url"].to_pylist()]
    (faults,) = results.glob("world/*/faults.json")
    as_published = faults.read_text()
    faults.write_text(json.dumps(json.loads(as_published) | dict.fromkeys(addresses[SHARD:], "500")))

    in_parts = {"parts": "{coco_train2014: 2}"}
    target = f"results/tiny/{features}/manifest.json"
    output = project.snakemake(target, "--keep-going", succeeds=False, **in_parts)
    assert f"only 0 of {len(addresses) - SHARD} pictures came" in output
    stored = results / images / "parts/0/shards/00000.tar"
    before = stored.stat()
    faults.write_text(as_published)
    again = {"download_part": 1, "extract_part": 1, "join_images": 1, "join_features": 1}
    assert project.ran(target, **in_parts) == again
    assert (stored.stat().st_ino, stored.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert stored.samefile(results / images / "shards/00000.tar"), "the pictures would lie there twice"

    assert _manifest(results / images) == _manifest(results / whole_images)
    ours, theirs = (FeatureStore.open(results / path) for path in (features, whole_features))
    assert ours.keys == theirs.keys
    np.testing.assert_array_equal(ours.query_output(ours.keys), theirs.query_output(ours.keys))
    ours.verify()
    assert "Nothing to be done" in project.snakemake(target, **in_parts)


def _manifest(folder):
    return json.loads((folder / "manifest.json").read_text())


def test_parts_of_an_unknown_set_and_more_parts_than_shards_are_a_sentence(project):
    output = project.snakemake("--dry-run", succeeds=False, parts="{coco: 2}")
    assert "parts: The catalogue has no image set 'coco'; " in output
    images, _ = folders(parts={"coco_train2014": 3})
    target = f"results/tiny/{images}/manifest.json"
    output = project.snakemake(target, succeeds=False, parts="{coco_train2014: 3}")
    assert "A list of 60 pictures is 2 shards of 40, too few for 3 parts" in output
