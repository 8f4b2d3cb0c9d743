"""When to stop: before the wall time is over, or when the scheduler or a user asks."""

import ctypes
import os
import signal
import sys
import time
from types import FrameType

RESUME_ME = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, run the same command again
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Deadline:
    """The moment at which the time is over, and how much of it a checkpoint needs.

    Args:
        minutes: wall time from the start of this process; None for no limit of its own.
        margin_seconds: kept free beside the time that steps and checkpoints were seen to take.

    Inside a SLURM job the job's own end counts too, where it comes first.
    """

    def __init__(self, minutes: float | None, margin_seconds: float) -> None:
        self.started = time.time()
        ends = [self.started + minutes * 60] if minutes is not None else []
        if os.environ.get("SLURM_JOB_END_TIME"):
            ends.append(float(os.environ["SLURM_JOB_END_TIME"]))
        self.end = min(ends) if ends else None
        self.margin_seconds = margin_seconds
        self.longest_step = 0.0
        self.longest_save = 0.0

    def reached(self) -> bool:
        """Whether one more step might leave no time for a checkpoint."""
        needed = self.margin_seconds + 2 * (self.longest_step + self.longest_save)
        return self.end is not None and time.time() + needed >= self.end


class StopSignals:
    """Remembers SIGTERM and SIGUSR1, so that a training stops between two steps and not inside one.

    A worker of torchrun gets SIGTERM when torchrun's own process is killed, which would else leave it at work.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, self._remember)
        if "TORCHELASTIC_RUN_ID" in os.environ and sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number).name
