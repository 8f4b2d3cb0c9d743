import json
import re
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import yaml

from workflow_scripts.catalogue.load import load_catalogue
from workflow_scripts.planning import machines, plan
from workflow_scripts.planning.context import Context
from workflow_scripts.planning.machines import Machine, find_machine, load_machines
from workflow_scripts.planning.plan import main, problems_of, read_configuration
from workflow_scripts.planning.render import render, summary
from workflow_scripts.planning.stages import all_stages

ROOT = Path(__file__).resolve().parents[2]
# The sizes of the report, in a scale that is called otherwise.
REPORT_SIZES = [
    "scale=mini",
    "world={coco_train2017: 118287, conceptual_captions: 1000000}",
    "language_model={hidden_size: 4096, intermediate_size: 11008, layers: 32, attention_heads: 32, "
    "vocabulary_size: 32000}",
    "feature_extractor={geometry: {vit_model: eva_clip_g, image_size: 224, qformer_width: 768, qformer_layers: 12, "
    "qformer_heads: 12, qformer_intermediate: 3072, cross_attention_freq: 2, embed_dim: 256}}",
    "pretrain={batch_size: 192, epochs: 4}",
    "finetune={batch_size: 12, epochs: 5}",
]
CPU = Machine(
    title="a processor", gpus=0, cores=2, memory_gb=24, teraflops=0.05, memory_gb_per_second=10,
    interconnect_gb_per_second=10, utilisation=0.3, source="test", assumed="test",
)  # fmt: skip


def context(tmp_path, machine, overrides=(), job_hours=24.0):
    settings = read_configuration([f"results={tmp_path}", *overrides])
    return Context(settings, machine, job_hours)


def stage(stages, name):
    return next(found for found in stages if found.name == name)


