"""The parts of our training as functions of their own, on the shapes of a job: what `where` and `limit` time alone."""

from collections.abc import Callable
from time import perf_counter

import gymnasium
import numpy as np

from bench.ours import config_of
from bench.peers.protocol import Job
from kernels import (
    activation_backward,
    activation_forward,
    adam,
    clip_by_global_norm,
    global_norm,
    normalize,
    ppo_loss_backward,
    ppo_loss_forward,
)
from ppo_np.batch import Batch
from ppo_np.blocks import blocks_of
from ppo_np.config import PPOConfig
from ppo_np.envs import make_env, make_vector_env
from ppo_np.policy import Policy
from ppo_np.rollout import RolloutBuffer, flatten_obs
from ppo_np.stream import LARGEST, EnvStream
from ppo_np.threads import is_wide

THREADS = (1, 2)


class Stepping:
    """Rollouts with random actions, of our stream of environments and of the environments as Gymnasium makes them."""

    def __init__(self, job: Job):
        config = config_of(job)
        self._stream = EnvStream(make_vector_env(config), config.env_timeout).reset(job.seed)
        space = self._stream.envs.single_action_space
        self.policy = Policy(self._stream.envs.single_observation_space, space, config, np.random.default_rng(0))
        self._obs = np.zeros((job.num_envs, self.policy.observations.size), self.policy.obs_dtype)
        self._actions = np.random.default_rng(0).integers(space.n, size=(job.num_steps, job.num_envs))
        if job.vectorization == "vector":
            self._raw = [gymnasium.make_vec(job.env_id, job.num_envs, vectorization_mode="vector_entry_point")]
        else:
            self._raw = [make_env(job.env_id) for _ in range(job.num_envs)]
        for env in self._raw:
            env.reset(seed=job.seed)

    def stream(self) -> float:
        """Seconds of one rollout of the stream."""
        flatten_obs(self._stream, self.policy, self._obs)
        self._stream.mark(self._obs)
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


def loss(batch: Batch, config: PPOConfig) -> None:
    """From the network's outputs to their gradients, as in `ActorCritic.loss_and_gradient`."""
    pi = batch.distribution
    normalize(batch.advantages, batch.advantages)
    pi.forward(batch.pi_out, batch.actions)
    given = batch.values, *batch.loss_inputs, config.clip_coef, config.ent_coef, config.vf_coef, config.clip_vloss
    ppo_loss_forward(pi.logprobs, pi.entropies, *given, batch.terms)
    ppo_loss_backward(1.0, pi.logprobs, *given, batch.dlogprobs, batch.dentropies, batch.dvalues)
    pi.backward(batch.dlogprobs, batch.dentropies, batch.pi_out, batch.actions, batch.dpi_out)


def threads_of(job: Job, policy: Policy) -> tuple[int, ...]:
    """The numbers of threads to choose from: one, if they are of blocks and not of BLAS."""
    return THREADS if is_wide(config_of(job), policy.observations.size) else THREADS[:1]


def rows_at_once(job: Job, policy: Policy) -> int:
    """Rows of a minibatch that are computed in one piece."""
    wide = is_wide(config_of(job), policy.observations.size)
    return job.minibatch_size if wide else blocks_of(job.minibatch_size)[0][1]


def functions(job: Job, policy: Policy) -> dict[str, Callable[[], None]]:
    """What an update and an inference consist of, on arrays of the run's shapes; by name."""
    config, model, rng = config_of(job), policy.model, np.random.default_rng(0)
    few, many, gathered = (model.batch(n) for n in (job.num_envs, rows_at_once(job, policy), job.minibatch_size))
    buffer, rows = RolloutBuffer(job.num_steps, job.num_envs, policy), rng.permutation(job.batch_size)
    buffer.obs[:] = rng.standard_normal(buffer.obs.shape)
    buffer.advantages[:] = rng.standard_normal(buffer.advantages.shape)
    few.obs[:] = buffer.obs[0]
    buffer.gather(rows[: many.rows], policy, many)
    m, v = np.zeros((2, model.params.size), model.params.dtype)
    hidden = [
        (output, gradient)
        for tower in many.outputs
        for output, gradient in zip(many.outputs[tower], many.doutputs[tower], strict=True)
        if output.shape[1] > 1 and output is not many.pi_out
    ]

    def passes() -> None:
        model.forward(many)
        model.backward(many)

    def activations() -> None:
        for output, gradient in hidden:
            activation_forward(output, model.activation)
            activation_backward(gradient, output, model.activation)

    def optimizer() -> None:
        clip_by_global_norm(model.grads, global_norm(model.grads), config.max_grad_norm)
        adam(model.params, model.grads, m, v, 1, 0.0, config.adam_beta1, config.adam_beta2, config.adam_eps)

    return {
        "act": lambda: model.act(few.obs, LARGEST, few),
        "sample": lambda: few.distribution.sample(few.pi_out, rng),
        "gather": lambda: buffer.gather(rows[: gathered.rows], policy, gathered),
        "loss": lambda: loss(many, config),
        "passes": passes,
        "activations": activations,
        "optimizer": optimizer,
    }
