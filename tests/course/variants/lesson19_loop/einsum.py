import numpy as np


def collect(envs, act, obs, num_steps):
    steps, finals = [], []
    for _ in range(num_steps):
        actions, logprobs, values = act(obs)
        next_obs, rewards, terminations, truncations, infos = envs.step(actions)
        last = [o if o is not None else np.zeros(obs.shape[1]) for o in infos.get("final_obs", [None] * envs.num_envs)]
        finals.append(act(np.array(last))[2])
        steps.append((obs, actions, logprobs, values, rewards, terminations, truncations))
        obs = next_obs
    names = "obs", "actions", "logprobs", "values", "rewards", "terminations", "truncations"
    rollout = {name: np.stack(column) for name, column in zip(names, zip(*steps, strict=True), strict=True)}
    rollout["values"] = np.vstack([rollout["values"], act(obs)[2]])
    rollout["final_values"] = np.stack(finals)
    return rollout, obs


def minibatches(num_rows, num_minibatches, rng):
    order = np.argsort(rng.random(num_rows))
    return [order[i::num_minibatches] for i in range(num_minibatches)]


PLANT = {
    "no-truncations": ("terminations, truncations))\n", "terminations, 0 * truncations > 0))\n"),
    "first-obs-again": ("return rollout, obs", 'return rollout, rollout["obs"][0]'),
    "not-shuffled": ("np.argsort(rng.random(num_rows))", "np.argsort(np.arange(num_rows))"),
}
