"""`.weights.h5`: weights for the article's model in Keras 3, as `keras.Model.save_weights` writes them, by h5py alone.

`ppo_np/saving/keras_file.py` describes the layout and reads it.
"""

import io

import h5py
import numpy as np

from ppo_np.errors import UserError
from ppo_np.exporting.arrays import PolicyArrays
from ppo_np.exporting.npz import named
from ppo_np.exporting.numpy_policy import categorical, network
from ppo_np.exporting.runner import Runner
from ppo_np.saving.keras_file import layer_name, tensors_of

CREATE_MODEL = '''\
import keras
import numpy as np


def create_model(obs_size, num_actions, hidden_sizes=(1024, 1024)):
    """The article's network: hidden layers that policy and value share, the logits, and the value."""
    obs = x = keras.Input((obs_size,))
    for size in hidden_sizes:
        x = keras.layers.Dense(size, activation="relu")(x)
    return keras.Model(obs, [keras.layers.Dense(num_actions)(x), keras.layers.Dense(1)(x)])


model = create_model({obs_size}, {outputs}, {hidden})
model.load_weights("{name}")
logits, value = model(np.zeros((1, {obs_size}), np.float32))
print(np.argmax(logits, axis=1){start}, value)
'''


def misfit(policy: PolicyArrays) -> str:
    """What the article's model cannot hold of a policy, as the end of a sentence; empty if it holds all."""
    choices = policy.kind == "categorical" and policy.shape == ()
    own_layers = len(policy.layers("policy")) + len(policy.layers("value")) > 2
    reasons = {
        "actions that are not Discrete": not choices,
        f"the activation {policy.activation}": policy.activation != "relu",
        "hidden layers of the policy's or the value's own": own_layers,
        "normalised observations": "obs_mean" in policy.numbers,
        "images": policy.numbers["scale"] != 1,
        "action masks": policy.masked,
    }
    return ", ".join(reason for reason, holds in reasons.items() if holds)


def encode(policy: PolicyArrays, name: str) -> bytes:
    """The bytes of the file. Raises UserError if the article's model cannot hold the policy."""
    if reason := misfit(policy):
        allowed = "the Keras model has shared relu layers, logits and a value, and takes observations as they are"
        raise UserError(f"OUT is {name!r}, but the policy has {reason}: {allowed}; other formats hold it.")
    layers = [*policy.layers("shared"), *policy.layers("policy"), *policy.layers("value")]
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file.create_group("vars")
        file.create_group("layers/input_layer/vars")
        for number, arrays in enumerate(layers):
            variables = file.create_group(f"layers/{layer_name(number)}/vars")
            for index, array in enumerate(arrays):
                variables[str(index)] = array
    return memory.getvalue()


def runner(data: bytes, policy: PolicyArrays) -> Runner:
    """What computes, in NumPy, with the tensors that are read from the file."""
    p = named(policy) | tensors_of(data)

    def run(obs: np.ndarray, mask: np.ndarray | None) -> dict[str, np.ndarray]:
        out, value = network(p, obs)
        result = categorical(p, out)
        return result | {"action": result["action"][:, 0], "value": value}

    return run


def usage(policy: PolicyArrays, name: str) -> str:
    """The article's model, which loads the file."""
    hidden = tuple(len(bias) for _, bias in policy.layers("shared"))
    start = int(policy.numbers["start"][0])
    more = f" + {start}" if start else ""
    return CREATE_MODEL.format(
        obs_size=policy.obs_size, outputs=policy.outputs, hidden=hidden, name=name, start=more
    )  # fmt: skip
