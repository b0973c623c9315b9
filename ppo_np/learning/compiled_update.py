"""The minibatches of an epoch in one kernel call, where nothing has to be done between them."""

from collections.abc import Iterator
from functools import cache, lru_cache, partial
from itertools import pairwise
from typing import Any, Self

import numpy as np
from gymnasium.spaces import Box, Discrete

from kernels import optimizer as optimizer_kernels
from kernels._jit import COMPILED, is_missing
from kernels.loss import LOSS_TERMS
from ppo_np.config import PPOConfig
from ppo_np.learning import minibatches as minibatches_module
from ppo_np.learning.compile_ahead import CompilingProcess
from ppo_np.learning.divergence import LARGEST_NORM, DivergenceCheck
from ppo_np.learning.metrics import MinibatchLosses
from ppo_np.learning.minibatches import MinibatchSlice
from ppo_np.learning.policy import Policy
from ppo_np.learning.rollout_buffer import RolloutBuffer
from ppo_np.learning.update_kernel import KINDS, update_kernel
from ppo_np.network import distributions, optimizer
from ppo_np.network import model as model_module
from ppo_np.network.blocks import BlockedGradient, blocks_of
from ppo_np.network.model import LOG_STD, ActorCritic
from ppo_np.network.optimizer import Adam

Arrays = tuple[Any, ...]
LOSSES = len(LOSS_TERMS)
KERNELS = {
    distributions: ("categorical_forward", "categorical_backward", "gaussian_forward", "gaussian_backward"),
    model_module: ("mlp_forward", "mlp_backward", "ppo_loss_forward", "ppo_loss_backward"),
    optimizer: ("adam", "clip_by_global_norm"),
    optimizer_kernels: ("global_norm",),
    minibatches_module: ("normalize",),
}


