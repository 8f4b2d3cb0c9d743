"""The training command, called in this process on the tiny world."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from killing import assert_equal

from workflow_scripts.tracking.recorder import read_lines
from workflow_scripts.training import wall_time


def losses(folder):
    return [line["loss"] for line in read_lines(folder / "metrics.jsonl") if "loss" in line]


def state_of(path):
    from workflow_scripts.models.adaptor import load_adaptor

    return load_adaptor(path).state_dict()


def assert_equal_states(one, other):
    import torch

    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=0)


@pytest.fixture(scope="module")
def finished(trainer, tmp_path_factory):
    """A finished training, for reading only."""
    folder = tmp_path_factory.mktemp("run") / "tiny"
    return trainer.here(folder, validation_samples=trainer.world / "validation.parquet")


def test_the_record_says_what_was_trained_on_what(finished, trainer):
    run = json.loads((finished / "run.json").read_text())
    manifest = json.loads((trainer.world / "samples.json").read_text())
    assert run["samples"]["sha256"] == manifest["sha256"]
    assert (run["steps"], run["trainable_parameters"]) == (14, 8 * 16 + 16)
    assert run["environment"]["packages"]["torch"]
    assert "--run-folder" in run["command"]
    assert run["final_loss"] == losses(finished)[-1]


def test_the_loss_is_that_of_the_model_on_the_batches_of_the_order(finished, trainer):
    """The first line's mean, computed again from strings by the model itself and a plain AdamW."""
    import torch

    from workflow_scripts.config.training import TrainingSettings
    from workflow_scripts.features.store import FeatureStores
    from workflow_scripts.models.adaptor import build_adaptor
    from workflow_scripts.models.language_model import load_language_model
    from workflow_scripts.models.prompt import Prompt
    from workflow_scripts.models.vision_language_model import VisionLanguageModel
    from workflow_scripts.training.order import BatchOrder
    from workflow_scripts.training.samples import Samples, read_samples
    from workflow_scripts.training.schedule import learning_rate

    table = trainer.world / "samples.parquet"
    stores = FeatureStores.open([trainer.world / "features" / "set"])
    lengths = Samples(finished / "prepared" / "samples", table, stores).lengths
    rows = read_samples(table).to_pylist()
    language_model, tokenizer = load_language_model(trainer.world / "language_model")
    torch.manual_seed(0)
    model = VisionLanguageModel(build_adaptor("linear", 8, 16), language_model, Prompt(tokenizer))
    settings = TrainingSettings.model_validate(json.loads((finished / "run.json").read_text())["settings"])
    optimizer = torch.optim.AdamW(model.adaptor.parameters(), weight_decay=settings.weight_decay)
    batches = BatchOrder(lengths, settings.batch_size, settings.seed, settings.length_window)
    expected = []
    for step in range(14):
        optimizer.param_groups[0]["lr"] = learning_rate(step, 7, settings)
        chosen = [rows[index] for index in batches.batch(step)]
        features = torch.from_numpy(stores.query_output([row["image"] for row in chosen]))
        loss = model.loss(features, [row["query"] for row in chosen], [row["answer"] for row in chosen])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.adaptor.parameters(), settings.gradient_clipping)
        optimizer.step()
        expected.append(loss.item())
    means = [np.mean(expected[start : start + 3]) for start in range(0, 14, 3)]
    np.testing.assert_allclose(losses(finished), means, rtol=1e-5)
    for name, value in state_of(finished / "adaptor.safetensors").items():
        torch.testing.assert_close(value, model.adaptor.state_dict()[name], rtol=1e-4, atol=1e-6)


def test_the_validation_loss_comes_at_the_end_of_each_epoch(finished):
    lines = [line for line in read_lines(finished / "metrics.jsonl") if "validation_loss" in line]
    assert [(line["step"], line["epoch"]) for line in lines] == [(7, 1.0), (14, 2.0)]


