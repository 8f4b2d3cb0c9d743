"""Put LAVIS's published BLIP-2 files together as a feature extractor: their names, and the sizes that they fit."""

import argparse
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.command_line import run_command, write_atomically
from workflow_scripts.config.vision import QformerGeometry
from workflow_scripts.sources.transfer import sha256_of

# Published name, and the name under which a feature extractor is loaded.
NAMES = {"blip2_pretrained.pth": "blip2_qformer.pth", "eva_vit_g.pth": "vision_encoder.pth", "vocab.txt": "vocab.txt"}


def assemble(fetched: Path, geometry: QformerGeometry, output: Path) -> None:
    """Link the fetched files into a folder under the names of a feature extractor, with config.json and SHA256SUMS.

    Raises ValueError where a file is missing or is another than SHA256SUMS of the fetched folder says.
    """
    listed = {}
    for line in (fetched / "SHA256SUMS").read_text(encoding="utf-8").split("\n"):
        digest, _, name = line.partition("  ")
        listed[name] = digest
    missing = [name for name in NAMES if name not in listed or not (fetched / name).is_file()]
    if missing:
        raise ValueError(f"{fetched} lacks {', '.join(missing)}; fetch the feature extractor again.")
    output.mkdir(parents=True, exist_ok=True)
    for name, target in NAMES.items():
        path, temporary = output / target, output / f".{target}.part"
        temporary.unlink(missing_ok=True)
        try:
            os.link(fetched / name, temporary)
        except OSError:  # another file system, or one without links
            shutil.copyfile(fetched / name, temporary)
        found = sha256_of(temporary)
        if found != listed[name]:
            raise ValueError(
                f"{fetched / name} has the checksum {found}, but {listed[name]} was fetched; fetch it again."
            )
        temporary.replace(path)
    write_atomically(output / "config.json", json.dumps(geometry.model_dump(), indent=1) + "\n")
    sums = {target: listed[name] for name, target in NAMES.items()} | {"config.json": sha256_of(output / "config.json")}
    write_atomically(output / "SHA256SUMS", "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())))


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--fetched DIR --geometry JSON(QformerGeometry) --output DIR`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fetched", type=Path, required=True, help="folder of the files as LAVIS publishes them")
    parser.add_argument("--geometry", type=QformerGeometry.model_validate_json, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args(argv)
    assemble(arguments.fetched, arguments.geometry, arguments.output)


if __name__ == "__main__":
    run_command(main)
