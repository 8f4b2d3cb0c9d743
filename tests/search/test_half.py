import numpy as np

from workflow_scripts.search.half import single


def test_every_finite_half_is_converted_as_numpy_does_it():
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)]
    converted = single(finite)
    assert converted.dtype == np.float32
    assert np.array_equal(converted, finite.astype(np.float32))
    assert np.array_equal(np.signbit(converted), np.signbit(finite))


def test_slices_and_other_types_are_converted_too():
    values = np.arange(24, dtype=np.float16).reshape(4, 6)
    assert np.array_equal(single(values[::2, 1::2]), values[::2, 1::2].astype(np.float32))
    assert single(np.arange(3, dtype=np.float64)).dtype == np.float32
