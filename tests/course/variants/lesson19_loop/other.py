import numpy as np


def collect(envs, act, obs, num_steps):
    """The values of all observations at once, at the end: act does not change within a rollout."""
    seen, actions, logprobs, results, ends = [obs], [], [], [], {}
    for t in range(num_steps):
        chosen, logprob, _ = act(seen[-1])
        following, *result, infos = envs.step(chosen)
        ends |= {(t, n): infos["final_obs"][n] for n in np.flatnonzero(result[2])}
        for column, value in zip((seen, actions, logprobs, results), (following, chosen, logprob, result), strict=True):
            column.append(value)
    rewards, terminations, truncations = (np.array(column) for column in zip(*results, strict=True))
    final_values = np.zeros(rewards.shape)
    for place, final_obs in ends.items():
        final_values[place] = act(np.array([final_obs]))[2].item()
    arrays = np.array(seen[:-1]), np.array(actions), np.array(logprobs), np.array([act(each)[2] for each in seen])
    names = ("obs", "actions", "logprobs", "values")
    rollout = dict(zip(names, arrays, strict=True))
    rollout |= {"rewards": rewards, "terminations": terminations, "truncations": truncations}
    return rollout | {"final_values": final_values}, seen[-1]


def minibatches(num_rows, num_minibatches, rng):
    order = np.arange(num_rows)
    rng.shuffle(order)
    ends = [num_rows * i // num_minibatches for i in range(num_minibatches + 1)]
    return [order[ends[i] : ends[i + 1]] for i in range(num_minibatches)]


PLANT = {
    "done-for-terminated": ('"terminations": terminations,', '"terminations": terminations | truncations,'),
    "not-shuffled": ("    rng.shuffle(order)\n", "    rng.shuffle(order.copy())\n"),
    "first-obs-again": (", seen[-1]\n\n\ndef minibatches", ", seen[0]\n\n\ndef minibatches"),
}
