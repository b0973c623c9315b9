"""What the kernels' tests share: Hypothesis' profile, what to draw from, and one way to call a kernel."""

import copy
import signal

import numba
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st

settings.register_profile("ppo_np", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("ppo_np")

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 5)

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
needs_jit = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="a property of compiled code")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With `-n`, each file goes to one process, so that its fixtures are made once."""
    from xdist.scheduler import LoadFileScheduling

    return LoadFileScheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def signals_as_in_a_terminal():
    """A shell that starts the tests in the background, or `nohup`, has let them ignore these."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


JUST_BELOW_1 = np.nextafter(1.0, 0.0)


def garbage(shape, dtype):
    """An array with nothing sensible in it: NaN, or -7 where integers are asked for."""
    return np.full(shape, np.nan if np.issubdtype(dtype, np.floating) else -7, dtype)


def garbage_like(array):
    return garbage(array.shape, array.dtype)


def run(kernel, inputs, *outputs):
    """Call kernel(*inputs, *outputs) and return its outputs, one alone or a tuple; fail if it changed an input.

    Give it garbage for outputs: whatever the kernel leaves unwritten, or adds to, then shows in the result.
    """
    before = copy.deepcopy(inputs)
    kernel(*inputs, *outputs)
    np.testing.assert_equal(inputs, before)
    return outputs[0] if len(outputs) == 1 else outputs


def single(*arrays):
    """The arrays rounded to float32."""
    return tuple(array.astype(np.float32) for array in arrays)


def assert_close(actual, expected, tolerance=1e-12):
    """Agreement to `tolerance`, relative for numbers above 1 and absolute below."""
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)