def test_gpu_hours_follow_from_operations_and_peak(tmp_path):
    made = context(tmp_path, find_machine("8xa100"), REPORT_SIZES)
    pretrain = stage(all_stages(made), "pretrain")
    # 118,287 pictures with five captions, 80 % of a million with one; 4 epochs of whole batches of 192.
    steps = 4 * ((5 * 118287 + 800_000) // 192)
    assert f"{steps:,} steps of 192" in pretrain.notes[0]
    flops = float(pretrain.notes[0].split()[0])
    # Twice the weights for each of 56 tokens, forward and back; the rest is attention and logits.
    assert flops == pytest.approx(4 * 6.476e9 * 56, rel=0.03)
    seconds = steps * (192 * flops / (8 * 312e12 * 0.4) + 0.03)
    assert pretrain.gpu_hours() == pytest.approx(8 * seconds / 3600, rel=0.005)
    assert pretrain.basis == "formula"


def test_online_features_take_operations_in_every_epoch_and_no_disk(tmp_path):
    online = [*REPORT_SIZES, "pretrain={batch_size: 192, epochs: 4, features: online}"]
    stages, other = (all_stages(context(tmp_path, find_machine("8xa100"), sizes)) for sizes in (REPORT_SIZES, online))
    more = float(stage(other, "pretrain").notes[0].split()[0]) - float(stage(stages, "pretrain").notes[0].split()[0])
    # EVA-CLIP-g: twice its billion weights for each of 257 tokens, and attention; the Q-Former is small beside it.
    assert more == pytest.approx(2 * 1.01e9 * 257, rel=0.1)
    assert stage(other, "pretrain").memory_bytes > stage(stages, "pretrain").memory_bytes + 4e9
    bytes_a_picture = 2 * 32 * (768 + 256)
    saved = stage(stages, "extract features").disk_bytes - stage(other, "extract features").disk_bytes
    assert saved == pytest.approx((118287 + 800_000) * bytes_a_picture, rel=1e-3)
    trained = [
        *REPORT_SIZES,
        "pretrain={batch_size: 192, epochs: 4, features: online, train_q_former: true}",
        *(f"{name}={{features: online}}" for name in ("finetune", "finetune_okvqa", "finetune_refcoco")),
    ]
    q_former = stage(all_stages(context(tmp_path, find_machine("8xa100"), trained)), "pretrain")
    assert float(q_former.notes[0].split()[0]) > float(stage(other, "pretrain").notes[0].split()[0])
    assert q_former.disk_bytes > stage(other, "pretrain").disk_bytes + 1e9, "checkpoints hold the Q-Former"


def test_a_training_longer_than_a_job_takes_several_with_a_start_each(tmp_path):
    long = stage(all_stages(context(tmp_path, find_machine("8xa100"), REPORT_SIZES)), "pretrain")
    hours = long.gpu_hours() / 8
    assert long.submissions(24) == 1
    start = long.startup_seconds / 3600
    assert long.submissions(0.5) == int(np.ceil(hours / (0.5 - start)))
    assert long.submissions(0.5) > hours / 0.5


def test_what_does_not_fit_is_said_with_settings_that_do(tmp_path):
    made = context(tmp_path, find_machine("8x24gb"), REPORT_SIZES)
    (problem,) = [text for text in problems_of(made, all_stages(made)) if text.startswith("pretrain")]
    assert "GB of 24 GB a device; zero_stage = 2 and micro_batch_size = 12 take" in problem
    way_out = [*REPORT_SIZES, "pretrain={batch_size: 192, epochs: 4, micro_batch_size: 12}"]
    changed = context(tmp_path, find_machine("8x24gb"), way_out)
    assert not [text for text in problems_of(changed, all_stages(changed)) if text.startswith("pretrain")]


def test_a_processor_is_too_small_and_too_slow_for_the_report_and_that_is_said_before_a_run(tmp_path):
    made = context(tmp_path, CPU, REPORT_SIZES)
    stages = all_stages(made)
    assert any(text.startswith("pretrain: takes") and "makes it fit" in text for text in problems_of(made, stages))
    told = "\n".join(summary(made, stages, days=14))
    assert "! Too long for this machine, more than 14 days:" in told
    assert "pretrain (" in told
    small = context(tmp_path, CPU, ["scale=tiny"])
    assert "too long" not in "\n".join(summary(small, all_stages(small), days=14)).lower()


def test_a_job_that_cannot_be_cut_and_is_longer_than_a_job_is_named(tmp_path):
    made = context(tmp_path, find_machine("1xh100"), REPORT_SIZES, job_hours=0.02)
    found = problems_of(made, all_stages(made))
    assert any(text.startswith("predict:") and "do not go on from where they stopped" in text for text in found)
    assert not any(text.startswith("pretrain:") and "do not go on" in text for text in found)


def test_a_batch_that_does_not_divide_among_all_gpus_leaves_some_out(tmp_path):
    finetune = stage(all_stages(context(tmp_path, find_machine("8xa100"), REPORT_SIZES)), "finetune")
    assert finetune.jobs[0].devices == 6
    assert any("6 of 8 GPUs: a batch of 12" in note for note in finetune.notes)


def finished_training(made, samples_per_second, environment):
    """Write what a finished pretraining of the configuration leaves behind, as far as a plan reads it."""
    run = made.chain.run("pretrain")
    folder = made.results / run.path
    (folder / "prepared" / "samples").mkdir(parents=True)
    np.save(folder / "prepared" / "samples" / "bounds.npy", np.tile([0, 5, 10, 20], (64, 1)))
    record = {"environment": environment, "identity": run.identity, "settings": run.settings.model_dump()}
    (folder / "completed").mkdir()
    (folder / "completed" / "run.json").write_text(json.dumps(record))
    lines = [
        {"step": step, "loss": 1.0, "samples_per_second": speed}
        for step, speed in enumerate([1, *3 * [samples_per_second]])
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    model = made.results / run.parents["language_model"].path
    model.mkdir(parents=True)
    (model / "config.json").write_text(
        json.dumps(
            {
                "hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 4, "num_attention_heads": 4,
                "num_key_value_heads": 4, "vocab_size": 900, "tie_word_embeddings": True,
            }
        )
    )  # fmt: skip
    extractor = made.results / run.parents["feature_extractor"].path
    extractor.mkdir(parents=True)
    (extractor / "config.json").write_text(made.chain.scale.feature_extractor.geometry.model_dump_json())
    return folder


def test_measured_throughput_takes_the_place_of_assumptions(tmp_path):
    here = {"gpu": None, "cpu": machines.processor_name(), "processes": 1}
    made = context(tmp_path, CPU, ["scale=mini"])
    folder = finished_training(made, 50.0, here)
    (folder / "adaptor.safetensors").write_bytes(b"")
    stages = all_stages(context(tmp_path, CPU, ["scale=mini"]))
    pretrain, finetune = stage(stages, "pretrain"), stage(stages, "finetune")
    assert pretrain.basis == "measured"
    steps = int(pretrain.notes[0].split(";")[1].split()[0].replace(",", ""))
    assert pretrain.jobs[0].seconds == pytest.approx(32 * steps / 50.0)
    assert not pretrain.left
    assert finetune.basis == "calibrated"
    # Twice the speed gives half the time of what was not measured itself.
    (folder / "metrics.jsonl").write_text((folder / "metrics.jsonl").read_text().replace("50.0", "100.0"))
    faster = stage(all_stages(context(tmp_path, CPU, ["scale=mini"])), "finetune")
    overhead = 0.002 * 3 * (6000 // 16)
    assert faster.jobs[0].seconds - overhead == pytest.approx((finetune.jobs[0].seconds - overhead) / 2)


def test_what_was_measured_on_another_device_counts_for_nothing(tmp_path):
    made = context(tmp_path, CPU, ["scale=mini"])
    finished_training(made, 50.0, {"gpu": "NVIDIA A100-SXM4-80GB", "cpu": "other", "processes": 8})
    assert stage(all_stages(context(tmp_path, CPU, ["scale=mini"])), "finetune").basis == "formula"
    assert find_machine("8xa100").is_that_of({"gpu": "NVIDIA A100 80GB PCIe"})
    assert not find_machine("8x24gb").is_that_of({"gpu": "NVIDIA A100 80GB PCIe"})


def test_steps_that_an_unfinished_training_made_are_not_counted_again(tmp_path):
    made = context(tmp_path, CPU, ["scale=mini"])
    whole = stage(all_stages(made), "pretrain")
    total = int(whole.notes[0].split(";")[1].split()[0].replace(",", ""))
    (made.results / made.chain.run("pretrain").path / "checkpoints" / f"step-{total // 2:09d}").mkdir(parents=True)
    half = stage(all_stages(context(tmp_path, CPU, ["scale=mini"])), "pretrain")
    assert half.jobs[0].seconds == pytest.approx(whole.jobs[0].seconds * (total - total // 2) / total)
    assert f"{total // 2:,} steps are done" in half.notes


def test_every_stage_of_every_scale_has_a_row_on_every_machine(tmp_path):
    for scale in ("tiny", "mini", "photos", "paper"):
        for machine in (*map(find_machine, load_machines()), CPU):
            made = context(tmp_path, machine, [f"scale={scale}"])
            stages = all_stages(made)
            text = "\n".join(render(made, stages, summary(made, stages, 14)))
            assert all(
                name in text for name in ("download images", "extract features", "pretrain", "finetune", "predict")
            )
            assert machine.source in text


def test_the_scale_of_the_report_is_planned_with_its_own_models(tmp_path):
    stages = all_stages(context(tmp_path, find_machine("8xa100"), ["scale=paper"]))
    pretrain, features = stage(stages, "pretrain"), stage(stages, "extract features")
    assert pretrain.memory_bytes > 2 * 6_738_415_616
    # 32 x (768 + 256) values of two bytes for every picture.
    pictures = int(features.amount.split()[0].replace(",", ""))
    assert features.disk_bytes == pictures * 32 * 1024 * 2
    assert pictures > 3_000_000


def test_what_is_fetched_takes_time_and_disk_by_the_sizes_of_the_catalogue_archives_twice(tmp_path):
    catalogue = load_catalogue()
    stages = all_stages(context(tmp_path, find_machine("8xa100"), ["scale=paper"]))
    fetch = stage(stages, "fetch files")
    assert "20 MB/s to each source assumed" in fetch.notes[0]
    assert not any("no size in the catalogue" in note for note in fetch.notes)
    fetched = [job.name.split("/")[1].rsplit("-", 1)[0] for job in fetch.jobs]
    assert {"cc3m_webdataset", "visual_genome_pictures", "llama_2_7b_chat"} <= set(fetched)
    packed = {name for name in fetched if any(file.unpack for file in catalogue.source(name).files)}
    assert "visual_genome_pictures" in packed
    assert "cc3m_webdataset" not in packed
    sizes = {name: catalogue.source(name).size for name in fetched}
    assert fetch.disk_bytes == pytest.approx(sum(size * (1 + (name in packed)) for name, size in sizes.items()))
    longest = max(fetch.jobs, key=lambda job: job.seconds)
    assert "cc3m_webdataset" in longest.name
    assert longest.seconds > 3600


def test_a_disk_that_is_smaller_than_the_plan_is_said_with_both_numbers(tmp_path, monkeypatch, capsys):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(plan.shutil, "disk_usage", lambda folder: usage(2e12, 2e12 - 31e9, 31e9))
    main(["--check", "--config", "scale=paper", f"results={tmp_path}"])
    assert re.search(r"! 7\d\d GB of disk are needed in .* and 31 GB are free\.", capsys.readouterr().out)


def test_mixed_pretraining_is_planned_with_the_samples_of_the_mixes(tmp_path):
    rows = "experiments={mixed: {in_report: true}}"
    stages = all_stages(context(tmp_path, find_machine("8xa100"), ["scale=paper", rows]))
    plain, mixed = stage(stages, "pretrain"), stage(stages, "pretrain (mixed)")
    counts = [int(one.amount.split()[0].replace(",", "")) for one in (plain, mixed)]
    assert counts[1] - counts[0] == 10_000 + 9_009 + 40_000
    assert mixed.gpu_hours() > plain.gpu_hours()


def test_downloads_of_jobs_side_by_side_are_no_faster_than_the_link_that_they_share(tmp_path):
    stages = all_stages(context(tmp_path, find_machine("8xa100"), ["scale=paper"]))
    downloads = stage(stages, "download images")
    assert len(downloads.jobs) > 16
    assert downloads.wall_seconds(slots=128) == pytest.approx(downloads.seconds)
    assert downloads.wall_seconds(slots=128) > 1800


def test_a_mistake_in_the_table_of_machines_is_named(tmp_path):
    rows = yaml.safe_load(machines.TABLE.read_text())
    rows["8xa100"]["utilisation"] = 1.4
    (tmp_path / "machines.yaml").write_text(yaml.safe_dump(rows))
    with pytest.raises(ValueError, match=r"8xa100.utilisation = 1.4"):
        load_machines(tmp_path / "machines.yaml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--machine", "9xb200"], "There is no machine '9xb200'; choose one of 8x24gb, 8xa100, 1xh100, this-cpu"),
        (["--config", "scale=huge"], "there is no such scale"),
        (["--config", "scale"], "write key=value"),
        (["--job-hours", "0"], "--job-hours 0: it must be above 0"),
    ],
)
def test_bad_input_is_said_in_a_sentence(arguments, message):
    with pytest.raises(ValueError, match=message):
        main(arguments)


def test_the_command_prints_a_plan_of_this_processor_and_loads_no_torch(tmp_path):
    program = (
        "import sys; from workflow_scripts.planning.plan import main; "
        f"main(['--config', 'scale=tiny', 'results={tmp_path}']); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "Still to do: about" in done.stdout
    assert done.stdout.endswith("False\n")
