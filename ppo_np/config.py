"""All settings of a PPO run: default (the article's run), meaning and allowed range."""

import dataclasses
import math
import os
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from ppo_np.errors import UserError, check
from ppo_np.field_types import check_types, is_column_name, plain
from ppo_np.literals import literal, literal_text, wrapper_call
from ppo_np.schedules import SETTINGS, Schedule, Scheduled, as_text, checked, field_of
from ppo_np.setting_names import KnownNames, suggestion

_PRESETS = files("ppo_np") / "presets"
ARTICLE = "article"
GENERIC_DISCRETE, GENERIC_CONTINUOUS = "generic-discrete", "generic-continuous"  # for environments without a preset


@dataclass(frozen=True, kw_only=True)
class PPOConfig(KnownNames, Scheduled):
    """Settings of one PPO run. The defaults are the article's run on LunarLander.

    Values of other types are accepted if a plain Python value is exactly the same, and that value is kept: NumPy's
    numbers and arrays, lists for tuples, whole floats such as 1e6 for integers. np.float32(0.1) is 0.10000000149011612.

    Raises UserError if there is no field of a name, or if a field has the wrong type or lies outside its range; the
    message names the field.
    """

    env_id: str = "LunarLander-v3"
    """Gymnasium id of the environment; "module:id" imports the module first."""
    env_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    """Keyword arguments of the environment, or of the function that makes it: Python literals, all else is a string."""
    wrappers: tuple[str, ...] = ()
    """Wrappers of each environment, the first one innermost: module:Class or "module:Class(name=literal, ...)"."""
    max_episode_steps: int | None = None
    """Steps after which an episode is cut off, before wrappers (default: the limit that the environment registers)."""
    obs_grayscale: bool = False
    """Turn images with three colours into grey ones, after wrappers."""
    obs_resize: tuple[int, ...] = ()
    """Height and width to which images are resized, after obs_grayscale; needs the extra `images`; empty = as is."""
    frame_stack: int = 1
    """Show the last N observations as one, after obs_resize; the first one of an episode is repeated; 1 = off."""
    rescale_actions: bool = False
    """Map actions in [-1, 1] to the environment's Box, which must be finite."""
    seed: int = 42
    """Seed of everything random: weights, actions, minibatches, environments (environment i starts from seed + i)."""
    total_timesteps: int = 2_000_000
    """Environment steps to train for, over all environments; rounded up to whole rollouts."""
    num_envs: int = 4
    """Environments stepped in parallel."""
    vectorization: Literal["sync", "async", "vector", "envpool", "compiled"] = "sync"
    """How they are stepped: one by one, in workers, by the environment's vector version, by EnvPool, or compiled."""
    num_env_threads: int = 0
    """With envpool: number of its threads; 0 = one per core."""
    env_timeout: float = 60.0
    """Seconds that one step or reset of the environments may take, at least 0.01; inf = no limit."""
    num_steps: int = 128
    """Steps of each environment in one rollout."""
    num_minibatches: int = 4
    """Minibatches per epoch; must divide num_envs * num_steps."""
    update_epochs: int = 4
    """Passes over each rollout."""
    learning_rate: float = 2.5e-4
    """Learning rate of Adam; its initial value if it changes."""
    anneal_lr: bool = True
    """Lower the learning rate linearly to 0, by one step per update; only without learning_rate_schedule."""
    learning_rate_schedule: Schedule = None
    """How learning_rate changes: constant, linear, cosine, exponential (to 1 %), or FILE.py:function."""
    value_learning_rate: float | None = None
    """Learning rate of the layers that only the value has; changes like learning_rate (default: learning_rate)."""
    kl_adaptive_lr: float | None = None
    """Adapt the learning rate after each update to this approx_kl of the last epoch, instead of a schedule."""
    kl_adaptive_threshold: float = 2.0
    """With kl_adaptive_lr: lower the learning rate above threshold * target, raise it below target / threshold."""
    kl_adaptive_factor: float = 1.5
    """With kl_adaptive_lr: divide or multiply the learning rate by this."""
    kl_adaptive_min_lr: float = 1e-5
    """With kl_adaptive_lr: smallest learning rate."""
    kl_adaptive_max_lr: float = 1e-2
    """With kl_adaptive_lr: largest learning rate."""
    gamma: float = 0.99
    """Discount factor, in [0, 1]."""
    gae_lambda: float = 0.95
    """Lambda of generalised advantage estimation, in [0, 1]."""
    norm_adv: bool = True
    """Normalise the advantages of each minibatch to mean 0 and standard deviation 1."""
    clip_coef: float = 0.2
    """Clip range of the probability ratio."""
    anneal_clip_coef: bool = False
    """Lower clip_coef linearly to 0, like the learning rate."""
    clip_coef_schedule: Schedule = None
    """How clip_coef changes: as learning_rate_schedule."""
    clip_vloss: bool = True
    """Clip the value loss as well."""
    value_clip_coef: float | None = None
    """Clip range of the value if clip_vloss; changes like clip_coef (default: clip_coef)."""
    target_kl: float | None = None
    """Skip the remaining epochs of an update once an epoch's mean approx_kl exceeds this; None = never."""
    ent_coef: float = 0.01
    """Weight of the entropy bonus."""
    anneal_ent_coef: bool = False
    """Lower ent_coef linearly to 0, like the learning rate."""
    ent_coef_schedule: Schedule = None
    """How ent_coef changes: as learning_rate_schedule."""
    vf_coef: float = 0.5
    """Weight of the value loss."""
    max_grad_norm: float = 0.5
    """Largest global norm of the gradient; inf = no clipping."""
    max_grad_norm_value: float | None = None
    """Largest norm of the gradient of the layers that only the value has; max_grad_norm is then that of the others."""
    adam_eps: float = 1e-5
    """Epsilon of Adam."""
    adam_beta1: float = 0.9
    """Decay of Adam's first moment, in [0, 1)."""
    adam_beta2: float = 0.999
    """Decay of Adam's second moment, in [0, 1)."""
    shared_sizes: tuple[int, ...] = (1024, 1024)
    """Sizes of the hidden layers that policy and value share; no number after the flag = no such layer."""
    policy_sizes: tuple[int, ...] = ()
    """Sizes of the hidden layers of the policy only, after the shared ones."""
    value_sizes: tuple[int, ...] = ()
    """Sizes of the hidden layers of the value only, after the shared ones."""
    activation: Literal["relu", "tanh"] = "relu"
    """Activation after each hidden layer."""
    log_std_init: float = 0.0
    """Initial logarithm of the standard deviation of real-valued actions, in [-10, 10]."""
    log_std: Literal["parameter", "state"] = "parameter"
    """Where a Gaussian's log_std comes from: a parameter of each component, or an output that depends on the state."""
    action_distribution: Literal["gaussian", "squashed", "beta"] = "gaussian"
    """Of actions in a Box: gaussian (clipped to the bounds), or in a bounded one squashed (by tanh) or beta."""
    action_mask: str = ""
    """Where environments say which actions are valid: info:action_mask or method:action_masks; empty = nowhere."""
    bc_coef: float = 0.0
    """Weight of a cloning term in the loss, -log pi of the actions in bc_dataset; falls linearly to 0; 0 = off."""
    bc_dataset: str = ""
    """With bc_coef: demonstrations, an .npz file with observations and actions, or the id of a Minari dataset."""
    info_keys: tuple[str, ...] = ()
    """Names in the last info of an episode whose numbers are logged, as a mean over the episodes of an update."""
    norm_obs: bool = False
    """Normalise observations to mean 0 and standard deviation 1 by running statistics, and clip them to +-10."""
    norm_reward: bool = False
    """Divide rewards by the running standard deviation of the discounted rewards, and clip them to +-10."""
    threads: int = 0
    """Threads for learning, 0 = one per core: for large minibatches, or (last bits can differ) for wide networks."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, plain(getattr(self, field.name), field.type))
        check_types(self)
        object.__setattr__(self, "env_kwargs", {k: literal(literal_text(v)) for k, v in self.env_kwargs.items()})
        if self.bc_dataset.endswith(".npz"):  # an environment may change the working directory
            object.__setattr__(self, "bc_dataset", os.path.abspath(self.bc_dataset))
        self._check_environment()
        for setting in SETTINGS:
            name = field_of(setting)
            object.__setattr__(self, name, checked(name, getattr(self, name)))
        self._check_learning()
        self._check_limits()

    def _check_environment(self) -> None:
        """Check wrappers and what stands for one, and the sizes of the run."""
        for wrapper in self.wrappers:
            wrapper_call(wrapper)
        limit = self.max_episode_steps
        check(limit is None or limit >= 1, "max_episode_steps", limit, "an integer >= 1")
        sizes = self.obs_resize
        good = len(sizes) in (0, 2) and all(1 <= size <= 2**14 for size in sizes)
        check(good, "obs_resize", sizes, "height and width, integers from 1 to 2**14, or empty")
        check(1 <= self.frame_stack <= 2**14, "frame_stack", self.frame_stack, "an integer from 1 to 2**14")
        for name in ("total_timesteps", "num_envs", "num_steps", "num_minibatches", "update_epochs"):
            check(getattr(self, name) >= 1, name, getattr(self, name), "an integer >= 1")

    def _check_learning(self) -> None:
        """Check the settings of the loss, the optimiser, the action head and the network."""
        for name in (
            "learning_rate", "value_learning_rate", "kl_adaptive_lr", "kl_adaptive_min_lr", "clip_coef",
            "value_clip_coef", "max_grad_norm", "max_grad_norm_value", "adam_eps", "env_timeout", "target_kl",
        ):  # fmt: skip
            value = getattr(self, name)
            check(value is None or value > 0, name, value, "a number > 0")
        check(bool(self.bc_dataset) or not self.bc_coef, "bc_dataset", self.bc_dataset, "a dataset with bc_coef")
        for name in ("ent_coef", "vf_coef", "bc_coef", "seed", "threads", "num_env_threads"):
            check(getattr(self, name) >= 0, name, getattr(self, name), "a number >= 0")
        for name in ("gamma", "gae_lambda"):
            check(0 <= getattr(self, name) <= 1, name, getattr(self, name), "in [0, 1]")
        for name in ("adam_beta1", "adam_beta2"):
            check(0 <= getattr(self, name) < 1, name, getattr(self, name), "in [0, 1)")
        # Beyond these limits, a step of Adam can overflow float32 or divide by zero.
        for name in ("learning_rate", "value_learning_rate", "kl_adaptive_max_lr"):
            check((getattr(self, name) or 0) <= 1e3, name, getattr(self, name), "at most 1000")
        if self.kl_adaptive_lr is not None:
            self.check_adaptive()
        check(self.adam_eps >= 1e-30, "adam_eps", self.adam_eps, "at least 1e-30")
        check(self.env_timeout >= 0.01, "env_timeout", self.env_timeout, "at least 0.01 (seconds)")
        check(-10 <= self.log_std_init <= 10, "log_std_init", self.log_std_init, "in [-10, 10]")
        if self.action_distribution == "beta":
            check(self.log_std == "parameter", "log_std", self.log_std, "'parameter' with beta, which has no log_std")
        kind, _, name = self.action_mask.partition(":")
        known = not self.action_mask or (kind in ("info", "method") and name.isidentifier())
        check(known, "action_mask", self.action_mask, '"info:NAME", "method:NAME" or empty')
        allowed = "different names without commas and quotes"
        good = all(map(is_column_name, self.info_keys)) and len(set(self.info_keys)) == len(self.info_keys)
        check(good, "info_keys", self.info_keys, allowed)
        for name in ("shared_sizes", "policy_sizes", "value_sizes"):
            check(all(size >= 1 for size in getattr(self, name)), name, getattr(self, name), "integers >= 1")

    def _check_limits(self) -> None:
        """Refuse sizes that checkpoints could not keep (in int64), or with which a run would not get anywhere."""
        check(self.total_timesteps <= 2**62, "total_timesteps", self.total_timesteps, "at most 2**62")
        check(self.update_epochs <= 10_000, "update_epochs", self.update_epochs, "at most 10000")
        for name in ("threads", "num_env_threads"):
            check(getattr(self, name) <= 4096, name, getattr(self, name), "at most 4096")
        for name in ("shared_sizes", "policy_sizes", "value_sizes"):
            check(all(size <= 2**24 for size in getattr(self, name)), name, getattr(self, name), "at most 2**24 each")
        if self.vectorization in ("sync", "async"):
            check(self.num_envs <= 2**16, "num_envs", self.num_envs, f"at most 2**16 with {self.vectorization!r}")
        check(self.batch_size <= 2**31, "num_envs * num_steps", self.batch_size, "at most 2**31 rows")
        bits = 31 if self.vectorization == "envpool" else 63
        check(self.seed < 2**bits - self.num_envs, "seed", self.seed, f"below 2**{bits} - num_envs")
        check(
            self.batch_size % self.num_minibatches == 0, "num_minibatches", self.num_minibatches,
            f"a divisor of num_envs * num_steps = {self.num_envs} * {self.num_steps} = {self.batch_size}",
        )  # fmt: skip

    @property
    def batch_size(self) -> int:
        """Transitions in one rollout: num_envs * num_steps."""
        return self.num_envs * self.num_steps

    @property
    def minibatch_size(self) -> int:
        """Transitions in one minibatch."""
        return self.batch_size // self.num_minibatches

    @property
    def num_updates(self) -> int:
        """Rollouts in the whole run: total_timesteps / batch_size, rounded up."""
        return math.ceil(self.total_timesteps / self.batch_size)

    @property
    def env_modules(self) -> list[str]:
        """The modules that are imported to make an environment: those that `env_id` and `wrappers` name."""
        named = [self.env_id.rpartition(":")[0], *(wrapper_call(wrapper).module for wrapper in self.wrappers)]
        return list(dict.fromkeys(filter(None, named)))

    def left_after(self, global_step: int) -> float:
        """The share of the run that is left after so many steps: 1 - global_step / (num_updates * batch_size)."""
        return 1 - global_step / (self.num_updates * self.batch_size)

    def annealed(self, global_step: int) -> "PPOConfig":
        """The settings for an update that begins after `global_step` environment steps, by their schedules.

        Functions in files are run for that. Raises UserError as `schedules.loaded` and `schedules.value_at`.
        """
        return dataclasses.replace(self, **self.with_functions().values_at(self.left_after(global_step)))

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain numbers, strings and lists, for JSON; the values of `env_kwargs` as `literal_text`.

        A schedule that is a function becomes `schedules.FROM_PYTHON`.
        """
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        fields = {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}
        fields |= {field_of(setting): as_text(fields[field_of(setting)]) for setting in SETTINGS}
        return fields | {"env_kwargs": {k: literal_text(v) for k, v in self.env_kwargs.items()}}

    @classmethod
    def from_dict(cls, settings: dict[str, Any], source: str = "the settings") -> "PPOConfig":
        """The inverse of `to_dict`: field name -> value, lists for tuples; missing fields take their defaults.

        A string in `env_kwargs` is read by `literal`.

        Raises UserError if a name is unknown or a value is not allowed; the message names the `source` of the settings.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(settings) - known)
        if unknown:
            name, names = unknown[0][:50], ", ".join(sorted(known))
            hint = suggestion(unknown[0], known) or f"known are {names}."
            raise UserError(f"{source} has the unknown setting {name!r}; {hint}")
        if isinstance(kwargs := settings.get("env_kwargs"), dict):
            values = {k: literal(v) if isinstance(v, str) else v for k, v in kwargs.items()}
            settings = settings | {"env_kwargs": values}
        return cls(**settings)

    @classmethod
    def preset(cls, name: str) -> "PPOConfig":
        """The settings of a preset that comes with the package, or of a file: a name that ends with .toml.

        Raises UserError if there is no such preset, or if the file cannot be read or has wrong settings; the message
        names the file.
        """
        if name.endswith(".toml"):
            return cls._of_file(name)
        allowed = f"one of {', '.join(preset_names())}, or a file that ends with .toml"
        check(name in preset_names(), "preset", name, allowed)
        return cls.from_dict(tomllib.loads((_PRESETS / f"{name}.toml").read_text()), f"preset {name}")

    @classmethod
    def _of_file(cls, file: str) -> "PPOConfig":
        try:
            settings = tomllib.loads(Path(file).read_text("utf-8"))
        except OSError as error:
            raise UserError(f"preset is {file!r}, but that file cannot be read: {error.strerror}.") from error
        except (ValueError, RecursionError) as error:  # of the encoding, or of the form
            reason = " ".join(str(error).split()).rstrip(".")
            raise UserError(f"preset is {file!r}, but that file is not in TOML: {reason}.") from error
        try:
            return cls.from_dict(settings, "the file")
        except UserError as error:
            raise UserError(f"preset {file!r}: {error}") from error


def preset_names() -> list[str]:
    """Names of the presets that come with the package, sorted."""
    return sorted(entry.name.removesuffix(".toml") for entry in _PRESETS.iterdir() if entry.name.endswith(".toml"))


def preset_for(env_id: str) -> str | None:
    """The preset of an environment, "cartpole" for "CartPole-v1"; None if there is none."""
    name = env_id.split("-v")[0].lower()
    return name if name in preset_names() and PPOConfig.preset(name).env_id == env_id else None


def preset_about(name: str) -> str:
    """The description of a preset: the first line of its file."""
    return (_PRESETS / f"{name}.toml").read_text().splitlines()[0].removeprefix("# ")
