"""What single jobs ask a machine or a cluster for, where a scale needs more than the rules say; and the preflight."""

from typing import Any

from pydantic import Field

from workflow_scripts.config.base import Section


class JobSettings(Section):
    """What the jobs of one rule ask for; null leaves the number of the rule."""

    threads: int | None = Field(None, ge=1, le=1024, description="CPUs.")
    mem_mb: int | None = Field(None, ge=1, description="Memory in MB.")
    runtime: int | None = Field(None, ge=1, description="Wall time in minutes.")
    gpu: int | None = Field(None, ge=0, le=64, description="GPUs, on one node.")
    disk_mb: int | None = Field(None, ge=1, description="What the job writes, in MB.")

    @property
    def resources(self) -> dict[str, Any]:
        """The numbers that are given, but for the threads, which Snakemake counts apart."""
        return self.model_dump(exclude_none=True, exclude={"threads"})


class PreflightSettings(Section):
    """What is checked before anything long starts."""

    disk_gb: float = Field(gt=0, description="Free disk that the whole workflow needs, in GB.")
    gpus: int = Field(0, ge=0, le=64, description="GPUs that the trainings use, on one node; 0 checks none.")
    gpu_memory_gb: float = Field(0, ge=0, description="Memory that each of them must have.")
