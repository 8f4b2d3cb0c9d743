"""The benchmarks' README is what the measured files say, and what is measured is what trainings do."""

import hashlib

from benchmarks.overhead import save_of_full_size, shares
from benchmarks.render import FOLDER, render
from benchmarks.resume_anywhere import BATCH, first_batch, make_index


def test_the_readme_of_the_benchmarks_is_rendered_from_the_measured_files():
    assert (FOLDER / "README.md").read_text() == render()


def test_the_loader_that_is_measured_gives_the_batches_of_a_training_at_any_step(tmp_path):
    import numpy as np

    from workflow_scripts.training.order import BatchOrder

    make_index(tmp_path / "index", 1000)
    bounds = np.load(tmp_path / "index" / "prepared" / "bounds.npy")
    order = BatchOrder(bounds[:, 3] - bounds[:, 0], BATCH, 0, 32)
    for step in (0, 19, 3):
        found = first_batch(tmp_path / "index", step)
        assert found["indices"] == hashlib.sha256(order.batch(step).tobytes()).hexdigest()
        assert found["seconds"] > 0


def test_the_overhead_is_the_sum_of_its_parts_as_a_share_of_a_minute(tmp_path):
    found = shares((0.3, 0.6), 0.06, (0.24, 0.54))
    assert found["checkpoint"] == 0.5
    assert found["sum"] == 1.0
    assert found["sum_at_full_size"] == 2.0
    assert min(save_of_full_size(tmp_path)) > 0
    (last, _) = sorted(tmp_path.iterdir(), reverse=True)
    assert sum(path.stat().st_size for path in last.iterdir()) > 3 * 4 * 3_149_824
