"""How fast a search is, how much of the exact result it finds, and what its index costs, beside three other ways.

    python -m benchmarks.search_speed --work FOLDER --output benchmarks/measured/search_speed.json

Features are synthetic (`synthetic_features`), queries are asked one by one (batch 1), and the ways that are compared
take turns, so that whatever else a machine does falls on all of them. Each size is built and searched in processes of
their own, whose memory is theirs alone. FOLDER takes 18 KB a picture of one size at a time. An interrupted run goes on
with the first size that is not in the output; to measure a size again, take it out of there.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.other_ways import clip_retrieval, flat_index, the_reports_method
from benchmarks.synthetic_features import QUERIES, WIDTH, SyntheticFeatures, describe
from workflow_scripts.command_line import read_json, write_json
from workflow_scripts.search.candidates import FILE, build_candidates
from workflow_scripts.search.index import FORMAT, Index
from workflow_scripts.search.queries import best_of_queries

TOP = 15
IN_MEMORY_UP_TO = 30_000  # pictures whose float32 embeddings (32 KB each) the other exact ways may hold


def memory() -> dict[str, float]:
    """Resident memory of this process in GB: its own, of mapped files, and its greatest sum so far."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    names = {"own": "RssAnon", "mapped": "RssFile", "peak": "VmHWM"}
    return {name: int(lines[key].split()[0]) / 1e6 for name, key in names.items()}


def prepare(work: Path, count: int, queries: int) -> Path:
    """An index folder of `count` synthetic pictures without candidates, and the exact result for every query.

    `truth.npy` is written last: with it the folder is complete.
    """
    folder = work / str(count)
    if (folder / "truth.npy").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    world = SyntheticFeatures()
    shape = (count, QUERIES, WIDTH)
    array = np.lib.format.open_memmap(folder / "image_projection.npy", mode="w+", dtype=np.float16, shape=shape)
    texts, start = world.texts(queries, count), 0
    best = np.full((queries, TOP), -np.inf, np.float32)
    rows = np.zeros((queries, TOP), np.int64)
    for block in world.blocks(count):
        array[start : start + len(block)] = block
        scores = np.hstack([best, best_of_queries(block, texts)])
        places = np.hstack([rows, np.broadcast_to(np.arange(start, start + len(block)), (queries, len(block)))])
        order = np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
        best, rows = np.take_along_axis(scores, order, 1), np.take_along_axis(places, order, 1)
        start += len(block)
    array.flush()
    (folder / "items.jsonl").write_text("".join(f'{{"id": "picture/{row}"}}\n' for row in range(count)))
    write_json(folder / "index.json", {"format": FORMAT, "count": count})
    write_json(folder / "structure.json", describe(array, texts))
    np.save(folder / "texts.npy", texts)
    np.save(folder / "unfinished.npy", rows)
    (folder / "unfinished.npy").replace(folder / "truth.npy")
    return folder


def build(folder: Path) -> dict[str, float]:
    """Build the candidates of a prepared index: seconds, CPU seconds, bytes and peak memory."""
    start, cpu = time.perf_counter(), time.process_time()
    build_candidates(np.load(folder / "image_projection.npy", mmap_mode="r")).write(folder / FILE)
    seconds = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
    sizes = {"candidates_gb": (folder / FILE).stat().st_size / 1e9}
    sizes["embeddings_gb"] = (folder / "image_projection.npy").stat().st_size / 1e9
    return seconds | sizes | {"peak_memory_gb": memory()["peak"]}


