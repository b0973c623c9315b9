"""What a setting is called here: suggestions for names that are misspelt or those of other libraries."""

import dataclasses
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Any, NoReturn, Self

from ppo_np.errors import UserError

# Names of Stable-Baselines3 (and its RL Zoo), CleanRL and others -> ours.
RENAMED = {
    "n_steps": "num_steps", "n_envs": "num_envs", "n_epochs": "update_epochs", "n_timesteps": "total_timesteps",
    "timesteps": "total_timesteps", "clip_range": "clip_coef", "clip_range_vf": "value_clip_coef",
    "normalize_advantage": "norm_adv", "lr": "learning_rate", "gym_id": "env_id", "n_minibatches": "num_minibatches",
    "nminibatches": "num_minibatches", "activation_fn": "activation", "lam": "gae_lambda", "epochs": "update_epochs",
    "entropy_coef": "ent_coef", "value_coef": "vf_coef", "env_wrapper": "wrappers", "clip_obs": "norm_obs",
    "use_action_mask": "action_mask", "learning_rate_fn": "learning_rate_schedule",
}  # fmt: skip
_MINIBATCHES = "use num_minibatches = num_envs * num_steps / (rows of a minibatch, batch_size in Stable-Baselines3)"
_SIZES = "use shared_sizes, policy_sizes, value_sizes and activation"
_FOLDER = "a run folder has TensorBoard's events, from Python by learn(run_dir=...)"
ARGUMENTS_OF_LEARN = "callback", "more_steps", "run_dir", "progress", "checkpoint_every", "log_every"
# Names that are no settings here -> what to do.
ELSEWHERE = {
    "batch_size": _MINIBATCHES, "minibatch_size": _MINIBATCHES, "num_iterations": "use total_timesteps",
    "num_updates": "use total_timesteps",
    "policy_kwargs": _SIZES, "net_arch": _SIZES, "hidden_sizes": _SIZES, "policy": _SIZES,
    "optimizer_kwargs": "use adam_eps, adam_beta1 and adam_beta2", "normalize": "use norm_obs and norm_reward",
    "normalize_kwargs": "use norm_obs and norm_reward", "tensorboard_log": _FOLDER, "exp_name": _FOLDER,
    "verbose": "learn(progress=True) shows the progress, as the command always does",
    "device": "training is on the CPU", "cuda": "training is on the CPU",
    "torch_deterministic": "runs are the same bit for bit without it (docs/reproducibility.md)",
    "use_sde": "there is no state-dependent exploration here; log_std is 'parameter' or 'state'",
    "sde_sample_freq": "there is no state-dependent exploration here; log_std is 'parameter' or 'state'",
    "stats_window_size": "means of the returns are always over the last 100 episodes",
    **dict.fromkeys(ARGUMENTS_OF_LEARN, "it is an argument of learn"), "progress_bar": "use learn(progress=True)",
    "eval_freq": "use ppo_np.callbacks.EvaluateEvery, or --eval-every",
    "eval_every": "use ppo_np.callbacks.EvaluateEvery, or --eval-every",
}  # fmt: skip
# Other arguments of Stable-Baselines3's `learn` -> what to do.
IN_LEARN = {
    "total_timesteps": "it trains config.total_timesteps steps; did you mean more_steps?",
    "progress_bar": "did you mean progress?",
    "log_interval": "did you mean log_every?",
    "tb_log_name": "did you mean run_dir, the folder with TensorBoard's events?",
    "reset_num_timesteps": "steps are always counted on; a new PPO begins at 0.",
}


def suggestion(name: str, known: Iterable[str]) -> str:
    """What somebody may have meant by a name that is not among the `known` ones; empty if nothing is near."""
    if name in RENAMED:
        return f"did you mean {RENAMED[name]}?"
    if name in ELSEWHERE:
        return f"{ELSEWHERE[name]}."
    near = get_close_matches(name, sorted(known), n=1)
    return f"did you mean {near[0]}?" if near else ""


class KnownNames:
    """What a dataclass of settings inherits, so that a wrong name is refused by a UserError with a suggestion.

    Here and not in a second `__init__`: the fields stay the only arguments that type checkers and editors see.
    """

    def __new__(cls, *args: Any, **settings: Any) -> Self:
        """Raise UserError if a name in `settings` is no field; the dataclass's `__init__` does all else."""
        known = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
        for name in settings:
            if name not in known:
                hint = suggestion(name, known) or f"known are {', '.join(known)}."
                raise UserError(f"{name} is no setting of PPO: {hint}")
        return super().__new__(cls)


def refuse_in_learn(name: str, settings: Collection[str]) -> NoReturn:
    """Raise UserError because `learn` has no argument of this name, with what may have been meant."""
    hint, setting = IN_LEARN.get(name), RENAMED.get(name, name)
    if not hint and setting in settings:
        hint = f"it is a setting, PPO(..., {setting}=...)."
    if not hint and (near := get_close_matches(name, ARGUMENTS_OF_LEARN, n=1)):
        hint = f"did you mean {near[0]}?"
    hint = hint or f"known are {', '.join(ARGUMENTS_OF_LEARN)}."
    raise UserError(f"{name} is no argument of learn: {hint}")
