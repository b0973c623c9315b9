"""What benchmarks say beside times: named shapes, work and its rate, compile time; and when torch and JAX appear."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import needs_jit

sys.path.append(str(Path(__file__).parent.parent / "bench"))
import rivals
import work
from agreement import assert_agree
from first import first_call
from shapes import every_shape

from kernels._jit import kernel


def test_shapes_have_names_and_come_once():
    named = every_shape("7x7", of=lambda rows, width: (rows, 8)).args[1]
    assert [(one.id, one.values) for one in named[:-1]] == [
        ("tiny-4x8", ("4x8",)), ("rollout-64x8", ("64x8",)), ("minibatch-128x8", ("128x8",)),
    ]  # fmt: skip
    assert named[-1] == "7x7"
    assert [one.id for one in every_shape().args[1]] == [
        "tiny-4x64", "rollout-64x64", "minibatch-128x64", "wide-128x1024",
    ]  # fmt: skip


def test_bytes_are_those_of_all_arrays():
    x = np.zeros((3, 5), np.float32)
    assert work.bytes_of((x, (x, x), 0.5, True, np.zeros(2))) == 3 * 60 + 16


def test_a_rate_is_work_by_time_and_by_the_peak(monkeypatch):
    monkeypatch.setattr(work, "peak", {"flop": 2e9, "bytes": 8e9}.get)
    assert work.rate("flop", 3e6, 0.001) == {"flop": 3e6, "GFLOP/s": 3, "share_of_peak": 1.5}
    assert work.rate("bytes", 1e6, 0.001) == {"bytes": 1e6, "GB/s": 1, "share_of_peak": 0.125}


def test_peaks_are_those_of_a_computer(monkeypatch):
    monkeypatch.setattr(work, "SGEMM_SIZE", 64)
    monkeypatch.setattr(work, "STREAM_BYTES", 2**20)
    work.peak.cache_clear()
    try:
        assert 1e7 < work.peak("flop") < 1e14 and 1e7 < work.peak("bytes") < 1e14
    finally:
        work.peak.cache_clear()


@needs_jit
def test_compile_time_is_told_for_the_first_call_with_these_types(tmp_path):
    @kernel
    def twice(x):
        for i in range(len(x)):
            x[i] *= 2

    single, double = np.ones(3, np.float32), np.ones(3)
    _, first = first_call(twice, (single,))
    assert first["compile_cache"] in ("cold", "warm") and first["compile_seconds"] > 0
    assert first_call(twice, (single,)) == (None, first)
    assert first_call(twice, (double,))[1] != first
    np.testing.assert_array_equal(single, 4)


def test_what_is_not_compiled_has_no_compile_time():
    assert first_call(len, ([1, 2],)) == (2, {})


def test_arrays_that_differ_do_not_agree():
    assert_agree((None, np.ones(3)), (None, np.ones(3)))
    for other in (np.ones(3) * 1.001, np.ones(4), (1, 2)):
        with pytest.raises((AssertionError, ValueError, TypeError)):
            assert_agree(np.ones(3), other)


def rival(monkeypatch, doubled):
    """A rival with one version, which leaves so many times its argument."""

    def twice(x, y):
        return (x * doubled,)

    def bound(version, arguments):
        return lambda: version(*arguments)

    module = SimpleNamespace(twice=twice, bound=bound, WRITTEN={"twice": (1,)})
    monkeypatch.setattr(rivals, "RIVALS", ("peer",))
    monkeypatch.setattr(rivals, "versions", lambda name: module)
    return module


def test_a_rival_appears_where_it_has_a_version(monkeypatch):
    rival(monkeypatch, 2)
    assert rivals.rivals_of("twice") == ["peer"] and rivals.rivals_of("thrice") == []
    monkeypatch.setattr(rivals, "RIVALS", ())
    assert rivals.rivals_of("twice") == []


def test_a_rival_with_other_numbers_is_found_out(monkeypatch):
    x, y = np.ones(3), np.zeros(3)
    rival(monkeypatch, 2)
    rivals.check("peer", "twice", (x, y), (x, 2 * x), None)
    rival(monkeypatch, 2.001)
    with pytest.raises(AssertionError):
        rivals.check("peer", "twice", (x, y), (x, 2 * x), None)


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_the_versions_of_installed_rivals_leave_what_numpy_leaves(name):
    if name not in rivals.RIVALS:
        pytest.skip(f"{name} is not installed")
    h = np.linspace(-3, 3, 20, dtype=np.float32).reshape(4, 5)
    assert "tanh_forward" in rivals.versions(name).__dict__ and rivals.rivals_of("tanh_forward")
    rivals.check(name, "tanh_forward", (h,), (np.tanh(h),), None)
    rivals.check(name, "global_norm", (h.reshape(-1),), (), np.linalg.norm(h))
    assert rivals.ready(name, "tanh_forward", (h,))() is not None
