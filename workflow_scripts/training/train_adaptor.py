"""Train the adaptor between the frozen feature extractor and the frozen language model.

The same command starts a training, resumes one that was interrupted, and publishes one that was finished before.
Exit code 75 means that it stopped for the wall time or a signal, and wants to be run again.
"""

import argparse
import json
import logging
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from workflow_scripts.command_line import run_command
from workflow_scripts.config.training import TrainingSettings
from workflow_scripts.data.shards import ImageSet
from workflow_scripts.features.extractor_checksum import extractor_sha256
from workflow_scripts.features.store import FeatureStores
from workflow_scripts.identity import run_id, sha256_of_file
from workflow_scripts.revision import git_revision
from workflow_scripts.tracking.mirror_process import MirrorProcess
from workflow_scripts.tracking.recorder import MetricsRecorder
from workflow_scripts.training.environment import describe_environment
from workflow_scripts.training.given import check_given
from workflow_scripts.training.lean_imports import import_lean
from workflow_scripts.training.run_folder import ADAPTOR, RunFolder
from workflow_scripts.training.samples import check_manifest, folder_sha256
from workflow_scripts.training.wall_time import RESUME_ME, Deadline, StopSignals

if TYPE_CHECKING:
    from workflow_scripts.training.loop import TrainingLoop

log = logging.getLogger(__name__)


def train_adaptor(arguments: argparse.Namespace, settings: TrainingSettings) -> str:
    """Train to the end or as far as it goes; return `finished`, `wall_time`, `lost_process` or a signal's name."""
    deadline = Deadline(settings.wall_time_minutes, settings.wall_time_margin_seconds)
    first = int(os.environ.get("RANK", "0")) == 0
    alone = int(os.environ.get("WORLD_SIZE", "1")) == 1
    folder = RunFolder(arguments.run_folder, define(arguments, settings), arguments.attempt) if first else None
    finished = folder is not None and folder.is_finished
    if finished:
        log.info("%s was finished before", arguments.run_folder)
        folder.publish()
        if alone:  # the libraries of a training need not be loaded for this
            return "finished"
    signals = StopSignals()
    import_lean()
    from workflow_scripts.training.process_group import agree, start_process_group, wait_for_all

    start_process_group()
    reason = "finished"
    if not agree(finished):
        try:
            reason = _attempt(arguments, settings, folder, (deadline, signals))
        except Exception as error:
            if folder is not None:
                folder.record_failure(str(error) or type(error).__name__)
            raise
    if reason != "lost_process":
        wait_for_all()
    return reason


def define(arguments: argparse.Namespace, settings: TrainingSettings) -> dict[str, Any]:
    """Return all that the outcome of a training follows from."""
    check_given(arguments)
    initial = arguments.initial_adaptor
    if initial is not None and not initial.is_file():
        raise ValueError(f"--initial-adaptor {initial} does not exist; run the training that writes it first.")
    return {
        "identity": arguments.identity,
        "settings": settings.defining(),
        "samples": check_manifest(arguments.samples, arguments.samples_manifest)["sha256"],
        "validation_samples": sha256_of_file(arguments.validation_samples) if arguments.validation_samples else None,
        "features": _features(arguments, settings),
        "language_model": folder_sha256(arguments.language_model),
        "initial_adaptor": sha256_of_file(initial) if initial is not None else None,
        "code_digest": arguments.code_digest,
    }


def _features(arguments: argparse.Namespace, settings: TrainingSettings) -> list[dict[str, str]]:
    """Return what features follow from: the manifest of each cache, or that of each image set, and the extractor."""
    if settings.features == "online":
        if not arguments.images or arguments.feature_extractor is None:
            raise ValueError("features = 'online' needs --images and --feature-extractor.")
        manifests = [ImageSet.open(folder).manifest for folder in arguments.images]
        extractor = extractor_sha256(arguments.feature_extractor)
    else:
        if not arguments.features:
            raise ValueError("features = 'cached' needs --features, the feature stores.")
        stores = FeatureStores.open(arguments.features)
        manifests, extractor = stores.manifests, stores.extractor_sha256
    return [
        {"image_set": manifest["image_set"], "manifest": run_id(manifest), "extractor": extractor}
        for manifest in manifests
    ]


