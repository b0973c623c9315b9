"""rejax's PPO on gymnax's CartPole: environments, network and updates in one compiled JAX program.

Its critic and actor are separate networks; the gradient is clipped number by number, the learning rate stays. A call of
the program trains from the beginning for some updates; for the clock, one call is one update.
"""

from itertools import count
from typing import NoReturn

import jax
from rejax import PPO

from bench.peers.protocol import Clock, Job, perform

UPDATES_A_CALL = 6


def train(job: Job, clock: Clock) -> NoReturn:
    """Compile, then train again and again, with another seed each time."""
    timesteps = UPDATES_A_CALL * job.batch_size
    ppo = PPO.create(
        env=job.env_id, agent_kwargs={"hidden_layer_sizes": job.policy_sizes, "activation": job.activation},
        num_envs=job.num_envs, num_steps=job.num_steps, num_epochs=job.update_epochs,
        num_minibatches=job.num_minibatches, learning_rate=job.learning_rate, gamma=job.gamma,
        gae_lambda=job.gae_lambda, clip_eps=job.clip_coef, ent_coef=job.ent_coef, vf_coef=job.vf_coef,
        max_grad_norm=job.max_grad_norm, total_timesteps=timesteps, eval_freq=timesteps,
        skip_initial_evaluation=True,
    ).replace(eval_callback=lambda _ppo, _state, _rng: ())  # fmt: skip
    compiled = jax.jit(ppo.train).lower(jax.random.PRNGKey(job.seed)).compile()
    steps = 0
    clock.start()
    for call in count():
        state, _ = jax.block_until_ready(compiled(jax.random.PRNGKey(job.seed + call)))
        steps += int(state.global_step)
        clock.mark(steps)


if __name__ == "__main__":
    perform("rejax", ("rejax", "gymnax", "jax"), train=train)