def search(folder: Path) -> dict[str, object]:
    """Search with all ways that a size allows, taking turns: milliseconds and agreement with the exact result."""
    start = time.perf_counter()
    index = Index(folder)
    truth, texts = np.load(folder / "truth.npy"), np.load(folder / "texts.npy")
    index.search(texts[:1], TOP)
    opened = time.perf_counter() - start
    for text in texts[:50]:
        index.search(text[None], TOP)
    used = memory()
    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "ours": lambda text: np.array([hit.row for hit in index.search(text[None], TOP)[0]])
    }
    costs: dict[str, dict[str, float]] = {}
    if len(index) <= IN_MEMORY_UP_TO:
        embeddings = index.projection.astype(np.float32)
        ways["report"] = the_reports_method(embeddings, TOP)
        ways["report_flattened"] = the_reports_method(embeddings.reshape(-1, WIDTH), TOP, QUERIES)
        ways["faiss_flat"] = flat_index(embeddings, TOP)
    ways["clip_retrieval"], costs["clip_retrieval"] = clip_retrieval(index.projection, TOP)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    agreement: dict[str, list[tuple[bool, float]]] = {name: [] for name in ways}
    for number, text in enumerate(texts):
        for name, way in ways.items():
            if name != "ours" and name != "clip_retrieval" and number >= 200:
                continue  # exact ways differ in time only, and that is known by then
            start = time.perf_counter()
            found = way(text)
            seconds[name].append(time.perf_counter() - start)
            overlap = len(set(found) & set(truth[number])) / TOP
            agreement[name].append((bool(np.array_equal(found, truth[number])), overlap))
    results = {}
    for name in ways:
        milliseconds = np.array(seconds[name]) * 1000
        results[name] = {
            "queries": len(milliseconds),
            "p50_ms": float(np.median(milliseconds)),
            "p95_ms": float(np.quantile(milliseconds, 0.95)),
            "exact_share": float(np.mean([exact for exact, _ in agreement[name]])),
            "recall_at_15": float(np.mean([overlap for _, overlap in agreement[name]])),
        } | costs.get(name, {})
        turns = min(len(seconds[name]), len(seconds["ours"]))
        ratios = np.array(seconds[name][:turns]) / np.array(seconds["ours"][:turns])
        results[name]["times_ours"] = float(np.median(ratios))
    return {"ways": results, "memory_gb": used, "open_and_first_query_seconds": opened}


def in_own_process(step: str, folder: Path) -> dict[str, object]:
    """Run one step of one size in a new process, which prints its result as JSON."""
    command = [sys.executable, "-m", "benchmarks.search_speed", "--only", step]
    command += ["--work", str(folder.parent), "--sizes", folder.name]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for features and indices")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 14_100, 30_000, 100_000, 300_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--queries-above", type=int, default=200, help="queries where there are over 100,000 pictures")
    parser.add_argument("--output", type=Path, help="JSON to write; sizes that stand there are not measured again")
    parser.add_argument("--only", choices=("build", "search"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        step = build if arguments.only == "build" else search
        print(json.dumps(step(arguments.work / str(arguments.sizes[0]))))
        return
    results = read_json(arguments.output)["sizes"] if arguments.output.exists() else []
    for count in arguments.sizes:
        if any(result["pictures"] == count for result in results):
            continue
        start = time.perf_counter()
        queries = arguments.queries if count <= 100_000 else arguments.queries_above
        folder = prepare(arguments.work, count, queries)
        result = {"pictures": count, "structure": read_json(folder / "structure.json")}
        result["build"] = in_own_process("build", folder)
        result["search"] = in_own_process("search", folder)
        results = sorted([*results, result], key=lambda one: one["pictures"])
        machine = {"threads": int(os.environ.get("OMP_NUM_THREADS", os.cpu_count())), "cpus": os.cpu_count()}
        result_of_all = {"benchmark": "search_speed", "top": TOP, "batch": 1, "machine": machine, "sizes": results}
        write_json(arguments.output, result_of_all)
        shutil.rmtree(folder)
        minutes = (time.perf_counter() - start) / 60
        print(f"{count:9,d} pictures, {minutes:.0f} min: {json.dumps(result['search']['ways']['ours'])}", flush=True)


if __name__ == "__main__":
    main()
