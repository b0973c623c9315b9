"""What a setting is called here: suggestions for names that are misspelt or those of other libraries."""

from collections.abc import Iterable
from difflib import get_close_matches

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
_LEARN = "it is an argument of learn"
# Names that are no settings here -> what to do.
ELSEWHERE = {
    "batch_size": _MINIBATCHES, "minibatch_size": _MINIBATCHES, "num_iterations": "use total_timesteps",
    "policy_kwargs": _SIZES, "net_arch": _SIZES, "hidden_sizes": _SIZES, "policy": _SIZES,
    "optimizer_kwargs": "use adam_eps, adam_beta1 and adam_beta2", "normalize": "use norm_obs and norm_reward",
    "normalize_kwargs": "use norm_obs and norm_reward", "tensorboard_log": _FOLDER, "exp_name": _FOLDER,
    "verbose": "learn(progress=True) shows the progress, as the command always does",
    "device": "training is on the CPU", "cuda": "training is on the CPU",
    "torch_deterministic": "runs are the same bit for bit without it (docs/reproducibility.md)",
    "use_sde": "there is no state-dependent exploration here; log_std is 'parameter' or 'state'",
    "sde_sample_freq": "there is no state-dependent exploration here; log_std is 'parameter' or 'state'",
    "stats_window_size": "means of the returns are always over the last 100 episodes",
    "callback": _LEARN, "more_steps": _LEARN, "run_dir": _LEARN, "progress": _LEARN,
    "progress_bar": "use learn(progress=True)",
    "checkpoint_every": _LEARN, "log_every": _LEARN, "eval_freq": "use ppo_np.callbacks.EvaluateEvery, or --eval-every",
    "eval_every": "use ppo_np.callbacks.EvaluateEvery, or --eval-every",
}  # fmt: skip


def suggestion(name: str, known: Iterable[str]) -> str:
    """What somebody may have meant by a name that is not among the `known` ones; empty if nothing is near."""
    if name in RENAMED:
        return f"did you mean {RENAMED[name]}?"
    if name in ELSEWHERE:
        return f"{ELSEWHERE[name]}."
    near = get_close_matches(name, sorted(known), n=1)
    return f"did you mean {near[0]}?" if near else ""
