"""What one stage of the workflow costs: seconds of each of its jobs, devices, disk, memory, and on what this rests."""

import math
from dataclasses import dataclass, field

MEASURED, CALIBRATED, FORMULA, UNKNOWN = "measured", "calibrated", "formula", "after a first run"


@dataclass(frozen=True)
class Job:
    """One product of a stage: seconds of its work on `devices` GPUs, None where nothing tells them yet."""

    name: str
    seconds: float | None
    done: bool = False
    devices: int = 0


@dataclass(frozen=True)
class Stage:
    """The jobs of a rule; `resumes` says whether a job that was cut goes on from where it stood.

    `at_once` is the number of jobs beyond which more side by side are no faster, as downloads on one link.
    """

    name: str
    amount: str
    jobs: tuple[Job, ...]
    basis: str
    resumes: bool = False
    at_once: int | None = None
    startup_seconds: float = 0.0
    disk_bytes: float = 0.0
    memory_bytes: float | None = None
    notes: tuple[str, ...] = field(default_factory=tuple)
    problems: tuple[str, ...] = field(default_factory=tuple)

    @property
    def seconds(self) -> float | None:
        """Of all jobs together; None where one is unknown."""
        known = [job.seconds for job in self.jobs if job.seconds is not None]
        return sum(known) if len(known) == len(self.jobs) else None

    @property
    def left(self) -> tuple[Job, ...]:
        """Jobs that are not done."""
        return tuple(job for job in self.jobs if not job.done)

    def gpu_hours(self) -> float:
        """GPU hours of all jobs."""
        return sum((job.seconds or 0) * job.devices for job in self.jobs) / 3600

    def wall_seconds(self, slots: int, jobs: tuple[Job, ...] | None = None) -> float:
        """Wall time where as many jobs run side by side as devices, or cores for jobs without one, are there."""
        chosen = self.jobs if jobs is None else jobs
        longest = max((job.seconds or 0 for job in chosen), default=0.0)
        total = sum((job.seconds or 0) * max(1, job.devices) for job in chosen)
        return max(longest, total / min(slots, self.at_once or slots))

    def submissions(self, job_hours: float) -> int:
        """Jobs of a limited wall time: what is resumed takes several, each with a start of its own."""
        usable = job_hours * 3600 - self.startup_seconds
        return sum(max(1, math.ceil((job.seconds or 0) / usable)) if self.resumes else 1 for job in self.jobs)

    def too_long(self, job_hours: float) -> list[str]:
        """What does not fit into jobs of a limited wall time, in sentences."""
        hours = [job.seconds / 3600 for job in self.left if job.seconds and job.seconds > job_hours * 3600]
        if self.resumes or not hours:
            return []
        return [
            f"{self.name}: {len(hours)} of {len(self.jobs)} jobs take up to {max(hours):,.0f} h, do not go on from "
            f"where they stopped, and have {job_hours:g} h; give them more time, or a faster machine."
        ]
