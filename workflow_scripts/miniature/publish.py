"""Publish a generated world in the real data sets' formats, as a web that is one folder a host."""

import argparse
import hashlib
import io
import json
import logging
import multiprocessing
import random
import shutil
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from workflow_scripts.catalogue.load import load_catalogue
from workflow_scripts.command_line import progress, run_command, write_atomically, write_json
from workflow_scripts.config.world import WorldSettings
from workflow_scripts.miniature import language, publish_coco, publish_genome
from workflow_scripts.miniature.drawing import draw_scene
from workflow_scripts.miniature.faults import draw_faults, faults_file, published_url
from workflow_scripts.miniature.odd_packaging import downloaded_twice, packed_on_a_mac
from workflow_scripts.miniature.web import HTML
from workflow_scripts.miniature.world_parts import Oddity, Picture, dump, pictures, write

logger = logging.getLogger("publish")

JPEG_QUALITY = 92
ROTATED_90_CLOCKWISE = 6
Files = dict[str, dict[str, bytes]]
"""Content by data set and published file name."""


def encode(image: Image.Image, oddity: Oddity | None) -> bytes:
    """Encode a picture as JPEG, or as one of the oddities that go by that name on the web."""
    stream = io.BytesIO()
    if oddity == "gif":
        image.quantize(128).save(stream, "GIF")
    elif oddity == "exif_rotated":
        exif = Image.Exif()
        exif[0x0112] = ROTATED_90_CLOCKWISE
        # The camera was held sideways: the pixels lie on their side and the note says how to turn them.
        image.transpose(Image.Transpose.ROTATE_90).save(stream, "JPEG", quality=JPEG_QUALITY, exif=exif)
    else:
        mode = {"greyscale": "L", "cmyk": "CMYK"}.get(oddity or "", "RGB")
        image.convert(mode).save(stream, "JPEG", quality=JPEG_QUALITY)
    return stream.getvalue()


def _draw(task: tuple[Picture, int]) -> bytes:
    picture, size = task
    return encode(draw_scene(picture.scene, size), picture.oddity)


def draw_all(items: Sequence[Picture], size: int, processes: int) -> Iterator[tuple[Picture, bytes]]:
    """Yield every picture with its file, in order."""
    tasks = [(picture, size) for picture in items]
    if processes == 1:
        drawn = map(_draw, tasks)
        yield from zip(items, progress(drawn, len(tasks), "draw pictures"), strict=True)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        drawn = pool.imap(_draw, tasks, chunksize=64)
        yield from zip(items, progress(drawn, len(tasks), "draw pictures"), strict=True)


def write_annotations(by_set: dict[str, list[Picture]], faults: dict[str, str], settings: WorldSettings) -> Files:
    """Write all annotation files but those that ship pictures."""
    size = settings.image_size

    def rng(name: str) -> random.Random:
        return random.Random(f"{name} {settings.seed}")

    refs, instances = publish_coco.refcoco_files(by_set["coco_train2014"], size, rng("refcoco"))
    in_training = [picture for picture in by_set["coco_train2014"] if picture.scene.split == "train"]
    train_questions, train_answers = publish_coco.okvqa_json(in_training, "train2014", rng("okvqa train"))
    val_questions, val_answers = publish_coco.okvqa_json(by_set["coco_val2014"], "val2014", rng("okvqa val"))
    coco_train = publish_coco.captions_json(by_set["coco_train2017"], size, rng("coco train"), odd=True)
    coco_val = publish_coco.captions_json(by_set["coco_val2017"], size, rng("coco val"), odd=False)
    genome = by_set["visual_genome"]
    return {
        "coco_annotations_2017": {
            "annotations_trainval2017.zip": zipped(
                {
                    "annotations/captions_train2017.json": coco_train,
                    "annotations/captions_val2017.json": coco_val,
                }
            )
        },
        "conceptual_captions": {
            "Train_GCC-training.tsv": _tsv(by_set["conceptual_captions"], faults, rng("conceptual captions"))
        },
        "visual_genome": {
            "image_data.json.zip": zipped({"image_data.json": publish_genome.image_data(genome, size)}),
            "question_answers.json.zip": zipped(
                {"question_answers.json": publish_genome.question_answers(genome, rng("questions"))}
            ),
            "relationships.json.zip": zipped(
                {"relationships.json": publish_genome.relationships(genome, size, rng("relationships"))}
            ),
        },
        "okvqa": {
            f"{name}.zip": zipped({name: content})
            for name, content in {
                "OpenEnded_mscoco_train2014_questions.json": train_questions,
                "mscoco_train2014_annotations.json": train_answers,
                "OpenEnded_mscoco_val2014_questions.json": val_questions,
                "mscoco_val2014_annotations.json": val_answers,
            }.items()
        },
        "refcoco": {
            "refcoco.zip": zipped(packed_on_a_mac({"refcoco/instances.json": instances, "refcoco/refs(unc).p": refs}))
        },
        "miniature_extras": {
            "captions_retrieval_validation.json": publish_coco.captions_json(
                by_set["retrieval_validation"], size, rng("retrieval validation"), odd=False
            ),
            "captions_colour_matched.json": publish_coco.colour_matched_json(
                by_set["colour_matched"], size, settings.seed
            ),
            "splits.json": dump(_splits(by_set)),
        },
    }


