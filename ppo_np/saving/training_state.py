"""Everything that a `PPO` would need to go on as if nothing had happened: taken out of it, and put back."""

from typing import TYPE_CHECKING

import numpy as np

from ppo_np.environments.env_recorder import EnvRecord
from ppo_np.environments.stream import Episode
from ppo_np.errors import UserError
from ppo_np.saving.checkpoint import COUNTERS, RNGS, Checkpoint, copy_tensors, library_versions

if TYPE_CHECKING:
    from ppo_np.learning.ppo import PPO

RUNNING = "reward/running"


def capture(ppo: "PPO") -> Checkpoint:
    """The state at the last point from which learning can go on: after an update, or where the rollout began.

    In the midst of an update's epochs there is no such point (an exception ended them): then the environments are left
    out, and what goes on from there is continuous in statistics only.

    All ranks must call it; what it returns is complete on each of them, whatever their number.
    """
    named = ppo.model.named
    rng = {name: getattr(ppo, name).bit_generator.state for name in RNGS}
    environments = None
    if ppo.resumable:
        mark, rng["action_rng"] = ppo.rollout_start()
        environments = EnvRecord.joined(ppo.ranks.gather(ppo.stream.record(mark)))
    normalizer = normalizer_arrays(ppo)
    if RUNNING in normalizer:
        normalizer[RUNNING] = np.concatenate(ppo.ranks.gather(normalizer[RUNNING]))
    return Checkpoint(
        config=ppo.config,
        parameters=named(ppo.model.params),
        adam_m=named(ppo.m),
        adam_v=named(ppo.v),
        counters={name: getattr(ppo, name) for name in COUNTERS},
        wall_time=ppo.wall_time,
        rng=rng,
        normalizer=normalizer,
        recent_episodes=np.array(ppo.recent_episodes, np.float64).reshape(-1, 2),
        environments=environments,
        versions=library_versions(),
        ranks=ppo.ranks.size,
    )


def normalizer_arrays(ppo: "PPO") -> dict[str, np.ndarray]:
    """The running statistics by name; empty without normalisation.

    As they stand in a checkpoint, but for the sums of episodes under way: this rank's.
    """
    parts = {"obs": ppo.policy.obs_moments, "reward": ppo.reward_scaler}
    return {f"{part}/{name}": array for part, n in parts.items() if n for name, array in n.arrays().items()}


def restore(ppo: "PPO", saved: Checkpoint) -> None:
    """Put a saved state into a new `PPO`, the environments aside; it may be of another number of ranks.

    Raises:
        UserError: It does not fit the network, or a generator's state is unusable.
    """
    path, normalizer, own = saved.path, dict(saved.normalizer), ppo.own_envs
    if RUNNING in normalizer and len(normalizer[RUNNING]) == ppo.config.num_envs:
        normalizer[RUNNING] = normalizer[RUNNING][own.start : own.stop]
    copy_tensors(normalizer, normalizer_arrays(ppo), path)
    for flat, tensors in ((ppo.model.params, saved.parameters), (ppo.m, saved.adam_m), (ppo.v, saved.adam_v)):
        copy_tensors(tensors, ppo.model.named(flat), path)
    for name in COUNTERS:
        setattr(ppo, name, saved.counters[name])
    ppo.wall_time = saved.wall_time
    ppo.recent_episodes += [Episode(float(total), int(length)) for total, length in saved.recent_episodes]
    try:
        for name in RNGS:
            getattr(ppo, name).bit_generator.state = saved.rng[name]
    except (TypeError, ValueError, KeyError) as error:
        raise UserError(f"checkpoint {str(path)!r} has no usable state of {name}.") from error


def restore_environments(ppo: "PPO", saved: Checkpoint) -> np.ndarray:
    """Let the environments begin where the saved ones stood.

    Returns:
        (N,) bool: those of all ranks that do. The others have begun another episode.

    Raises:
        EnvironmentFault: A reset failed.
    """
    record, seed = saved.environments, another_seed(saved)
    shape, rows = (ppo.config.num_envs, ppo.policy.observations.size), ppo.policy.obs_dtype
    if record is None or record.obs.shape != shape or record.obs.dtype != rows:
        ppo.stream.reset(seed)
        same = np.zeros(len(ppo.own_envs), bool)
    else:
        same = ppo.stream.restore(record.part(ppo.own_envs), seed, ppo.policy.observations.flatten_one)
    if ppo.reward_scaler:
        ppo.reward_scaler.running[~same] = 0
    return np.concatenate(ppo.ranks.gather(same))


def another_seed(saved: Checkpoint) -> int:
    """A seed for environments that cannot be brought back: not the first one, or they would repeat themselves."""
    entropy = (saved.config.seed, saved.counters["global_step"])
    return int(np.random.SeedSequence(entropy).generate_state(1)[0] >> 1)
