"""The steps of a training: forward, backward, metrics, validation, checkpoints, and stopping in time."""

import logging
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import deepspeed
import numpy as np
import torch
import torch.distributed as distributed

from workflow_scripts.command_line import progress
from workflow_scripts.config.training import TrainingSettings
from workflow_scripts.tracking.recorder import MetricsRecorder
from workflow_scripts.training.checkpoint import Checkpoints
from workflow_scripts.training.engine import save_engine_state, shares
from workflow_scripts.training.order import BatchOrder
from workflow_scripts.training.process_group import agree, device
from workflow_scripts.training.samples import Batch, Samples
from workflow_scripts.training.schedule import learning_rate
from workflow_scripts.training.wall_time import Deadline, StopSignals

log = logging.getLogger(__name__)


@dataclass
class Progress:
    """Where a training stands; what a checkpoint remembers beside the weights."""

    step: int = 0
    seconds: float = 0.0
    final_loss: float | None = None
    longest_save: float = 0.0
    losses: list[float] = field(default_factory=list)
    losses_seconds: float = 0.0


class TrainingLoop:
    """Carries a training from its progress to its end, or to the moment when it has to stop.

    Only the first process has a recorder and checkpoints; all others pass None.
    """

    def __init__(
        self,
        engine: deepspeed.DeepSpeedEngine,
        samples: Samples,
        validation: Samples | None,
        settings: TrainingSettings,
        where: Progress,
        stop: tuple[Deadline, StopSignals],
        recorder: MetricsRecorder | None,
        checkpoints: Checkpoints | None,
    ) -> None:
        self.engine = engine
        self.samples = samples
        self.validation = validation
        self.settings = settings
        self.where = where
        self.deadline, self.signals = stop
        self.deadline.longest_save = where.longest_save
        self.recorder = recorder
        self.checkpoints = checkpoints
        self.rank, self.world_size = distributed.get_rank(), distributed.get_world_size()
        self.micro_batch_size, self.passes = shares(settings, self.world_size)
        self.order = BatchOrder(
            samples.lengths,
            settings.batch_size,
            settings.seed,
            settings.length_window,
            samples.image_rows(),
            settings.samples_per_image,
        )
        self.steps = settings.epochs * self.order.steps_per_epoch

    def run(self, label: str, facts: dict[str, Any]) -> str:
        """Train, and return why it ended: `finished`, `wall_time`, or the name of a signal."""
        if self.where.step < self.steps and agree(self.deadline.reached()):
            log.warning("the wall time is over before the first step of this attempt")
            return "wall_time"
        self.engine.train()
        remaining: Iterable[int] = range(self.where.step, self.steps)
        if self.rank == 0:
            remaining = progress(remaining, self.steps - self.where.step, label)
        for step in remaining:
            stop = self._step(step)
            epoch_ended = (step + 1) % self.order.steps_per_epoch == 0
            if self.validation is not None and epoch_ended:
                self._validate()
            if stop or (step + 1) % self.settings.checkpoint_every == 0 or step + 1 == self.steps:
                self._save(facts)
            if stop and step + 1 < self.steps:
                return self.signals.received or "wall_time"
        return "finished"

    def _step(self, step: int) -> bool:
        """Make one optimizer step on a global batch and return whether to stop after it."""
        started = time.perf_counter()
        rate = learning_rate(step, self.order.steps_per_epoch, self.settings)
        for group in self.engine.optimizer.param_groups:
            group["lr"] = rate * group["learning_rate_share"]
        indices = self.order.batch(step)
        tokens = self.samples.answer_tokens(indices)
        mine = self._share(indices)
        loss = torch.zeros((), dtype=torch.float64, device=device())
        for index in range(self.passes):
            chosen = mine[index * self.micro_batch_size : (index + 1) * self.micro_batch_size]
            batch = self.samples.batch(chosen)
            # The mean over all answer tokens of the global batch, however it is spread over processes and passes.
            share = batch.answer_tokens / tokens
            mean = self._forward(batch)
            loss += mean.detach() * share
            if index == self.passes - 1:
                stop, global_loss = self._agree(loss, mine)
            self.engine.backward(mean * (share * self.world_size * self.passes))
            self.engine.step()
        seconds = time.perf_counter() - started
        self.deadline.longest_step = max(self.deadline.longest_step, seconds)
        self._record(step, rate, global_loss, seconds)
        return stop

    def _forward(self, batch: Batch) -> torch.Tensor:
        return self.engine(*_inputs(batch))

    def _share(self, indices: np.ndarray) -> np.ndarray:
        """Return this process's samples of a global batch; those of one image stay together."""
        if self.settings.samples_per_image == 1:
            return indices[self.rank :: self.world_size]
        return np.array_split(indices, self.world_size)[self.rank]

    def _agree(self, loss: torch.Tensor, mine: np.ndarray) -> tuple[bool, float]:
        """Return whether any process wants to stop, and the global loss; all stop at a loss that is no number."""
        wish = self.signals.received is not None or (self.rank == 0 and self.deadline.reached())
        values = torch.stack([loss, loss.new_tensor(float(wish))])
        if self.world_size > 1:
            distributed.all_reduce(values)
        global_loss, stop = values.tolist()
        if not np.isfinite(global_loss):
            self._report_broken_samples(global_loss, mine)
        return stop > 0, global_loss

    @torch.no_grad()
    def _report_broken_samples(self, loss: float, mine: np.ndarray) -> None:
        broken = mine.tolist()
        if self.settings.zero_stage < 3:  # alone, a sample cannot be passed through weights that others hold
            batches = ((index, self.samples.batch(np.array([index]))) for index in mine)
            broken = [int(index) for index, batch in batches if not torch.isfinite(self.engine.module(*_inputs(batch)))]
        found: list[list[str]] = [self.samples.names(broken)]
        if self.world_size > 1:
            found = [[] for _ in range(self.world_size)]
            distributed.all_gather_object(found, self.samples.names(broken))
        names = [name for part in found for name in part]
        named = f"{', '.join(names[:10])}{f' and {len(names) - 10} more' if names[10:] else ''}"
        raise ValueError(
            f"The loss became {loss} at step {self.where.step}, from: {named or 'no single sample, but their batch'}. "
            "Nothing of this step was kept; look at these samples, or lower the learning rate."
        )

    def _record(self, step: int, rate: float, loss: float, seconds: float) -> None:
        where = self.where
        where.step = step + 1
        where.seconds += seconds
        where.losses.append(loss)
        where.losses_seconds += seconds
        last = where.step == self.steps
        if where.step % self.settings.log_every and not last:
            return
        where.final_loss = sum(where.losses) / len(where.losses)
        gradient_norm = self.engine.get_global_grad_norm()
        if self.recorder is not None:
            line = {
                "step": where.step,
                "epoch": where.step / self.order.steps_per_epoch,
                "loss": where.final_loss,
                "lr": rate,
                "samples_per_second": round(
                    len(where.losses) * self.settings.batch_size / max(where.losses_seconds, 1e-9), 2
                ),
                "time": round(time.time(), 3),
            }
            if gradient_norm is not None and np.isfinite(float(gradient_norm)):
                line["gradient_norm"] = float(gradient_norm)
            self.recorder.write(line)
        where.losses, where.losses_seconds = [], 0.0

    @torch.no_grad()
    def _validate(self) -> None:
        """Record the mean loss over answer tokens of the validation samples."""
        count = min(len(self.validation), self.settings.validation_samples) // self.world_size * self.world_size
        if not count:
            raise ValueError(f"{len(self.validation)} validation samples are fewer than {self.world_size} processes.")
        # The same samples at every time: evenly spread over the table, grouped by length.
        chosen = np.linspace(0, len(self.validation) - 1, count).astype(np.int64)
        chosen = chosen[np.argsort(self.validation.lengths[chosen], kind="stable")][self.rank :: self.world_size]
        self.engine.eval()
        sums = torch.zeros(2, dtype=torch.float64, device=device())
        for start in range(0, len(chosen), self.micro_batch_size):
            batch = self.validation.batch(chosen[start : start + self.micro_batch_size])
            mean = self.engine.module(*_inputs(batch))
            sums += torch.tensor([float(mean) * batch.answer_tokens, batch.answer_tokens], dtype=torch.float64).to(sums)
        self.engine.train()
        if self.world_size > 1:
            distributed.all_reduce(sums)
        total, tokens = sums.tolist()
        if self.recorder is not None:
            epoch = self.where.step / self.order.steps_per_epoch
            line = {"step": self.where.step, "epoch": epoch, "validation_loss": total / tokens}
            self.recorder.write(line | {"time": round(time.time(), 3)})

    def _save(self, facts: dict[str, Any]) -> None:
        """Write a checkpoint together; the first process begins and commits it."""
        started = time.perf_counter()
        partial = self.checkpoints.begin(self.where.step) if self.checkpoints is not None else None
        folder: Path = agree(partial)
        if self.checkpoints is None:
            save_engine_state(self.engine, folder)
        else:
            with self.checkpoints.guarded(folder):
                save_engine_state(self.engine, folder)
                offset = self.recorder.sync()
                self.checkpoints.commit(folder, {**facts, "metrics_offset": offset, "progress": asdict(self.where)})
        if self.world_size > 1:
            distributed.barrier()
        self.where.longest_save = max(self.where.longest_save, time.perf_counter() - started)
        self.deadline.longest_save = self.where.longest_save


def _inputs(batch: Batch) -> tuple[torch.Tensor, Any, Any, Any, Any, Any]:
    return batch.images.to(device()), batch.before, batch.after, batch.answers, batch.image_of, batch.texts
