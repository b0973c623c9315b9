"""The number of threads: for the matrix products of wide networks, or for blocks of rows of narrow ones."""

import scipy.linalg.cython_blas  # noqa: F401  the BLAS of the kernels: a limit reaches it only once it is loaded
from threadpoolctl import threadpool_limits

from ppo_np.config import PPOConfig
from ppo_np.distributed.ranks import ALONE, Ranks

WIDE = 256 * 256


def blas_threads(config: PPOConfig, obs_size: int, ranks: Ranks = ALONE) -> int:
    """Threads of BLAS: one if the network is narrow, where a second thread costs more time than it saves."""
    return threads(config, ranks) if is_wide(config, obs_size) else 1


def threads(config: PPOConfig, ranks: Ranks = ALONE) -> int:
    """The number of threads that `config.threads` means: 0 is one for each core of this rank."""
    return config.threads or ranks.cores


def is_wide(config: PPOConfig, obs_size: int) -> bool:
    """Whether the network has a weight matrix of at least 256 x 256 numbers."""
    widths = [obs_size, *config.shared_sizes]
    stacks = ([*widths, *config.policy_sizes], [*widths[-1:], *config.value_sizes])
    return max(i * o for stack in stacks for i, o in zip(stack, [*stack[1:], 1], strict=True)) >= WIDE


def limit_blas_threads(threads: int) -> threadpool_limits:
    """Limit NumPy's and SciPy's BLAS to `threads` threads: for good, or as a context manager until it exits."""
    return threadpool_limits(limits=threads, user_api="blas")
