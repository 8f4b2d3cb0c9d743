"""Writes what the feature extractor and CLIP learn from: pictures as one array and what people say about each.

Folder: images.npy (uint8 [N, H, W, 3], memory-mapped by readers), captions.jsonl (line i describes picture i) and
manifest.json, written last. A line has "split" and "captions"; the miniature adds "phrases" (one for each object
and one for the background), "list" (all of them in reading order) and "group" (pictures with equal groups share
their colours and are hard negatives of each other).
"""

import argparse
import hashlib
import io
import json
import random
from collections.abc import Iterator, Sequence
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from PIL import Image

from workflow_scripts.command_line import progress, reserve, run_command, write_atomically, write_json
from workflow_scripts.config.world import WorldSettings
from workflow_scripts.miniature import language
from workflow_scripts.miniature.drawing import draw_scene
from workflow_scripts.miniature.scenes import CELLS, Scene, Split, change_cells, change_nouns, generate_scenes

IMAGES = "images.npy"
CAPTIONS = "captions.jsonl"
CHUNK = 250


def corpus_scenes(settings: WorldSettings) -> list[tuple[Scene, int | None]]:
    """Scenes of the corpus with their group: single ones first, then groups, then those for validation."""
    seed = settings.seed + 1000  # the published pictures show other scenes
    size = settings.vision_corpus_group
    groups = round(settings.vision_corpus * settings.vision_corpus_grouped_share) // size if size > 1 else 0
    singles = settings.vision_corpus - groups * size
    scenes: list[tuple[Scene, int | None]] = [(s, None) for s in generate_scenes("train", singles, seed)]
    rng = random.Random(seed)
    for group, first in enumerate(generate_scenes("train", groups, seed + 1, first_id=singles)):
        members = [first]
        while len(members) < size:
            scene_id = singles + groups + group * size + len(members)
            last = len(members) == size - 1 and size > 2
            members.append((change_cells if last else change_nouns)(first, scene_id, rng))
        scenes += [(member, group) for member in members]
    validation: Split = "validation"
    held_out = generate_scenes(validation, settings.vision_corpus_validation, seed, first_id=10_000_000)
    return scenes + [(scene, None) for scene in held_out]


def describe(scene: Scene, group: int | None, rng: random.Random) -> dict[str, object]:
    """The line of captions.jsonl for a scene."""
    phrases = [f"{t.size} {t.colour} {t.noun} {CELLS[t.cell]}" for t in language.reading_order(scene)]
    return {
        "split": scene.split,
        "captions": [*language.captions(scene, rng, 4), language.alt_text(scene, rng)],
        "phrases": [*phrases, scene.background],
        "list": language.whole_list(scene),
        "group": group,
    }


def _draw(job: tuple[Sequence[Scene], int]) -> np.ndarray:
    """Pictures of some scenes after JPEG compression, as the published ones are; uint8 [N, H, W, 3]."""
    scenes, image_size = job
    pictures = np.empty((len(scenes), image_size, image_size, 3), np.uint8)
    for i, scene in enumerate(scenes):
        stream = io.BytesIO()
        draw_scene(scene, image_size).save(stream, "JPEG", quality=90)
        pictures[i] = np.asarray(Image.open(stream))
    return pictures


def _drawn(jobs: list[tuple[Sequence[Scene], int]], processes: int) -> Iterator[np.ndarray]:
    if processes == 1:
        yield from map(_draw, jobs)
    else:
        with Pool(processes) as pool:
            yield from pool.imap(_draw, jobs)


def write_vision_corpus(directory: Path, settings: WorldSettings, processes: int = 1) -> None:
    """Draw and describe the corpus; the same settings give the same files, whatever the number of processes."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "manifest.json").unlink(missing_ok=True)
    scenes = corpus_scenes(settings)
    size = settings.image_size
    pictures = np.lib.format.open_memmap(
        directory / IMAGES, mode="w+", dtype=np.uint8, shape=(len(scenes), size, size, 3)
    )
    reserve(directory / IMAGES)
    jobs = [([s for s, _ in scenes[i : i + CHUNK]], size) for i in range(0, len(scenes), CHUNK)]
    start = 0
    for chunk in progress(_drawn(jobs, processes), len(jobs), "pictures of the vision corpus"):
        pictures[start : start + len(chunk)] = chunk
        start += len(chunk)
    pictures.flush()
    rng = random.Random(settings.seed)
    lines = [json.dumps(describe(scene, group, rng)) for scene, group in scenes]
    write_atomically(directory / CAPTIONS, "\n".join(lines) + "\n")
    write_json(
        directory / "manifest.json",
        {
            "count": len(scenes),
            "sha256": {name: _sha256(directory / name) for name in (IMAGES, CAPTIONS)},
            "seed": settings.seed,
        },
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def main(argv: Sequence[str] | None = None) -> None:
    """Write the corpus of pictures and captions."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--settings", required=True, help="WorldSettings as JSON")
    parser.add_argument("--output", required=True, type=Path, help="folder of the corpus")
    parser.add_argument("--processes", type=int, default=1, help="processes that draw")
    arguments = parser.parse_args(argv)
    settings = WorldSettings.model_validate_json(arguments.settings)
    write_vision_corpus(arguments.output, settings, arguments.processes)


if __name__ == "__main__":
    run_command(main)
