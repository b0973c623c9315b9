"""The small problem that every update of the parity check starts from: weights, rollout, permutations. NumPy alone."""

import numpy as np

SEED = 7
OBS_SIZE, ACTIONS = 5, 3

# Names and meaning are PPOConfig's. No coefficient is 0 or 1: one that is forgotten or used twice must show.
SETTINGS = {
    "num_envs": 4, "num_steps": 8, "num_minibatches": 4, "update_epochs": 2, "total_timesteps": 32,
    "learning_rate": 1e-2, "gamma": 0.9, "gae_lambda": 0.8, "clip_coef": 0.2, "ent_coef": 0.05, "vf_coef": 0.7,
    "max_grad_norm": 0.8, "adam_eps": 1e-5, "shared_sizes": [6], "policy_sizes": [4], "value_sizes": [4],
    "activation": "tanh",
}  # fmt: skip
T, N = SETTINGS["num_steps"], SETTINGS["num_envs"]
MINIBATCH = T * N // SETTINGS["num_minibatches"]
LAYERS = {
    "shared/0": (OBS_SIZE, 6),
    "policy/0": (6, 4),
    "policy/head": (4, ACTIONS),
    "value/0": (6, 4),
    "value/head": (4, 1),
}


def forward(p, obs, tanh):
    """Logits (..., K) and values (...) of the network with the named tensors p; NumPy's or torch's, as `tanh` is."""
    h = tanh(obs @ p["shared/0/weight"] + p["shared/0/bias"])
    policy = tanh(h @ p["policy/0/weight"] + p["policy/0/bias"])
    value = tanh(h @ p["value/0/weight"] + p["value/0/bias"])
    logits = policy @ p["policy/head/weight"] + p["policy/head/bias"]
    return logits, (value @ p["value/head/weight"] + p["value/head/bias"])[..., 0]


def make_parameters(rng):
    """Named tensors as `ActorCritic.named` gives them: weights (I, O), biases (O,)."""
    parameters = {}
    for layer, (fan_in, fan_out) in LAYERS.items():
        parameters[f"{layer}/weight"] = rng.standard_normal((fan_in, fan_out)) / np.sqrt(fan_in)
        parameters[f"{layer}/bias"] = 0.3 * rng.standard_normal(fan_out)
    return parameters


def make_rollout(rng, parameters):
    """A rollout off the network's policy and off its values, so that every branch of the losses occurs.

    Environment 0 ends episodes both ways; 1 is truncated on the last step, 2 terminated there and once flagged with
    both; 3 never ends. The observations are float32 numbers in float64 arrays, because SB3 rounds them to float32.
    """
    obs = rng.standard_normal((T, N, OBS_SIZE)).astype(np.float32).astype(np.float64)
    actions = rng.integers(ACTIONS, size=(T, N))
    logits, values = forward(parameters, obs, np.tanh)
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    logprobs = np.take_along_axis(log_probs, actions[..., np.newaxis], -1)[..., 0]
    terminations, truncations = np.zeros((2, T, N), bool)
    terminations[[1, 6, 4, 7], [0, 0, 2, 2]] = True
    truncations[[3, 7, 4], [0, 1, 2]] = True
    return {
        "obs": obs,
        "actions": actions,
        "logprobs": logprobs + rng.uniform(-0.4, 0.4, (T, N)),
        "rewards": rng.standard_normal((T, N)),
        "values": np.vstack([values + rng.uniform(-0.4, 0.4, (T, N)), rng.standard_normal((1, N))]),
        "final_values": rng.standard_normal((T, N)),
        "terminations": terminations,
        "truncations": truncations,
    }


def make_problem():
    """Everything an update needs; `permutations` (epochs, T N) holds row numbers t N + n."""
    rng = np.random.default_rng(SEED)
    parameters = make_parameters(rng)
    rollout = make_rollout(rng, parameters)
    permutations = np.array([rng.permutation(T * N) for _ in range(SETTINGS["update_epochs"])])
    return {"parameters": parameters, "rollout": rollout, "permutations": permutations}
