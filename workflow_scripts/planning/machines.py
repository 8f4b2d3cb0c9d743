"""The machines that a plan can be made for: a table of GPUs, and the processor that this runs on."""

import os
import subprocess
import sys
from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from workflow_scripts.config.base import Section
from workflow_scripts.training.environment import processor_name

TABLE = Path(__file__).with_name("machines.yaml")
THIS_CPU = "this-cpu"
CPU_UTILISATION = 0.3
# One thread, as the workflow's jobs have; the best of a few, since other processes take time away and never give any.
_MATRIX_PRODUCT = """
import time, numpy
a = numpy.ones((1024, 1024), dtype=numpy.float32)
a @ a
best = min(-time.perf_counter() + (a @ a, time.perf_counter())[1] for _ in range(8))
print(2 * 1024**3 / best)
"""


class Machine(Section):
    """A machine of equal devices: GPUs, or the cores of a processor."""

    title: str
    gpus: int = Field(ge=0, le=4096, description="GPUs; 0 where the work is done by the processor.")
    cores: int = Field(1, ge=1, description="Cores of the processor, where there are no GPUs.")
    memory_gb: float = Field(gt=0, description="Gigabytes (10^9 bytes) of a GPU, or of the whole processor.")
    teraflops: float = Field(gt=0, description="Peak of a device, in 10^12 operations a second.")
    memory_gb_per_second: float = Field(gt=0, description="How fast a device reads its memory.")
    interconnect_gb_per_second: float = Field(gt=0, description="How fast a device receives what others hold.")
    utilisation: float = Field(gt=0, le=1, description="Share of the peak that a training reaches.")
    source: str = Field(min_length=1, description="Where peak, memory and bandwidths are from.")
    assumed: str = Field(min_length=1, description="What of this is an assumption.")
    device_name: str | None = Field(None, description="What the GPU's name contains, to recognise measurements by.")

    @property
    def has_gpus(self) -> bool:
        """Whether the machine computes on GPUs, in half precision, and not on a processor in fp32."""
        return self.gpus > 0

    @property
    def devices(self) -> int:
        """How many jobs of one device run at a time."""
        return self.gpus or self.cores

    def flops_per_second(self, utilisation: float | None = None) -> float:
        """Operations a second of one device at a utilisation, the assumed one if none is given."""
        return self.teraflops * 1e12 * (self.utilisation if utilisation is None else utilisation)

    def is_that_of(self, environment: dict[str, object]) -> bool:
        """Whether a training's record (`environment` of its run.json) is of this kind of device."""
        gpu = environment.get("gpu")
        if self.has_gpus:
            return gpu is not None and self.device_name is not None and self.device_name in str(gpu).split()
        return gpu is None and environment.get("cpu") == processor_name()


def load_machines(path: Path = TABLE) -> dict[str, Machine]:
    """Read and validate the table of GPUs; a mistake in it is a ValueError that names the row."""
    rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    found = {}
    for name, row in rows.items():
        try:
            found[name] = Machine.model_validate(row)
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(
                f"{path}: {name}.{'.'.join(map(str, first['loc']))} = {first['input']!r}: {first['msg']}"
            ) from error
    return found


def find_machine(name: str) -> Machine:
    """Return a machine by name; `this-cpu` is measured now."""
    if name == THIS_CPU:
        return this_cpu()
    machines = load_machines()
    if name not in machines:
        raise ValueError(f"There is no machine {name!r}; choose one of {', '.join([*machines, THIS_CPU])}.")
    return machines[name]


def this_cpu() -> Machine:
    """The processor that this runs on; the peak of a core is what a large matrix product reaches now."""
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, "-c", _MATRIX_PRODUCT]
    done = subprocess.run(command, env={**os.environ, **single}, capture_output=True, text=True, check=True)
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        title=processor_name(),
        gpus=0,
        cores=os.cpu_count() or 1,
        memory_gb=pages / 1e9,
        teraflops=float(done.stdout) / 1e12,
        memory_gb_per_second=10,
        interconnect_gb_per_second=10,
        utilisation=CPU_UTILISATION,
        source="peak: a product of two 1024 x 1024 fp32 matrices on one core, measured now; memory: the system",
        assumed=f"utilisation {CPU_UTILISATION}; 10 GB/s of memory bandwidth",
    )
