"""BLAS threads: chosen by the size of the network, and really limited."""

import os

import pytest
from threadpoolctl import threadpool_info

from ppo_np.config import PPOConfig
from ppo_np.network.threads import blas_threads, limit_blas_threads

CORES = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("sizes", "obs_size", "expected"),
    [
        ({"shared_sizes": (1024, 1024)}, 8, CORES),
        ({"shared_sizes": (), "policy_sizes": (64, 64), "value_sizes": (64, 64)}, 8, 1),
        ({"shared_sizes": (64,), "policy_sizes": (), "value_sizes": (1024, 1024)}, 8, CORES),
        ({"shared_sizes": (256,), "policy_sizes": (256,), "value_sizes": ()}, 8, CORES),
        ({"shared_sizes": (1024,)}, 8, 1),
        ({"shared_sizes": (1024,)}, 400, CORES),
        ({"shared_sizes": ()}, 400, 1),
        ({"shared_sizes": (8,), "threads": 3}, 8, 1),
        ({"shared_sizes": (512, 512), "threads": 3}, 8, 3),
    ],
)
def test_threads_follow_the_widest_layer(sizes, obs_size, expected):
    assert blas_threads(PPOConfig(**sizes), obs_size) == expected


def test_the_limit_holds_for_numpy_and_for_the_kernels_and_ends():
    def limits():
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    before = limits()
    with limit_blas_threads(1):
        assert len(limits()) == 2, "NumPy's BLAS and SciPy's"
        assert limits() == [1, 1]
    assert limits() == before
