"""How long the query command takes from nothing: a new process for each query, with and without LAVIS.

    python -m benchmarks.cold_start --index results/mini/search/NAME --output benchmarks/measured/cold_start.json

The command is timed as a user calls it. "lavis" is a process that loads the whole extractor and embeds the same text,
which the command did before its index carried the text side. The two take turns; CPU seconds are those of the process,
which a busy machine does not change as it changes the time on the clock.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from workflow_scripts.command_line import read_json, write_json

ROOT = Path(__file__).resolve().parent.parent
QUERY = "a red kite left of a tree"
_WITH_LAVIS = """
import sys
from pathlib import Path
from workflow_scripts.search.index import Index, embed_texts
from workflow_scripts.search.query import load_extractor_of
index = Index(Path(sys.argv[1]))
index.search(embed_texts(load_extractor_of(index), [sys.argv[2]]), 15)
"""


def timed(command: list[str]) -> tuple[float, float]:
    """Seconds and CPU seconds of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{command} failed")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    index = str(arguments.index.resolve())
    commands = {
        "query": [sys.executable, "-m", "workflow_scripts.search.query", QUERY, "--index", index],
        "lavis": [sys.executable, "-c", _WITH_LAVIS, index, QUERY],
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(arguments.runs):
        for name, command in commands.items():
            times[name].append(timed(command))
    pictures = read_json(arguments.index / "index.json")["count"]
    result = {"benchmark": "cold_start", "pictures": pictures, "runs": arguments.runs}
    for name, pairs in times.items():
        seconds, cpu = zip(*pairs, strict=True)
        result[name] = {"p50_seconds": statistics.median(seconds), "p50_cpu_seconds": statistics.median(cpu)}
    write_json(arguments.output, result)
    print(result)


if __name__ == "__main__":
    main()
