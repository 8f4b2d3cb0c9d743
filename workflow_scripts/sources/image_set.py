"""Store the pictures of a URL list as webdataset shards, by img2dataset.

A set grows in a folder `.partial` and is renamed to `shards` when it is whole, so that an interrupted command leaves
nothing half done under a final name and goes on where it was.
"""

import contextlib
import hashlib
import io
import json
import logging
import math
import re
import shutil
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from img2dataset.distributor import multiprocessing_distributor
from img2dataset.reader import Reader
from img2dataset.writer import WebDatasetSampleWriter

from workflow_scripts.command_line import progress, write_json
from workflow_scripts.config.data import DownloadSettings
from workflow_scripts.data.shards import WITHOUT_METADATA
from workflow_scripts.files.images import web_formats
from workflow_scripts.files.tar_members import iterate_members, split_name
from workflow_scripts.sources.failures import may_recover, reason_of
from workflow_scripts.sources.image_worker import TROUBLES, MirrorDownloader, StrictResizer

logger = logging.getLogger("images")

_COLUMNS = ["id", "url", "status", "error_message", "width", "height", "original_width", "original_height", "sha256"]


def store_images(
    url_list: Path, image_set: str, output: Path, settings: DownloadSettings, source: str, archive: Path | None = None
) -> dict[str, Any]:
    """Fetch the pictures of a list (parquet of id and url) and write shards, tables and manifest.json.

    A set that is already there, from the same list with the same settings, is kept and only its manifest written.

    Args:
        source: where the list came from, for the manifest.
        archive: the folder of `archive://` addresses.

    Raises:
        ValueError: if fewer pictures came than `minimum_success_rate` asks for, with the reasons.
    """
    request = {
        "urls": hashlib.sha256(url_list.read_bytes()).hexdigest(),
        "settings": {key: getattr(settings, key) for key in ("image_size", "jpeg_quality", "samples_per_shard")},
    }
    shards, partial = output / "shards", output / ".partial"
    if not _has_request(shards, request):
        _fetch_all(url_list, image_set, partial, settings, request, archive)
        rows, failures = _outcomes(partial)
        _check_complete(url_list, image_set, partial, rows, failures)
        _gate(image_set, partial, settings, len(rows), failures)
        if shards.exists():
            shutil.rmtree(shards)
        partial.rename(shards)
    rows, failures = _outcomes(shards)
    return _write_manifest(image_set, output, rows, failures, source, settings, _troubles(shards))


def _has_request(folder: Path, request: dict[str, Any]) -> bool:
    marker = folder / "request.txt"
    return marker.is_file() and marker.read_text(encoding="utf-8") == json.dumps(request, sort_keys=True)


def _fetch_all(
    url_list: Path,
    image_set: str,
    partial: Path,
    settings: DownloadSettings,
    request: dict[str, Any],
    archive: Path | None,
) -> None:
    """Run the passes: the whole list, then what failed for a time."""
    if partial.exists() and not _has_request(partial, request):
        shutil.rmtree(partial)
    partial.mkdir(parents=True, exist_ok=True)
    (partial / "request.txt").write_text(json.dumps(request, sort_keys=True), encoding="utf-8")
    if not (partial / "pass-0.parquet").is_file():
        _write_table(partial / "pass-0.parquet", pq.read_table(url_list, columns=["id", "url"]))
    # A set that failed its gate is asked for once more each time that the command runs, also what failed for good: it
    # may have been repaired, as a mirror can be.
    done = sorted(partial.glob("pass-*.parquet"))
    wanted = 2 if settings.second_pass else 1
    gate_failed = (partial / "gate_failed.txt").is_file()
    if gate_failed:
        wanted = max(wanted, len(done) + 1)
    for number, path in enumerate(done):
        _run_pass(path, image_set, number, partial, settings, archive)
    for number in range(len(done), wanted):
        _, failures = _outcomes(partial)
        again = {key: row["url"] for key, row in failures.items() if gate_failed or may_recover(row["reason"])}
        if not again:
            break
        path = partial / f"pass-{number}.parquet"
        _write_table(path, pa.table({"id": list(again), "url": list(again.values())}))
        _run_pass(path, image_set, number, partial, settings, archive)
    (partial / "gate_failed.txt").unlink(missing_ok=True)


