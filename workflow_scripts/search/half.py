"""Half precision to single, several times as fast as numpy's own conversion, which goes number by number."""

import numpy as np

_SIGN_AND_VALUE = np.int32(-0x70002000)  # bit 31, and the 15 bits below bit 28
_EXPONENTS_APART = np.float32(2.0**112)  # the two formats count exponents from 15 and from 127


def single(values: np.ndarray) -> np.ndarray:
    """Finite float16 values as float32, exactly; other types as numpy converts them."""
    if values.dtype != np.float16:
        return np.asarray(values, dtype=np.float32)
    bits = np.ascontiguousarray(values).view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= _SIGN_AND_VALUE
    result = bits.view(np.float32)
    result *= _EXPONENTS_APART
    return result
