"""Warm starts: what a new run takes from an earlier one, what begins anew, and what is refused."""

import json

import gymnasium
import numpy as np
import pytest
from resuming import BASE, CARTPOLE, go_on, train

from ppo_np import PPO, PPOConfig, UserError
from ppo_np.running import cli
from ppo_np.saving import warm_start
from ppo_np.saving.checkpoint import read_checkpoint

FLAGS = [*CARTPOLE, "--checkpoint-every", "100"]
SETTINGS = {"env_id": "CartPole-v1", "num_envs": 2, "num_steps": 16, "shared_sizes": (8,), "total_timesteps": 64}
NORMALIZED = {"norm_obs": True, "norm_reward": True}


def config(**others):
    return PPOConfig(**(SETTINGS | others))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return train(tmp_path_factory.mktemp("plain") / "run", *FLAGS)


@pytest.fixture(scope="module")
def normalized(tmp_path_factory):
    path = tmp_path_factory.mktemp("normalized") / "normalized.h5"
    PPO(config(**NORMALIZED)).learn().save(path)
    return path


def test_weights_and_statistics_of_observations_are_copied_and_all_else_is_new(normalized):
    """Into another environment of the same shapes, with another seed and other settings."""
    other = config(env_kwargs={"sutton_barto_reward": True}, seed=7, num_envs=4, gamma=0.9, **NORMALIZED)
    new, warm, saved = PPO(other), PPO(other, init_from=normalized), read_checkpoint(normalized)
    for name, tensor in warm.policy.model.named(warm.policy.model.params).items():
        np.testing.assert_array_equal(tensor, saved.parameters[name])
    arrays = warm.state.normalizer_arrays()
    for name, array in arrays.items():
        expected = saved.normalizer[name] if name.startswith("obs/") else new.state.normalizer_arrays()[name]
        np.testing.assert_array_equal(array, expected)
    assert (warm.update, warm.global_step, warm.state.adam_step, arrays["obs/count"]) == (0, 0, 0, 64)
    assert not warm.state.optimizer.m.any()
    assert warm.state.rng_states() == new.state.rng_states()
    np.testing.assert_array_equal(warm.stream.observed.obs, new.stream.observed.obs)
    warm.learn()


def test_the_command_records_it_and_starts_from_it_again_if_killed_before_the_first_checkpoint(plain, tmp_path, capsys):
    folder = train(tmp_path / "run", *FLAGS, "--init-from", plain, "--seed", "1")
    assert f"weights of {plain}\n" in capsys.readouterr().out
    document = json.loads((folder / "config.json").read_text())
    assert document["options"]["init_from"] == str(plain)
    whole = read_checkpoint(folder / "checkpoint.h5").parameters
    for path in folder.iterdir():
        if path.name not in (".lock", "config.json"):
            path.unlink()
    go_on(folder)
    again = read_checkpoint(folder / "checkpoint.h5").parameters
    assert all(np.array_equal(again[name], whole[name]) for name in whole)


def test_a_file_of_another_kind_has_its_reader(tmp_path, monkeypatch):
    source = PPO(config(seed=3)).policy.model
    monkeypatch.setitem(warm_start.READERS, ".weights", lambda path: source.named(source.params))
    assert np.array_equal(PPO(config(), init_from="some.weights").policy.model.params, source.params)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"shared_sizes": (9,)}, "but shared/0/weight has the shape (4, 8) there and (4, 9) in the new run: its layers "
         "are those of --shared-sizes 8 --policy-sizes --value-sizes."),
        ({"value_sizes": (3,)}, "but value/0/weight of shape (8, 3) is only in the new run, and init_from has no such"),
        ({"shared_sizes": ()}, "shared/0/weight of shape (4, 8) is only in init_from, and the new run has no such"),
        ({"env_id": "Acrobot-v1"}, "but shared/0/weight has the shape (4, 8) there and (6, 8) in the new run."),
        ({"activation": "tanh"}, "activation is 'tanh', but it must be 'relu' as in init_from, "),
        ({"norm_obs": True}, "norm_obs is True, but init_from is "),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(plain, others, message):
    with pytest.raises(UserError) as error:
        PPO(config(**others), init_from=plain)
    assert message in str(error.value)
    assert str(plain) in str(error.value)


def test_other_distributions_and_unnormalised_observations_do_not_fit(normalized, tmp_path):
    with pytest.raises(UserError, match=r"norm_obs is False, .* were normalised: it must be True \(--norm-obs\)\."):
        PPO(config(), init_from=normalized)
    pendulum = config(env_id="Pendulum-v1", action_distribution="squashed")
    PPO(pendulum).save(tmp_path / "squashed.h5")
    with pytest.raises(UserError, match="action_distribution is 'gaussian', but it must be 'squashed' as in init_from"):
        PPO(config(env_id="Pendulum-v1"), init_from=tmp_path / "squashed.h5")


def test_actions_with_other_components_of_the_same_sum_do_not_fit(tmp_path):
    def env(space):
        made = gymnasium.make("CartPole-v1")
        made.action_space = space
        return made

    PPO(config(env_id=""), lambda: env(gymnasium.spaces.MultiDiscrete([3, 3]))).save(tmp_path / "two.h5")
    with pytest.raises(
        UserError, match=r"its actions are MultiCategorical with the sizes \(3, 3\), and in the new run"
    ):
        PPO(config(env_id=""), lambda: env(gymnasium.spaces.Discrete(6)), init_from=tmp_path / "two.h5")


@pytest.mark.parametrize("given", [3, True])
def test_wrong_types(given):
    with pytest.raises(UserError, match=f"init_from is {given}, but it must be a run folder or a checkpoint file"):
        PPO(config(), init_from=given)


def test_no_such_run(tmp_path, capsys):
    flags = [*BASE, "--env-id", "CartPole-v1", "--init-from", tmp_path / "none"]
    train(tmp_path / "run", *flags, code=cli.BAD_ARGUMENTS)
    assert "error: init_from cannot be used: checkpoint is " in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
