"""What defines a run, as twelve hexadecimal digits."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces, so that equal values have equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def run_id(definition: Mapping[str, Any]) -> str:
    """First 12 hex digits of the sha256 of the canonical JSON of all that defines a run."""
    return hashlib.sha256(canonical_json(definition).encode()).hexdigest()[:12]


def sha256_of_file(path: Path) -> str:
    """Hexadecimal sha256 of a file's bytes, read in blocks."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