class CompiledMinibatches:
    """Does minibatches in one kernel call, with the numbers that the loop in `PPO._update` gives, bit for bit.

    If the gradient of the value's layers is clipped by a norm of its own (`max_grad_norm_value`), neither network needs
    anything of the other one. Then each is trained by a call of its own; with two threads, at the same time. Only the
    norm of both together, which the metrics show, can then have another last bit. Otherwise several threads can share
    the blocks of a large minibatch: then there are some calls for each minibatch.

    Args:
        policy, buffer, gradient, optimizer, divergence: with which the loop would do them. With several threads,
            another process compiles the kernel, if it is not in the cache.
    """

    def __init__(
        self, policy: Policy, buffer: RolloutBuffer, gradient: BlockedGradient, optimizer: Adam,
        divergence: DivergenceCheck,
    ):  # fmt: skip
        self._model, self._buffer, self._optimizer, self._gradient = policy.model, buffer, optimizer, gradient
        self._functions = partial(_functions, buffer, gradient, policy.model, optimizer, divergence)
        kind = policy.model.head.kind.__name__
        self._kernel = update_kernel(kind)
        ahead = gradient.threads > 1 and is_missing(self._kernel)
        self._compiling = _compiling(kind) if ahead else None
        self._largest = 0  # rows of a minibatch, for which there are arrays
        self._gathered: tuple[np.ndarray, ...] = (np.zeros(0),)
        self._arrays: dict[tuple[str, int], Arrays] = {}  # by part and thread

    @classmethod
    def of(
        cls, policy: Policy, buffer: RolloutBuffer, gradient: BlockedGradient, optimizer: Adam,
        divergence: DivergenceCheck,
    ) -> Self | None:  # fmt: skip
        """None if no kernel can do it: for some networks, distributions and observations, and with several ranks."""
        model = policy.model
        known = COMPILED and model.separate and model.head.kind.__name__ in KINDS and not model.head.masked
        alone = type(gradient) is BlockedGradient  # not a part of a sum over ranks
        if not (known and alone and not gradient.wide and buffer.obs.dtype == model.dtype):
            return None
        return cls(policy, buffer, gradient, optimizer, divergence)

    def do(self, minibatches: list[MinibatchSlice], config: PPOConfig, losses: MinibatchLosses) -> int:
        """Do the first minibatches of an epoch, up to one that cannot be done without a closer look.

        Does nothing with `bc_coef`; with `value_learning_rate`, but without `max_grad_norm_value`; or if a function
        that the loop calls has been replaced by another one: in a lesson, to plant a bug, or in your own code.

        Returns how many are done.
        """
        sizes = [len(part.indices) for part in minibatches]
        most = max(sizes, default=0)
        plain = (config.value_learning_rate is None or config.max_grad_norm_value is not None) and not config.bc_coef
        if not (sizes and plain and self._functions() == ORIGINAL):
            return 0
        self._allocate(sum(sizes), most)
        self._gather(minibatches)
        if self._compiling:
            self._compiling.wait()
        blocks = len(_table(tuple(sizes))[2])
        results = np.zeros((blocks, LOSSES)), np.zeros((len(sizes), LOSSES)), np.zeros(len(sizes))
        if config.max_grad_norm_value is not None:
            done = self._in_two(minibatches, config, results)
        elif self._gradient.threads_for(most) > 1:
            done = self._in_blocks(sizes, config, results)
        else:
            done = self._call("all", sizes, config, results)
        self._optimizer.steps += done
        for number in range(done):
            losses.add(results[1][number], results[2][number])
        return done

    def compile(self, config: PPOConfig) -> None:
        """Compile the kernel, and do nothing else."""
        self._allocate(1, 1)
        results = np.zeros((1, LOSSES)), np.zeros((1, LOSSES)), np.zeros(1)
        self._kernel((0, 0, 0, 0, False, False), *self._arguments("all", [1], config, results))

    def _in_blocks(self, sizes: list[int], config: PPOConfig, results: Arrays) -> int:
        """As `_call` with all parameters; the blocks of a minibatch are shared by several threads."""
        threads, block_ends = self._gradient.threads, _table(tuple(sizes))[1].tolist()
        arguments = [self._arguments("all", sizes, config, results, thread) for thread in range(threads)]
        done: list[bool] = []

        def work(thread: int, todo: tuple[Any, ...]) -> None:
            done.append(self._kernel(todo, *arguments[thread]) == todo[1])

        for number, (first, end) in enumerate(pairwise(block_ends)):
            this = number, number + 1
            work(0, (*this, first, first, True, False))  # normalises the advantages
            shares = [(*this, *blocks, False, False) for blocks in _shares(first, end, threads)]
            self._gradient.on_threads(work, shares, threads)
            if all(done):
                work(0, (*this, end, end, False, True))  # steps
            if not all(done):
                return number
        return len(sizes)

    def _in_two(self, minibatches: list[MinibatchSlice], config: PPOConfig, results: Arrays) -> int:
        """Train policy and value one by one, or on two threads; otherwise as `_call` with all parameters."""
        adam, sizes, (_, terms, norms) = self._optimizer, [len(part.indices) for part in minibatches], results
        flats = self._model.params, adam.m, adam.v
        before = [flat.copy() for flat in flats]
        of_value = tuple(array.copy() for array in results)
        ends: list[int] = []

        def train(_: int, part: tuple[str, Arrays]) -> None:
            name, own_results = part
            ends.append(self._call(name, sizes, config, own_results))

        self._gradient.on_threads(train, [("policy", results), ("value", of_value)], self._gradient.threads)
        done = min(ends)
        terms += of_value[1]
        norms[:] = np.hypot(norms, of_value[2])
        largest = max(config.max_grad_norm, config.max_grad_norm_value or 0)
        too_large = np.flatnonzero(np.minimum(norms[:done], largest) > LARGEST_NORM)
        done = int(too_large[0]) if len(too_large) else done
        if done < len(minibatches):  # one of the two has gone on: do it again up to there
            for flat, old in zip(flats, before, strict=True):
                flat[:] = old
            self._gather(minibatches)  # the advantages were normalised in place
            if done:
                self._in_two(minibatches[:done], config, (results[0], terms[:done], norms[:done]))
        return done

    def _gather(self, minibatches: list[MinibatchSlice]) -> None:
        """Copy the rows of all minibatches, one minibatch after the other."""
        order = np.concatenate([part.indices for part in minibatches])
        buffer = self._buffer
        sources = buffer.obs, buffer.actions, *buffer.loss_inputs
        for source, target in zip(sources, self._gathered, strict=True):
            source.reshape(-1, *source.shape[2:]).take(order, 0, target[: len(order)], "clip")

    def _call(self, part: str, sizes: list[int], config: PPOConfig, results: Arrays) -> int:
        """Do minibatches of "all" parameters, or those of the "policy" or the "value"; returns how many are done."""
        todo = 0, len(sizes), 0, len(results[0]), True, True
        return self._kernel(todo, *self._arguments(part, sizes, config, results))

    def _arguments(self, part: str, sizes: list[int], config: PPOConfig, results: Arrays, thread: int = 0) -> Arrays:
        """The arguments of the kernel after the first one."""
        network, own, work = self._arrays[part, thread]
        adam, rate, max_norm = self._optimizer, config.learning_rate, config.max_grad_norm
        if part == "value":
            rate = rate if config.value_learning_rate is None else config.value_learning_rate
            max_norm = config.max_grad_norm_value or max_norm  # it is > 0
        coefficients = map(float, (config.clip_coef, config.ent_coef, config.vf_coef))
        return (
            *_table(tuple(sizes)), (*self._gathered, config.norm_adv), network,
            own, work, (*coefficients, config.clip_vloss, float(config.value_clip)), (float(max_norm), LARGEST_NORM),
            (adam.m, adam.v, adam.steps, float(rate), *map(float, adam.constants)),
            results,
        )  # fmt: skip

    def _allocate(self, rows: int, largest: int) -> None:
        """Make the arrays for minibatches with so many rows in all and in the largest, if there are none."""
        if rows <= len(self._gathered[0]) and largest <= self._largest:
            return
        self._largest = largest
        gathered = self._model.minibatch(rows)
        self._gathered = gathered.obs, gathered.actions, *gathered.loss_inputs
        block_grads = np.zeros((len(blocks_of(largest)), self._model.params.size), self._model.dtype)
        parts = [("policy", 0), ("value", 0), *(("all", thread) for thread in range(self._gradient.threads))]
        self._arrays = {(part, thread): self._arrays_for(part, block_grads) for part, thread in parts}

    def _arrays_for(self, part: str, block_grads: np.ndarray) -> Arrays:
        """The arguments network, part and work of the kernel."""
        model, size = self._model, self._model.params.size
        most = max(rows for _, rows in blocks_of(self._largest))
        scratch, dscratch = np.zeros((2, most * model.scratch_size), model.dtype)
        outputs = np.zeros((3, most, model.head.outputs), model.dtype)
        log_std = model.named(np.arange(size))[LOG_STD][0] if model.head.has_log_std else 0
        layers, own = {
            "all": (model.layers, (0, size, True, True)),
            "policy": (model.policy_layers, (0, model.value_start, True, False)),
            "value": (model.value_layers, (model.value_start, size, False, True)),
        }[part]
        return (
            (model.params, model.grads, block_grads, layers, model.activation, int(log_std)),
            own,
            (scratch, dscratch, *outputs, *np.zeros((7, most), model.dtype)),
        )  # fmt: skip


