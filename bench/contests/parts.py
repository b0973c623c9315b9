"""The parts of our training as functions of their own, on the shapes of a job: what `where` and `limit` time alone.

And slices of work in this process, for contests that compare parts of ours with each other: seconds of each.
"""

from collections.abc import Callable
from copy import copy
from time import perf_counter

import gymnasium
import numpy as np

from bench.ours import config_of
from bench.peers.protocol import Job
from kernels.activation import activation_backward, activation_forward
from kernels.advantage import normalize
from kernels.optimizer import clip_by_global_norm, global_norm
from ppo_np import PPO
from ppo_np.environments.make import make_env, make_vector_env
from ppo_np.environments.observed import Observed
from ppo_np.environments.stream import LARGEST, EnvStream
from ppo_np.learning.metrics import Metrics
from ppo_np.learning.policy import Policy
from ppo_np.learning.rollout import RolloutBuffer, flatten_obs
from ppo_np.network.blocks import blocks_of
from ppo_np.network.optimizer import Adam
from ppo_np.network.threads import is_wide

THREADS = (1, 2)


def per_unit(function: Callable[[], int], seconds: float) -> float:
    """Seconds of one of the units that each call tells the number of, over as many calls as fill so many seconds."""
    units, begin = 0, perf_counter()
    while True:
        units += function()
        if perf_counter() - begin >= seconds:
            return (perf_counter() - begin) / units


def per_call(function: Callable[[], object], seconds: float) -> float:
    """Seconds of one call, the mean over as many calls as fill so many seconds."""

    def once() -> int:
        function()
        return 1

    return per_unit(once, seconds)


class Training:
    """A training run that goes on slice by slice; the first update, which may compile, is done at once.

    Attributes:
        ppo: it.
        metrics: those of the updates of the last slice.
    """

    def __init__(self, job: Job):
        self.ppo, self.metrics = PPO(config_of(job)), []
        self.seconds_a_step(0)

    def seconds_a_step(self, seconds: float) -> float:
        """Train for at least so many seconds and one update; seconds of one environment step."""
        self.metrics = []
        steps, begin = self.ppo.global_step, perf_counter()

        def after_update(ppo: PPO, metrics: Metrics) -> None:
            self.metrics.append(metrics)
            if perf_counter() - begin >= seconds:
                ppo.stop()

        self.ppo.learn(after_update)
        return (perf_counter() - begin) / (self.ppo.global_step - steps)


class Stepping:
    """Rollouts with random actions, of our stream of environments and of the environments as Gymnasium makes them."""

    def __init__(self, job: Job):
        config, rng = config_of(job), np.random.default_rng(0)
        self._stream = EnvStream(make_vector_env(config), config.env_timeout).reset(job.seed)
        space = self._stream.envs.single_action_space
        self.policy = Policy(self._stream.envs.single_observation_space, space, config, rng)
        self._obs = np.zeros((job.num_envs, self.policy.observations.size), self.policy.obs_dtype)
        self._actions = rng.integers(space.n, size=(job.num_steps, job.num_envs))
        if job.vectorization == "vector":
            self._raw = [gymnasium.make_vec(job.env_id, job.num_envs, vectorization_mode="vector_entry_point")]
        else:
            self._raw = [make_env(config) for _ in range(job.num_envs)]
        for env in self._raw:
            env.reset(seed=job.seed)

    def stream(self) -> float:
        """Seconds of one rollout of the stream."""
        flatten_obs(self._stream, self.policy, self._obs)
        self._stream.mark(Observed(self._obs))
        begin = perf_counter()
        for actions in self._actions:
            self._stream.step(actions)
        return perf_counter() - begin

    def raw(self) -> float:
        """Seconds of one rollout of the environments alone; of a native vector environment, itself."""
        begin = perf_counter()
        for actions in self._actions:
            if len(self._raw) < len(actions):
                self._raw[0].step(actions)
                continue
            for env, action in zip(self._raw, actions, strict=True):
                _, _, terminated, truncated, _ = env.step(action)
                if terminated or truncated:
                    env.reset()
        return perf_counter() - begin


def threads_of(job: Job, policy: Policy) -> tuple[int, ...]:
    """The numbers of threads to choose from: one, if they are of blocks and not of BLAS."""
    return THREADS if is_wide(config_of(job), policy.observations.size) else THREADS[:1]


def rows_at_once(job: Job, policy: Policy) -> int:
    """Rows of a minibatch that are computed in one piece."""
    wide = is_wide(config_of(job), policy.observations.size)
    return job.minibatch_size if wide else blocks_of(job.minibatch_size)[0][1]


def functions(job: Job, policy: Policy) -> dict[str, Callable[[], object]]:
    """What an update and an inference consist of, on arrays of the run's shapes; by name."""
    config, model, rng = config_of(job), policy.model, np.random.default_rng(0)
    few = policy.workspace(job.num_envs)
    many, gathered = (model.minibatch(n) for n in (rows_at_once(job, policy), job.minibatch_size))
    activations, sampled = model.activations(many.rows), few.activations
    buffer, rows = RolloutBuffer(job.num_steps, job.num_envs, policy), rng.permutation(job.batch_size)
    buffer.obs[:] = rng.standard_normal(buffer.obs.shape)
    buffer.advantages[:] = rng.standard_normal(buffer.advantages.shape)
    few.inputs[:] = buffer.obs[0]
    buffer.gather(rows[: many.rows], policy, many)
    adam, without_layers = Adam(model.params, model.grads, config), copy(model)
    without_layers.forward = without_layers.backward = lambda *_: None
    hidden = [
        (output, gradient)
        for tower in activations.outputs
        for output, gradient in zip(activations.outputs[tower], activations.doutputs[tower], strict=True)
        if output.shape[1] > 1 and output is not activations.policy_outputs
    ]

    def loss() -> None:
        normalize(many.advantages, many.advantages)
        without_layers.loss_and_gradient(many, activations, config)

    def passes() -> None:
        model.forward(many.obs, activations)
        model.backward(many.obs, activations)

    def activation_functions() -> None:
        for output, gradient in hidden:
            activation_forward(output, model.activation)
            activation_backward(gradient, output, model.activation)

    def optimizer() -> None:
        clip_by_global_norm(model.grads, global_norm(model.grads), config.max_grad_norm)
        adam.step(0.0)

    return {
        "act": lambda: model.act(few.inputs, LARGEST, sampled),
        "sample": lambda: sampled.distribution.sample(sampled.policy_outputs, rng),
        "gather": lambda: buffer.gather(rows[: gathered.rows], policy, gathered),
        "loss": loss,
        "passes": passes,
        "activations": activation_functions,
        "optimizer": optimizer,
    }