def test_calling_it_again_publishes_the_same_adaptor_without_training(finished, trainer, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "tiny")
    before = (folder / "adaptor.safetensors").read_bytes()
    (folder / "adaptor.safetensors").unlink()
    (folder / "run.json").unlink()
    trainer.here(folder, validation_samples=trainer.world / "validation.parquet")
    assert (folder / "adaptor.safetensors").read_bytes() == before
    assert len(read_lines(folder / "history.jsonl")) == 2


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_every_zero_stage_trains_the_same_and_its_checkpoint_and_export_hold_the_same_weights(
    stage, finished, trainer, tmp_path
):
    import torch

    from workflow_scripts.training.export import adaptor_state_of_checkpoint

    folder = trainer.here(tmp_path / "tiny", {"zero_stage": stage})
    exported = state_of(folder / "adaptor.safetensors")
    assert_equal_states(adaptor_state_of_checkpoint(folder / "checkpoints" / "step-000000014"), exported)
    for name, value in state_of(finished / "adaptor.safetensors").items():
        torch.testing.assert_close(exported[name], value, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(losses(folder), losses(finished), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("stage", [0, 2, 3])
def test_a_checkpoint_of_several_processes_becomes_the_adaptor_that_one_process_reads(trainer, tmp_path, stage):
    code, output = trainer.command(tmp_path / "run", {"zero_stage": stage, "adaptor": "mlp"}, processes=2)
    assert code == 0, output
    checkpoint = tmp_path / "run" / "checkpoints" / "step-000000014"
    shards = list(checkpoint.glob("*_optim_states.pt"))
    assert len(shards) == (2 if stage else 0)
    command = [sys.executable, "-m", "workflow_scripts.training.export", "--checkpoint", checkpoint]
    command += ["--output", tmp_path / "adaptor.safetensors"]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "--trust-checkpoint" in refused.stderr
    command.append("--trust-checkpoint")
    subprocess.run(command, check=True)
    assert_equal_states(state_of(tmp_path / "adaptor.safetensors"), state_of(tmp_path / "run" / "adaptor.safetensors"))
    (checkpoint / "mp_rank_00_model_states.pt").unlink(missing_ok=True)
    for path in shards:
        path.write_bytes(path.read_bytes()[:-1])
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "is damaged (" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_adaptor_of_a_checkpoint_with_a_q_former_beside_it_is_not_written_alone(finished, tmp_path):
    from workflow_scripts.training.export import export_checkpoint

    folder = shutil.copytree(finished, tmp_path / "run")
    definition = json.loads((folder / "definition.json").read_text())
    definition["settings"] |= {"features": "online"}
    (folder / "definition.json").write_text(json.dumps(definition))
    with pytest.raises(ValueError, match="had online features, and an adaptor of such is of use with its Q-Former"):
        export_checkpoint(folder / "checkpoints" / "step-000000014", tmp_path / "adaptor.safetensors")
    assert not (tmp_path / "adaptor.safetensors").exists()


def interrupt(trainer, folder, settings):
    """Stop a training in this process after a few steps."""
    with pytest.MonkeyPatch.context() as patch:
        looks = iter(range(1000))
        patch.setattr(wall_time.Deadline, "reached", lambda self: next(looks) == 5)
        with pytest.raises(SystemExit):
            trainer.here(folder, settings)


def test_a_training_goes_on_at_another_zero_stage_except_from_or_to_none(finished, trainer, tmp_path):
    interrupt(trainer, tmp_path / "tiny", {"zero_stage": 1})
    with pytest.raises(ValueError, match=r"at ZeRO stage 1 and cannot go on at stage 0"):
        trainer.here(tmp_path / "tiny", {"zero_stage": 0})
    folder = trainer.here(tmp_path / "tiny", {"zero_stage": 2})
    np.testing.assert_allclose(losses(folder), losses(finished), rtol=1e-5)


def test_samples_that_share_an_image_train_as_well_and_all_processes_agree(trainer, tmp_path):
    settings = {"samples_per_image": 4, "epochs": 6}
    folder = trainer.here(tmp_path / "tiny", settings)
    epoch = len(losses(folder)) // 6
    assert np.mean(losses(folder)[-epoch:]) < np.mean(losses(folder)[:epoch])
    parts = trainer.here(tmp_path / "parts", settings | {"micro_batch_size": 2})
    np.testing.assert_allclose(losses(parts), losses(folder), rtol=1e-4)


@pytest.mark.parametrize("stage", [2, 3])
def test_processes_with_unequal_numbers_of_images_train_together(trainer, tmp_path, stage):
    settings = {"samples_per_image": 4, "zero_stage": stage, "log_every": 1}
    alone = trainer.here(tmp_path / "alone", settings)
    code, output = trainer.command(tmp_path / "together", settings, processes=2)
    assert code == 0, output
    np.testing.assert_allclose(losses(tmp_path / "together"), losses(alone), rtol=1e-4)


def test_passes_over_parts_of_a_batch_add_up_to_the_batch(finished, trainer, tmp_path):
    folder = trainer.here(tmp_path / "tiny", {"micro_batch_size": 2})
    np.testing.assert_allclose(losses(folder), losses(finished), rtol=1e-5)


def test_a_training_goes_on_from_another_adaptor(finished, trainer, tmp_path):
    folder = trainer.here(tmp_path / "tiny", {"learning_rate": 1e-9, "learning_rate_start": 0, "learning_rate_end": 0,
        "weight_decay": 0}, initial_adaptor=finished / "adaptor.safetensors")  # fmt: skip
    for name, value in state_of(finished / "adaptor.safetensors").items():
        assert (state_of(folder / "adaptor.safetensors")[name] - value).abs().max() < 1e-6
    with pytest.raises(ValueError, match=r"is linear 8 -> 16, but settings.*ask for mlp 8 -> 16"):
        trainer.here(tmp_path / "other", {"adaptor": "mlp"}, initial_adaptor=finished / "adaptor.safetensors")


def test_whatever_drew_random_numbers_before_a_training_from_another_adaptor_ends_the_same(finished, trainer, tmp_path):
    import torch

    for seed in (1, 2):
        torch.manual_seed(seed)
        trainer.here(tmp_path / str(seed), initial_adaptor=finished / "adaptor.safetensors")
    assert_equal(tmp_path / "1", tmp_path / "2")


def test_standardised_features_start_with_soft_tokens_as_wide_as_embeddings(trainer, tmp_path):
    folder = trainer.here(tmp_path / "tiny", {"standardise_features": True, "adaptor": "mlp", "epochs": 1})
    assert json.loads((folder / "run.json").read_text())["trainable_parameters"] == 8 * 16 + 16 + 16 * 16 + 16


def test_it_stops_before_the_wall_time_and_goes_on_bit_for_bit(finished, trainer, tmp_path):
    limits = {"wall_time_minutes": 1e-1, "wall_time_margin_seconds": 0}
    codes = []
    options = {"validation_samples": trainer.world / "validation.parquet"}
    with pytest.MonkeyPatch.context() as patch:
        # Time is over after every third look at the clock.
        looks = iter(range(1000))
        patch.setattr(wall_time.Deadline, "reached", lambda self: next(looks) % 4 == 3)
        for _ in range(10):
            try:
                trainer.here(tmp_path / "tiny", limits, **options)
                break
            except SystemExit as end:
                codes.append(end.code)
    assert codes == [75] * len(codes)
    assert len(codes) >= 2
    history = read_lines(tmp_path / "tiny" / "history.jsonl")
    assert [line["reason"] for line in history if line["event"] == "end"] == ["wall_time"] * len(codes) + ["finished"]
    assert_equal_states(state_of(tmp_path / "tiny" / "adaptor.safetensors"), state_of(finished / "adaptor.safetensors"))
    assert losses(tmp_path / "tiny") == losses(finished)


def test_a_wall_time_without_time_for_a_step_asks_once_to_be_resumed_and_is_then_an_error(trainer, tmp_path):
    short = {"wall_time_minutes": 1e-4}
    with pytest.raises(SystemExit) as end:
        trainer.here(tmp_path / "tiny", short)
    assert end.value.code == 75
    with pytest.raises(ValueError, match=r"Two attempts in a row ended for wall_time and kept no step.*raise it"):
        trainer.here(tmp_path / "tiny", short, attempt=2)
    with pytest.raises(ValueError, match="ended with an error and is not repeated: Two attempts in a row"):
        trainer.here(tmp_path / "tiny", short, attempt=3)
    assert (trainer.here(tmp_path / "tiny") / "adaptor.safetensors").exists()


def test_a_loss_that_is_no_number_stops_and_names_the_sample(trainer, tmp_path):
    from workflow_scripts.models.adaptor import build_adaptor, save_adaptor

    adaptor = build_adaptor("linear", 8, 16)
    adaptor.projection.weight.data.fill_(3e38)
    save_adaptor(adaptor, tmp_path / "huge.safetensors")
    arguments = {"initial_adaptor": tmp_path / "huge.safetensors"}
    with pytest.raises(ValueError, match=r"loss became nan at step 0, from: s\d+ \(image set/\d+\)"):
        trainer.here(tmp_path / "tiny", **arguments)
    with pytest.raises(ValueError, match="not repeated: The loss became nan"):
        trainer.here(tmp_path / "tiny", attempt=2, **arguments)
    assert not (tmp_path / "tiny" / "adaptor.safetensors").exists()


def test_samples_without_answer_image_or_manifest_are_named(trainer, tmp_path):
    import pyarrow.parquet

    from workflow_scripts.identity import sha256_of_file

    rows = pyarrow.parquet.read_table(trainer.world / "samples.parquet").to_pylist()

    for name, change, message in (
        ("empty", {"answer": " "}, "1 samples without an answer"),
        ("gone", {"image": "set/999"}, "no features of set/999"),
    ):
        table = tmp_path / f"{name}.parquet"
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([*rows[:20], rows[20] | change]), table)
        table.with_suffix(".json").write_text(json.dumps({"count": 21, "sha256": sha256_of_file(table)}))
        with pytest.raises(ValueError, match=message):
            trainer.here(tmp_path / f"run-{name}", samples=table)
    table.with_suffix(".json").write_text(json.dumps({"count": 21, "sha256": "0"}))
    with pytest.raises(ValueError, match="their checksums differ"):
        trainer.here(tmp_path / "run-manifest", samples=table)
