import numpy as np


def collect(envs, act, obs, num_steps):
    rows = {name: [] for name in ("obs", "actions", "logprobs", "values", "rewards", "terminations", "truncations")}
    final_values = np.full((num_steps, envs.num_envs), np.nan)
    for t in range(num_steps):
        actions, logprobs, values = act(obs)
        after, rewards, terminations, truncations, infos = envs.step(actions)
        step = obs, actions, logprobs, values, rewards, terminations, truncations
        for name, value in zip(rows, step, strict=True):
            rows[name].append(value)
        for n in range(envs.num_envs):
            if truncations[n] and not terminations[n]:
                _, _, value = act(infos["final_obs"][n].reshape(1, -1))
                final_values[t, n] = value[0]
        obs = after
    rows["values"].append(act(obs)[2])
    return {name: np.array(row) for name, row in rows.items()} | {"final_values": final_values}, obs


def minibatches(num_rows, num_minibatches, rng):
    left = list(range(num_rows))
    order = []
    while left:
        order.append(left.pop(rng.integers(len(left))))
    parts, start = [], 0
    for i in range(num_minibatches):
        stop = start + (len(order) - start) // (num_minibatches - i)
        parts.append(np.array(order[start:stop]))
        start = stop
    return parts


PLANT = {
    "stale-value": ('rows["values"].append(act(obs)[2])', 'rows["values"].append(rows["values"][-1])'),
    "no-last-value": ('rows["values"].append(act(obs)[2])', 'rows["values"].append(0 * rewards)'),
    "obs-after-step": ("step = obs, actions", "step = after, actions"),
    "not-shuffled": ("rng.integers(len(left))", "0"),
    "value-after-reset": ('infos["final_obs"][n]', "after[n]"),
}