def _attempt(
    arguments: argparse.Namespace,
    settings: TrainingSettings,
    folder: RunFolder | None,
    stop: tuple[Deadline, StopSignals],
) -> str:
    """Train from the last checkpoint on; every process takes part, the first one (with the folder) keeps the books."""
    from workflow_scripts.training.loop import Progress, TrainingLoop
    from workflow_scripts.training.process_group import device, is_lost_connection, world_size
    from workflow_scripts.training.setup import assemble

    path = arguments.run_folder
    parts = assemble(arguments, settings, folder)
    where = Progress(**parts.state["progress"]) if parts.state else Progress()
    recorder, mirror, attempt = None, None, 0
    if folder is not None:
        folder.end_killed_attempt()
        if arguments.attempt > 1 and folder.stands_still():
            raise ValueError(_stands_still("being killed while saving", where.step, settings))
        recorder = MetricsRecorder(path / "metrics.jsonl", parts.state["metrics_offset"] if parts.state else 0)
        attempt = folder.begin_attempt(where.step, world_size())
        _log_to_file(path / "logs" / f"attempt-{attempt:04d}.log")
        log.info("attempt %d begins at step %d on %s, %d processes", attempt, where.step, device(), world_size())
        if arguments.tracking_uri:
            mirror = MirrorProcess(path, arguments.tracking_uri, arguments.experiment)
    loop = TrainingLoop(
        parts.engine, parts.samples, parts.validation, settings, where, stop, recorder, parts.checkpoints
    )
    reason = "error"
    try:
        reason = loop.run(arguments.stage, parts.facts)
        if reason == "finished":
            _finish(arguments, settings, folder, loop)
    except RuntimeError as error:
        if not is_lost_connection(error):
            raise
        log.warning("another process of this training is gone: %s", error)
        reason = "lost_process"
    finally:
        if folder is not None:
            folder.end_attempt(attempt, where.step, reason)
            log.info("attempt %d ends at step %d: %s", attempt, where.step, reason)
        if mirror is not None:
            mirror.close()
    if folder is not None and folder.stands_still():
        raise ValueError(_stands_still(reason, where.step, settings))
    return reason


def _stands_still(reason: str, step: int, settings: TrainingSettings) -> str:
    """Why it is of no use to submit this training again, and what to do."""
    return (
        f"Two attempts in a row ended for {reason} and kept no step behind step {step}. A wall time has to hold the "
        f"start, a step, a checkpoint and wall_time_margin_seconds ({settings.wall_time_margin_seconds:g} s): raise it "
        "(wall_time_minutes, or the job's), raise the margin if a checkpoint takes longer, or lower checkpoint_every "
        "if processes are lost between two checkpoints."
    )


