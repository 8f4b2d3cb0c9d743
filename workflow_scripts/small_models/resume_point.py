"""The state of a small model's training, from which an interrupted one goes on."""

import json
import logging
import os
import pickle
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import torch
from torch import nn

from workflow_scripts.identity import run_id

log = logging.getLogger(__name__)
STATE, METRICS = "training_state.pt", "metrics.jsonl"


class ResumePoint:
    """One file with model, optimizer, random numbers and position; a state of another definition is thrown away."""

    def __init__(self, folder: Path, definition: Mapping[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._path = folder, folder / STATE
        self._definition = run_id(definition)
        self._state: dict[str, Any] | None = None
        if self._path.is_file():
            try:
                state = torch.load(self._path, weights_only=True)
            except (RuntimeError, EOFError, pickle.UnpicklingError, OSError) as error:
                log.warning("%s is damaged (%s); training starts anew", self._path, str(error).splitlines()[0])
            else:
                self._state = state if state["definition"] == self._definition else None
        self.inside_a_stage = self._state is not None
        self.stages_done: set[str] = set(self._state["stages_done"]) if self._state else set()
        self.seconds: float = self._state["seconds"] if self._state else 0.0

    def open_metrics(self) -> TextIO:
        """The file of metrics, cut back to the lines that were written up to the state."""
        path = self._folder / METRICS
        kept = path.read_bytes()[: self._state["metrics_bytes"]] if self._state and path.is_file() else b""
        path.write_bytes(kept)
        self._metrics = path.open("a", encoding="utf-8")
        return self._metrics

    def restore(self, stage: str, model: nn.Module, optimizer: torch.optim.Optimizer | None, rng: random.Random) -> int:
        """Put the state back for the stage that comes next; returns the steps of it that are done.

        Nothing is touched for a stage of `stages_done`. A stage without an optimizer is one step.
        """
        if stage in self.stages_done:
            return 0
        state = self._state
        if state is None:
            return 0
        self._state = None
        model.load_state_dict(state["model"])
        torch.set_rng_state(state["torch_rng"])
        rng.setstate(_tuples(json.loads(state["python_rng"])))
        if state["stage"] != stage:  # the stage before it was finished when the state was written
            return 0
        assert optimizer is not None, f"stage {stage} is saved only when it is finished"
        optimizer.load_state_dict(state["optimizer"])
        log.info("going on with stage %s after step %d", stage, state["step"])
        return state["step"]

    def save(
        self,
        stage: str,
        step: int,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | None,
        rng: random.Random,
        seconds: float,
        finished: bool,
    ) -> None:
        """Write the state, whole or not at all."""
        if finished:
            self.stages_done.add(stage)
        self._metrics.flush()
        state = {
            "definition": self._definition,
            "stage": stage,
            "step": step,
            "stages_done": sorted(self.stages_done),
            "seconds": seconds,
            "metrics_bytes": (self._folder / METRICS).stat().st_size,
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict() if optimizer else {},
            "torch_rng": torch.get_rng_state(),
            "python_rng": json.dumps(rng.getstate()),
        }
        temporary = self._path.with_suffix(".part")
        with temporary.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(self._path)

    def remove(self) -> None:
        """Delete the state of a finished training."""
        self._path.unlink(missing_ok=True)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
