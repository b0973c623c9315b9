"""The search space of `python -m ppo_np.tune`: which settings are searched, and among which values.

A parameter has the name of a field of `PPOConfig`, and its values; but for

    minibatch_size    transitions in a minibatch: num_minibatches is num_envs * num_steps / minibatch_size
    network           sizes of the hidden layers of the policy and, in a network of its own, of the value

The value that the preset has is always among the values, so that the preset itself can be the first trial.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ppo_np.config import PPOConfig
from ppo_np.searching.grid import Words

LEARNING_RATE = 1e-4, 5e-3  # a range, searched on a logarithmic scale
CHOICES: dict[str, tuple[Any, ...]] = {
    "num_envs": (4, 8, 16, 32),
    "num_steps": (32, 64, 128, 256, 512),
    "minibatch_size": (64, 128, 256, 512),
    "update_epochs": (3, 5, 10, 20),
    "anneal_lr": (True, False),
    "gamma": (0.95, 0.98, 0.99, 0.995, 0.999),
    "gae_lambda": (0.8, 0.9, 0.95, 0.98, 1.0),
    "clip_coef": (0.1, 0.2, 0.3),
    "ent_coef": (0.0, 0.0001, 0.001, 0.01, 0.03),
    "network": ("64x64", "128x128"),
    "activation": ("tanh", "relu"),
}
CONTINUOUS: dict[str, tuple[Any, ...]] = {"log_std_init": (-2.0, -1.0, -0.5, 0.0)}  # only for real-valued actions
# Flags that take the place of a parameter: if one is given, the parameter is not searched.
INSTEAD = {
    "minibatch_size": ("num_minibatches",),
    "network": ("shared_sizes", "policy_sizes", "value_sizes"),
    "anneal_lr": ("anneal_lr", "learning_rate_schedule", "kl_adaptive_lr"),
    "clip_coef": ("clip_coef", "clip_coef_schedule"),
    "ent_coef": ("ent_coef", "ent_coef_schedule"),
}


def parameters(config: PPOConfig, continuous: bool, given: Iterable[str]) -> dict[str, Any]:
    """The parameters that are searched, with the values that `config` has for them.

    Args:
        config: the settings that a trial changes.
        continuous: whether actions are real numbers.
        given: names of the fields whose flags were given; these are not searched.
    """
    names = ["learning_rate", *CHOICES, *(CONTINUOUS if continuous else ())]
    fixed = set(given)
    names = [name for name in names if not fixed & {*INSTEAD.get(name, (name,))}]
    found = {name: _value(name, config) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _value(name: str, config: PPOConfig) -> Any:
    """The value of a parameter in these settings; None if they have no such value."""
    if name == "minibatch_size":
        return config.minibatch_size
    if name == "network":
        separate = not config.shared_sizes and config.policy_sizes == config.value_sizes != ()
        return "x".join(map(str, config.policy_sizes)) if separate else None
    return getattr(config, name)


def distributions(preset: Mapping[str, Any]) -> dict[str, Any]:
    """Optuna's distribution of each parameter, for the values that the preset has."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    found: dict[str, Any] = {}
    for name, value in preset.items():
        if name == "learning_rate":
            low, high = LEARNING_RATE
            found[name] = FloatDistribution(min(low, value), max(high, value), log=True)
        else:
            choices = (CHOICES | CONTINUOUS)[name]
            found[name] = CategoricalDistribution(choices if value in choices else (*choices, value))
    return found


def fields_of(values: Mapping[str, Any], config: PPOConfig) -> dict[str, Any]:
    """The fields of `PPOConfig` that values of parameters mean, as changes of `config`.

    If minibatch_size does not divide the rollout, num_minibatches is the next smaller number that does.
    """
    fields = {name: value for name, value in values.items() if name not in ("minibatch_size", "network")}
    if "network" in values:
        sizes = tuple(int(size) for size in values["network"].split("x"))
        fields |= {"policy_sizes": sizes, "value_sizes": sizes}
    if "minibatch_size" in values:
        batch = fields.get("num_envs", config.num_envs) * fields.get("num_steps", config.num_steps)
        most = max(1, batch // values["minibatch_size"])
        fields["num_minibatches"] = next(number for number in range(most, 0, -1) if batch % number == 0)
    return fields


def words_of(fields: Mapping[str, Any]) -> Words:
    """The flags of train that give fields these values."""
    words: list[str] = []
    for name, value in fields.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", *map(str, value if isinstance(value, tuple) else (value,))]
    return tuple(words)
