"""rejax's PPO on gymnax's CartPole: environments, network and updates in one compiled JAX program.

Its critic and actor are separate networks; the gradient is clipped number by number, the learning rate stays.
"""

from time import perf_counter, process_time

from protocol import Job, answer


def measure(job: Job) -> dict:
    """Compile, then train for the job's updates; compiling is what the first update is to others."""
    import jax
    from rejax import PPO

    ppo = PPO.create(
        env=job.env_id, agent_kwargs={"hidden_layer_sizes": job.policy_sizes, "activation": job.activation},
        num_envs=job.num_envs, num_steps=job.num_steps, num_epochs=job.update_epochs,
        num_minibatches=job.num_minibatches, learning_rate=job.learning_rate, gamma=job.gamma,
        gae_lambda=job.gae_lambda, clip_eps=job.clip_coef, ent_coef=job.ent_coef, vf_coef=job.vf_coef,
        max_grad_norm=job.max_grad_norm, total_timesteps=job.total_timesteps, eval_freq=job.total_timesteps,
        skip_initial_evaluation=True,
    ).replace(eval_callback=lambda _ppo, _state, _rng: ())  # fmt: skip
    start = perf_counter()
    train = jax.jit(ppo.train).lower(jax.random.PRNGKey(job.seed)).compile()
    compiled, cpu = perf_counter(), process_time()
    state, _ = jax.block_until_ready(train(jax.random.PRNGKey(job.seed)))
    end, cpu = perf_counter(), process_time() - cpu
    steps = int(state.global_step)
    return {
        "steps": steps,
        "seconds": end - start,
        "sps": steps / (end - start),
        "sps_without_first_update": steps / (end - compiled),
        "cores_used": cpu / (end - compiled),
    }


if __name__ == "__main__":
    answer("rejax", ("rejax", "gymnax", "jax"), measure)
