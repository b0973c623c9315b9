"""An exported policy in NumPy. `source` gives the lines of this file that one kind of policy needs.

A policy is a dict of arrays, p, whose names `PolicyArrays` explains.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

Named = dict[str, Any]


def load(path):
    """The arrays of an exported policy, by name."""
    with np.load(path) as file:
        return dict(file)


def network(p, obs):
    """Outputs of the policy head, (B, K), and values, (B,), of flat observations, (B, D)."""
    activation = np.tanh if str(p["activation"]) == "tanh" else lambda z: np.maximum(z, 0)

    def layers(tower, x, i=0):
        while f"{tower}/{i}/weight" in p:
            x, i = activation(x @ p[f"{tower}/{i}/weight"] + p[f"{tower}/{i}/bias"]), i + 1
        return x @ p[f"{tower}/head/weight"] + p[f"{tower}/head/bias"] if f"{tower}/head/weight" in p else x

    x = np.asarray(obs, np.float32) * p["scale"]
    if "obs_mean" in p:
        x = np.clip((x - p["obs_mean"] - p["obs_mean_rest"]) * p["obs_inv_std"], -10, 10)
    h = layers("shared", x)
    return layers("policy", h), layers("value", h)[:, 0]


def categorical(p, out, mask=None):
    """The most probable choices; mask (B, K): 1 where a choice is valid."""
    out = out if mask is None else np.where(mask, out, -np.inf)
    parts = np.split(out, np.cumsum(p["sizes"])[:-1], axis=1)
    shares = [np.exp(part - part.max(axis=1, keepdims=True)) for part in parts]
    probabilities = np.concatenate([share / share.sum(axis=1, keepdims=True) for share in shares], axis=1)
    action = np.stack([part.argmax(axis=1) for part in parts], axis=1) + p["start"]
    return {"action": action, "probabilities": probabilities}


def bernoulli(p, out, mask=None):
    """The more probable bits, and the probability of 1."""
    return {"action": (out > 0).astype(np.int64), "probabilities": 0.5 + 0.5 * np.tanh(out / 2)}


def gaussian(p, out, mask=None):
    """The means, clipped to the bounds; or their tanh, mapped to the bounds, if the policy is squashed."""
    means, log_std = (out, p["policy/log_std"]) if "policy/log_std" in p else (out[:, 0::2], out[:, 1::2])
    y = np.tanh(means) if str(p["kind"]) == "squashed" else means
    action = np.clip(p["offset"] + p["gain"] * y, p["low"], p["high"])
    return {"action": action, "means": means, "log_std": np.broadcast_to(log_std, means.shape)}


def beta(p, out, mask=None):
    """The mode of a beta distribution, mapped to the bounds."""
    a, b = (np.logaddexp(np.float32(0), o) for o in (out[:, 0::2], out[:, 1::2]))
    y = np.clip((a + 1e-37) / (a + b + 2e-37), 2**-24, 1 - 2**-24)
    action = np.clip(p["offset"] + p["gain"] * y, p["low"], p["high"])
    return {"action": action, "alpha": 1 + a, "beta": 1 + b}


HEADS: dict[str, Callable[..., Named]] = {
    "categorical": categorical, "bernoulli": bernoulli, "gaussian": gaussian, "squashed": gaussian, "beta": beta,
}  # fmt: skip

ACT = '''
def act(p, obs, mask=None):
    """Deterministic actions, values and distributions for flat observations, (B, D)."""
    out, value = network(p, obs)
    result = {head}(p, out, mask)
    return result | {{"action": result["action"].reshape(len(out), *p["shape"]), "value": value}}
'''


def source(kind: str, loads: bool) -> str:
    """Python for one kind of policy: `network`, its head, and `act(p, obs, mask=None)`; with `load` if asked for."""
    functions: list[Any] = [*([load] if loads else []), network, HEADS[kind]]
    parts = map(inspect.getsource, functions)
    return "\n\n".join(["import numpy as np\n", *parts, ACT.lstrip().format(head=HEADS[kind].__name__)])
