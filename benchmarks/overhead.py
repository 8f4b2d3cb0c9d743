"""What checkpoints and tracking cost a training, as a share of its time at one checkpoint a minute.

    python -m benchmarks.overhead --run results/mini/pretrain/report-* --output benchmarks/measured/overhead.json

Counted one by one, since a share of two per cent is less than what two runs differ by on a machine with other work:
seconds of a checkpoint (all of it: state, checksum, fsync, rename), seconds of a line of metrics, and processor seconds
a minute of the process that follows for MLflow, which are the training's loss only where no core is free. Checkpoint
and follower are measured at the report's size as well: its adaptor, and as many lines as its pretraining has.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

os.environ.setdefault("OMP_NUM_THREADS", "1")
# 3.5 million samples four times in batches of 192, a line every ten steps.
LINES_OF_FULL_SIZE = 7_287


def median_seconds(action: Callable[[], object], times: int) -> tuple[float, float]:
    """Return the median of wall and of processor seconds of an action."""
    found = []
    for _ in range(times):
        wall, used = time.perf_counter(), time.process_time()
        action()
        found.append((time.perf_counter() - wall, time.process_time() - used))
    walls, cpus = zip(*found, strict=True)
    return statistics.median(walls), statistics.median(cpus)


def save_of_full_size(folder: Path) -> tuple[float, float]:
    """Seconds of a checkpoint of the report's adaptor: 3,149,824 parameters and both of AdamW's means, in fp32."""
    import torch

    from workflow_scripts.planning.flops import adaptor_parameters
    from workflow_scripts.training.checkpoint import Checkpoints

    checkpoints = Checkpoints(folder, keep=2, run="benchmark")
    tensors = {name: torch.randn(adaptor_parameters("linear", 768, 4096)) for name in ("weights", "mean", "square")}
    steps = iter(range(1000))

    def save() -> None:
        partial = checkpoints.begin(next(steps))
        with checkpoints.guarded(partial):
            torch.save(tensors, partial / "state.pt")
            checkpoints.commit(partial, {})

    return median_seconds(save, 9)


def follower(run_folder: Path, seconds: float, lines: int) -> tuple[float, float]:
    """Processor seconds of the process that follows a training for MLflow: of its start, and then a minute.

    The run folder has so many lines of metrics, and gets one a second, as a training with short steps gives.
    """
    from workflow_scripts.tracking.recorder import MetricsRecorder

    store = f"sqlite:///{run_folder.parent / f'mlflow-{lines}.db'}"
    command = [sys.executable, "-m", "workflow_scripts.tracking.mlflow_mirror", "--run-folder", str(run_folder)]
    command += ["--tracking-uri", store, "--experiment", "benchmark", "--parent", str(os.getpid())]
    recorder = MetricsRecorder(run_folder / "metrics.jsonl")
    step = 0

    def train() -> None:
        nonlocal step
        step += 1
        line = {"step": step, "loss": 1.0, "lr": 0.1, "epoch": 0.1, "samples_per_second": 100, "gradient_norm": 1.0}
        recorder.write(line | {"time": time.time()})

    for _ in range(lines):
        train()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    watched = psutil.Process(process.pid)
    begun, started = None, time.monotonic()
    try:
        while begun is None or time.monotonic() < begun[0] + seconds:
            train()
            time.sleep(1)
            if begun is None and _steps_in(store) > lines:
                used = watched.cpu_times()
                begun = (time.monotonic(), used.user + used.system)
            if begun is None and time.monotonic() > started + 300:
                raise RuntimeError("MLflow did not get everything within five minutes; its follower's log says why.")
        used = watched.cpu_times()
        spent = used.user + used.system - begun[1]
        return begun[1], spent * 60 / (time.monotonic() - begun[0])
    finally:
        process.terminate()
        process.wait(60)


def _steps_in(store: str) -> int:
    """How far the metrics of a store go, by a look into its tables that costs its owner nothing."""
    import sqlite3

    try:
        with sqlite3.connect(f"file:{store.removeprefix('sqlite:///')}?mode=ro", uri=True) as connection:
            return connection.execute("select max(step) from metrics").fetchone()[0] or 0
    except sqlite3.OperationalError:  # not made yet
        return 0


def measure(run_folder: Path, seconds: float) -> dict[str, Any]:
    """Return the parts of the overhead and their sum as a share of a minute."""
    from benchmarks.training_throughput import own_loop
    from workflow_scripts.command_line import read_json
    from workflow_scripts.training.lean_imports import import_lean

    import_lean()
    run = read_json(run_folder / "run.json")
    temporary = Path(tempfile.mkdtemp(prefix="overhead-"))
    try:
        loop = own_loop(run, temporary / "results" / "run", run["settings"])
        numbers = iter(range(1000))
        step_seconds, step_cpu = median_seconds(lambda: loop._step(next(numbers)), 6)
        facts = {"world_size": 1, "zero_stage": run["settings"]["zero_stage"], "precision": "fp32"}
        save, save_cpu = median_seconds(lambda: loop._save(facts), 9)
        line = {"step": 1, "loss": 1.0, "lr": 0.1, "epoch": 0.1, "samples_per_second": 100.0, "time": time.time()}
        write, write_cpu = median_seconds(lambda: loop.recorder.write(line), 200)
        full, full_cpu = save_of_full_size(temporary / "full")
        start, follows = follower(temporary / "results" / "run", seconds, 0)
        _, follows_full = follower(temporary / "results" / "run", seconds, LINES_OF_FULL_SIZE)
    finally:
        shutil.rmtree(temporary)
    # Steps by processor time: on a busy machine they would be fewer, and lines too.
    lines = 60 / (step_cpu * run["settings"]["log_every"])
    return {
        "benchmark": "overhead",
        "run": run["run_id"],
        "scale": run_folder.parents[1].name,
        "cpu": run["environment"]["cpu"],
        "load_average": round(os.getloadavg()[0], 1),
        "seconds_of_a_step": round(step_seconds, 4),
        "cpu_seconds_of_a_step": round(step_cpu, 4),
        "seconds_of_a_checkpoint": round(save, 4),
        "cpu_seconds_of_a_checkpoint": round(save_cpu, 4),
        "seconds_of_a_checkpoint_of_full_size": round(full, 4),
        "cpu_seconds_of_a_checkpoint_of_full_size": round(full_cpu, 4),
        "seconds_of_a_line": round(write, 7),
        "lines_a_minute": round(lines, 1),
        "follower_cpu_seconds_of_the_start": round(start, 2),
        "follower_cpu_seconds_a_minute": round(follows, 3),
        "lines_of_full_size": LINES_OF_FULL_SIZE,
        "follower_cpu_seconds_a_minute_at_full_size": round(follows_full, 3),
        "percent": shares((save, full), write * lines, (follows, follows_full)),
        "percent_by_processor_time": shares((save_cpu, full_cpu), write_cpu * lines, (follows, follows_full)),
    }


def shares(saves: tuple[float, float], metrics: float, follows: tuple[float, float]) -> dict[str, float]:
    """Seconds of a minute as per cent of it, to three digits behind the point; pairs are as measured and full size."""
    parts = {"checkpoint": saves[0], "checkpoint_of_full_size": saves[1], "metrics": metrics}
    parts |= {"follower": follows[0], "follower_of_full_size": follows[1]}
    parts |= {"sum": saves[0] + metrics + follows[0], "sum_at_full_size": saves[1] + metrics + follows[1]}
    return {name: round(100 * seconds / 60, 3) for name, seconds in parts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder of a finished pretraining")
    parser.add_argument("--seconds", type=float, default=60, help="how long MLflow's follower is watched")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    from workflow_scripts.command_line import write_json

    result = measure(arguments.run, arguments.seconds)
    write_json(arguments.output, result)
    print(result)


if __name__ == "__main__":
    main()
