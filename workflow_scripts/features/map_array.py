"""Map an array of a store into memory."""

from pathlib import Path

import numpy as np


def map_array(path: Path, shape: tuple[int, ...], again: str) -> np.ndarray:
    """Map a `.npy` file that a manifest lists; one that is missing, damaged or of another shape is a ValueError.

    Args:
        again: what makes the file anew, for the message.
    """
    try:
        array = np.load(path, mmap_mode="r")
    except FileNotFoundError:
        raise ValueError(f"{path} is missing although the manifest lists it; {again}.") from None
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path} is damaged ({error}); {again}.") from error
    if array.shape != shape:
        raise ValueError(f"{path} has shape {array.shape}, not {shape}; {again}.")
    return array