def _run_pass(
    url_list: Path, image_set: str, number: int, partial: Path, settings: DownloadSettings, archive: Path | None
) -> None:
    first_shard = sum(
        math.ceil(pq.read_metadata(path).num_rows / settings.samples_per_shard)
        for path in sorted(partial.glob("pass-*.parquet"))[:number]
    )
    done = {int(path.name.split("_")[0]) for path in partial.glob("*_stats.json")}
    scratch = partial / "_tmp"
    scratch.mkdir(exist_ok=True)
    reader = Reader(
        str(url_list), "parquet", "url", None, None, None, ["id"], settings.samples_per_shard, done, str(scratch),
        first_shard,
    )  # fmt: skip
    as_it_is = settings.image_size == "original"
    resizer = StrictResizer(
        image_size=0 if as_it_is else settings.image_size,
        resize_mode="no" if as_it_is else "keep_ratio",
        resize_only_if_bigger=False,
        skip_reencode=as_it_is,
        upscale_interpolation="lanczos",
        downscale_interpolation="area",
        encode_quality=settings.jpeg_quality,
    )
    resizer.maximum_pixels = int(settings.maximum_megapixels * 1e6)
    # An archive is of a data set that somebody chose, or a user's own folder.
    resizer.formats = web_formats() if archive is None else None
    downloader = MirrorDownloader(
        sample_writer_class=WebDatasetSampleWriter,
        resizer=resizer,
        thread_count=settings.threads,
        save_caption=False,
        extract_exif=False,
        output_folder=str(partial),
        column_list=reader.column_list,
        timeout=settings.timeout_seconds,
        number_sample_per_shard=settings.samples_per_shard,
        oom_shard_count=5,
        compute_hash="sha256",
        verify_hash_type=None,
        encode_format="jpg",
        retries=settings.retries,
        user_agent_token=None,
        disallowed_header_directives=["noai", "noimageai", "noindex", "noimageindex"],
    )
    downloader.maximum_bytes = int(settings.maximum_megabytes * 1e6)
    downloader.archive = archive
    label = image_set if number == 0 else f"{image_set} (pass {number + 1})"
    if settings.processes > 1:
        multiprocessing_distributor(settings.processes, downloader, reader, 1000, 1)
    else:
        # A process pool with one process costs seconds of imports; the shards are downloaded here instead.
        with contextlib.redirect_stdout(io.StringIO()):
            rows = list(reader)
        for row in progress(rows, len(rows), f"download {label}, shards"):
            _download_shard(downloader, row, image_set)
    shutil.rmtree(scratch)


def _download_shard(downloader: MirrorDownloader, row: tuple[int, str], image_set: str) -> None:
    """Download one shard; what img2dataset would print about an error of its own becomes a ValueError."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        stored, _ = downloader(row)
    lines = printed.getvalue().strip().splitlines()
    if not stored or any(line.startswith("Sample ") for line in lines):
        reason = next((line for line in lines if re.match(r"\w+(Error|Exception): ", line)), "unknown error")
        raise ValueError(
            f"Shard {row[0]} of image set {image_set} could not be stored: {reason}. If the disk is full, make room, "
            "and run the command again; finished shards are kept."
        )


def _outcomes(folder: Path) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return what came and what did not, by id, sorted; the last pass that asked for a picture counts."""
    rows: dict[str, dict[str, Any]] = {}
    failures: dict[str, dict[str, Any]] = {}
    for finished in sorted(folder.glob("*_stats.json")):
        path = folder / finished.name.replace("_stats.json", ".parquet")
        for row in pq.read_table(path, columns=_COLUMNS).to_pylist():
            if row["status"] == "success":
                failures.pop(row["id"], None)
                rows[row["id"]] = {**row, "shard": path.stem}
            elif row["id"] not in rows:
                failures[row["id"]] = {**row, "reason": reason_of(row["error_message"])}
    return dict(sorted(rows.items())), dict(sorted(failures.items()))


def _troubles(folder: Path) -> dict[str, str]:
    """Return why the metadata of a picture could not be read, by the sha256 of its file."""
    lines = [line for path in sorted(folder.glob(f"*{TROUBLES}")) for line in path.read_bytes().split(b"\n") if line]
    return {line["sha256"]: line["reason"] for line in map(json.loads, lines)}


