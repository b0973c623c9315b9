"""What a checkpoint holds of a run, by name, and that it can be put into another run."""

import numpy as np

from ppo_np import PPO, PPOConfig
from ppo_np.saving.checkpoint import restore
from ppo_np.saving.training_state import COUNTERS, RNGS

SMALL = PPOConfig(env_id="CartPole-v1", num_envs=2, num_steps=8, total_timesteps=32, shared_sizes=(4,))


def trained(**settings):
    return PPO(PPOConfig.from_dict(SMALL.to_dict() | settings)).learn()


def test_tensors_are_views_under_the_names_in_a_file():
    state = trained().state
    tensors, shapes, optimizer = state.tensors(), state.model.shapes, state.optimizer
    assert list(tensors) == [f"{group}/{name}" for group in ("parameters", "adam/m", "adam/v") for name in shapes]
    for group, flat in (("parameters", state.model.params), ("adam/m", optimizer.m), ("adam/v", optimizer.v)):
        for number, (name, shape) in enumerate(shapes.items()):
            assert tensors[f"{group}/{name}"].shape == shape
            tensors[f"{group}/{name}"][:] = number
        assert flat.tolist() == [n for n, shape in enumerate(shapes.values()) for _ in range(np.prod(shape))]


def test_running_statistics_are_there_if_the_settings_ask_for_them():
    assert trained().state.normalizer_arrays() == {}
    state = trained(norm_obs=True, norm_reward=True).state
    names = {"obs": ("count", "mean", "variance"), "reward": ("count", "mean", "variance", "running")}
    assert list(state.normalizer_arrays()) == [f"{part}/{name}" for part in names for name in names[part]]


def test_counters_and_random_generators_come_back():
    old, new = trained(), PPO(PPOConfig.from_dict(SMALL.to_dict() | {"seed": 5}))
    old.state.environments_reset = 3
    saved = old.resume_point.checkpoint(old.config, old.ranks)
    assert saved.counters == {"update": 2, "global_step": 32, "adam_step": 32, "environments_reset": 3}
    restore(new.state, saved, 2, new.ranks)
    assert {name: getattr(new.state, name) for name in COUNTERS} == saved.counters
    assert new.state.optimizer.steps == 32
    assert list(old.state.rng_states()) == list(RNGS)
    drawn = [[ppo.state.rngs[name].random() for name in RNGS] for ppo in (old, new)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 3