@cache
def _compiling(kind: str) -> CompilingProcess:
    """The process that compiles the kernel of a distribution; this process starts one at most once."""
    return CompilingProcess(compile_update, kind)


def compile_update(kind: str) -> None:
    """Compile the update kernel of a distribution, a key of `KINDS`, with arrays of the types that every run has."""
    config = PPOConfig(shared_sizes=(), policy_sizes=(1,), value_sizes=(1,))
    box = Box(-1, 1, (1,))
    policy = Policy(box, Discrete(2) if kind == "Categorical" else box, config, None)
    model, buffer = policy.model, RolloutBuffer(1, 1, policy)
    adam = Adam(model.params, model.grads, config, model.value_start)
    gradient = BlockedGradient(model, 1, wide=False)
    CompiledMinibatches(policy, buffer, gradient, adam, None).compile(config)  # type: ignore[arg-type]


@lru_cache(16)
def _table(sizes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """The arguments ends, block_ends, blocks and shares of the kernel, for minibatches of so many rows."""
    blocks = [(number, start, start + rows) for number, size in enumerate(sizes) for start, rows in blocks_of(size)]
    shares = [(end - start) / sizes[number] for number, start, end in blocks]
    block_ends = np.cumsum([0, *(len(blocks_of(size)) for size in sizes)])
    return np.cumsum([0, *sizes]), block_ends, np.array(blocks)[:, 1:].copy(), np.array(shares)


def _shares(first: int, end: int, threads: int) -> Iterator[tuple[int, int]]:
    """Divide blocks among threads: smaller and smaller shares, so that all threads end at about the same time."""
    while first < end:
        blocks = max(1, (end - first) // (2 * threads))
        yield first, first + blocks
        first += blocks


def _functions(
    buffer: RolloutBuffer, gradient: BlockedGradient, model: ActorCritic, adam: Adam, divergence: DivergenceCheck
) -> list[Any]:
    """The functions with which the loop in `PPO._update` does a minibatch, as they are now."""
    methods = (
        buffer.minibatch, buffer.gather, gradient.loss_and_gradient, model.loss_and_gradient, model.loss,
        model.forward, model.backward, adam.step, divergence.check_minibatch,
    )  # fmt: skip
    named = [getattr(module, name) for module, names in KERNELS.items() for name in names]
    return [getattr(method, "__func__", method) for method in methods] + named


ORIGINAL = _functions(RolloutBuffer, BlockedGradient, ActorCritic, Adam, DivergenceCheck)  # type: ignore[arg-type]
