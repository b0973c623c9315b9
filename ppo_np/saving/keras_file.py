"""Weights of Keras 3, `.weights.h5`, for the article's model: read with h5py alone, and as little trusted as any file.

The model has hidden layers that policy and value share, then a layer with K logits and one with the value. Keras counts
layers of a class in the order in which they were made: layers/dense, layers/dense_1, ...; each has vars/0, its weight
(I, O), and vars/1, its bias (O,).
"""

import io
from os import PathLike
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ppo_np.errors import UserError, short


def layer_name(number: int) -> str:
    """Keras' name of a dense layer, counted from 0."""
    return f"dense_{number}" if number else "dense"


def read_keras_weights(path: str | PathLike, what: str = "weights") -> dict[str, np.ndarray]:
    """The weights of the article's model from a `.weights.h5` file of Keras 3 or of `python -m ppo_np.export`.

    Args:
        path: of the file. what: name of the argument, for messages.

    Returns:
        float32 tensors by the names of `ActorCritic.named`: shared/0/weight (I, O), shared/0/bias (O,), ...,
        policy/head/weight, policy/head/bias, value/head/weight, value/head/bias.

    Raises:
        UserError: There is no such file, it cannot be read, or it has other layers than the article's model.
    """
    try:
        return tensors_of(Path(path).read_bytes())
    except OSError as error:
        reason = error.strerror or "it is not a whole HDF5 file"
        raise UserError(f"{what} is {str(path)!r}, but it cannot be read: {reason}.") from error
    except ValueError as error:
        raise UserError(f"{what} is {str(path)!r}, but {error}.") from error


def tensors_of(data: bytes) -> dict[str, np.ndarray]:
    """As `read_keras_weights`, from the bytes of a file. Raises OSError or ValueError."""
    with h5py.File(io.BytesIO(data)) as file:
        group = _inner(file, "layers", h5py.Group)
        count = sum(name.startswith("dense") for name in group)
        others = [name for name in group if not name.startswith(("dense", "input_layer"))]
        if count < 2 or others:
            raise ValueError(f"it has the layers {short(list(group))}, not dense layers and two heads alone")
        layers = [[_numbers(group, f"{layer_name(number)}/vars/{index}") for index in "01"] for number in range(count)]
    names = [*(f"shared/{number}" for number in range(count - 2)), "policy/head", "value/head"]
    inputs = layers[0][0].shape[:1]
    for name, (weight, bias) in zip(names, layers, strict=True):
        width = 1 if name == "value/head" else bias.size
        if weight.shape != (*inputs, width) or bias.shape != (width,):
            raise ValueError(f"{name} has the shapes {weight.shape} and {bias.shape}, which do not fit the others")
        inputs = (width,) if name.startswith("shared") else inputs
    kinds = ("weight", "bias")
    pairs = zip(names, layers, strict=True)
    return {f"{name}/{kind}": array for name, layer in pairs for kind, array in zip(kinds, layer, strict=True)}


def _inner(group: Any, name: str, kind: type) -> Any:
    """What a group holds under a name: nothing that a link leads to. Raises ValueError if it is missing."""
    for part in name.split("/"):
        linked = isinstance(group, h5py.Group) and group.get(part, getlink=True)
        if not isinstance(linked, h5py.HardLink):
            raise ValueError(f"it has no {name}, as weights of Keras 3 for dense layers would have")
        group = group[part]
    if not isinstance(group, kind):
        raise ValueError(f"its {name} is something else than in weights of Keras 3")
    return group


def _numbers(group: Any, name: str) -> np.ndarray:
    """A dataset of finite float32 numbers that lie in the file itself."""
    dataset = _inner(group, name, h5py.Dataset)
    stored = dataset.dtype == np.float32 and not (dataset.external or dataset.is_virtual)
    if not stored or dataset.id.get_storage_size() != 4 * dataset.size:
        raise ValueError(f"its {name} is not an array of float32 numbers, uncompressed and in the file itself")
    array = dataset[()]
    if not np.isfinite(array).all():
        raise ValueError(f"its {name} is not finite")
    return array