def _finish(
    arguments: argparse.Namespace, settings: TrainingSettings, folder: RunFolder | None, loop: "TrainingLoop"
) -> None:
    """Export the adaptor and write the record of the run; every process has to call this."""
    from workflow_scripts.models.adaptor import build_adaptor, read_low_rank_weights, save_adaptor
    from workflow_scripts.models.online_features import READS_QUERY
    from workflow_scripts.training.export import trained_state
    from workflow_scripts.training.process_group import world_size

    model = loop.engine.module
    state = trained_state(loop.engine, "adaptor")
    q_former = trained_state(loop.engine, "q_former") if settings.train_q_former else {}
    low_rank = trained_state(loop.engine, "language_model") if settings.low_rank else {}
    if folder is None:
        return
    trainable = sum(value.numel() for value in (*state.values(), *q_former.values(), *low_rank.values()))
    # What was trained before, and is frozen here, is of use with it only.
    if model.features is not None:
        q_former = model.features.own_weights | q_former
    if arguments.initial_adaptor is not None:
        low_rank = read_low_rank_weights(arguments.initial_adaptor) | low_rank
    trained = model.adaptor
    adaptor = build_adaptor(trained.kind, trained.in_features, trained.out_features)
    adaptor.load_state_dict(state)
    identifier = run_id(arguments.identity)
    target = folder.path / "completed" / ADAPTOR
    metadata = {"run_id": identifier, "stage": arguments.stage}
    if settings.q_former_query:
        metadata[READS_QUERY] = "true"
    save_adaptor(adaptor, target, metadata, q_former, low_rank)
    samples = check_manifest(arguments.samples, arguments.samples_manifest)
    command = [Path(sys.executable).name, "-m", "workflow_scripts.training.train_adaptor", *arguments.argv]
    definition = folder.definition
    folder.complete(
        {
            "run_id": identifier,
            "name": arguments.label or folder.path.name.removesuffix(f"-{identifier}"),
            "stage": arguments.stage,
            "identity": arguments.identity,
            "settings": settings.model_dump(mode="json"),
            "samples": samples,
            "features": definition["features"],
            "language_model": definition["language_model"],
            "initial_adaptor": definition["initial_adaptor"],
            "code_digest": definition["code_digest"],
            "git_revision": git_revision(),
            "environment": {**describe_environment(), "processes": world_size()},
            "steps": loop.where.step,
            "final_loss": loop.where.final_loss,
            "seconds": round(loop.where.seconds, 2),
            "command": shlex.join(command),
            "metrics": "metrics.jsonl",
            "trainable_parameters": trainable,
            "adaptor_sha256": sha256_of_file(target),
        }
    )


def _log_to_file(path: Path) -> None:
    """Keep what this attempt says in a file of its own; Snakemake wipes its log at each attempt."""
    path.parent.mkdir(exist_ok=True)
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)


def _identity(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("--identity is not a JSON object")
    return value


def main(argv: Sequence[str] | None = None) -> None:
    """Read the arguments, train, and leave with 75 where the training wants to be resumed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-folder", type=Path, required=True)
    parser.add_argument("--stage", required=True, help="pretrain, finetune, ...: a name for records and progress")
    parser.add_argument("--samples", type=Path, required=True, help="parquet table of samples")
    parser.add_argument("--samples-manifest", type=Path, required=True)
    parser.add_argument("--validation-samples", type=Path, help="table for a loss at the end of each epoch")
    parser.add_argument("--features", type=Path, nargs="+", help="feature stores, where features are cached")
    parser.add_argument("--images", type=Path, nargs="+", help="folders of image sets, where features are online")
    parser.add_argument("--feature-extractor", type=Path, help="folder of the LAVIS checkpoint, where they are online")
    parser.add_argument("--language-model", type=Path, required=True, help="Hugging Face folder")
    parser.add_argument("--initial-adaptor", type=Path, help="adaptor to go on from")
    parser.add_argument("--settings", type=TrainingSettings.model_validate_json, required=True)
    parser.add_argument("--identity", type=_identity, required=True, help="JSON of all that defines the run")
    parser.add_argument("--label", help="name of the run in records")
    parser.add_argument("--tracking-uri", help="MLflow store that follows the training; it may be down")
    parser.add_argument("--experiment", default="training", help="MLflow experiment")
    parser.add_argument("--code-digest", default="", help="digest of the code; another one trains a finished run anew")
    parser.add_argument("--attempt", type=int, default=1, help="above 1: an error of the attempt before stops at once")
    arguments = parser.parse_args(argv)
    arguments.argv = list(sys.argv[1:] if argv is None else argv)
    reason = train_adaptor(arguments, arguments.settings)
    if reason != "finished":
        print(f"stopped for {reason}; run the same command again to go on", file=sys.stderr)
    code = 0 if reason == "finished" else RESUME_ME
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        _leave(code)
    if code:
        sys.exit(code)


def _leave(code: int) -> NoReturn:
    """End this process without taking the interpreter down first; all files are written by now.

    Threads of the process group live on until the end, and one that comes back to Python while it is taken down aborts
    the process, now and then: torchrun then takes a training for failed that is not.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    run_command(main)
