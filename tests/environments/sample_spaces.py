"""Spaces to draw from, for observations and actions."""

import numpy as np
from gymnasium import spaces
from hypothesis import strategies as st

SHAPES = [(), (1,), (3,), (2, 3), (2, 1, 2)]
INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16]
FLOATS = [np.float16, np.float32, np.float64]


@st.composite
def boxes(draw):
    shape, dtype = draw(st.sampled_from(SHAPES)), draw(st.sampled_from([*FLOATS, *INTEGERS, bool]))
    low, high = (np.full(shape, bound, dtype) for bound in ((0, 1) if dtype is bool else (0, 100)))
    if dtype in FLOATS:
        low[...] = draw(st.sampled_from([-np.inf, -1.5]))
        high[...] = draw(st.sampled_from([np.inf, 2]))
    elif dtype is not bool and draw(st.booleans()):
        low[...], high[...] = np.iinfo(dtype).min, np.iinfo(dtype).max
    return spaces.Box(low, high, dtype=dtype)


@st.composite
def multi_discretes(draw):
    shape = draw(st.sampled_from(SHAPES[1:]))
    counts, start = (
        np.reshape(draw(st.lists(st.integers(*bounds), min_size=12, max_size=12)), -1)[: np.prod(shape)].reshape(shape)
        for bounds in ((1, 5), (-9, 9))
    )
    return spaces.MultiDiscrete(counts, dtype=draw(st.sampled_from([np.int8, np.int64])), start=start)


class Homemade(spaces.Space):
    """A space that Gymnasium cannot flatten."""
