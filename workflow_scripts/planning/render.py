"""A plan as text."""

from collections.abc import Sequence

from workflow_scripts.planning.context import (
    DISK_BYTES_PER_SECOND,
    PICTURE_SECONDS,
    START_SECONDS,
    STEP_SECONDS,
    Context,
)
from workflow_scripts.planning.estimate import Stage

HEADER = ("stage", "amount", "jobs", "GPU h", "wall", "left", "disk GB", "GB a device", "basis")


def render(context: Context, stages: Sequence[Stage], end: Sequence[str]) -> list[str]:
    """Return the lines of a plan: machine, table, assumptions, and the lines of its `end`."""
    machine = context.machine
    unit = "GPU" if machine.has_gpus else "core"
    plural = f"{unit}s" if machine.devices > 1 else unit
    lines = [
        f"Scale {context.settings.scale} on {machine.title}: {machine.devices} {plural}, "
        f"jobs of {context.job_hours:g} h",
        "",
        *_table([HEADER, *(_row(context, stage) for stage in stages)]),
        "",
        f"Peak: {machine.teraflops:,.3g} TFLOP/s a {unit} ({machine.source}).",
        f"Assumed: {machine.assumed}; a job starts in {START_SECONDS[machine.has_gpus]:.0f} s and reads weights at "
        f"{DISK_BYTES_PER_SECOND / 1e9:g} GB/s; {1000 * STEP_SECONDS[machine.has_gpus]:g} ms a step beside its "
        f"operations; {1000 * PICTURE_SECONDS:g} ms to read a picture.",
        "FLOPs of a sample: twice the weights of the frozen language model for each token forward and once more for "
        "the gradient of its input, attention, logits at answers only, and the adaptor's own.",
    ]
    noted: dict[str, list[str]] = {}
    for stage in stages:
        for note in stage.notes:
            noted.setdefault(note, []).append(stage.name)
    lines += [f"{', '.join(names)}: {note}." for note, names in noted.items()]
    return [*lines, "", *end, "make dry-run says which jobs would run, and why."]


def summary(context: Context, stages: Sequence[Stage], days: float) -> list[str]:
    """Return what there is to expect of what is not done, in one or two sentences."""
    left = [stage for stage in stages if stage.left]
    unknown = [stage.name for stage in left if stage.seconds is None]
    seconds = sum(_wall(context, stage, left=True) for stage in left)
    beside = f", and {', '.join(unknown)}, which nothing tells before a first run" if unknown else ""
    if not left:
        return [f"Everything of scale {context.settings.scale} is there for these settings."]
    lines = [f"Still to do: about {_duration(seconds)} on {context.machine.title}{beside}."]
    walls = {stage.name: _wall(context, stage, left=True) for stage in left}
    long = [f"{name} ({_duration(wall)})" for name, wall in walls.items() if wall > days * 86400]
    if long:
        lines.append(f"! Too long for this machine, more than {days:g} days: {', '.join(long)}; take another machine.")
    elif seconds > days * 86400:
        lines.append(f"! That is more than {days:g} days, too long for this machine: take another or a smaller scale.")
    return lines


def _row(context: Context, stage: Stage) -> tuple[str, ...]:
    unknown = stage.seconds is None
    hours = stage.gpu_hours()
    return (
        stage.name,
        stage.amount,
        str(stage.submissions(context.job_hours)),
        f"{hours:,.1f}" if hours >= 0.05 else "",
        "?" if unknown else _duration(_wall(context, stage)),
        "" if not stage.left else "?" if unknown else _duration(_wall(context, stage, left=True)),
        f"{stage.disk_bytes / 1e9:,.1f}" if stage.disk_bytes >= 5e7 else "",
        f"{stage.memory_bytes / 1e9:.1f}" if stage.memory_bytes else "",
        stage.basis,
    )


def _wall(context: Context, stage: Stage, left: bool = False) -> float:
    # Jobs without a GPU run side by side on a cluster; here as many as there are cores.
    jobs = stage.left if left else stage.jobs
    needs_gpu = any(job.devices for job in stage.jobs)
    slots = context.machine.devices if needs_gpu or not context.machine.has_gpus else max(1, len(jobs))
    starts = stage.startup_seconds * stage.submissions(context.job_hours) if jobs else 0.0
    return stage.wall_seconds(slots, jobs) + starts


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 4 * 86400:
        return f"{seconds / 3600:,.1f} h"
    return f"{seconds / 86400:,.0f} days"


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    left = (0, 1, len(widths) - 1)
    lines = [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return [lines[0], "-" * len(lines[0]), *lines[1:]]
