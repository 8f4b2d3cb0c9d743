"""The folder of a training run: what it is, what happened in it, and whether it may go on or is done."""

import fcntl
import json
import logging
import os
import platform
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workflow_scripts.command_line import read_json, write_atomically, write_json
from workflow_scripts.identity import run_id, sha256_of_file
from workflow_scripts.revision import git_revision
from workflow_scripts.tracking.recorder import read_lines

log = logging.getLogger(__name__)
ADAPTOR = "adaptor.safetensors"
RUN = "run.json"
KEPT = ("superseded", ".lock")
# Ends that nothing is wrong with, as long as attempts come further.
EARLY = ("wall_time", "lost_process")
# How long an automatic repetition waits for an attempt that is still at work.
PATIENCE_SECONDS = 900


class RunFolder:
    """A run folder, held by one training at a time.

    Args:
        path: the folder.
        definition: `identity`, `settings`, `samples`, `features`, `language_model`, `initial_adaptor` and
            `code_digest` of the training that is asked for.
        attempt: 1 when a person or a first submission calls; more when a workflow tries again by itself.

    Raises:
        ValueError: the folder belongs to another identity, its unfinished training had other data, or a repeated
            attempt finds the error that ended the one before.
    """

    def __init__(self, path: Path, definition: Mapping[str, Any], attempt: int = 1) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self._lock = open(path / ".lock", "w")  # noqa: SIM115 (held until the process ends)
        self._take(PATIENCE_SECONDS if attempt > 1 else 0)
        self._left_half_a_checkpoint = any((path / "checkpoints").glob(".step-*"))
        self.definition = dict(definition)
        self._check_failure(attempt)
        self._check_definition()

    @property
    def run(self) -> str:
        """What checkpoints of this run are marked with."""
        return run_id({key: value for key, value in self.definition.items() if key != "code_digest"})

    @property
    def is_finished(self) -> bool:
        """Whether the training that is asked for was finished before, intact."""
        completed = self.path / "completed"
        if not (completed / RUN).exists():
            return False
        record = read_json(completed / RUN)
        adaptor = completed / ADAPTOR
        intact = adaptor.is_file() and sha256_of_file(adaptor) == record["adaptor_sha256"]
        if not intact:
            log.warning("%s is damaged; it is made again from the last checkpoint", adaptor)
        return intact

    def complete(self, record: Mapping[str, Any]) -> None:
        """Record the finished training whose adaptor lies in `completed/`, and publish both."""
        write_json(self.path / "completed" / RUN, dict(record))
        self.publish()

    def publish(self) -> None:
        """Copy adaptor and record to where later stages look for them.

        The originals stay in `completed/`, since Snakemake deletes a rule's outputs before it runs the rule again.
        """
        write_atomically(self.path / ADAPTOR, (self.path / "completed" / ADAPTOR).read_bytes())
        write_atomically(self.path / RUN, (self.path / "completed" / RUN).read_bytes())

    def end_killed_attempt(self) -> None:
        """Write to the history that the last attempt was killed, where it left no end itself, and whether it saved."""
        history = read_lines(self.path / "history.jsonl")
        if history and history[-1]["event"] == "begin":
            lines = read_lines(self.path / "metrics.jsonl")
            reached = lines[-1]["step"] if lines else history[-1]["from_step"]
            line = {"event": "end", "attempt": history[-1]["attempt"], "to_step": reached, "reason": "killed"}
            self._history(line | {"while_saving": self._left_half_a_checkpoint})

    def begin_attempt(self, from_step: int, world_size: int) -> int:
        """Write to the history that an attempt begins; one before that left no end was killed."""
        self.end_killed_attempt()
        history = read_lines(self.path / "history.jsonl")
        number = max((line["attempt"] for line in history), default=0) + 1
        self._history(
            {
                "event": "begin",
                "attempt": number,
                "from_step": from_step,
                "job_id": os.environ.get("SLURM_JOB_ID"),
                "node": os.environ.get("SLURMD_NODENAME") or platform.node(),
                "process": os.getpid(),
                "world_size": world_size,
                "code_digest": self.definition["code_digest"],
                "git_revision": git_revision(),
            }
        )
        return number

    def end_attempt(self, attempt: int, to_step: int, reason: str) -> None:
        """Write to the history how an attempt ended."""
        self._history({"event": "end", "attempt": attempt, "to_step": to_step, "reason": reason})

    def stands_still(self) -> bool:
        """Whether the last two attempts ended early, or while they saved, and kept none of their steps.

        The next one would do the same.
        """
        attempts: dict[int, dict[str, Any]] = {}
        for line in read_lines(self.path / "history.jsonl"):
            attempts.setdefault(line["attempt"], {}).update(line)
        kept = max((int(path.name[5:]) for path in (self.path / "checkpoints").glob("step-*")), default=0)
        last = [attempts[number] for number in sorted(attempts)[-2:]]
        early = [line for line in last if line.get("reason") in EARLY or line.get("while_saving")]
        return len(early) == 2 and all(line["from_step"] == kept for line in early)

    def record_failure(self, message: str) -> None:
        """Leave a mark for automatic repetitions, which would only meet the same error again."""
        write_json(self.path / "failure.json", {"error": message, "time": time.time()})

    def _history(self, line: dict[str, Any]) -> None:
        with open(self.path / "history.jsonl", "a", encoding="utf-8") as stream:
            stream.write(json.dumps(line | {"time": round(time.time(), 3)}) + "\n")

    def _take(self, patience: float) -> None:
        """Hold the folder's lock; an attempt whose node was given up may still be at work, and is waited for."""
        end = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise ValueError(f"Another training is at work in {self.path}; wait for it or stop it.") from None
            time.sleep(0.2)

    def _check_failure(self, attempt: int) -> None:
        marker = self.path / "failure.json"
        if marker.exists() and attempt > 1:
            raise ValueError(
                f"The attempt before this one ended with an error and is not repeated: {read_json(marker)['error']}"
            )
        marker.unlink(missing_ok=True)

    def _check_definition(self) -> None:
        path = self.path / "definition.json"
        if path.exists():
            before = read_json(path)
            for key in ("identity", "settings"):
                if before[key] != self.definition[key]:
                    difference = _difference(before[key], self.definition[key])
                    raise ValueError(
                        f"{self.path} belongs to a training of another {key} ({difference}); name another run folder."
                    )
            changed = [key for key in self.definition if before.get(key) != self.definition[key]]
            if (self.path / "completed" / RUN).exists():
                if changed:
                    self._supersede(changed)
            elif list((self.path / "checkpoints").glob("step-*")):
                self._check_unfinished(changed)
        elif (self.path / "completed").exists():
            self._supersede(["something"])
        write_json(path, self.definition)

    def _check_unfinished(self, changed: list[str]) -> None:
        if data := [key for key in changed if key != "code_digest"]:
            raise ValueError(
                f"The unfinished training in {self.path} had other data ({', '.join(data)} changed since); delete the "
                "folder to train from the beginning, or bring the data back."
            )
        if changed:
            log.warning("the code changed since this training began; it goes on, and its history says where")

    def _supersede(self, changed: list[str]) -> None:
        existing = self.path / "superseded"
        numbers = [int(folder.name) for folder in existing.iterdir()] if existing.exists() else []
        target = existing / str(max(numbers, default=0) + 1)
        target.mkdir(parents=True)
        log.info("%s changed since the finished training, which is kept in %s", ", ".join(changed), target)
        # In this order, what an interruption leaves behind is seen as superseded by the next start too.
        last = ["definition.json", "completed"]
        names = [entry.name for entry in self.path.iterdir() if entry.name not in (*KEPT, *last)]
        for name in [*names, *(name for name in last if (self.path / name).exists())]:
            shutil.move(self.path / name, target / name)


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    keys = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    return ", ".join(f"{key}: {before.get(key)!r} there, {now.get(key)!r} asked" for key in keys[:3])