def _check_complete(url_list: Path, image_set: str, partial: Path, rows: dict, failures: dict) -> None:
    """See that every picture asked for has an outcome and every shard holds what its table says."""
    expected: dict[str, set[str]] = {}
    for key, row in rows.items():
        expected.setdefault(row["shard"], set()).add(key)
    damaged = [shard for shard, ids in expected.items() if _ids_in(partial / f"{shard}.tar") != ids]
    known = pq.read_table(url_list, columns=["id"])["id"].to_pylist()
    lost = [key for key in known if key not in rows and key not in failures]
    if damaged or lost:
        for path in partial.glob("*_stats.json"):
            if lost or path.name.split("_")[0] in damaged:
                path.unlink()
        raise ValueError(
            f"Image set {image_set}: {len(damaged)} shards in {partial} are damaged and {len(lost)} pictures have no "
            "outcome, most likely because the disk is full; make room and run the command again."
        )


def _ids_in(path: Path) -> set[str]:
    try:
        with tarfile.open(path) as tar:
            named = [(split_name(name), member) for name, member in iterate_members(tar) if member.isfile()]
            tables = [member for key_and_ending, member in named if key_and_ending and key_and_ending[1] == "json"]
            return {json.loads(tar.extractfile(member).read())["id"] for member in tables}
    except (tarfile.TarError, OSError, ValueError):
        return set()


def _gate(image_set: str, partial: Path, settings: DownloadSettings, count: int, failures: dict) -> None:
    requested = count + len(failures)
    rate = count / requested if requested else 0.0
    if rate < settings.minimum_success_rate or not count:
        (partial / "gate_failed.txt").write_text("asked again when the command runs again\n", encoding="utf-8")
        if any(may_recover(row["reason"]) for row in failures.values()):
            way_out = "Run the command again to ask for the missing ones"
        else:
            way_out = "Waiting does not help: repair that where they come from and run the command again"
        raise ValueError(
            f"Image set {image_set}: only {count} of {requested} pictures came ({100 * rate:.1f} %, at least "
            f"{100 * settings.minimum_success_rate:.1f} % are wanted): {_histogram_text(failures)}"
            f"{_first_message(failures)}. {way_out}, or lower download.minimum_success_rate."
        )


def _first_message(failures: dict[str, dict[str, Any]]) -> str:
    """What was said of the first picture that failed, after a colon."""
    row = next(iter(failures.values()), None)
    return "" if row is None else f" (first of {row['url']}: {unquote(row['error_message'] or 'nothing said')})"


def _histogram(failures: dict[str, dict[str, Any]]) -> dict[str, int]:
    counts = Counter(row["reason"] for row in failures.values())
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _histogram_text(failures: dict[str, dict[str, Any]]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in _histogram(failures).items())


def _write_manifest(
    image_set: str,
    output: Path,
    rows: dict,
    failures: dict,
    source: str,
    settings: DownloadSettings,
    troubles: dict[str, str],
) -> dict[str, Any]:
    columns = ["id", "sha256", "width", "height", "original_width", "original_height", "shard", "url"]
    table = pa.table({name: [row[name] for row in rows.values()] for name in columns})
    _write_table(output / "images.parquet", table)
    text = {name: [row[name] or "" for row in failures.values()] for name in ("id", "url", "reason", "error_message")}
    _write_table(
        output / "failures.parquet", pa.table({key: pa.array(value, pa.string()) for key, value in text.items()})
    )
    manifest = {
        "image_set": image_set,
        "count": len(rows),
        "requested": len(rows) + len(failures),
        "success_rate": round(len(rows) / (len(rows) + len(failures)), 6),
        "failures": _histogram(failures),
        "images_table": {
            "file": "images.parquet",
            "sha256": hashlib.sha256((output / "images.parquet").read_bytes()).hexdigest(),
        },
        "shards": sorted({row["shard"] for row in rows.values()}),
        "source": source,
        "settings": settings.defining(),
    }
    bare = {key: troubles[row["sha256"]] for key, row in rows.items() if row["sha256"] in troubles}
    (output / WITHOUT_METADATA).unlink(missing_ok=True)
    if bare:
        manifest["without_metadata"] = len(bare)
        _write_table(output / WITHOUT_METADATA, pa.table({"id": list(bare), "reason": list(bare.values())}))
        for key, reason in list(bare.items())[:20]:
            logger.info("%s: %s is stored without its metadata, which cannot be read (%s)", image_set, key, reason)
        logger.info("%s: %d of %d pictures are stored without their metadata", image_set, len(bare), len(rows))
    write_json(output / "manifest.json", manifest)
    logger.info(
        "%s: %d of %d pictures; %s", image_set, len(rows), manifest["requested"], manifest["failures"] or "none failed"
    )
    return manifest


def _write_table(path: Path, table: pa.Table) -> None:
    temporary = path.with_name(f".{path.name}.part")
    pq.write_table(table, temporary)
    temporary.replace(path)
