"""What a feature extractor's weights are known by, in feature stores and indices."""

import hashlib
from pathlib import Path

from workflow_scripts.identity import sha256_of_file


def extractor_sha256(folder: Path) -> str:
    """Checksum of an extractor's checkpoint, or over those of its two files where the vision encoder has its own.

    Taken from its SHA256SUMS where it has one, since a full checkpoint has gigabytes; ValueError where it has none.
    """
    checkpoints = sorted(Path(folder).glob("*.pth"))
    if not checkpoints:
        raise ValueError(f"{folder} holds no checkpoint (*.pth); give the folder of a feature extractor.")
    listed = {}
    sums = Path(folder) / "SHA256SUMS"
    if sums.exists():
        for line in sums.read_text(encoding="utf-8").split("\n"):
            digest, _, name = line.partition(" ")
            listed[name.strip(" *").removeprefix("./")] = digest
    digests = [listed.get(path.name) or sha256_of_file(path) for path in checkpoints]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
