"""The learning rate that adapts to the KL of the last update: Schulman's rule, as in rsl_rl.

    lr <- max(lr / f, lr_min)   if KL > t target
    lr <- min(lr f, lr_max)     if 0 < KL < target / t

f is `kl_adaptive_factor` (1.5), t `kl_adaptive_threshold` (2), lr_min and lr_max `kl_adaptive_min_lr` and
`kl_adaptive_max_lr`. rsl_rl compares before each step, with the exact KL of two Gaussians. Here KL is the mean
approx_kl over the minibatches of the last epoch, of all ranks, and the comparison is after each update: approx_kl
exists for every action distribution; in the first minibatch of an update the policy has not changed, so its KL is 0 or
a rounding error, which must not decide; and an update has one learning rate, the one that is logged.
"""

from ppo_np.config import PPOConfig


def adapted(config: PPOConfig, approx_kl: float) -> float:
    """The learning rate of the next update.

    Args:
        config: the settings in force, with the learning rate of this update; its `kl_adaptive_lr` is the target.
        approx_kl: mean approx_kl of the last epoch of this update.
    """
    target, threshold, factor = config.kl_adaptive_lr, config.kl_adaptive_threshold, config.kl_adaptive_factor
    assert target is not None
    if approx_kl > target * threshold:
        return max(config.learning_rate / factor, config.kl_adaptive_min_lr)
    if 0 < approx_kl < target / threshold:
        return min(config.learning_rate * factor, config.kl_adaptive_max_lr)
    return config.learning_rate
