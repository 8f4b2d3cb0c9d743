"""The whole workflow on a real cluster, from a fresh clone with an empty home folder."""

import json

import pytest
from slurm_project import STAGES, assert_equal, ends_of, jobs_of

pytestmark = [pytest.mark.slurm, pytest.mark.long]

# Every training takes longer than a job of a minute.
LONG = {
    "pretrain": "{epochs: 200, checkpoint_every: 400, wall_time_margin_seconds: 10}",
    "finetune": "{epochs: 700, checkpoint_every: 400, wall_time_margin_seconds: 10}",
    "finetune_okvqa": "{epochs: 2000, checkpoint_every: 400, wall_time_margin_seconds: 10}",
    "finetune_refcoco": "{epochs: 2000, checkpoint_every: 400, wall_time_margin_seconds: 10}",
}


def figures(project):
    results = json.loads((project.folder / "results/tiny/report/results.json").read_text())
    return [(figure["id"], figure["value"]) for figure in results]


def test_the_whole_workflow_gives_the_weights_and_figures_that_it_gives_here(cluster, fresh, tmp_path):
    here = fresh.copy(tmp_path / "here")
    here.run_here(**LONG)
    output = fresh.submit("--set-resources", "train_adaptor:runtime=1", **LONG)
    print(output.count("has been submitted with SLURM jobid"), "jobs")
    for stage in STAGES:
        folder = fresh.training(stage)
        print(stage, len(jobs_of(folder)), "jobs", ends_of(folder))
        assert len(set(jobs_of(folder))) >= 2
        assert ends_of(folder)[-1] == "finished"
        assert_equal(folder, here.training(stage))
    assert figures(fresh) == figures(here)
    assert "Nothing to be done" in fresh.submit(**LONG)
