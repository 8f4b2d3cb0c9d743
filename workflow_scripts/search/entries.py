"""A picture on its way into an index."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Entry:
    """One picture: its line of the index, thumbnail and projection [Q, P] float16, from wherever that comes."""

    item: dict[str, Any]
    thumbnail: bytes
    projection: np.ndarray | None = None
