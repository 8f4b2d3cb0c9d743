"""Where and with what a training ran."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "transformers", "deepspeed", "safetensors", "numpy", "tokenizers")


def describe_environment() -> dict[str, Any]:
    """Return interpreter, packages, processor and threads of this process."""
    import torch

    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "cpu": processor_name(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def processor_name() -> str:
    """Return the processor's name and how many threads it runs at a time."""
    information = Path("/proc/cpuinfo")
    names = (
        [line for line in information.read_text().splitlines() if line.startswith("model name")]
        if (information.exists())
        else []
    )
    name = names[0].split(":", 1)[1].strip() if names else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} threads"
