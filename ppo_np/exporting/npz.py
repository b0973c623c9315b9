"""`.npz`: the arrays by name, for NumPy, torch, or anything else that reads arrays."""

import io

import numpy as np

from ppo_np.exporting.arrays import PolicyArrays
from ppo_np.exporting.numpy_policy import Named, source
from ppo_np.exporting.runner import Runner

TORCH = '''\
import numpy as np
import torch
from torch import nn

p = np.load("{name}")


def layers(tower):
    """The layers of a tower, "shared", "policy" or "value", which the file has."""
    modules = []
    for layer in [*map(str, range(100)), "head"]:
        if f"{{tower}}/{{layer}}/weight" in p:
            weight, bias = (torch.from_numpy(p[f"{{tower}}/{{layer}}/{{kind}}"]) for kind in ("weight", "bias"))
            modules.append(nn.Linear(*weight.shape))
            modules[-1].load_state_dict({{"weight": weight.T, "bias": bias}})
            modules += [] if layer == "head" else [nn.{activation}()]
    return nn.Sequential(*modules)


shared, policy, value = layers("shared"), layers("policy"), layers("value")


def network(obs):
    """{outputs} and values for flat observations, (B, {obs_size})."""
    x = obs * torch.from_numpy(p["scale"]){steps}
    h = shared(x)
    return policy(h), value(h)[:, 0]


print(network(torch.zeros(1, {obs_size})))
'''


def named(policy: PolicyArrays) -> Named:
    """All arrays of a policy in one dict, as `numpy_policy` takes them."""
    words = {"kind": policy.kind, "activation": policy.activation, "sizes": policy.sizes}
    shape = np.array(policy.shape, np.int64)
    return policy.tensors | policy.numbers | {name: np.array(word) for name, word in words.items()} | {"shape": shape}


def encode(policy: PolicyArrays, name: str) -> bytes:
    """The bytes of the file."""
    file = io.BytesIO()
    np.savez(file, **named(policy))
    return file.getvalue()


def runner(data: bytes, policy: PolicyArrays) -> Runner:
    """What computes with the loader that `usage` shows."""
    program: Named = {}
    exec(source(policy.kind, loads=True), program)
    p = program["load"](io.BytesIO(data))
    return lambda obs, mask: program["act"](p, obs, mask)


def usage(policy: PolicyArrays, name: str) -> str:
    """The loader, and a snippet for torch."""
    steps = ""
    if "obs_mean" in policy.numbers:
        steps = (
            "\n    mean, rest, inv_std = (torch.from_numpy(p[f'obs_{n}']) for n in ('mean', 'mean_rest', 'inv_std'))"
        )
        steps += "\n    x = ((x - mean - rest) * inv_std).clamp(-10, 10)"
    outputs = "Logits" if policy.is_discrete else "Outputs of the policy head"
    activation = {"relu": "ReLU", "tanh": "Tanh"}[policy.activation]
    torch = TORCH.format(name=name, activation=activation, obs_size=policy.obs_size, steps=steps, outputs=outputs)
    call = f'print(act(load("{name}"), np.zeros((1, {policy.obs_size}))))\n'
    return f"# NumPy:\n{source(policy.kind, loads=True)}\n\n{call}\n\n# torch:\n{torch}"