def _tsv(items: Sequence[Picture], faults: dict[str, str], rng: random.Random) -> bytes:
    """Conceptual Captions' table: tokenised captions, a tab, a URL; a line number is a picture's id."""
    lines = []
    for picture in items:
        text = language.alt_text(picture.scene, rng).replace(",", " ,")
        if rng.random() < 0.15:
            text += rng.choice((" .", " !", " ..."))
        lines.append(f"{text}\t{published_url(picture, faults.get(picture.id))}\n")
    lines.append("a line that lost its tab http://photos.example-00.net/lost.jpg\n")
    return "".join(lines).encode()


def _splits(by_set: dict[str, list[Picture]]) -> dict[str, dict[str, list[str]]]:
    splits: dict[str, dict[str, list[str]]] = {}
    for image_set in ("visual_genome", "coco_val2014"):
        for picture in by_set[image_set]:
            splits.setdefault(image_set, {}).setdefault(picture.scene.split, []).append(picture.id)
    return splits


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Pack files; the same content gives the same bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, date_time=(2020, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            archive.writestr(info, content, compress_type=compression, compresslevel=3)
    return stream.getvalue()


def _odd_servers(web: Path) -> dict[str, str]:
    """How some annotation files are served, by their address: one breaks off, one has moved, one knows no ranges."""
    sources = {"coco_annotations_2017": "cut_off_once", "visual_genome": "moved", "refcoco": "no_ranges"}
    urls = {load_catalogue().source(name).files[0].url: fault for name, fault in sources.items()}
    for url, fault in urls.items():
        if fault == "moved":
            parts = urlsplit(url)
            there = (web / parts.netloc / parts.path.lstrip("/")).read_bytes()
            write(web / f"moved.{parts.netloc}" / parts.path.lstrip("/"), there)
    page = urlsplit(load_catalogue().source("conceptual_captions").files[0].archive_url)
    write(web / page.netloc / page.path.lstrip("/"), HTML)
    return urls


def publish(settings: WorldSettings, output: Path, processes: int) -> dict[str, Any]:
    """Write web/, faults.json, checksums.json and scenes.jsonl of a world; returns what published.json says."""
    items = pictures(settings)
    by_set: dict[str, list[Picture]] = {}
    for picture in items:
        by_set.setdefault(picture.image_set, []).append(picture)
    rng = random.Random(f"faults {settings.seed}")
    faults = draw_faults(by_set["conceptual_captions"], settings.dead_link_share, rng)
    files = write_annotations(by_set, faults, settings)
    web, building = output / "web", output / ".web"
    for folder in (web, building):
        if folder.exists():
            shutil.rmtree(folder)
    shipped = {
        "cc_sbu_align/filter_cap.json": publish_genome.filter_cap(by_set["minigpt4"], random.Random(settings.seed))
    }
    for picture, content in draw_all(items, settings.image_size, processes):
        if not picture.host:
            shipped[picture.path] = content
        elif picture.image_set != "conceptual_captions" or faults.get(picture.id) not in ("404", "410", "no_route"):
            write(building / picture.host / picture.path, content)
    last = list(shipped)[-1]
    shipped = packed_on_a_mac(downloaded_twice(shipped, last))
    files["minigpt4"] = {"cc_sbu_align.zip": zipped(shipped, zipfile.ZIP_STORED)}
    checksums = {}
    for data_set, contents in files.items():
        for entry in load_catalogue().source(data_set).files:
            parts = urlsplit(entry.url)
            write(building / parts.netloc / parts.path.lstrip("/"), contents[entry.name])
            checksums[entry.url] = hashlib.sha256(contents[entry.name]).hexdigest()
    write_json(output / "faults.json", faults_file(by_set["conceptual_captions"], faults, _odd_servers(building)))
    write_json(output / "checksums.json", checksums)
    write_atomically(output / "scenes.jsonl", "".join(json.dumps(picture.record()) + "\n" for picture in items))
    building.rename(web)
    return {
        "settings": settings.model_dump(),
        "pictures": {name: len(members) for name, members in by_set.items()},
        "faults": dict(sorted(Counter(faults.values()).items())),
        "files": checksums,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--settings JSON(WorldSettings) --output DIR [--processes N]`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", default="{}", help="JSON of WorldSettings")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=1, help="processes that draw")
    arguments = parser.parse_args(argv)
    settings = WorldSettings.model_validate_json(arguments.settings)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "published.json").unlink(missing_ok=True)
    published = publish(settings, arguments.output, arguments.processes)
    write_json(arguments.output / "published.json", published)
    logger.info("%d pictures in %d image sets", sum(published["pictures"].values()), len(published["pictures"]))


if __name__ == "__main__":
    run_command(main)
