"""Map an array of a store into memory."""

import mmap
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


def read_ahead(array: np.ndarray, rows: np.ndarray) -> None:
    """Let the system fetch rows of a mapped array side by side, before they are looked at one after the other.

    A row that is looked at without this is waited for alone, and brings what the disk is set to read around it: eight
    megabytes on some, where the query output of a picture has 48 kilobytes.
    """
    assert isinstance(array, np.memmap), "only mapped arrays are read from a disk"
    mapped = array.base
    assert isinstance(mapped, mmap.mmap), "a part of a mapped array has another beginning"
    size = array.strides[0]
    for begin in (array.offset + rows * size).tolist():
        page = begin - begin % mmap.PAGESIZE
        mapped.madvise(mmap.MADV_WILLNEED, page, begin + size - page)
