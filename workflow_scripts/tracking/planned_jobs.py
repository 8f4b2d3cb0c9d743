"""What Snakemake would run for a file, and its reasons, read from its own dry run."""

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_FIELD = re.compile(r"^    (?P<name>input|output|reason): (?P<value>.*)$")
_MODULE = re.compile(r"^\s*(?:Shell command: )?python -m (?P<module>[\w.]+)")


@dataclass(frozen=True)
class PlannedJob:
    """One job of a dry run: its rule, the module that it calls, its files, and Snakemake's reason."""

    rule: str
    module: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    reason: str


def plan(target: str, config: Sequence[str], folder: Path = Path()) -> list[PlannedJob]:
    """The jobs that a dry run of a target names, in its order; none where it is up to date.

    `config` are settings as `--config` takes them. ValueError where Snakemake cannot plan, with what it says.
    """
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--printshellcmds", "--nolock", "--cores", "1"]
    command += ["--nocolor", *(["--config", *config] if config else []), "--", target]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        start = next((at for at, line in enumerate(lines) if "Exception" in line or "Error" in line), -3)
        raise ValueError(f"Snakemake cannot plan {target}: {' '.join(lines[start : start + 4])}")
    return parse(done.stdout + done.stderr)


def parse(text: str) -> list[PlannedJob]:
    """The jobs of a dry run's output."""
    jobs = []
    for block in re.split(r"^(?:local)?rule (?=\w+:$)", text, flags=re.MULTILINE)[1:]:
        rule, _, body = block.partition(":\n")
        fields = {match["name"]: match["value"] for line in body.splitlines() if (match := _FIELD.match(line))}
        module = next((match["module"] for line in body.splitlines() if (match := _MODULE.match(line))), "")
        jobs.append(
            PlannedJob(
                rule,
                module,
                _files(fields.get("input")),
                _files(fields.get("output")),
                fields.get("reason", "").strip(),
            )
        )
    return jobs


def _files(text: str | None) -> tuple[str, ...]:
    return tuple(text.split(", ")) if text else ()
